/* SPDX-License-Identifier: GPL-2.0 */
/* A session on the command line: opened, attached, and what goes wrong explained. */
#ifndef ZCDMA_ENGINE_H
#define ZCDMA_ENGINE_H

#include <stdint.h>

#include <zcdma.h>

/**
 * struct engine - a channel to work with
 * @name: as given by --channel; NULL: any.
 * @deadline_ms: as given by --deadline; 0: the module's default.
 * @session: attached to it.
 * @channel: what it is.
 */
struct engine {
	const char *name;
	uint32_t deadline_ms;
	struct zcdma_session *session;
	struct zcdma_query_channel channel;
};

/* What a hint says when there is no channel at all. */
#define NO_ENGINE	"no DMA channel found; load the driver of this machine's DMA engine, " \
			"or a software engine: modprobe softdma"

/* Open the device. Returns NULL after telling why it cannot be. */
struct zcdma_session *device_open(void);

/* Take the channel of @engine->name. Returns 0, or -1 after telling why not. */
int engine_open(struct engine *engine);
void engine_close(struct engine *engine);

/*
 * One more session, at the channel of @engine->name or, if that is not NULL, of @name; or
 * NULL after telling why not. Of @attach the rest is the caller's.
 */
struct zcdma_session *engine_join(const struct engine *engine, const char *name,
				  struct zcdma_attach *attach);

/* Tell why a transfer about @what failed. Returns -1. */
int engine_complain(const struct engine *engine, const char *what, int error);

/* Take --channel's or --deadline's argument. Returns 0 or the exit code. */
int engine_set_channel(struct engine *engine, const char *text);
int engine_set_deadline(struct engine *engine, const char *text);

#endif /* ZCDMA_ENGINE_H */
