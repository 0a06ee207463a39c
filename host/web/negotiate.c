/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ways to read a list: the form of a page is chosen as the Go programs
 * choose it that it has to agree with, whatever they make of a strange header;
 * the rest follows RFC 9110.
 */
#include "web/negotiate.h"

#include <string.h>
#include <strings.h>

#include "core/buf.h"
#include "core/escape.h"
#include "core/number.h"

/* ---- clauses as goautoneg reads them ---- */

struct clause {
	struct str type, subtype;
	double q;
	struct str version, proto, encoding;
	enum escaping escaping;
	bool escapes; /* it names an escaping that is known */
};

/* Takes what stands before the next SEPARATOR off REST. */
static struct str split(struct str *rest, char separator)
{
	const char *at = memchr(rest->data, separator, rest->len);
	size_t len = at ? (size_t)(at - rest->data) : rest->len;
	struct str piece = { rest->data, len };

	rest->data += at ? len + 1 : len;
	rest->len -= at ? len + 1 : len;
	return piece;
}

static struct str trim_blanks(struct str s)
{
	while (s.len && *s.data == ' ') {
		s.data++;
		s.len--;
	}
	while (s.len && s.data[s.len - 1] == ' ')
		s.len--;
	return s;
}

static bool is(struct str s, const char *text)
{
	return s.len == strlen(text) &&
	       (s.len == 0 || memcmp(s.data, text, s.len) == 0);
}

/* No blank may stand around it. */
static double parse_weight(struct str s)
{
	double q;

	if (!s.len || s.data[0] <= ' ' || s.data[s.len - 1] <= ' ' ||
	    !number_parse(s.data, s.len, &q) || q != q)
		return 0;
	return q;
}

static void read_parameter(struct clause *clause, struct str parameter)
{
	struct str name = split(&parameter, '='), value;

	if (!parameter.len)
		return;
	value = split(&parameter, '=');
	if (parameter.len)
		return;
	name = trim_blanks(name);
	if (is(name, "q")) {
		clause->q = parse_weight(value);
		return;
	}
	value = trim_blanks(value);
	if (is(name, "version"))
		clause->version = value;
	else if (is(name, "proto"))
		clause->proto = value;
	else if (is(name, "encoding"))
		clause->encoding = value;
	else if (is(name, "escaping"))
		clause->escapes = escaping_parse(value, &clause->escaping);
}

/* Is PART a clause? */
static bool read_clause(struct str part, struct clause *clause)
{
	struct str range;

	part = trim_blanks(part);
	range = split(&part, ';');
	*clause = (struct clause){ .q = 1 };
	clause->type = trim_blanks(split(&range, '/'));
	if (range.len)
		clause->subtype = trim_blanks(split(&range, '/'));
	else if (is(clause->type, "*"))
		clause->subtype = clause->type;
	else
		return false;
	if (range.len)
		return false;
	while (part.len)
		read_parameter(clause, split(&part, ';'));
	return true;
}

/* The next clause of the list that REST begins; false at its end. */
static bool next_clause(struct str *rest, struct clause *clause)
{
	while (rest->len)
		if (read_clause(split(rest, ','), clause))
			return true;
	return false;
}

/* ---- the form ---- */

static bool is_protobuf(const struct clause *clause)
{
	return is(clause->type, "application") &&
	       is(clause->subtype, "vnd.google.protobuf") &&
	       is(clause->proto, "io.prometheus.client.MetricFamily") &&
	       is(clause->encoding, "delimited");
}

static const struct offer {
	const char *type, *subtype;
	const char *asked; /* the version; "": none */
	enum format format;
	const char *version;
} offers[] = {
	{ "text", "plain", "", FORMAT_TEXT, "0.0.4" },
	{ "text", "plain", "0.0.4", FORMAT_TEXT, "0.0.4" },
	{ "text", "plain", "1.0.0", FORMAT_TEXT, "1.0.0" },
	{ "application", "openmetrics-text", "", FORMAT_OPENMETRICS, "0.0.1" },
	{ "application", "openmetrics-text", "0.0.1", FORMAT_OPENMETRICS,
	  "0.0.1" },
	{ "application", "openmetrics-text", "1.0.0", FORMAT_OPENMETRICS,
	  "1.0.0" },
	{ "application", "openmetrics-text", "2.0.0", FORMAT_OPENMETRICS2,
	  "2.0.0" },
};

static const struct offer protobuf = { .format = FORMAT_PROTOBUF };

/* What CLAUSE asks for; NULL: nothing that there is. */
static const struct offer *find_offer(const struct clause *clause)
{
	if (is_protobuf(clause))
		return &protobuf;
	for (size_t i = 0; i < sizeof offers / sizeof *offers; i++)
		if (is(clause->type, offers[i].type) &&
		    is(clause->subtype, offers[i].subtype) &&
		    is(clause->version, offers[i].asked))
			return &offers[i];
	return NULL;
}

/* Where a clause stands: of two, the one of the higher q is before the other,
 * then the one that is no wildcard, then the first. */
struct place {
	double q;
	bool wildcard;
	const char *at;
};

static bool before(struct place a, struct place b)
{
	if (a.q > b.q || a.q < b.q)
		return a.q > b.q;
	if (a.wildcard != b.wildcard)
		return b.wildcard;
	return a.at < b.at;
}

static struct place place_of(const struct clause *clause)
{
	return (struct place){ clause->q,
			       is(clause->type, "*") ||
				       is(clause->subtype, "*"),
			       clause->type.data };
}

/* The first clause that fits; NULL: none does. */
static const struct offer *choose(struct str list, struct place *chosen)
{
	const struct offer *best = NULL;
	struct clause clause;

	while (next_clause(&list, &clause)) {
		const struct offer *offer = find_offer(&clause);
		struct place place = place_of(&clause);

		if (!offer || (best && !before(place, *chosen)))
			continue;
		best = offer;
		*chosen = place;
	}
	return best;
}

/* The last escaping that is named up to the clause at CHOSEN; NULL: by any. */
static enum escaping choose_escaping(struct str list,
				     const struct place *chosen)
{
	enum escaping escaping = ESCAPING_UNDERSCORES;
	struct place last = { 0 };
	struct clause clause;
	bool any = false;

	while (next_clause(&list, &clause)) {
		struct place place = place_of(&clause);

		if (!clause.escapes || (chosen && before(*chosen, place)) ||
		    (any && before(place, last)))
			continue;
		escaping = clause.escaping;
		last = place;
		any = true;
	}
	return escaping;
}

void negotiate_form(const char *accept, struct negotiated *negotiated)
{
	struct str list = { accept, accept ? strlen(accept) : 0 };
	struct form *form = &negotiated->form;
	struct place place;
	const struct offer *offer = choose(list, &place);

	form->escaping = choose_escaping(list, offer ? &place : NULL);
	if (!offer)
		offer = &offers[0];
	form->format = offer->format;
	form->created = form->format == FORMAT_OPENMETRICS;
	form_content_type(*form, offer->version, negotiated->content_type);
}

/* ---- lists as RFC 9110 has them ---- */

/* Quality in thousandths; what was not named has none. */
enum { UNNAMED = -1 };

static struct str trim(struct str s)
{
	while (s.len && (*s.data == ' ' || *s.data == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Takes what stands before SEPARATOR off REST. */
static struct str cut(struct str *rest, char separator)
{
	const char *at = memchr(rest->data, separator, rest->len);
	size_t len = at ? (size_t)(at - rest->data) : rest->len;
	struct str piece = { rest->data, len };

	rest->data += at ? len + 1 : len;
	rest->len -= at ? len + 1 : len;
	return trim(piece);
}

static bool same(struct str s, const char *name)
{
	return s.len == strlen(name) && !strncasecmp(s.data, name, s.len);
}

/* "1", "0.5", "0.125"; UNNAMED for anything else. */
static int parse_q(struct str s)
{
	int q, scale = 100;

	if (!s.len || (s.data[0] != '0' && s.data[0] != '1'))
		return UNNAMED;
	q = (s.data[0] - '0') * 1000;
	if (s.len > 1 && s.data[1] != '.')
		return UNNAMED;
	for (size_t i = 2; i < s.len; i++, scale /= 10) {
		if (s.data[i] < '0' || s.data[i] > '9')
			return UNNAMED;
		q += (s.data[i] - '0') * scale;
	}
	return q > 1000 ? UNNAMED : q;
}

static int quality(struct str parameters)
{
	while (parameters.len) {
		struct str parameter = cut(&parameters, ';');
		struct str name = cut(&parameter, '=');

		if (same(name, "q"))
			return parse_q(trim(parameter));
	}
	return 1000;
}

/* The quality of NAME in a list such as "gzip;q=0.5, *"; the highest one, if it
 * is named several times. */
static int quality_of(const char *list, const char *name)
{
	struct str rest = { list, strlen(list) };
	int best = UNNAMED;

	while (rest.len) {
		struct str item = cut(&rest, ',');
		struct str value = cut(&item, ';');
		int q = same(value, name) ? quality(item) : UNNAMED;

		if (q > best)
			best = q;
	}
	return best;
}

/* The q of ENCODING in LIST. "*" is one for identity, or for gzip when identity
 * is refused: whoever takes anything else can read that. */
static int weight_of(const char *list, enum encoding encoding)
{
	static const char *const names[] = { "identity", "gzip", "zstd" };
	bool refused = quality_of(list, names[ENCODING_IDENTITY]) == 0;
	int q = quality_of(list, names[encoding]);

	if (q == UNNAMED &&
	    encoding == (refused ? ENCODING_GZIP : ENCODING_IDENTITY))
		q = quality_of(list, "*");
	return q == UNNAMED ? 0 : q;
}

/* The highest q of LIST among the encodings up to LAST. */
static enum encoding choose_encoding(const char *list, enum encoding last)
{
	enum encoding best = ENCODING_IDENTITY;
	int highest;

	if (!list)
		return best;
	highest = weight_of(list, ENCODING_IDENTITY);
	for (unsigned i = ENCODING_GZIP; i <= last; i++) {
		int q = weight_of(list, (enum encoding)i);

		if (q > highest) {
			best = (enum encoding)i;
			highest = q;
		}
	}
	return best;
}

enum encoding negotiate_encoding(const char *accept_encoding)
{
	return choose_encoding(accept_encoding, ENCODING_ZSTD);
}

bool negotiate_gzip(const char *accept_encoding)
{
	return choose_encoding(accept_encoding, ENCODING_GZIP) == ENCODING_GZIP;
}

/* Is TYPE named, with a q that text/plain does not exceed? */
static bool prefers(const char *accept, const char *type)
{
	int q;

	if (!accept)
		return false;
	q = quality_of(accept, type);
	return q > 0 && q >= quality_of(accept, "text/plain");
}

bool negotiate_html(const char *accept)
{
	return prefers(accept, "text/html");
}

bool negotiate_json(const char *accept)
{
	return prefers(accept, "application/json");
}
