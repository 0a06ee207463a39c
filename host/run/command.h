/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: makes a plan of it and carries that out.
 */
#ifndef RUN_COMMAND_H
#define RUN_COMMAND_H

/*
 * The whole program; the exit status: 0 good or stopped by a signal, 1 failed
 * at run time, 2 wrong usage. A failure is one sentence on standard error. To
 * be called while there is one thread.
 */
int command_run(int argc, char **argv);

#endif
