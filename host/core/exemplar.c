/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exemplar.h"

#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/mem.h"

/* ---- one of them ---- */

/* Characters, of which a byte that is not UTF-8 becomes one. */
static size_t count_characters(struct str s)
{
	uint32_t character;
	size_t n = 0;

	for (size_t i = 0; i < s.len; n++)
		i += utf8_next(s.data + i, s.len - i, &character);
	return n;
}

static bool check_escaped(const struct exemplar_label *labels, unsigned n,
			  struct err *err)
{
	const char *names[EXEMPLAR_PAIRS_MAX];
	struct names_met met;

	for (unsigned i = 0; i < n; i++)
		names[i] = labels[i].name;
	if (!names_meet(names, n, &met))
		return true;
	err_set(err, ERR_USAGE,
		"the exemplar's labels '%s' and '%s' are both '%s' to readers "
		"that know no UTF-8 names",
		met.a, met.b ? met.b : "__name__", met.escaped);
	free(met.escaped);
	return false;
}

static bool check(const struct exemplar_label *labels, unsigned n,
		  struct err *err)
{
	size_t characters = 0;

	if (n > EXEMPLAR_PAIRS_MAX)
		return err_set(err, ERR_USAGE,
			       "an exemplar has at most %d labels, got %u",
			       EXEMPLAR_PAIRS_MAX, n);
	for (unsigned i = 0; i < n; i++) {
		struct str name = { labels[i].name, strlen(labels[i].name) };

		if (!label_name_valid(labels[i].name))
			return err_set(err, ERR_USAGE,
				       "the exemplar's label name '%s' is not "
				       "valid",
				       labels[i].name);
		for (unsigned k = 0; k < i; k++)
			if (strcmp(labels[i].name, labels[k].name) == 0)
				return err_set(err, ERR_USAGE,
					       "the exemplar has the label "
					       "'%s' twice",
					       labels[i].name);
		characters += count_characters(name) +
			      count_characters(labels[i].value);
	}
	if (characters <= EXEMPLAR_LABELS_MAX)
		return check_escaped(labels, n, err);
	return err_set(err, ERR_USAGE,
		       "the labels of an exemplar have at most %d characters, "
		       "names and values together, got %zu",
		       EXEMPLAR_LABELS_MAX, characters);
}

static void add_label(struct buf *text, const struct exemplar_label *label)
{
	struct str name = { label->name, strlen(label->name) };
	struct buf value;

	if (text->len)
		buf_addch(text, ',');
	if (name_is_legacy_label(name))
		buf_add(text, name.data, name.len);
	else
		name_quote(text, name);
	buf_init(&value, LABELS_TEXT_MAX);
	utf8_repair(&value, label->value.data, label->value.len);
	buf_addch(text, '=');
	name_quote(text, (struct str){ buf_text(&value), value.len });
	buf_release(&value);
}

struct exemplar *exemplar_new(const struct exemplar_label *labels, unsigned n,
			      double value, double time, struct err *err)
{
	struct exemplar *exemplar;
	struct buf text;

	if (!check(labels, n, err))
		return NULL;
	buf_init(&text, LABELS_TEXT_MAX);
	for (unsigned i = 0; i < n; i++)
		add_label(&text, &labels[i]);
	exemplar = mem_alloc(sizeof *exemplar + text.len + 1);
	atomic_init(&exemplar->refs, 1);
	exemplar->len = (uint32_t)text.len;
	exemplar->value = value;
	exemplar->time = time;
	memcpy(exemplar->text, buf_text(&text), text.len + 1);
	buf_release(&text);
	return exemplar;
}

struct exemplar *exemplar_ref(struct exemplar *exemplar)
{
	atomic_fetch_add_explicit(&exemplar->refs, 1, memory_order_relaxed);
	return exemplar;
}

void exemplar_unref(struct exemplar *exemplar)
{
	if (exemplar && atomic_fetch_sub_explicit(&exemplar->refs, 1,
						  memory_order_acq_rel) == 1)
		free(exemplar);
}

size_t exemplar_size(const struct exemplar *exemplar)
{
	return sizeof *exemplar + exemplar->len + 1;
}

/* ---- those of a series ---- */

struct exemplars *exemplars_ref(struct exemplars *exemplars)
{
	atomic_fetch_add_explicit(&exemplars->refs, 1, memory_order_relaxed);
	return exemplars;
}

void exemplars_unref(struct exemplars *exemplars)
{
	if (!exemplars || atomic_fetch_sub_explicit(&exemplars->refs, 1,
						    memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < exemplars->n; i++)
		exemplar_unref(exemplars->slots[i]);
	free(exemplars);
}

/* A list of N with the slots of FROM, which may be NULL. */
static struct exemplars *copy(const struct exemplars *from, uint32_t n)
{
	size_t size = sizeof(struct exemplars) + n * sizeof from->slots[0];
	struct exemplars *list = mem_alloc(size);

	atomic_init(&list->refs, 1);
	list->n = n;
	list->bytes = from ? from->bytes : size;
	for (uint32_t i = 0; from && i < n; i++)
		if (from->slots[i])
			list->slots[i] = exemplar_ref(from->slots[i]);
	return list;
}

void exemplars_put(struct exemplars **list, uint32_t n, uint32_t i,
		   struct exemplar *exemplar)
{
	struct exemplars *old = *list;

	if (!old ||
	    atomic_load_explicit(&old->refs, memory_order_acquire) > 1) {
		*list = copy(old, n);
		exemplars_unref(old);
	}
	if ((*list)->slots[i])
		(*list)->bytes -= exemplar_size((*list)->slots[i]);
	(*list)->bytes += exemplar_size(exemplar);
	exemplar_unref((*list)->slots[i]);
	(*list)->slots[i] = exemplar;
}
