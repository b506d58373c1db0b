/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The software engine's faults and oddities. What was found when the program
 * began is put back by softdma_reset(), and when the program ends.
 */
#ifndef ZCDMA_SELFTESTS_SOFTDMA_H
#define ZCDMA_SELFTESTS_SOFTDMA_H

#include <stdbool.h>

/* Faults, in debugfs: at once, on all channels. 0 or -errno. */
int softdma_set(const char *knob, unsigned long value);

/* To write to by who may not open it any more. A descriptor or -1. */
int softdma_open(const char *knob);
unsigned long softdma_get(const char *knob);

/* Has it had a descriptor since "descriptors" was set to 0, or does it get one within 20 s? */
bool softdma_gets_descriptor(void);

/*
 * Wait until the thread of a channel sleeps in this function of softdma: false after 20 s.
 * Debugfs does not tell how far the engine is, and time does not on a machine that is busy.
 */
bool softdma_thread_is_in(unsigned int channel, const char *function);
#define SOFTDMA_IDLE		"softdma_thread"	/* it has nothing more to do */
#define SOFTDMA_AT_DEVICE	"softdma_slave_chunk"	/* the device asks for nothing */
#define SOFTDMA_ASLEEP		""			/* wherever that is */

/* The same of whoever is in prep, see the fault hang_prep. */
bool softdma_is_in_prep(void);

/* What the engine is: a new one is made with these parameters, "align=8 unordered=Y". */
int softdma_rebuild(const char *parameters);

int softdma_unbind(void);
int softdma_bind(void);

/* False as soon as the removal has begun. */
bool softdma_is_bound(void);

/*
 * No fault, every parameter as found but those given, the engine present: 0 or -errno.
 * A new engine is made only if this one differs. "As found" includes the ledger: a test that
 * counts what the ledger would add to asks for "ledger=N".
 */
int softdma_become(const char *parameters);
int softdma_reset(void);	/* all as found */

#endif /* ZCDMA_SELFTESTS_SOFTDMA_H */
