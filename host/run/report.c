/* SPDX-License-Identifier: Apache-2.0 */
#include "run/report.h"

#include <stdlib.h>

#include "core/json_text.h"
#include "core/mem.h"

static const char *const words[] = {
	[REPORT_ADDED] = "added",     [REPORT_RELOADED] = "reloaded",
	[REPORT_REMOVED] = "removed", [REPORT_FAILED] = "failed",
	[REPORT_NOTE] = "note",
};

struct report *report_new(void)
{
	struct report *report = mem_alloc(sizeof *report);

	report->ok = true;
	return report;
}

void report_free(struct report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->n; i++) {
		free(report->items[i].exporter);
		free(report->items[i].script);
		free(report->items[i].text);
	}
	free(report->items);
	free(report);
}

void report_add(struct report *report, enum report_result result,
		const char *exporter, const char *script, const char *text)
{
	struct report_item *item;

	report->items = mem_realloc(report->items,
				    (report->n + 1) * sizeof *report->items);
	item = &report->items[report->n++];
	*item = (struct report_item){ .result = result,
				      .exporter = mem_string(exporter),
				      .script = mem_string(script),
				      .text = mem_string(text ? text : "") };
	report->ok &= result != REPORT_FAILED;
}

static void add_item(const struct report_item *item, struct buf *text)
{
	buf_addstr(text, words[item->result]);
	if (item->exporter)
		buf_addf(text, " %s", item->exporter);
	if (item->script)
		buf_addf(text, " (%s)", item->script);
	if (*item->text)
		buf_addf(text, ": %s", item->text);
	buf_addch(text, '\n');
}

void report_text(const struct report *report, struct buf *text)
{
	for (size_t i = 0; i < report->n; i++)
		add_item(&report->items[i], text);
	if (report->unchanged)
		buf_addf(text, "%zu unchanged\n", report->unchanged);
}

static void add_json(const struct report_item *item, struct json_text *json)
{
	json_text_object(json, NULL);
	if (item->exporter)
		json_text_string(json, "exporter", item->exporter);
	if (item->script)
		json_text_string(json, "script", item->script);
	json_text_string(json, "result", words[item->result]);
	if (*item->text)
		json_text_string(
			json, item->result == REPORT_FAILED ? "error" : "note",
			item->text);
	json_text_end_object(json);
}

void report_json(const struct report *report, struct buf *text)
{
	struct json_text json;

	json_text_init(&json, text);
	json_text_object(&json, NULL);
	json_text_bool(&json, "ok", report->ok);
	json_text_count(&json, "unchanged", report->unchanged);
	json_text_array(&json, "exporters");
	for (size_t i = 0; i < report->n; i++)
		add_json(&report->items[i], &json);
	json_text_end_array(&json);
	json_text_end_object(&json);
}
