/* SPDX-License-Identifier: GPL-2.0 */
/* What the subcommands of zcdma share. */
#ifndef ZCDMA_COMMON_H
#define ZCDMA_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ATTRIBUTE(name)		__attribute__((name))
#define LIKE_PRINTF		ATTRIBUTE(format(printf, 1, 2))

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

enum exit_code {
	EXIT_DONE	= 0,
	EXIT_FAILED	= 1,
	EXIT_USAGE	= 2,
};

int list_main(int argc, char **argv);
int info_main(int argc, char **argv);
int copy_main(int argc, char **argv);
int fill_main(int argc, char **argv);
int bench_main(int argc, char **argv);
int port_main(int argc, char **argv);
int read_main(int argc, char **argv);
int write_main(int argc, char **argv);
int stream_main(int argc, char **argv);

/* The subcommand that runs, for messages. */
extern const char *command;

/* Say on stderr what failed: "zcdma: COMMAND: ...". Returns -1. */
int complain(const char *format, ...) LIKE_PRINTF;

/* The same for wrong usage, with a pointer to --help. Returns EXIT_USAGE. */
int complain_usage(const char *format, ...) LIKE_PRINTF;

/* Put @text on stderr as it is; the one way that a signal handler may use. */
void say_from_handler(const char *text);

/* Numbers as users write them. Return false when @text is none up to @max. */
bool parse_number(const char *text, uint64_t max, uint64_t *value);
bool parse_size(const char *text, uint64_t *bytes);

/*
 * The options of a command that has only --json and --help. Returns -1 to go on
 * with the arguments from optind on, or the exit code.
 */
int parse_json_option(int argc, char **argv, const char *help, bool *json);

/* Bytes as users read them, such as "16.0 MiB". */
const char *human_size(uint64_t bytes, char text[32]);

/* Seconds of a clock. */
double seconds(int clock);

/* JSON: a string, quoted. */
void json_string(const char *text);

#endif /* ZCDMA_COMMON_H */
