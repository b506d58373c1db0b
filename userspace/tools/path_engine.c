// SPDX-License-Identifier: GPL-2.0
/* Ways through an engine. */
#include <errno.h>
#include <stdlib.h>

#include "common.h"
#include "path.h"

static int open_batch(struct bed *bed)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	unsigned int i;

	if (!batch)
		return -1;
	for (i = 0; i < bed->ops; i++)
		batch->ops[i] = (struct zcdma_op) {
			.opcode = ZCDMA_OP_COPY,
			.user_data = i,
			.src = (uintptr_t)bed->source + i * bed->size,
			.dst = (uintptr_t)bed->target + i * bed->size,
			.len = bed->size,
		};
	bed->path_data = batch;
	return 0;
}

static void close_batch(struct bed *bed)
{
	free(bed->path_data);
}

/* Both ids of the batch. */
static int register_both(struct bed *bed, struct batch *batch)
{
	struct zcdma_session *session = bed->engine->session;
	size_t size = bed->ops * bed->size;

	batch->source = zcdma_register(session, bed->source, size, ZCDMA_BUFFER_READ_ONLY);
	if (batch->source > 0)
		batch->target = zcdma_register(session, bed->target, size, 0);
	return batch->target > 0 ? 0 : -1;
}

/* The same on registered memory. */
int path_open_registered(struct bed *bed)
{
	struct batch *batch;
	unsigned int i;

	if (open_batch(bed))
		return -1;
	batch = bed->path_data;
	if (register_both(bed, batch)) {
		int err = errno;

		path_close_registered(bed);
		errno = err;
		return -1;
	}
	for (i = 0; i < bed->ops; i++) {
		batch->ops[i].src_buffer = batch->source;
		batch->ops[i].src = i * bed->size;
		batch->ops[i].dst_buffer = batch->target;
		batch->ops[i].dst = i * bed->size;
	}
	return 0;
}

/* All of them are rows of one op. */
static int open_rows(struct bed *bed)
{
	struct batch *batch;

	if (path_open_registered(bed))
		return -1;
	batch = bed->path_data;
	batch->ops[0].opcode = ZCDMA_OP_COPY_2D;
	batch->ops[0].rows = bed->ops;
	batch->ops[0].src_stride = bed->size;
	batch->ops[0].dst_stride = bed->size;
	return 0;
}

void path_close_registered(struct bed *bed)
{
	struct batch *batch = bed->path_data;

	if (batch && batch->source > 0)
		zcdma_unregister(bed->engine->session, batch->source);
	if (batch && batch->target > 0)
		zcdma_unregister(bed->engine->session, batch->target);
	close_batch(bed);
}

/*
 * The wait was interrupted. That takes no signal: an io_uring that was closed a moment
 * ago does it as well.
 */
static int wait_again(struct zcdma_session *session, struct zcdma_completion *completions,
		      unsigned int count)
{
	unsigned int got = 0;
	int nr;

	while (got < count) {
		nr = zcdma_reap(session, completions + got, count - got, -1);
		if (nr > 0)
			got += nr;
		else if (!nr || errno != EINTR)
			return -1;
	}
	return 0;
}

/* Ops @first to @first + @count - 1, to the end. */
static int submit(struct bed *bed, unsigned int first, unsigned int count)
{
	struct batch *batch = bed->path_data;
	struct zcdma_completion *completions = batch->completions + first;
	struct zcdma_session *session = bed->engine->session;
	unsigned int i, accepted;

	if (zcdma_submit_wait(session, batch->ops + first, count, completions, &accepted) &&
	    (errno != EINTR || accepted < count || wait_again(session, completions, count)))
		return -1;
	for (i = 0; i < count; i++)
		if (completions[i].res) {
			errno = -completions[i].res;
			return -1;
		}
	return 0;
}

static int round_single(struct bed *bed)
{
	unsigned int i;

	for (i = 0; i < bed->ops; i++)
		if (submit(bed, i, 1))
			return -1;
	return 0;
}

static int round_batch(struct bed *bed)
{
	return submit(bed, 0, bed->ops);
}

static int round_rows(struct bed *bed)
{
	return submit(bed, 0, 1);
}

const struct path engine_paths[] = {
	{
		.name = "registered_batch32_ioctl",
		.what = "registered, batch of 32, ioctl",
		.moves = true,
		.open = path_open_registered,
		.round = round_batch,
		.close = path_close_registered,
	}, {
		.name = "registered_batch32_uring",
		.what = "registered, batch of 32, io_uring",
		.moves = true,
		.open = path_open_uring,
		.round = path_round_uring,
		.close = path_close_uring,
	}, {
		.name = "registered_rows",
		.what = "registered, 32 rows of one op",
		.moves = true,
		.open = open_rows,
		.round = round_rows,
		.close = path_close_registered,
	}, {
		.name = "registered_single",
		.what = "registered, single, waiting",
		.moves = true,
		.open = path_open_registered,
		.round = round_single,
		.close = path_close_registered,
	}, {
		.name = "unregistered_single",
		.what = "unregistered, single, waiting",
		.moves = true,
		.open = open_batch,
		.round = round_single,
		.close = close_batch,
	}, {
		.name = "unregistered_batch32",
		.what = "unregistered, batch of 32",
		.moves = true,
		.open = open_batch,
		.round = round_batch,
		.close = close_batch,
	},
	{ 0 },
};
