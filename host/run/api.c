/* SPDX-License-Identifier: Apache-2.0 */
#include "run/api.h"

#include "core/buf.h"
#include "core/json_text.h"
#include "run/moment.h"
#include "run/view.h"

enum { ANSWER_MAX = 64 << 20 };

/* MOMENT is 0: never. */
static void add_moment(struct json_text *json, const char *key, double moment)
{
	char text[MOMENT_MAX];

	if (moment > 0)
		moment_text(text, moment);
	json_text_string(json, key, moment > 0 ? text : NULL);
}

static void add_reload(struct json_text *json, const struct roster_entry *entry)
{
	json_text_object(json, "reload");
	json_text_bool(json, "success", entry->loaded);
	add_moment(json, "time", entry->changed);
	json_text_string(json, "error", entry->error);
	json_text_count(json, "successes", entry->loads_ok);
	json_text_count(json, "failures", entry->loads_bad);
	json_text_end_object(json);
}

static void add_labels(struct json_text *json, const struct exporter *exporter)
{
	const struct outline *outline = exporter_outline(exporter);

	json_text_object(json, "labels");
	for (unsigned i = 0; i < outline->nlabels; i++)
		json_text_string(json, outline->labels[i].name,
				 outline->labels[i].value);
	json_text_end_object(json);
}

/* What only an exporter that runs has. */
static void add_running(struct json_text *json, const struct exporter *exporter,
			const struct view *view)
{
	double interval = exporter_interval(exporter);
	bool scheduled = interval > 0 && !exporter_on_scrape(exporter);

	add_labels(json, exporter);
	json_text_bool(json, "onScrape", exporter_on_scrape(exporter));
	if (scheduled)
		json_text_number(json, "interval", interval);
	else
		json_text_null(json, "interval");
	json_text_number(json, "timeout", exporter_timeout(exporter));
	add_moment(json, "lastRun", view->last_run);
	json_text_number(json, "lastRunDuration", view->last_seconds);
	add_moment(json, "lastSuccess", view->last_success);
	json_text_count(json, "series", view->series);
	json_text_count(json, "memoryBytes", view->memory);
	json_text_number(json, "cpuSeconds", view->cpu);
	json_text_object(json, "collections");
	json_text_count(json, "success", view->succeeded);
	json_text_count(json, "failure", view->failed);
	json_text_end_object(json);
}

static void add_exporter(struct json_text *json,
			 const struct roster_entry *entry)
{
	struct view view = view_of(entry);

	json_text_object(json, NULL);
	json_text_string(json, "name", entry->name);
	json_text_string(json, "script", entry->script);
	json_text_string(json, "state", view_word(view.state));
	json_text_string(json, "lastError", view.error);
	if (entry->exporter)
		add_running(json, entry->exporter, &view);
	add_reload(json, entry);
	json_text_end_object(json);
}

static void add_data(struct json_text *json, const struct roster *roster)
{
	json_text_object(json, "data");
	json_text_array(json, "exporters");
	for (size_t i = 0; i < roster->n; i++)
		add_exporter(json, &roster->entries[i]);
	json_text_end_array(json);
	json_text_object(json, "config");
	json_text_bool(json, "success", roster->config_loaded);
	add_moment(json, "time", roster->config_changed);
	json_text_string(json, "error", roster->config_error);
	json_text_end_object(json);
	json_text_count(json, "threadsLeftBehind", roster->left_behind);
	json_text_end_object(json);
}

void api_exporters(struct request *request, const struct roster *roster)
{
	struct json_text json;
	struct buf text;

	buf_init(&text, ANSWER_MAX);
	json_text_init(&json, &text);
	json_text_object(&json, NULL);
	json_text_string(&json, "status", "success");
	add_data(&json, roster);
	json_text_end_object(&json);
	buf_addch(&text, '\n');
	if (text.full)
		request_answer_text(request, 500, "application/json",
				    "{\"status\":\"error\",\"errorType\":"
				    "\"internal\",\"error\":\"there are too "
				    "many exporters to list\"}\n");
	else
		request_answer_text(request, 200, "application/json",
				    buf_text(&text));
	buf_release(&text);
}
