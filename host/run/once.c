/* SPDX-License-Identifier: Apache-2.0 */
#include "run/once.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/exposition.h"
#include "core/mem.h"
#include "run/told.h"

struct asking {
	struct exporter_question question;
	size_t *open; /* questions without an answer */
	bool again;
};

/* The first answer of an exporter without `collect` may come before `start` has
 * run to its first wait; the second one comes later. */
static void collected(struct exporter_question *question)
{
	struct asking *asking = (void *)question;

	if (!exporter_declaration(question->exporter)->nparts &&
	    !asking->again) {
		asking->again = true;
		exporter_ask(question);
	} else if (--*asking->open == 0)
		loop_stop(question->asker);
}

void once_collect(struct loop *loop, struct exporter *const *exporters,
		  size_t n)
{
	struct asking *all = mem_array(n, sizeof *all);
	size_t open = n;

	for (size_t i = 0; i < n; i++) {
		all[i].open = &open;
		all[i].question.exporter = exporters[i];
		all[i].question.asker = loop;
		all[i].question.seconds = 1e9;
		all[i].question.answered = collected;
		exporter_ask(&all[i].question);
	}
	while (open)
		loop_run(loop);
	free(all);
}

static void print_exposition(struct exposition *exposition)
{
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		struct bytes *text = exposition_text(exposition, i);

		fwrite(text->data, 1, text->len, stdout);
		bytes_unref(text);
	}
	fflush(stdout);
}

void once_print(struct exporter *const *exporters, size_t n, struct form form)
{
	struct page **pages = mem_array(n, sizeof *pages);
	const struct exporter **owners = mem_array(n, sizeof *owners);
	struct exposition *exposition;
	struct told told = { 0 };
	size_t shown = 0;

	for (size_t i = 0; i < n; i++) {
		owners[shown] = exporters[i];
		pages[shown] = exporter_page(exporters[i]);
		shown += pages[shown] != NULL;
	}
	exposition = exposition_new(pages, shown, form, NULL);
	print_exposition(exposition);
	told_tell(&told, exposition, owners);
	told_release(&told);
	exposition_unref(exposition);
	while (shown)
		page_unref(pages[--shown]);
	free(owners);
	free(pages);
}

static bool one_succeeded(const struct exporter *exporter, struct err *err)
{
	const struct exporter_status *status = exporter_status(exporter);
	const char *name = exporter_name(exporter);

	if (atomic_load(&status->collections_failed))
		return err_set(err, ERR_IO, "%s: the collection failed", name);
	if (atomic_load(&status->starts_failed))
		return err_set(err, ERR_IO, "%s: start failed", name);
	return true;
}

bool once_succeeded(struct exporter *const *exporters, size_t n,
		    struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!one_succeeded(exporters[i], err))
			return false;
	return true;
}
