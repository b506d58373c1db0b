// SPDX-License-Identifier: GPL-2.0
/* Bytes on their way between a port and a file. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "flow.h"

#define REDRAW_SECONDS	0.2

atomic_bool interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = true;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int flow_set_option(struct flow *flow, int option, const char *argument)
{
	uint64_t value;

	switch (option) {
	case 'n':
		if (!parse_size(argument, &flow->limit) || !flow->limit)
			return complain_usage("--bytes: %s: not a size", argument);
		return EXIT_DONE;
	case 'd':
		if (!parse_number(argument, 600000, &value) || !value)
			return complain_usage("--deadline: %s: not a number from 1 to 600000",
					      argument);
		flow->port.deadline_ms = value;
		return EXIT_DONE;
	case 'q':
		flow->quiet = true;
		return EXIT_DONE;
	case 'j':
		flow->json = true;
		return EXIT_DONE;
	default:
		return EXIT_USAGE;
	}
}

int flow_look(struct flow *flow)
{
	if (port_look(&flow->port, flow->direction))
		return -1;
	flow->width = flow->port.query.out_width;
	flow->data = flow->port.query.out_data;
	return 0;
}

static int open_file(struct flow *flow)
{
	bool rx = flow->direction == ZCDMA_RX;

	if (!flow->file || !strcmp(flow->file, "-")) {
		flow->file = rx ? "standard output" : "standard input";
		flow->fd = rx ? STDOUT_FILENO : STDIN_FILENO;
		flow->to_stdout = rx;
		return 0;
	}
	flow->fd = open(flow->file, rx ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY, 0666);
	return flow->fd < 0 ? complain("%s: %s", flow->file, strerror(errno)) : 0;
}

int flow_start(struct flow *flow)
{
	if (open_file(flow))
		return -1;
	catch_signals();
	flow->started = seconds(CLOCK_MONOTONIC);
	return 0;
}

size_t flow_gather(const struct flow *flow, char *buf, size_t len)
{
	size_t words = len / flow->width, i;

	for (i = 0; flow->data < flow->width && i < words; i++)
		memmove(buf + i * flow->data, buf + i * flow->width, flow->data);
	return words * flow->data;
}

size_t flow_spread(const struct flow *flow, char *words, const char *data, size_t len)
{
	size_t nr = len / flow->data, i;

	memset(words, 0, nr * flow->width);
	for (i = 0; i < nr; i++)
		memcpy(words + i * flow->width, data + i * flow->data, flow->data);
	return nr * flow->width;
}

int flow_put(struct flow *flow, const char *buf, size_t len)
{
	size_t left = len;

	while (left) {
		ssize_t got = write(flow->fd, buf, left);

		if (got < 0 && errno == EINTR && !interrupted)
			continue;
		if (got < 0)
			return complain("%s: %s", flow->file, strerror(errno));
		buf += got;
		left -= got;
	}
	flow->done += len;
	return 0;
}

ssize_t flow_get(struct flow *flow, char *buf, size_t held, size_t room)
{
	ssize_t got;

	do {
		if (interrupted)
			return -1;
		got = read(flow->fd, buf + held, room - held);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return complain("%s: %s", flow->file, strerror(errno));
	return held + got;
}

int flow_rest(const struct flow *flow, size_t held)
{
	if (!held)
		return 0;
	return complain("%s: the last %zu bytes make no word of %zu and were not sent",
			flow->file, held, flow->data);
}

int flow_explain(const struct flow *flow)
{
	const char *name = flow->port.name;

	switch (errno) {
	case EAGAIN:
	case ETIMEDOUT:
		return complain("%s: the device asked for nothing in time, after %llu bytes", name,
				flow->done);
	case ENODEV:
		return complain("%s: its engine has gone, after %llu bytes", name, flow->done);
	case EIO:
		return complain("%s: the engine failed, after %llu bytes", name, flow->done);
	default:
		return complain("%s: %s", name, strerror(errno));
	}
}

bool flow_meter_due(const struct flow *flow)
{
	return !flow->quiet && isatty(STDERR_FILENO) &&
	       seconds(CLOCK_MONOTONIC) - flow->drawn >= REDRAW_SECONDS;
}

void flow_meter(struct flow *flow, const char *more)
{
	char text[32];

	flow->drawn = seconds(CLOCK_MONOTONIC);
	fprintf(stderr, "\r%s  %.3f MB/s%s\033[K", human_size(flow->done, text),
		flow_rate(flow, flow->drawn - flow->started) / 1e6, more);
}

void flow_meter_end(const struct flow *flow)
{
	if (flow->drawn > 0)
		fprintf(stderr, "\r\033[K");
}

FILE *flow_summary_to(const struct flow *flow)
{
	return flow->to_stdout ? stderr : stdout;
}

double flow_rate(const struct flow *flow, double elapsed)
{
	return elapsed > 0 ? flow->done / elapsed : 0;
}
