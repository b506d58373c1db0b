// SPDX-License-Identifier: GPL-2.0
/* zcdma info: what the module, or a channel, can do. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "channel.h"
#include "common.h"
#include "engine.h"
#include "words.h"

static const char help[] =
	"Usage: zcdma info [OPTION...] [CHANNEL]\n"
	"Tell what the module can do and its limits; with CHANNEL, all about that channel.\n\n"
	"  -j, --json  as a JSON object\n"
	"  -h, --help\n";

static void print_channel(const struct zcdma_query_channel *channel)
{
	char caps[256];

	words_text(&capability_words, channel_abilities(channel), caps, sizeof(caps));
	printf("name:            %s\n", channel->out_name);
	printf("device:          %s\n", channel->out_device);
	printf("provider:        %s\n", channel->out_provider);
	printf("state:           %s\n", channel_state(channel));
	printf("sessions:        %u\n", channel->out_sessions);
	printf("capabilities:    %s\n", caps);
	printf("moved by:        %s\n", channel_mover(channel));
	printf("copy alignment:  %u\n", channel->out_copy_align);
	printf("fill alignment:  %u\n", channel->out_fill_align);
	printf("longest segment: %u\n", channel->out_max_segment);
	printf("residue:         %s\n", channel_residue(channel));
	printf("NUMA node:       %d\n", channel->out_numa_node);
}

static int channel_info(struct zcdma_session *session, const char *name, bool json)
{
	struct zcdma_query_channel channel;

	if (zcdma_find_channel(session, name, &channel))
		return complain("%s: %s", name, errno == ENODEV ?
				"no such channel; zcdma list shows them" : strerror(errno));
	if (json) {
		channel_json(&channel);
		putchar('\n');
	} else {
		print_channel(&channel);
	}
	return 0;
}

static void print_module(const struct zcdma_get_info *info, uint32_t channels)
{
	char text[256];

	printf("tool:              %s\n", zcdma_version());
	printf("features:          %s\n",
	       words_text(&feature_words, info->out_features, text, sizeof(text)));
	printf("opcodes:           %s\n",
	       words_text(&opcode_words, info->out_opcodes, text, sizeof(text)));
	printf("longest op:        %s\n", human_size(info->out_max_len, text));
	printf("queue depth:       %u, at most %u\n", info->out_queue_depth,
	       info->out_max_queue_depth);
	printf("deadline of an op: %u ms, at most %u ms\n", info->out_default_deadline_ms,
	       info->out_max_deadline_ms);
	printf("channels:          %u\n", channels);
}

static void module_json(const struct zcdma_get_info *info, uint32_t channels)
{
	printf("{\"version\": \"%s\", \"features\": ", zcdma_version());
	words_json(&feature_words, info->out_features);
	printf(", \"opcodes\": ");
	words_json(&opcode_words, info->out_opcodes);
	printf(", \"max_len\": %llu", (unsigned long long)info->out_max_len);
	printf(", \"max_queue_depth\": %u, \"default_queue_depth\": %u", info->out_max_queue_depth,
	       info->out_queue_depth);
	printf(", \"max_deadline_ms\": %u, \"default_deadline_ms\": %u", info->out_max_deadline_ms,
	       info->out_default_deadline_ms);
	printf(", \"channels\": %u}\n", channels);
}

static int module_info(struct zcdma_session *session, bool json)
{
	struct zcdma_query_channel channel;
	struct zcdma_get_info info;
	uint32_t channels = 0;

	if (zcdma_get_info(session, &info))
		return complain("%s: %s", ZCDMA_DEVICE, strerror(errno));
	while (!zcdma_query_channel(session, 0, channels, &channel))
		channels++;
	if (json)
		module_json(&info, channels);
	else
		print_module(&info, channels);
	return 0;
}

int info_main(int argc, char **argv)
{
	struct zcdma_session *session;
	bool json = false;
	int ret;

	ret = parse_json_option(argc, argv, help, &json);
	if (ret >= 0)
		return ret;
	if (argc - optind > 1)
		return complain_usage("%s: superfluous argument", argv[optind + 1]);

	session = device_open();
	if (!session)
		return EXIT_FAILED;
	ret = argv[optind] ? channel_info(session, argv[optind], json) :
			     module_info(session, json);
	zcdma_close(session);
	return ret ? EXIT_FAILED : EXIT_DONE;
}
