// SPDX-License-Identifier: GPL-2.0
/* Messages that a test makes the kernel print. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmsg.h"
#include "zcdma_util.h"

#define LOG		"/dev/kmsg"
#define ANNOUNCEMENT	"zcdma-test: "
#define PATIENCE	20000 /* ms */
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* What was announced, how many lines are still to come, and how far the log was read. */
static struct {
	char text[128];
	unsigned int missing;
	int fd;
} expected[8];

static void announce(const char *what, const char *text)
{
	char line[256];

	snprintf(line, sizeof(line), ANNOUNCEMENT "%s: %s\n", what, text);
	CHILD_CHECK(!zc_write_file(LOG, line));
}

void zc_kmsg_test(const char *name)
{
	if (getenv("ZCDMA_TARGET"))
		announce("run", name);
}

/* The announcement of @text, or a free place if that is "". */
static size_t find(const char *text)
{
	size_t i = 0;

	while (i < COUNT(expected) && strcmp(expected[i].text, text))
		i++;
	CHILD_CHECK(i < COUNT(expected));
	return i;
}

void zc_kmsg_expect(const char *text)
{
	zc_kmsg_expect_several(text, 1);
}

void zc_kmsg_expect_several(const char *text, unsigned int count)
{
	size_t i = find("");
	char what[32];

	CHILD_CHECK(strlen(text) < sizeof(expected[i].text));
	snprintf(what, sizeof(what), "expect %u", count);
	announce(what, text);
	expected[i].missing = count;
	expected[i].fd = open(LOG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CHILD_CHECK(expected[i].fd >= 0);
	lseek(expected[i].fd, 0, SEEK_END);
	strcpy(expected[i].text, text);
}

void zc_kmsg_allow(const char *text)
{
	announce("allow", text);
}

/*
 * How many lines from where @fd is have the text, and are no announcement of it? Each read() gives
 * one record, whose other lines tell of the device.
 */
static unsigned int in_log(int fd, const char *text)
{
	char record[2048], *line, *rest;
	unsigned int n = 0;
	ssize_t len;

	do {
		len = read(fd, record, sizeof(record) - 1);
		if (len <= 0)
			continue;
		record[len] = 0;
		for (line = strtok_r(record, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			n += strstr(line, text) && !strstr(line, ANNOUNCEMENT);
	} while (len > 0 || errno == EPIPE); /* EPIPE: records are lost, go on with the rest */
	return n;
}

/* Have all lines of announcement @i come? */
static bool all_came(size_t i)
{
	unsigned int n = in_log(expected[i].fd, expected[i].text);

	expected[i].missing -= n < expected[i].missing ? n : expected[i].missing;
	return !expected[i].missing;
}

bool zc_kmsg_expected(const char *text)
{
	__u64 end = zc_now_ms() + PATIENCE;
	size_t i = find(text);
	bool came;

	do {
		came = all_came(i);
	} while (!came && zc_now_ms() < end && (zc_sleep_ms(10), true));
	close(expected[i].fd);
	expected[i].text[0] = 0;
	announce("expected", text);
	return came;
}
