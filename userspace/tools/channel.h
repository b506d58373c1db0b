/* SPDX-License-Identifier: GPL-2.0 */
/* A channel in words. */
#ifndef ZCDMA_CHANNEL_H
#define ZCDMA_CHANNEL_H

#include <stdint.h>

#include <zcdma.h>

const char *channel_state(const struct zcdma_query_channel *channel);
const char *channel_residue(const struct zcdma_query_channel *channel);

/* Who moves the bytes: "hardware" or "CPU". */
const char *channel_mover(const struct zcdma_query_channel *channel);

/* Its capabilities but for who moves the bytes. */
uint64_t channel_abilities(const struct zcdma_query_channel *channel);

/* All about it, as a JSON object. */
void channel_json(const struct zcdma_query_channel *channel);

#endif /* ZCDMA_CHANNEL_H */
