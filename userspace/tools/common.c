// SPDX-License-Identifier: GPL-2.0
/* What the subcommands of zcdma share: messages, numbers, options, JSON. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "progress.h"

const char *command;

static void say(const char *format, va_list args)
{
	progress_clear();
	fprintf(stderr, "zcdma: ");
	if (command)
		fprintf(stderr, "%s: ", command);
	vfprintf(stderr, format, args);
}

int complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	fputc('\n', stderr);
	return -1;
}

int complain_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	fprintf(stderr, "; see zcdma %s%s--help\n", command ? command : "", command ? " " : "");
	return EXIT_USAGE;
}

void say_from_handler(const char *text)
{
	size_t left = strlen(text);
	ssize_t written;

	for (; left; left -= written, text += written) {
		written = write(STDERR_FILENO, text, left);
		if (written <= 0)
			return;
	}
}

/* A number and where it ends. strtoull() alone takes signs and spaces too. */
static const char *leading_number(const char *text, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno ? NULL : end;
}

bool parse_number(const char *text, uint64_t max, uint64_t *value)
{
	const char *end = leading_number(text, value);

	return end && !*end && *value <= max;
}

bool parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *end = leading_number(text, bytes);
	const char *unit;
	int shift = 0;

	if (!end)
		return false;
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return false;
		shift = 10 * (unit - units + 1);
	}
	if (*bytes > (uint64_t)INT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

int parse_json_option(int argc, char **argv, const char *help, bool *json)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (option == 'h')
			fputs(help, stdout);
		if (option != 'j')
			return option == 'h' ? EXIT_DONE : EXIT_USAGE;
		*json = true;
	}
	return -1;
}

const char *human_size(uint64_t bytes, char text[32])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

double seconds(int clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}
