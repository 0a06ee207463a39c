/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is rendered is read again by the schema below, which is metrics.proto of
 * prometheus/client_model in a few lines, and printed as protobuf's text format
 * has it.
 */
#include "shown.h"

#include "core/number.h"
#include "core/wire.h"

static const struct form proto = { FORMAT_PROTOBUF, ESCAPING_UNDERSCORES,
				   false };
static const struct form proto_utf8 = { FORMAT_PROTOBUF, ESCAPING_NONE, false };

/* ---- reading ---- */

/* s: string, d: double, u: varint, z: zigzag, m: message. */
struct field {
	unsigned number;
	char kind;
	const char *name;
	const struct field *message;
};

static const struct field stamp_fields[] = {
	{ 1, 'u', "seconds", NULL },
	{ 2, 'u', "nanos", NULL },
	{ 0 },
};
static const struct field label_fields[] = {
	{ 1, 's', "name", NULL },
	{ 2, 's', "value", NULL },
	{ 0 },
};
static const struct field exemplar_fields[] = {
	{ 1, 'm', "label", label_fields },
	{ 2, 'd', "value", NULL },
	{ 3, 'm', "timestamp", stamp_fields },
	{ 0 },
};
static const struct field gauge_fields[] = {
	{ 1, 'd', "value", NULL },
	{ 0 },
};
static const struct field counter_fields[] = {
	{ 1, 'd', "value", NULL },
	{ 2, 'm', "exemplar", exemplar_fields },
	{ 3, 'm', "created", stamp_fields },
	{ 0 },
};
static const struct field quantile_fields[] = {
	{ 1, 'd', "quantile", NULL },
	{ 2, 'd', "value", NULL },
	{ 0 },
};
static const struct field summary_fields[] = {
	{ 1, 'u', "count", NULL },
	{ 2, 'd', "sum", NULL },
	{ 3, 'm', "quantile", quantile_fields },
	{ 4, 'm', "created", stamp_fields },
	{ 0 },
};
static const struct field bucket_fields[] = {
	{ 1, 'u', "count", NULL },
	{ 2, 'd', "bound", NULL },
	{ 3, 'm', "exemplar", exemplar_fields },
	{ 4, 'd', "count_float", NULL },
	{ 0 },
};
static const struct field span_fields[] = {
	{ 1, 'z', "offset", NULL },
	{ 2, 'u', "length", NULL },
	{ 0 },
};
static const struct field histogram_fields[] = {
	{ 1, 'u', "count", NULL },
	{ 2, 'd', "sum", NULL },
	{ 3, 'm', "bucket", bucket_fields },
	{ 4, 'd', "count_float", NULL },
	{ 5, 'z', "schema", NULL },
	{ 6, 'd', "zero_threshold", NULL },
	{ 7, 'u', "zero_count", NULL },
	{ 9, 'm', "negative_span", span_fields },
	{ 10, 'z', "negative_delta", NULL },
	{ 12, 'm', "positive_span", span_fields },
	{ 13, 'z', "positive_delta", NULL },
	{ 15, 'm', "created", stamp_fields },
	{ 16, 'm', "exemplars", exemplar_fields },
	{ 0 },
};
static const struct field metric_fields[] = {
	{ 1, 'm', "label", label_fields },
	{ 2, 'm', "gauge", gauge_fields },
	{ 3, 'm', "counter", counter_fields },
	{ 4, 'm', "summary", summary_fields },
	{ 5, 'm', "untyped", gauge_fields },
	{ 6, 'u', "timestamp_ms", NULL },
	{ 7, 'm', "histogram", histogram_fields },
	{ 0 },
};
static const struct field family_fields[] = {
	{ 1, 's', "name", NULL }, { 2, 's', "help", NULL },
	{ 3, 'u', "type", NULL }, { 4, 'm', "metric", metric_fields },
	{ 5, 's', "unit", NULL }, { 0 },
};

static const struct field *field_of(const struct field *fields,
				    struct wire_tag tag)
{
	static const struct {
		char kind;
		unsigned type;
	} types[] = { { 's', WIRE_BYTES },
		      { 'm', WIRE_BYTES },
		      { 'd', WIRE_FIXED64 },
		      { 'u', WIRE_VARINT },
		      { 'z', WIRE_VARINT } };

	while (fields->number && fields->number != tag.number)
		fields++;
	if (!fields->number)
		fail_msg("field %u is not there", (unsigned)tag.number);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].kind == fields->kind)
			assert_int_equal(types[i].type, tag.type);
	return fields;
}

static void print_fields(struct buf *out, const struct field *fields,
			 struct wire *wire);

static void print_field(struct buf *out, const struct field *field,
			struct wire *wire)
{
	struct str bytes;
	struct wire nested;
	char text[NUMBER_MAX];
	uint64_t bits;

	buf_addf(out, "%s%s",
		 out->len && out->data[out->len - 1] != '{' ? " " : "",
		 field->name);
	switch (field->kind) {
	case 's':
		assert_true(wire_bytes(wire, &bytes));
		buf_addf(out, "=\"%.*s\"", (int)bytes.len, bytes.data);
		break;
	case 'm':
		assert_true(wire_nested(wire, &nested));
		buf_addch(out, '{');
		print_fields(out, field->message, &nested);
		buf_addch(out, '}');
		break;
	case 'd':
		assert_true(wire_fixed64(wire, &bits));
		buf_addch(out, '=');
		buf_add(out, text, number_format(text, wire_double(bits)));
		break;
	default:
		assert_true(wire_varint(wire, &bits));
		buf_addf(out, "=%lld",
			 field->kind == 'z' ? (long long)wire_unzigzag(bits)
					    : (long long)bits);
	}
}

static void print_fields(struct buf *out, const struct field *fields,
			 struct wire *wire)
{
	struct wire_tag tag;

	while (!wire_at_end(wire)) {
		assert_true(wire_tag(wire, &tag));
		print_field(out, field_of(fields, tag), wire);
	}
}

/* The text of one delimited family, which is all of BYTES. */
static void print_family(struct buf *out, struct str bytes)
{
	struct wire wire, family;

	wire_init(&wire, bytes);
	assert_true(wire_nested(&wire, &family));
	assert_true(wire_at_end(&wire));
	print_fields(out, family_fields, &family);
}

static void assert_family(struct form form, struct shown shown,
			  const char *expected)
{
	struct chunk *chunk = shown_chunk(&shown);
	struct buf out, text;

	buf_init(&out, 1 << 24);
	buf_init(&text, 1 << 24);
	shown_render(&out, form, &shown, chunk);
	print_family(&text, (struct str){ out.data, out.len });
	assert_string_equal(buf_text(&text), expected);
	buf_release(&out);
	buf_release(&text);
	shown_free(&shown, chunk);
}

/* ---- simple types ---- */

static void simple_types_have_their_messages(void **state)
{
	static const struct {
		enum metric_type type;
		const char *expected;
	} types[] = {
		{ METRIC_COUNTER, "name=\"a\" help=\"H \\ \"q\"\n.\" type=0 "
				  "unit=\"s\" "
				  "metric{label{name=\"x\" value=\"y\"} "
				  "counter{value=1}}" },
		{ METRIC_GAUGE, "name=\"a\" help=\"H \\ \"q\"\n.\" type=1 "
				"unit=\"s\" "
				"metric{label{name=\"x\" value=\"y\"} "
				"gauge{value=1}}" },
		{ METRIC_INFO, "name=\"a\" help=\"H \\ \"q\"\n.\" type=1 "
			       "unit=\"s\" "
			       "metric{label{name=\"x\" value=\"y\"} "
			       "gauge{value=1}}" },
		{ METRIC_UNKNOWN, "name=\"a\" help=\"H \\ \"q\"\n.\" type=3 "
				  "unit=\"s\" "
				  "metric{label{name=\"x\" value=\"y\"} "
				  "untyped{value=1}}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct shown shown = shown_new(
			(struct metadata_desc){ .type = types[i].type,
						.name = "a",
						.help = "H \\ \"q\"\n.",
						.unit = "s" });

		shown_set(&shown, "x=\"y\"", 1);
		assert_family(proto, shown, types[i].expected);
	}
}

static void label_values_are_not_escaped(void **state)
{
	struct shown shown = shown_new(
		(struct metadata_desc){ .type = METRIC_GAUGE, .name = "a" });

	(void)state;
	shown_set(&shown, "x=\"\\\\n\\\"\\n,\",y=\"\"", 0);
	shown_set(&shown, NULL, 0);
	shown_set(&shown, "x=\"}{,= #\",y=\"\xF0\x9F\x98\x80\"", 0);
	assert_family(proto, shown,
		      "name=\"a\" type=1 "
		      "metric{label{name=\"x\" value=\"\\n\"\n,\"} "
		      "label{name=\"y\" value=\"\"} gauge{value=0}} "
		      "metric{label{name=\"x\" value=\"}{,= #\"} "
		      "label{name=\"y\" value=\"\xF0\x9F\x98\x80\"} "
		      "gauge{value=0}}");
}

/* A set does not count what is escaped in a constant label. */
static void values_of_constant_labels_are_not_escaped(void **state)
{
	struct shown shown = shown_new(
		(struct metadata_desc){ .type = METRIC_GAUGE, .name = "a" });

	(void)state;
	shown_set(&shown, "x=\"y\",site=\"\\\\\\\"b\"", 1);
	shown_set(&shown, "x=\"\\\"\",site=\"\\\\\\\"b\"", 2);
	shown.labels[0]->escaped = false;
	assert_family(proto, shown,
		      "name=\"a\" type=1 "
		      "metric{label{name=\"x\" value=\"y\"} "
		      "label{name=\"site\" value=\"\\\"b\"} gauge{value=1}} "
		      "metric{label{name=\"x\" value=\"\"\"} "
		      "label{name=\"site\" value=\"\\\"b\"} gauge{value=2}}");
}

static void an_empty_family_is_a_message(void **state)
{
	(void)state;
	assert_family(proto,
		      shown_new((struct metadata_desc){ .type = METRIC_SUMMARY,
							.name = "a" }),
		      "name=\"a\" type=2");
}

static void created_and_time_stand_where_they_are_known(void **state)
{
	struct shown shown = shown_new((struct metadata_desc){
		.type = METRIC_COUNTER, .name = "a", .timestamps = true });
	const struct metadata *m = shown.metadata;
	double *row = shown_row(&shown, "x=\"1\"");

	(void)state;
	row[0] = 1;
	row[m->created] = 1520430000.125;
	row[m->time] = 1520879607.789;
	row = shown_row(&shown, "x=\"2\"");
	row[0] = 2;
	row[m->created] = row[m->time] = -1.5;
	shown_set(&shown, "x=\"3\"", 3);
	row = shown_row(&shown, "x=\"4\"");
	row[0] = 4;
	row[m->created] = row[m->time] = 7;
	assert_family(proto, shown,
		      "name=\"a\" type=0 "
		      "metric{label{name=\"x\" value=\"1\"} counter{value=1 "
		      "created{seconds=1520430000 nanos=125000000}} "
		      "timestamp_ms=1520879607789} "
		      "metric{label{name=\"x\" value=\"2\"} counter{value=2 "
		      "created{seconds=-2 nanos=500000000}} "
		      "timestamp_ms=-1500} "
		      "metric{label{name=\"x\" value=\"3\"} counter{value=3}} "
		      "metric{label{name=\"x\" value=\"4\"} counter{value=4 "
		      "created{seconds=7}} timestamp_ms=7000}");
}

static void a_counter_has_its_exemplar(void **state)
{
	struct shown shown = shown_new(
		(struct metadata_desc){ .type = METRIC_COUNTER, .name = "a" });
	double *row = shown_row(&shown, "");

	(void)state;
	row[0] = nan_value;
	row[shown.metadata->created] = 5;
	shown_exemplar(&shown, 1, 0, "id", "a\"b\n", 0.5, 9.25);
	shown_set(&shown, "", -1);
	assert_family(proto, shown,
		      "name=\"a\" type=0 "
		      "metric{counter{value=NaN "
		      "exemplar{label{name=\"id\" value=\"a\"b\n\"} value=0.5 "
		      "timestamp{seconds=9 nanos=250000000}} "
		      "created{seconds=5}}} metric{counter{value=-1}}");
}

/* ---- distributions ---- */

static struct shown histogram(enum metric_type type,
			      const struct native_options *native)
{
	static const double bounds[] = { -1, 2.5 };

	return shown_new((struct metadata_desc){ .type = type,
						 .name = "h",
						 .bounds = bounds,
						 .nbounds = 2,
						 .native = native });
}

static void a_histogram_has_cumulative_buckets(void **state)
{
	struct shown shown = histogram(METRIC_HISTOGRAM, NULL);
	double *row = shown_row(&shown, "");

	(void)state;
	row[0] = -3.5;
	row[1] = 1;
	row[2] = 2;
	row[3] = 0x1p53 - 3;
	row[shown.metadata->created] = 4;
	shown_exemplar(&shown, 3, 1, "id", "x", 2, nan_value);
	shown_row(&shown, "");
	shown_exemplar(&shown, 3, 2, NULL, NULL, 3, nan_value);
	row = shown_row(&shown, "");
	row[0] = nan_value;
	row[1] = 0.5;
	assert_family(proto, shown,
		      "name=\"h\" type=4 "
		      "metric{histogram{count=9007199254740992 sum=-3.5 "
		      "bucket{count=1 bound=-1} "
		      "bucket{count=3 bound=2.5 "
		      "exemplar{label{name=\"id\" value=\"x\"} value=2}} "
		      "created{seconds=4}}} "
		      "metric{histogram{count=0 sum=0 bucket{count=0 bound=-1} "
		      "bucket{count=0 bound=2.5} "
		      "bucket{count=0 bound=+Inf exemplar{value=3}}}} "
		      "metric{histogram{count_float=0.5 sum=NaN "
		      "bucket{count_float=0.5 bound=-1} "
		      "bucket{count_float=0.5 bound=2.5}}}");
}

static void a_gauge_histogram_has_a_type_of_its_own(void **state)
{
	struct shown shown = histogram(METRIC_GAUGEHISTOGRAM, NULL);

	(void)state;
	shown_row(&shown, "")[2] = 1;
	assert_family(proto, shown,
		      "name=\"h\" type=5 metric{histogram{count=1 sum=0 "
		      "bucket{count=0 bound=-1} bucket{count=1 bound=2.5}}}");
}

static void a_native_histogram_has_spans_and_deltas(void **state)
{
	const struct native_options options = { .schema = 0,
						.max_buckets = 0,
						.zero_threshold = 0.25 };
	static const double values[] = { 0.125, 1, 1.5, 2, 1.5, 64, -3, -40 };
	struct shown shown = shown_new((struct metadata_desc){
		.type = METRIC_HISTOGRAM, .name = "h", .native = &options });
	double *row = shown_row(&shown, "");

	(void)state;
	shown.natives[0] = native_new(&options);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		native_observe(shown.natives[0], values[i]);
		row[0] += values[i];
		row[1]++;
	}
	shown_exemplar(&shown, 2, 0, NULL, NULL, 1, nan_value);
	exemplars_put(&shown.exemplars[0], 2, 1,
		      exemplar_new(NULL, 0, 64, 3, NULL));
	assert_family(proto, shown,
		      "name=\"h\" type=4 "
		      "metric{histogram{count=8 sum=27.125 schema=0 "
		      "zero_threshold=0.25 zero_count=1 "
		      "negative_span{offset=2 length=1} "
		      "negative_span{offset=3 length=1} "
		      "negative_delta=1 negative_delta=0 "
		      "positive_span{offset=0 length=2} "
		      "positive_span{offset=4 length=1} "
		      "positive_delta=1 positive_delta=2 positive_delta=-2 "
		      "exemplars{value=64 timestamp{seconds=3}}}}");
}

static void an_empty_native_histogram_can_be_told(void **state)
{
	const struct native_options options = { .schema = 8 };
	struct shown shown = shown_new((struct metadata_desc){
		.type = METRIC_HISTOGRAM, .name = "h", .native = &options });

	(void)state;
	shown_row(&shown, "");
	shown.natives[0] = native_new(&options);
	assert_family(proto, shown,
		      "name=\"h\" type=4 metric{histogram{count=0 sum=0 "
		      "schema=8 zero_threshold=0 zero_count=0 "
		      "positive_span{offset=0 length=0}}}");
}

static void classic_and_native_buckets_stand_together(void **state)
{
	const struct native_options options = { .schema = -4,
						.zero_threshold = 1 };
	struct shown shown = histogram(METRIC_HISTOGRAM, &options);
	double *row = shown_row(&shown, "");

	(void)state;
	shown.natives[0] = native_new(&options);
	native_observe(shown.natives[0], 2);
	row[0] = 2;
	row[2] = 1;
	assert_family(proto, shown,
		      "name=\"h\" type=4 metric{histogram{count=1 sum=2 "
		      "bucket{count=0 bound=-1} bucket{count=1 bound=2.5} "
		      "schema=-4 zero_threshold=1 zero_count=0 "
		      "positive_span{offset=1 length=1} positive_delta=1}}");
}

static void a_summary_has_quantiles(void **state)
{
	static const double quantiles[] = { 0, 0.99 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_SUMMARY,
						  .name = "s",
						  .quantiles = quantiles,
						  .nquantiles = 2 });
	double *row = shown_row(&shown, "a=\"b\"");

	(void)state;
	row[0] = -1;
	row[1] = 300;
	row[2] = nan_value;
	row[3] = (double)-INFINITY;
	row[shown.metadata->created] = 1e-9;
	assert_family(proto, shown,
		      "name=\"s\" type=2 metric{label{name=\"a\" value=\"b\"} "
		      "summary{count=300 sum=-1 "
		      "quantile{quantile=0 value=NaN} "
		      "quantile{quantile=0.99 value=-Inf} "
		      "created{seconds=0 nanos=1}}}");
}

static void a_stateset_is_a_gauge_for_each_state(void **state)
{
	static const char *const states[] = { "on", "o\"\\\n" };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_STATESET,
						  .name = "s.t",
						  .states = states,
						  .nstates = 2,
						  .timestamps = true });
	double *row = shown_row(&shown, "a=\"b\"");

	(void)state;
	row[1] = 1;
	row[shown.metadata->time] = 1;
	assert_family(proto, shown,
		      "name=\"s_t\" type=1 "
		      "metric{label{name=\"a\" value=\"b\"} "
		      "label{name=\"s_t\" value=\"on\"} gauge{value=0} "
		      "timestamp_ms=1000} "
		      "metric{label{name=\"a\" value=\"b\"} "
		      "label{name=\"s_t\" value=\"o\"\\\n\"} gauge{value=1} "
		      "timestamp_ms=1000}");
}

static void names_follow_the_scheme(void **state)
{
	struct metadata_desc desc = { .type = METRIC_GAUGE, .name = "a.b" };
	struct shown shown = shown_new(desc);

	(void)state;
	shown_set(&shown, "c=\"x\",\"d\\\"\xC3\xA9\"=\"y\"", 1);
	assert_family(proto, shown,
		      "name=\"a_b\" type=1 "
		      "metric{label{name=\"c\" value=\"x\"} "
		      "label{name=\"d__\" value=\"y\"} gauge{value=1}}");
	shown = shown_new(desc);
	shown_set(&shown, "c=\"x\",\"d\\\"\xC3\xA9\"=\"y\"", 1);
	assert_family(proto_utf8, shown,
		      "name=\"a.b\" type=1 "
		      "metric{label{name=\"c\" value=\"x\"} "
		      "label{name=\"d\"\xC3\xA9\" value=\"y\"} "
		      "gauge{value=1}}");
}

/* ---- numbers and lengths ---- */

static uint64_t random_state = 88172645463325252u;

static uint64_t any(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Any double, and often one at a border. */
static double any_double(void)
{
	static const uint64_t borders[] = { 0,
					    1,
					    0x7FF0000000000000u,
					    0xFFF0000000000000u,
					    0x8000000000000000u,
					    0x4340000000000000u,
					    0x433FFFFFFFFFFFFFu,
					    0x4340000000000001u,
					    0x000FFFFFFFFFFFFFu };
	uint64_t bits = any();

	return wire_double(bits % 4 ? any() : borders[bits / 4 % 9]);
}

/* The value of the only label, and the gauge, of one metric. */
static void read_metric(struct wire *family, struct str *label, uint64_t *bits)
{
	struct wire metric, pair, gauge;
	struct wire_tag tag;

	assert_true(wire_tag(family, &tag) && tag.number == 4);
	assert_true(wire_nested(family, &metric));
	assert_true(wire_tag(&metric, &tag) && tag.number == 1);
	assert_true(wire_nested(&metric, &pair));
	assert_true(wire_tag(&pair, &tag) && wire_bytes(&pair, label));
	assert_int_equal(label->len, 1);
	assert_true(wire_tag(&pair, &tag) && wire_bytes(&pair, label));
	assert_true(wire_at_end(&pair));
	assert_true(wire_tag(&metric, &tag) && tag.number == 2);
	assert_true(wire_nested(&metric, &gauge) && wire_at_end(&metric));
	assert_true(wire_tag(&gauge, &tag) && wire_fixed64(&gauge, bits));
	assert_true(wire_at_end(&gauge));
}

/* Lengths around those that take another byte, values with and without what
 * must be escaped, all bits of the numbers. */
static void values_of_any_length_come_back(void **state)
{
	static const size_t lengths[] = { 0,	 1,	90,    109,   110,  111,
					  112,	 113,	114,   115,   116,  117,
					  118,	 119,	120,   121,   122,  123,
					  124,	 125,	126,   127,   128,  129,
					  16000, 16382, 16383, 16384, 30000 };
	enum { N = sizeof lengths / sizeof *lengths };
	static char raw[2 * N][30001], text[60100];
	double numbers[2 * N];
	struct shown shown = shown_new(
		(struct metadata_desc){ .type = METRIC_GAUGE, .name = "a" });
	struct shown_family family = { .metadata = shown.metadata };
	struct wire_tag tag;
	struct chunk *chunk;
	struct wire wire, metrics;
	struct str label;
	struct buf out;
	uint64_t bits, expected;

	(void)state;
	for (size_t i = 0; i < 2 * N; i++) {
		char *p = stpcpy(text, "x=\"");

		for (size_t k = 0; k < lengths[i % N]; k++) {
			char c = i < N ? 'v' : "\"\\\nv,="[any() % 6];

			raw[i][k] = c;
			if (strchr("\"\\\n", c))
				*p++ = '\\';
			*p++ = c == '\n' ? 'n' : c;
		}
		strcpy(p, "\"");
		numbers[i] = any_double();
		shown_set(&shown, text, numbers[i]);
	}
	chunk = shown_chunk(&shown);
	buf_init(&out, 1 << 24);
	family.size = render_size(proto, shown.metadata, chunk);
	render_head(&out, proto, &family);
	render_chunk(&out, proto, &family, chunk);
	wire_init(&wire, (struct str){ out.data, out.len });
	assert_true(wire_nested(&wire, &metrics) && wire_at_end(&wire));
	assert_true(wire_tag(&metrics, &tag) && wire_bytes(&metrics, &label));
	assert_true(wire_tag(&metrics, &tag) && wire_varint(&metrics, &bits));
	for (size_t i = 0; i < 2 * N; i++) {
		read_metric(&metrics, &label, &bits);
		assert_int_equal(label.len, lengths[i % N]);
		assert_memory_equal(label.data, raw[i], label.len);
		memcpy(&expected, &numbers[i], sizeof expected);
		assert_true(bits == expected);
	}
	assert_true(wire_at_end(&metrics));
	buf_release(&out);
	shown_free(&shown, chunk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simple_types_have_their_messages),
		cmocka_unit_test(label_values_are_not_escaped),
		cmocka_unit_test(values_of_constant_labels_are_not_escaped),
		cmocka_unit_test(an_empty_family_is_a_message),
		cmocka_unit_test(created_and_time_stand_where_they_are_known),
		cmocka_unit_test(a_counter_has_its_exemplar),
		cmocka_unit_test(a_histogram_has_cumulative_buckets),
		cmocka_unit_test(a_gauge_histogram_has_a_type_of_its_own),
		cmocka_unit_test(a_native_histogram_has_spans_and_deltas),
		cmocka_unit_test(an_empty_native_histogram_can_be_told),
		cmocka_unit_test(classic_and_native_buckets_stand_together),
		cmocka_unit_test(a_summary_has_quantiles),
		cmocka_unit_test(a_stateset_is_a_gauge_for_each_state),
		cmocka_unit_test(names_follow_the_scheme),
		cmocka_unit_test(values_of_any_length_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
