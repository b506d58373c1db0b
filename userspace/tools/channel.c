// SPDX-License-Identifier: GPL-2.0
/* A channel in words. */
#include <stdio.h>

#include "channel.h"
#include "common.h"
#include "words.h"

static const char *const states[] = {
	[ZCDMA_CHANNEL_FREE]		= "free",
	[ZCDMA_CHANNEL_SHARED]		= "shared",
	[ZCDMA_CHANNEL_EXCLUSIVE]	= "exclusive",
	[ZCDMA_CHANNEL_BUSY]		= "busy",
	[ZCDMA_CHANNEL_DENIED]		= "denied",
};

static const char *const residues[] = {
	[ZCDMA_RESIDUE_DESCRIPTOR]	= "descriptor",
	[ZCDMA_RESIDUE_SEGMENT]		= "segment",
	[ZCDMA_RESIDUE_BURST]		= "burst",
};

const char *channel_state(const struct zcdma_query_channel *channel)
{
	return channel->out_state < ARRAY_SIZE(states) ? states[channel->out_state] : "unknown";
}

const char *channel_residue(const struct zcdma_query_channel *channel)
{
	return channel->out_residue < ARRAY_SIZE(residues) ? residues[channel->out_residue] :
							     "unknown";
}

const char *channel_mover(const struct zcdma_query_channel *channel)
{
	return channel->out_caps & ZCDMA_CAP_HARDWARE ? "hardware" : "CPU";
}

uint64_t channel_abilities(const struct zcdma_query_channel *channel)
{
	return channel->out_caps & ~(uint64_t)ZCDMA_CAP_HARDWARE;
}

void channel_json(const struct zcdma_query_channel *channel)
{
	printf("{\"name\": ");
	json_string(channel->out_name);
	printf(", \"device\": ");
	json_string(channel->out_device);
	printf(", \"provider\": ");
	json_string(channel->out_provider);
	printf(", \"state\": \"%s\", \"sessions\": %u, \"caps\": ", channel_state(channel),
	       channel->out_sessions);
	words_json(&capability_words, channel_abilities(channel));
	printf(", \"moved_by\": \"%s\", \"copy_align\": %u, \"fill_align\": %u",
	       channel_mover(channel), channel->out_copy_align, channel->out_fill_align);
	printf(", \"max_segment\": %u, \"residue\": \"%s\", \"numa_node\": %d}",
	       channel->out_max_segment, channel_residue(channel), channel->out_numa_node);
}
