/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp_queue.h"

#include <stdlib.h>

#include "core/mem.h"

struct udp_entry {
	struct udp_datagram datagram;
	STAILQ_ENTRY(udp_entry) next;
};

void udp_queue_init(struct udp_queue *queue)
{
	STAILQ_INIT(&queue->entries);
	queue->count = 0;
	queue->bytes = 0;
}

size_t udp_queue_clear(struct udp_queue *queue)
{
	struct udp_datagram datagram;
	size_t n = 0;

	for (; udp_queue_take(queue, &datagram); n++)
		free(datagram.data);
	return n;
}

void udp_queue_add(struct udp_queue *queue, const struct udp_datagram *datagram)
{
	struct udp_entry *entry = mem_alloc(sizeof *entry);

	entry->datagram = *datagram;
	STAILQ_INSERT_TAIL(&queue->entries, entry, next);
	queue->count++;
	queue->bytes += datagram->len;
}

bool udp_queue_take(struct udp_queue *queue, struct udp_datagram *datagram)
{
	struct udp_entry *entry = STAILQ_FIRST(&queue->entries);

	if (!entry)
		return false;
	*datagram = entry->datagram;
	STAILQ_REMOVE_HEAD(&queue->entries, next);
	queue->count--;
	queue->bytes -= datagram->len;
	free(entry);
	return true;
}

void udp_queue_move(struct udp_queue *to, struct udp_queue *from)
{
	STAILQ_CONCAT(&to->entries, &from->entries);
	to->count += from->count;
	to->bytes += from->bytes;
	from->count = 0;
	from->bytes = 0;
}
