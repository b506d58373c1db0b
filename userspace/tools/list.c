// SPDX-License-Identifier: GPL-2.0
/* zcdma list: the machine's DMA channels. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "channel.h"
#include "common.h"
#include "engine.h"
#include "words.h"

static const char help[] =
	"Usage: zcdma list [OPTION...]\n"
	"List the machine's DMA channels: what they can do, and who has them.\n\n"
	"  -j, --json  as a JSON array\n"
	"  -h, --help\n";

static void print_row(const struct zcdma_query_channel *channel)
{
	char caps[256];

	printf("%-15s %-15s %-20s %-8s %-9s %8u  %s\n", channel->out_name, channel->out_provider,
	       channel->out_device, channel_mover(channel), channel_state(channel),
	       channel->out_sessions,
	       words_text(&capability_words, channel_abilities(channel), caps, sizeof(caps)));
}

static void print_header(void)
{
	printf("%-15s %-15s %-20s %-8s %-9s %8s  %s\n", "CHANNEL", "PROVIDER", "DEVICE", "BY",
	       "STATE", "SESSIONS", "CAPABILITIES");
}

static int list(struct zcdma_session *session, bool json)
{
	struct zcdma_query_channel channel;
	uint32_t i;

	for (i = 0; !zcdma_query_channel(session, 0, i, &channel); i++) {
		if (json) {
			printf("%s", i ? ",\n " : "[");
			channel_json(&channel);
			continue;
		}
		if (!i)
			print_header();
		print_row(&channel);
	}
	if (errno != ENOENT)
		return complain("%s: %s", ZCDMA_DEVICE, strerror(errno));
	if (json)
		puts(i ? "]" : "[]");
	if (!i)
		complain(NO_ENGINE);
	return 0;
}

int list_main(int argc, char **argv)
{
	struct zcdma_session *session;
	bool json = false;
	int ret;

	ret = parse_json_option(argc, argv, help, &json);
	if (ret >= 0)
		return ret;
	if (optind != argc)
		return complain_usage("%s: superfluous argument", argv[optind]);

	session = device_open();
	if (!session)
		return EXIT_FAILED;
	ret = list(session, json);
	zcdma_close(session);
	return ret ? EXIT_FAILED : EXIT_DONE;
}
