/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of libzcdma share. */
#ifndef ZCDMA_INTERNAL_H
#define ZCDMA_INTERNAL_H

#include <stdbool.h>

#include "zcdma.h"

/* All else is hidden (-fvisibility=hidden); libzcdma.map gives the version. */
#define ZCDMA_PUBLIC	__attribute__((visibility("default")))

/**
 * struct zcdma_session - see zcdma.h
 * @fd: the open file, O_NONBLOCK, so that reaping can wait with a time limit.
 * @outstanding: ops submitted and not yet reaped.
 * @queue_depth: what zcdma_attach() was granted; 0 before.
 * @max_len: longest op.
 * @deadline_ms: of an op that names none.
 * @takes_rows: there are 2-D ops.
 * @receives: has a stream that does, whose bytes are what read() gives.
 * @window: bytes that a synchronous transfer keeps in flight, learned from how
 *	the transfers before went.
 */
struct zcdma_session {
	int fd;
	unsigned int outstanding;
	__u32 queue_depth;
	__u64 max_len;
	__u32 deadline_ms;
	bool takes_rows;
	bool receives;
	size_t window;
};

#endif /* ZCDMA_INTERNAL_H */
