/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for the readers of Accept and Accept-Encoding: the input is
 * such a header. Nobody gets an encoding or a format that the header does not
 * name.
 */
#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "web/negotiate.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_form(const char *header)
{
	static const char *const types[] = {
		[FORMAT_TEXT] = "",
		[FORMAT_OPENMETRICS] = "openmetrics-text",
		[FORMAT_OPENMETRICS2] = "2.0.0",
		[FORMAT_PROTOBUF] = "io.prometheus.client.MetricFamily",
	};
	struct negotiated negotiated;
	const char *escaping;

	negotiate_form(header, &negotiated);
	check(strstr(header, types[negotiated.form.format]) != NULL);
	escaping = escaping_name(negotiated.form.escaping);
	check(negotiated.form.escaping == ESCAPING_UNDERSCORES ||
	      strstr(header, escaping));
	check(strstr(negotiated.content_type, escaping) != NULL);
}

static void check_encoding(const char *header)
{
	static const char *const names[] = {
		[ENCODING_IDENTITY] = "",
		[ENCODING_GZIP] = "gzip",
		[ENCODING_ZSTD] = "zstd",
	};

	check(strcasestr(header, names[negotiate_encoding(header)]) != NULL);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *header = malloc(size + 1);

	memcpy(header, data, size);
	header[size] = '\0';
	check_form(header);
	check_encoding(header);
	(void)negotiate_html(header);
	(void)negotiate_json(header);
	free(header);
	return 0;
}
