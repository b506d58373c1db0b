/* SPDX-License-Identifier: GPL-2.0 */
/* A progress bar on stderr, if that is a terminal. */
#ifndef ZCDMA_PROGRESS_H
#define ZCDMA_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* From here on, show how far @what is; with @quiet nothing is ever shown. */
void progress_start(const char *what, uint64_t total, bool quiet);

/* So far; redrawn a few times per second. */
void progress_update(uint64_t done);

/* Take the bar away. May be called at any time, from a signal handler too. */
void progress_clear(void);

#endif /* ZCDMA_PROGRESS_H */
