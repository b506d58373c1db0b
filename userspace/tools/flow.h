/* SPDX-License-Identifier: GPL-2.0 */
/* Bytes on their way between a port and a file: what read, write and stream share. */
#ifndef ZCDMA_FLOW_H
#define ZCDMA_FLOW_H

#include <stdatomic.h>

#include "common.h"
#include "port.h"

/**
 * struct flow - what is to be moved, and what was
 * @direction: ZCDMA_TX or ZCDMA_RX.
 * @quiet: no meter, no summary.
 * @json: the summary as JSON.
 * @to_stdout: the data goes to standard output.
 * @limit: bytes to receive at most, or UINT64_MAX.
 * @file: its name, for messages once it is open.
 * @width: bytes of a word.
 * @data: of those, bytes that are data.
 * @done: bytes of data moved.
 * @started: when, in seconds.
 * @drawn: when the meter was.
 */
struct flow {
	struct port port;
	__u32 direction;
	bool quiet;
	bool json;
	bool to_stdout;
	uint64_t limit;
	const char *file;
	int fd;
	size_t width;
	size_t data;
	unsigned long long done;
	double started;
	double drawn;
};

/* SIGINT or SIGTERM came, since flow_start(). */
extern atomic_bool interrupted;

/*
 * Take one of the options that all of them have, if it is one: 'n', 'd', 'q', 'j'. Returns
 * an exit code; EXIT_USAGE, without a word, for any other.
 */
int flow_set_option(struct flow *flow, int option, const char *argument);

/* Look at the port and what its words are. 0, or -1 after telling why not. */
int flow_look(struct flow *flow);

/* Open the file and begin. The same. */
int flow_start(struct flow *flow);

/* The data of @len bytes in words, side by side. Returns how many. */
size_t flow_gather(const struct flow *flow, char *buf, size_t len);

/* @len bytes of @data as words from @words on. Returns how many bytes those are. */
size_t flow_spread(const struct flow *flow, char *words, const char *data, size_t len);

/* Write data to the file and count it. 0, or -1 after telling why not. */
int flow_put(struct flow *flow, const char *buf, size_t len);

/*
 * Data of the file, at most @room, behind the @held bytes at @buf. Returns how many there
 * are now, @held at the end of the file; or -1 after telling why not, or interrupted.
 */
ssize_t flow_get(struct flow *flow, char *buf, size_t held, size_t room);

/* Some bytes at the end make no word. Tells so and returns -1, unless there are none. */
int flow_rest(const struct flow *flow, size_t held);

/* Tell what errno says of the port. Returns -1. */
int flow_explain(const struct flow *flow);

/* The live meter, if standard error is a terminal; with @more at its end. */
bool flow_meter_due(const struct flow *flow);
void flow_meter(struct flow *flow, const char *more);
void flow_meter_end(const struct flow *flow);

/* Where the summary goes: standard output, unless the data does. */
FILE *flow_summary_to(const struct flow *flow);

double flow_rate(const struct flow *flow, double elapsed);

#endif /* ZCDMA_FLOW_H */
