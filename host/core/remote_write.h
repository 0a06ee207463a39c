/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages as requests of Prometheus remote write 1.0: protobuf
 * prometheus.WriteRequest, compressed with snappy's block format.
 * https://prometheus.io/docs/specs/prw/remote_write_spec/
 *
 * A writer is the stream of one exporter to one receiver. It knows which series
 * it wrote last, and ends each that is gone with one sample that has the stale
 * marker. Series carry all their labels, sorted by name; where a series has a
 * label of the writer itself, the series' stands. One thread.
 */
#ifndef CORE_REMOTE_WRITE_H
#define CORE_REMOTE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/label.h"
#include "core/page.h"

/* Bits of the NaN that ends a series; any other NaN is written as
 * REMOTE_WRITE_NAN. */
#define REMOTE_WRITE_STALE UINT64_C(0x7ff0000000000002)
#define REMOTE_WRITE_NAN UINT64_C(0x7ff8000000000001)

enum {
	/* Samples, native histograms, exemplars of one request, at most. */
	REMOTE_WRITE_SAMPLES = 2000,
	REMOTE_WRITE_BYTES = 1 << 20,  /* a request ends when it is as large */
	REMOTE_WRITE_METADATA = 60000, /* milliseconds until they go again */
};

/* What is in a request; each has its own, as not every receiver takes all. The
 * numbers are kept on disk. */
enum remote_content {
	REMOTE_SAMPLES, /* and metadata */
	REMOTE_HISTOGRAMS,
	REMOTE_EXEMPLARS,
	REMOTE_CONTENTS,
};

struct remote_write_options {
	/* Added to each series (job, instance); copied. One whose value is ""
	 * is none. */
	const struct label_pair *labels;
	unsigned nlabels;
	/* Native histograms are written, under the plain name of the family,
	 * and with them the classic buckets only where it has those, too. Else
	 * the family shows what it shows to readers of text. */
	bool native_histograms;
	bool exemplars;
};

struct remote_write;

/* NULL and ERR when a label is not valid. */
struct remote_write *remote_write_new(
	const struct remote_write_options *options, struct err *err);
void remote_write_free(struct remote_write *writer);

/* A finished request, compressed; borrowed during the call. */
typedef void remote_write_request(void *arg, struct str body, size_t samples,
				  enum remote_content content);

/*
 * Writes PAGE as of TIME (milliseconds since the epoch), in as many requests as
 * it takes; NULL is a page without series, which ends all. The metadata of a
 * family go along when it is new, and again every REMOTE_WRITE_METADATA. TIME
 * should rise, a receiver may refuse what is older than what it has; a second
 * page of the same time is written one millisecond later. False and ERR when
 * snappy is not there; then nothing was written.
 *
 * An exemplar is written once: when the page shows it and the one before, NULL
 * not counted, did not. One without a time has that of the page.
 *
 * The writer keeps a reference to the page, to know what it has to end: that is
 * no memory but for the numbers that have changed in the next page.
 */
bool remote_write_page(struct remote_write *writer, struct page *page,
		       int64_t time, remote_write_request *request, void *arg,
		       struct err *err);

#endif
