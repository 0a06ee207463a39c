/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers calls: runs the function of a route as a task, any number of them
 * side by side, each under its deadline. In the exporter's thread.
 */
#ifndef RUN_RESPOND_H
#define RUN_RESPOND_H

#include "run/call.h"
#include "run/declaration.h"
#include "vm/state.h"

struct responder;

struct responder *responder_new(struct vm *vm,
				const struct declaration *declaration);

/* Answers what is open, saying that the exporter stops. NULL is allowed. */
void responder_free(struct responder *responder);

void responder_run(struct responder *responder, struct call *call);

/* Sends the answer of CALL back. Any thread that has it. */
void call_answer(struct call *call);

#endif
