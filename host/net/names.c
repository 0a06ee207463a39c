/* SPDX-License-Identifier: Apache-2.0 */
#include "net/names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"

enum { SLOTS_MIN = 32 };

/* FNV-1a without letter case. */
static uint64_t hash_of(const char *text, int family)
{
	uint64_t hash = 0xcbf29ce484222325 ^ (uint64_t)family;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c - 'A' + 'a');
		hash = (hash ^ c) * 0x100000001b3;
	}
	return hash ^ hash >> 32;
}

void names_init(struct names *names, size_t max)
{
	*names = (struct names){ .max = max, .nslots = SLOTS_MIN };
	names->slots = mem_array(names->nslots, sizeof *names->slots);
}

static void free_name(struct name *name)
{
	free(name->addresses);
	free(name);
}

void names_release(struct names *names)
{
	for (size_t i = 0; i < names->nslots; i++) {
		struct name *name = names->slots[i], *next;

		for (; name; name = next) {
			next = name->chain;
			free_name(name);
		}
	}
	free(names->slots);
	*names = (struct names){ 0 };
}

static struct name **slot_of(const struct names *names, uint64_t hash)
{
	return &names->slots[hash & (names->nslots - 1)];
}

struct name *names_find(const struct names *names, const char *text, int family)
{
	uint64_t hash = hash_of(text, family);
	struct name *name = *slot_of(names, hash);

	while (name && (name->hash != hash || name->family != family ||
			strcasecmp(name->text, text)))
		name = name->chain;
	return name;
}

static void put(struct names *names, struct name *name)
{
	struct name **slot = slot_of(names, name->hash);

	name->chain = *slot;
	*slot = name;
}

static void grow(struct names *names)
{
	struct name **before = names->slots;
	size_t n = names->nslots;

	names->nslots = n * 2;
	names->slots = mem_array(names->nslots, sizeof *names->slots);
	for (size_t i = 0; i < n; i++) {
		struct name *name = before[i], *next;

		for (; name; name = next) {
			next = name->chain;
			put(names, name);
		}
	}
	free(before);
}

struct name *names_add(struct names *names, const char *text, int family)
{
	size_t size = strlen(text) + 1;
	struct name *name = mem_alloc(sizeof *name + size);

	if (++names->used > names->nslots)
		grow(names);
	memcpy(name->text, text, size);
	name->family = family;
	name->hash = hash_of(text, family);
	put(names, name);
	return name;
}

/* ---- kept answers, the oldest first ---- */

static void forget_answer(struct names *names, struct name *name)
{
	if (!name->addresses)
		return;
	*(name->older ? &name->older->newer : &names->oldest) = name->newer;
	*(name->newer ? &name->newer->older : &names->newest) = name->older;
	name->older = name->newer = NULL;
	free(name->addresses);
	name->addresses = NULL;
	name->n = 0;
	names->kept--;
}

static void drop(struct names *names, struct name *name)
{
	struct name **slot = slot_of(names, name->hash);

	while (*slot != name)
		slot = &(*slot)->chain;
	*slot = name->chain;
	names->used--;
	free_name(name);
}

void names_settle(struct names *names, struct name *name)
{
	name->query = NULL;
	if (!name->addresses)
		drop(names, name);
}

static void drop_oldest(struct names *names)
{
	struct name *name = names->oldest;

	forget_answer(names, name);
	if (!name->query)
		drop(names, name);
}

void names_clear(struct names *names)
{
	while (names->oldest)
		drop_oldest(names);
}

static void make_room(struct names *names, double now)
{
	while (names->oldest &&
	       (names->kept >= names->max || names->oldest->expires <= now))
		drop_oldest(names);
}

void names_keep(struct names *names, struct name *name,
		const union address *addresses, size_t n, double now,
		double ttl)
{
	forget_answer(names, name);
	make_room(names, now);
	name->addresses = mem_array(n, sizeof *addresses);
	memcpy(name->addresses, addresses, n * sizeof *addresses);
	name->n = n;
	name->told = now;
	name->expires = now + ttl;
	name->older = names->newest;
	*(names->newest ? &names->newest->newer : &names->oldest) = name;
	names->newest = name;
	names->kept++;
}
