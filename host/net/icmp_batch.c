/* SPDX-License-Identifier: Apache-2.0 */
#include "net/icmp_batch.h"

#include <stdlib.h>

#include "core/mem.h"

enum { BYTES_MAX = 1 << 20 };

static void prepare(struct icmp_batch *batch)
{
	for (unsigned i = 0; i < batch->n; i++) {
		batch->parts[i] = (struct iovec){
			.iov_base = batch->bytes + i * batch->stride,
			.iov_len = batch->stride,
		};
		batch->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &batch->names[i],
			.msg_namelen = sizeof batch->names[i],
			.msg_iov = &batch->parts[i],
			.msg_iovlen = 1,
			.msg_control = batch->control[i],
			.msg_controllen = ICMP_BATCH_CONTROL,
		};
	}
}

/* Pages that are never written cost nothing, so there is room for the largest
 * message in every place. */
void icmp_batch_size(struct icmp_batch *batch, size_t size)
{
	if (size <= batch->stride)
		return;
	free(batch->bytes);
	batch->stride = size;
	batch->n = BYTES_MAX / (unsigned)size;
	if (batch->n > ICMP_BATCH_MAX)
		batch->n = ICMP_BATCH_MAX;
	batch->bytes = mem_array(batch->n, batch->stride);
	prepare(batch);
}

int icmp_batch_read(struct icmp_batch *batch, int fd, int flags)
{
	struct msghdr *header;

	/* As far as the kernel wrote them the last time. */
	for (unsigned i = 0; i < batch->n; i++) {
		header = &batch->messages[i].msg_hdr;
		if (header->msg_namelen == sizeof batch->names[i] &&
		    header->msg_controllen == ICMP_BATCH_CONTROL)
			break;
		header->msg_namelen = sizeof batch->names[i];
		header->msg_controllen = ICMP_BATCH_CONTROL;
	}
	return recvmmsg(fd, batch->messages, batch->n, flags | MSG_DONTWAIT,
			NULL);
}

void icmp_batch_release(struct icmp_batch *batch)
{
	free(batch->bytes);
	*batch = (struct icmp_batch){ 0 };
}
