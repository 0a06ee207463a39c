/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_THREAD_H
#define RUN_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Waits for the end of THREAD, so many seconds at most whatever happens to the
 * clock of the system. False when it goes on; then it can be tried again. */
bool thread_join(pthread_t thread, double seconds);

#endif
