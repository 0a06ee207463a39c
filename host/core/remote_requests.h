/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests that a page becomes: series are added until one is full, which
 * is then compressed and handed on. What not every receiver takes has requests
 * of its own: one that refuses native histograms or exemplars refuses nothing
 * else. Requests of a later content never overtake those of a former one, so
 * that an exemplar finds its series. One thread.
 */
#ifndef CORE_REMOTE_REQUESTS_H
#define CORE_REMOTE_REQUESTS_H

#include <stddef.h>

#include "core/buf.h"
#include "core/remote_write.h"
#include "core/snappy.h"

/* Private, but for the buffers that series are added to. */
struct remote_requests {
	const struct snappy *snappy;
	remote_write_request *request;
	void *arg;
	struct buf raw[REMOTE_CONTENTS], packed;
	size_t samples[REMOTE_CONTENTS];
};

void remote_requests_init(struct remote_requests *requests,
			  const struct snappy *snappy,
			  remote_write_request *request, void *arg);

/* A sample, histogram or exemplar was added to the buffer of CONTENT. */
void remote_requests_added(struct remote_requests *requests,
			   enum remote_content content);

/* Hands on all that was added. */
void remote_requests_flush(struct remote_requests *requests);

void remote_requests_release(struct remote_requests *requests);

#endif
