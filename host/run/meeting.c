/* SPDX-License-Identifier: Apache-2.0 */
#include "run/meeting.h"

#include <stdint.h>
#include <string.h>

#include "core/escape.h"

static void add_line(struct buf *out, const struct buf *sentence)
{
	text_show(out, (struct str){ sentence->data, sentence->len });
	buf_addch(out, '\n');
}

/* ---- names ---- */

struct named {
	const struct outline_owner *owner;
	const struct outline_family *family;
};

static void add_place(struct buf *out, const struct named *named)
{
	buf_addstr(out, named->owner->script);
	if (named->family->line)
		buf_addf(out, ":%d", named->family->line);
}

/* WHY begins with the name of ONE, and ends with that of OTHER. */
static void tell_names(struct buf *out, const struct named *one,
		       const struct named *other, const struct err *why)
{
	struct buf sentence;

	buf_init(&sentence, SIZE_MAX / 2);
	add_place(&sentence, one);
	buf_addf(&sentence, ": %s of the exporter '%s' at ", why->text,
		 other->owner->name);
	add_place(&sentence, other);
	buf_addstr(&sentence, "; readers that know no UTF-8 names get one of "
			      "the two");
	add_line(out, &sentence);
	buf_release(&sentence);
}

static bool is_about(const struct err *why, const struct named *named)
{
	const struct metadata *m = named->family->metadata;

	return strncmp(why->text, m->name, m->name_len) == 0 &&
	       why->text[m->name_len] == ':';
}

static void compare(struct buf *out, const struct named *a,
		    const struct named *b)
{
	const struct metadata *x = a->family->metadata,
			      *y = b->family->metadata;
	struct err why;

	if ((!x->quoted && !y->quoted) || strcmp(x->name, y->name) == 0 ||
	    metadata_apart(x, y, &why))
		return;
	if (is_about(&why, b))
		tell_names(out, b, a, &why);
	else
		tell_names(out, a, b, &why);
}

/* ---- labels ---- */

static bool same_name(const char *a, const char *b, enum escaping scheme)
{
	struct buf x, y;
	bool same;

	buf_init(&x, SIZE_MAX / 2);
	buf_init(&y, SIZE_MAX / 2);
	name_escape_label(&x, (struct str){ a, strlen(a) }, scheme);
	name_escape_label(&y, (struct str){ b, strlen(b) }, scheme);
	same = strcmp(buf_text(&x), buf_text(&y)) == 0;
	buf_release(&x);
	buf_release(&y);
	return same;
}

static bool has(const struct outline *outline, const struct label_pair *label,
		enum escaping scheme)
{
	for (unsigned i = 0; i < outline->nlabels; i++)
		if (strcmp(outline->labels[i].value, label->value) == 0 &&
		    same_name(outline->labels[i].name, label->name, scheme))
			return true;
	return false;
}

/* Have both the same constant labels under SCHEME? */
static bool same_labels(const struct outline *a, const struct outline *b,
			enum escaping scheme)
{
	if (a->nlabels != b->nlabels)
		return false;
	for (unsigned i = 0; i < a->nlabels; i++)
		if (!has(b, &a->labels[i], scheme))
			return false;
	return true;
}

/* A family of which both have one series; NULL: there is none. */
static const char *shared(const struct outline *a, const struct outline *b)
{
	for (size_t i = 0; i < a->nfamilies; i++)
		for (size_t k = 0; k < b->nfamilies; k++)
			if (!a->families[i].labels && !b->families[k].labels &&
			    strcmp(a->families[i].metadata->name,
				   b->families[k].metadata->name) == 0)
				return a->families[i].metadata->name;
	return NULL;
}

static void tell_series(struct buf *out, const struct outline_owner *first,
			const struct outline_owner *second)
{
	const struct outline *a = first->outline, *b = second->outline;
	const char *family;
	struct buf sentence;
	bool same = false;

	for (int scheme = 0; scheme < ESCAPING_NONE; scheme++)
		same |= same_labels(a, b, (enum escaping)scheme);
	family = same ? shared(a, b) : NULL;
	if (!family)
		return;
	buf_init(&sentence, SIZE_MAX / 2);
	buf_addf(&sentence,
		 "%s: the exporter '%s' shows the same series as '%s' (%s) to "
		 "readers that know no UTF-8 names, such as %s; they get those "
		 "of '%s'",
		 second->where, second->name, first->name, first->where, family,
		 first->name);
	add_line(out, &sentence);
	buf_release(&sentence);
}

/* ---- both ---- */

void meeting_tell(struct buf *out, const struct outline_owner *first,
		  const struct outline_owner *second)
{
	struct named a = { .owner = first }, b = { .owner = second };

	for (size_t i = 0; i < first->outline->nfamilies; i++)
		for (size_t k = 0; k < second->outline->nfamilies; k++) {
			a.family = &first->outline->families[i];
			b.family = &second->outline->families[k];
			compare(out, &a, &b);
		}
	tell_series(out, first, second);
}
