/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer that fires every 5 ms as long as its loop is there. UV_RUN_ONCE runs
 * timers first and then waits for something else, although one of them may have
 * brought what a spec waits for.
 */
#ifndef SPEC_NET_BEAT_H
#define SPEC_NET_BEAT_H

#include <uv.h>

#include "net/loop.h"

static inline void beat_fired(uv_timer_t *timer)
{
	(void)timer;
}

/* In the loop OF; one at a time. */
static inline void beat_start(struct loop *of)
{
	static uv_timer_t beat;

	uv_timer_init(loop_uv(of), &beat);
	uv_timer_start(&beat, beat_fired, 5, 5);
}

#endif
