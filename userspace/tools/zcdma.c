// SPDX-License-Identifier: GPL-2.0
/* zcdma: DMA engines on the command line. */
#include <errno.h>
#include <string.h>

#include <zcdma.h>

#include "common.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *what;
} commands[] = {
	{ "list", list_main, "the machine's DMA channels" },
	{ "info", info_main, "what the module, or a channel, can do" },
	{ "copy", copy_main, "copy a file" },
	{ "fill", fill_main, "make a file of one repeated byte" },
	{ "port", port_main, "the machine's ports: devices at DMA channels" },
	{ "read", read_main, "bytes from a port" },
	{ "write", write_main, "bytes to a port" },
	{ "stream", stream_main, "bytes from or to a port without end" },
	{ "bench", bench_main, "compare an engine's rate with that of memcpy()" },
};

static void print_help(FILE *out)
{
	size_t i;

	fprintf(out, "Usage: zcdma COMMAND [OPTION...] [ARGUMENT...]\n"
		"       zcdma --help | --version\n\n"
		"Move memory and files with the machine's DMA engines.\n\nCommands:\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-6s %s\n", commands[i].name, commands[i].what);
	fprintf(out, "\nzcdma COMMAND --help tells about each. Manual: zcdma(1).\n");
}

/* Results that did not reach the reader are no results. */
static int finish(int code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	complain("standard output: %s", strerror(errno));
	return code ? code : EXIT_FAILED;
}

static int run(int argc, char **argv)
{
	char name[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[0], commands[i].name))
			continue;
		command = commands[i].name;
		/* getopt starts its own messages with argv[0]. */
		snprintf(name, sizeof(name), "zcdma: %s", command);
		argv[0] = name;
		return commands[i].main(argc, argv);
	}
	return complain_usage("%s: no such command", argv[0]);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help(stdout);
		return finish(EXIT_DONE);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("zcdma %s\n", zcdma_version());
		return finish(EXIT_DONE);
	}
	return finish(run(argc - 1, argv + 1));
}
