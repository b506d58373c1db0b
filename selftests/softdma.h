/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The software engine's faults and oddities. What was found when the program
 * began is put back by softdma_reset(), and when the program ends.
 */
#ifndef ZCDMA_SELFTESTS_SOFTDMA_H
#define ZCDMA_SELFTESTS_SOFTDMA_H

/* Faults, in debugfs: at once, on all channels. 0 or -errno. */
int softdma_set(const char *knob, unsigned long value);
unsigned long softdma_get(const char *knob);

/* What the engine is: a new one is made with these parameters, "align=8 unordered=Y". */
int softdma_rebuild(const char *parameters);

int softdma_unbind(void);
int softdma_bind(void);

/*
 * No fault, every parameter as found but those given, the engine present: 0 or -errno.
 * A new engine is made only if this one differs.
 */
int softdma_become(const char *parameters);
int softdma_reset(void);	/* all as found */

#endif /* ZCDMA_SELFTESTS_SOFTDMA_H */
