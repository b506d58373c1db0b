// SPDX-License-Identifier: GPL-2.0
/* Ways through an engine. */
#include <errno.h>
#include <stdlib.h>

#include "common.h"
#include "path.h"

/* What is submitted in a round, made beforehand; and buffers, or 0. */
struct batch {
	struct zcdma_op ops[PATH_BATCH];
	struct zcdma_completion completions[PATH_BATCH];
	int source;
	int target;
};

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

/* The same on registered memory. */
static int open_registered(struct bed *bed)
{
	struct zcdma_session *session = bed->engine->session;
	struct batch *batch;
	unsigned int i;

	if (open_batch(bed))
		return -1;
	batch = bed->path_data;
	batch->source = zcdma_register(session, bed->source, bed->ops * bed->size,
				       ZCDMA_BUFFER_READ_ONLY);
	if (batch->source > 0)
		batch->target = zcdma_register(session, bed->target, bed->ops * bed->size, 0);
	if (batch->source <= 0 || batch->target <= 0)
		return -1;
	for (i = 0; i < bed->ops; i++) {
		batch->ops[i].src_buffer = batch->source;
		batch->ops[i].src = i * bed->size;
		batch->ops[i].dst_buffer = batch->target;
		batch->ops[i].dst = i * bed->size;
	}
	return 0;
}

static void close_registered(struct bed *bed)
{
	struct batch *batch = bed->path_data;

	if (batch && batch->source > 0)
		zcdma_unregister(bed->engine->session, batch->source);
	if (batch && batch->target > 0)
		zcdma_unregister(bed->engine->session, batch->target);
	close_batch(bed);
}

/* Ops @first to @first + @count - 1, to the end. */
static int submit(struct bed *bed, unsigned int first, unsigned int count)
{
	struct batch *batch = bed->path_data;
	struct zcdma_completion *completions = batch->completions + first;
	unsigned int i;

	if (zcdma_submit_wait(bed->engine->session, batch->ops + first, count, completions, NULL))
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

const struct path engine_paths[] = {
	{
		.name = "registered_batch32_ioctl",
		.what = "registered, batch of 32, ioctl",
		.moves = true,
		.open = open_registered,
		.round = round_batch,
		.close = close_registered,
	}, {
		.name = "registered_single",
		.what = "registered, single, waiting",
		.moves = true,
		.open = open_registered,
		.round = round_single,
		.close = close_registered,
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
