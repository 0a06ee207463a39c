/* SPDX-License-Identifier: Apache-2.0 */
#include "core/remote_requests.h"

enum {
	/* Raw bytes of a request: what crosses REMOTE_WRITE_BYTES is the last,
	 * and it is no longer than its labels and buckets. */
	RAW_MAX = REMOTE_WRITE_BYTES + (1 << 24),
};

void remote_requests_init(struct remote_requests *requests,
			  const struct snappy *snappy,
			  remote_write_request *request, void *arg)
{
	*requests = (struct remote_requests){ .snappy = snappy,
					      .request = request,
					      .arg = arg };
	for (unsigned i = 0; i < REMOTE_CONTENTS; i++)
		buf_init(&requests->raw[i], RAW_MAX);
	buf_init(&requests->packed, 2 * (size_t)RAW_MAX);
}

static void flush(struct remote_requests *requests, enum remote_content content)
{
	struct buf *raw = &requests->raw[content], *packed = &requests->packed;

	if (raw->len == 0)
		return;
	buf_clear(packed);
	snappy_pack(requests->snappy, packed,
		    (struct str){ raw->data, raw->len });
	requests->request(requests->arg,
			  (struct str){ packed->data, packed->len },
			  requests->samples[content], content);
	buf_clear(raw);
	requests->samples[content] = 0;
}

static void flush_to(struct remote_requests *requests, unsigned last)
{
	for (unsigned i = 0; i <= last; i++)
		flush(requests, i);
}

void remote_requests_added(struct remote_requests *requests,
			   enum remote_content content)
{
	requests->samples[content]++;
	if (requests->samples[content] == REMOTE_WRITE_SAMPLES ||
	    requests->raw[content].len >= REMOTE_WRITE_BYTES)
		flush_to(requests, content);
}

void remote_requests_flush(struct remote_requests *requests)
{
	flush_to(requests, REMOTE_CONTENTS - 1);
}

void remote_requests_release(struct remote_requests *requests)
{
	for (unsigned i = 0; i < REMOTE_CONTENTS; i++)
		buf_release(&requests->raw[i]);
	buf_release(&requests->packed);
}
