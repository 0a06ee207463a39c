/* SPDX-License-Identifier: Apache-2.0 */
#include "run/told.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/escape.h"
#include "core/log.h"
#include "core/mem.h"

static const char *name_of(const struct exporter *exporter)
{
	return exporter ? exporter_name(exporter) : "lunex";
}

/* Does the sentence TEXT begin with the name of METADATA? */
static bool begins_with(const char *text, const struct metadata *metadata)
{
	return strncmp(text, metadata->name, metadata->name_len) == 0 &&
	       text[metadata->name_len] == ':';
}

/* Where EXPORTER declares the family that TEXT begins with, "file:line"; the
 * host's are nowhere. */
static const char *place_of(const struct exporter *exporter, const char *text,
			    char *place, size_t size)
{
	const struct outline *outline =
		exporter ? exporter_outline(exporter) : NULL;

	for (size_t i = 0; outline && i < outline->nfamilies; i++) {
		const struct outline_family *family = &outline->families[i];

		if (!family->line || !begins_with(text, family->metadata))
			continue;
		snprintf(place, size, "%s:%d",
			 exporter_declaration(exporter)->path, family->line);
		return place;
	}
	return exporter ? exporter_declaration(exporter)->path : "the host";
}

/* Is TEXT another one than LAST, which it becomes? Nothing is NULL. */
static bool is_news(char **last, const char *text)
{
	if (text && *last && strcmp(*last, text) == 0)
		return false;
	free(*last);
	*last = mem_string(text);
	return text != NULL;
}

static void tell(const char *what, const struct left_out *left,
		 const struct exporter *const *owners)
{
	const struct exporter *exporter = owners[left->again];
	const struct exporter *other = owners[left->first];
	char count[32], here[300], there[300];

	snprintf(count, sizeof count, "%u", left->count);
	log_warn(what, "exporter", name_of(exporter), "at",
		 place_of(exporter, left->why.text, here, sizeof here), "other",
		 name_of(other), "other_at",
		 place_of(other, left->why.text, there, sizeof there), "error",
		 left->why.text, "count", count);
}

static void tell_conflicts(struct told *told,
			   const struct exposition *exposition,
			   const struct exporter *const *owners)
{
	const struct left_out *left = exposition_conflicts(exposition);
	char text[sizeof left->why.text + 32];

	snprintf(text, sizeof text, "%u %s", left->count, left->why.text);
	if (is_news(&told->conflicts, left->count ? text : NULL))
		tell("metrics are left out: another exporter declares them "
		     "differently",
		     left, owners);
}

/* They are in some forms alone, so only more of them are news. */
static void tell_homonyms(struct told *told,
			  const struct exposition *exposition,
			  const struct exporter *const *owners)
{
	const struct left_out *left = exposition_homonyms(exposition);

	if (left->count <= told->homonyms)
		return;
	told->homonyms = left->count;
	tell("metrics are left out: others have the same name once it is "
	     "escaped",
	     left, owners);
}

/* Was TEXT told of another form? */
static bool was_told(const struct told *told, const char *text)
{
	for (int i = 0; i <= ESCAPING_NONE; i++)
		if (told->duplicates[i] &&
		    strcmp(told->duplicates[i], text) == 0)
			return true;
	return false;
}

static void log_duplicates(const struct duplicates *d, enum escaping scheme,
			   const struct exporter *const *owners)
{
	char count[32];

	snprintf(count, sizeof count, "%zu", d->count);
	log_warn(d->escaped ? "series are left out: another exporter shows "
			      "them once names are escaped"
			    : "series are left out: another exporter shows "
			      "them",
		 "exporter", name_of(owners[d->again]), "other",
		 name_of(owners[d->first]), "series", d->series, "count", count,
		 "escaping", d->escaped ? escaping_name(scheme) : NULL);
}

static void tell_duplicates(struct told *told,
			    const struct exposition *exposition,
			    const struct exporter *const *owners)
{
	const struct duplicates *d = exposition_duplicates(exposition);
	enum escaping scheme = exposition_form(exposition).escaping;
	struct buf text;
	bool before;

	buf_init(&text, SIZE_MAX / 2);
	buf_addf(&text, "%zu %s", d->count, d->count ? d->series : "");
	before = was_told(told, buf_text(&text));
	if (is_news(&told->duplicates[scheme],
		    d->count ? buf_text(&text) : NULL) &&
	    !before)
		log_duplicates(d, scheme, owners);
	buf_release(&text);
}

void told_tell(struct told *told, const struct exposition *exposition,
	       const struct exporter *const *owners)
{
	tell_conflicts(told, exposition, owners);
	tell_homonyms(told, exposition, owners);
	tell_duplicates(told, exposition, owners);
}

void told_release(struct told *told)
{
	free(told->conflicts);
	for (int i = 0; i <= ESCAPING_NONE; i++)
		free(told->duplicates[i]);
	*told = (struct told){ 0 };
}
