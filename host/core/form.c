/* SPDX-License-Identifier: Apache-2.0 */
#include "core/form.h"

#include <stdio.h>
#include <string.h>

#include "core/escape.h"

static const char *const names[] = {
	[FORMAT_TEXT] = "text",
	[FORMAT_OPENMETRICS] = "openmetrics",
	[FORMAT_OPENMETRICS2] = "openmetrics2",
	[FORMAT_PROTOBUF] = "protobuf",
	NULL,
};

const char *format_name(unsigned format)
{
	return names[format];
}

bool format_parse(const char *word, enum format *format)
{
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], word) != 0)
			continue;
		*format = (enum format)i;
		return true;
	}
	return false;
}

/* `escaping` is said always, as client_golang does since 2024: readers that do
 * not know it ignore it. */
void form_content_type(struct form form, const char *version,
		       char out[FORM_TYPE_MAX])
{
	static const struct {
		const char *type, *version;
	} texts[] = {
		[FORMAT_TEXT] = { "text/plain", "0.0.4" },
		[FORMAT_OPENMETRICS] = { "application/openmetrics-text",
					 "1.0.0" },
		[FORMAT_OPENMETRICS2] = { "application/openmetrics-text",
					  "2.0.0" },
	};
	const char *escaping = escaping_name(form.escaping);

	if (form.format == FORMAT_PROTOBUF)
		snprintf(out, FORM_TYPE_MAX,
			 "application/vnd.google.protobuf; "
			 "proto=io.prometheus.client.MetricFamily; "
			 "encoding=delimited; escaping=%s",
			 escaping);
	else
		snprintf(out, FORM_TYPE_MAX,
			 "%s; version=%s; charset=utf-8; escaping=%s",
			 texts[form.format].type,
			 version ? version : texts[form.format].version,
			 escaping);
}
