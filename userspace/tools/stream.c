// SPDX-License-Identifier: GPL-2.0
/* zcdma read, write, stream: bytes from or to a port. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "port.h"

#define OPTIONS_HELP \
	"  -p, --period SIZE    move in periods of SIZE (default 4096)\n" \
	"  -r, --ring SIZE      with a ring of SIZE (default 64 periods)\n" \
	"  -d, --deadline MS    give up when the device asks for nothing for so long\n" \
	"  -q, --quiet          no summary\n" \
	"  -j, --json           the summary as JSON, on standard output (standard error if\n" \
	"                       the data is there)\n" \
	"  -h, --help\n"

static const char read_help[] =
	"Usage: zcdma read [OPTION...] PORT\n"
	"Write what comes from PORT to standard output or a file.\n\n"
	"  -n, --bytes SIZE     so many and no more; without it until ^C\n"
	"  -o, --output FILE    to FILE; - is standard output\n"
	OPTIONS_HELP;

static const char write_help[] =
	"Usage: zcdma write [OPTION...] PORT FILE\n"
	"Send FILE to PORT; - is standard input. All is sent when it ends.\n\n"
	OPTIONS_HELP;

static const char stream_help[] =
	"Usage: zcdma stream [OPTION...] PORT [FILE]\n"
	"Send FILE or standard input to PORT if that sends, or write what comes from it to\n"
	"FILE or standard output if it receives; - is a pipe. Ends with the input or by ^C.\n\n"
	"  -t, --tx             send, and\n"
	"  -x, --rx             receive, where PORT does both\n"
	"  -c, --cyclic         with a ring that the engine goes round by itself: what is not\n"
	"                       there in time is not waited for (default for receiving, if\n"
	"                       the engine can)\n"
	"  -u, --queued         period by period (default for sending): all is sent, in order\n"
	"  -n, --bytes SIZE     receive so many and no more\n"
	OPTIONS_HELP;

/**
 * struct job - what is to be done, and what was
 * @cyclic: 1, 0, or -1: not said.
 * @strict: a gap is a failure.
 * @to_stdout: the data goes to standard output.
 * @width: bytes of a word.
 * @data: of those, bytes that are data.
 * @done: bytes of data moved.
 */
struct job {
	struct port port;
	__u32 direction;
	int cyclic;
	bool strict;
	bool quiet;
	bool json;
	bool to_stdout;
	uint64_t limit;
	uint64_t period;
	uint64_t ring;
	const char *file;
	int fd;
	size_t width;
	size_t data;
	unsigned long long done;
	unsigned long long overruns;
	unsigned long long gaps;
	double started;
	double drawn;
};

static atomic_bool interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = true;
}

static bool queued(const struct job *job)
{
	if (job->cyclic >= 0)
		return !job->cyclic;
	return job->direction == ZCDMA_TX || !(job->port.caps[1] & ZCDMA_CAP_CYCLIC);
}

static int setup(struct job *job)
{
	struct zcdma_stream_setup how = {
		.flags = queued(job) ? ZCDMA_STREAM_QUEUED : 0,
		.direction = job->direction,
		.period_bytes = job->period,
		.ring_bytes = job->ring ? job->ring : 64 * job->period,
	};
	const char *name = job->port.name;

	if (!zcdma_stream_setup(job->port.session, &how))
		return 0;
	switch (errno) {
	case EOPNOTSUPP:
		return complain("%s: its engine has no cyclic transfers; try --queued", name);
	case EINVAL:
		if (job->period % job->width)
			return complain("%s: %llu bytes are no multiple of its %zu-byte words",
					name, (unsigned long long)job->period, job->width);
		if (job->period < ZCDMA_STREAM_MIN_PERIOD || job->period > ZCDMA_STREAM_MAX_PERIOD)
			return complain("%s: a period must have %u to %u bytes", name,
					ZCDMA_STREAM_MIN_PERIOD, ZCDMA_STREAM_MAX_PERIOD);
		return complain("%s: a ring must have %u to %u periods, and at most %u bytes", name,
				ZCDMA_STREAM_MIN_PERIODS, ZCDMA_STREAM_MAX_PERIODS,
				ZCDMA_STREAM_MAX_RING);
	case ENOMEM:
		return complain("%s: no memory for a ring of %llu bytes; see ulimit -l",
				name, (unsigned long long)how.ring_bytes);
	default:
		return complain("%s: %s", name, strerror(errno));
	}
}

static unsigned long long lost(const struct job *job)
{
	struct zcdma_stream_status status;

	if (zcdma_stream_status(job->port.session, job->direction, &status))
		return 0;
	return status.out_lost;
}

/* The live meter, if standard error is a terminal. */
static void meter(struct job *job, bool last)
{
	double now = seconds(CLOCK_MONOTONIC), elapsed = now - job->started;
	char text[32];

	if (job->quiet || !isatty(STDERR_FILENO) || (!last && now - job->drawn < 0.2))
		return;
	job->drawn = now;
	if (last)
		fprintf(stderr, "\r\033[K");
	else
		fprintf(stderr, "\r%s  %.3f MB/s  %llu periods lost\033[K",
			human_size(job->done, text), elapsed > 0 ? job->done / elapsed / 1e6 : 0,
			lost(job));
}

static int explain(const struct job *job, const char *what)
{
	switch (errno) {
	case EAGAIN:
	case ETIMEDOUT:
		return complain("%s: the device asked for nothing in time, after %llu bytes",
				job->port.name, job->done);
	case ENODEV:
		return complain("%s: its engine has gone, after %llu bytes", job->port.name,
				job->done);
	case EIO:
		return complain("%s: the engine failed, after %llu bytes", job->port.name,
				job->done);
	default:
		return complain("%s: %s", what, strerror(errno));
	}
}

/* The data of @len bytes in words, side by side. Returns how many. */
static size_t gather(const struct job *job, char *buf, size_t len)
{
	size_t words = len / job->width, i;

	for (i = 0; job->data < job->width && i < words; i++)
		memmove(buf + i * job->data, buf + i * job->width, job->data);
	return words * job->data;
}

static int put_out(struct job *job, const char *buf, size_t len)
{
	while (len) {
		ssize_t got = write(job->fd, buf, len);

		if (got < 0 && errno == EINTR && !interrupted)
			continue;
		if (got < 0)
			return complain("%s: %s", job->file, strerror(errno));
		buf += got;
		len -= got;
	}
	return 0;
}

/* What is lost before the first byte, or after the last, leaves no gap between them. */
static int receive(struct job *job)
{
	int timeout = job->port.deadline_ms ? (int)job->port.deadline_ms : -1;
	char *buf = malloc(job->period);
	size_t held = 0;
	int ret = buf ? 0 : -1;

	while (!ret && !interrupted && job->done < job->limit) {
		long got = zcdma_stream_read(job->port.session, buf + held, job->period - held,
					     timeout);
		size_t n;

		if (!got || (got < 0 && errno == EINTR))
			break;
		if (got < 0 && errno == EPIPE) {
			job->overruns++;
			job->gaps += job->done > 0;
			held = 0;
			continue;
		}
		if (got < 0) {
			ret = explain(job, job->port.name);
			break;
		}
		/* Words may come in parts; a period is whole words. */
		held += got;
		if (held % job->width)
			continue;
		n = gather(job, buf, held);
		if (n > job->limit - job->done)
			n = job->limit - job->done;
		held = 0;
		ret = put_out(job, buf, n);
		job->done += ret ? 0 : n;
		meter(job, false);
	}
	free(buf);
	return ret;
}

/* Data in @buf, from its second half on, as words from its beginning on. */
static void spread(const struct job *job, char *words, const char *data, size_t len)
{
	size_t i;

	memset(words, 0, len / job->data * job->width);
	for (i = 0; i < len / job->data; i++)
		memcpy(words + i * job->width, data + i * job->data, job->data);
}

static int send_words(struct job *job, const char *words, size_t len)
{
	int timeout = job->port.deadline_ms ? (int)job->port.deadline_ms : -1;

	while (len && !interrupted) {
		long got = zcdma_stream_write(job->port.session, words, len, timeout);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EPIPE) {
			job->overruns++;
			continue;
		}
		if (got < 0)
			return explain(job, job->port.name);
		words += got;
		len -= got;
	}
	return 0;
}

/* Sent is sent in whole words: bytes that make none wait for more. */
static int send_all(struct job *job)
{
	size_t room = job->period / job->width * job->data, held = 0;
	char *words = malloc(job->period), *data = malloc(room);
	int ret = words && data ? 0 : complain("%s", strerror(errno));

	while (!ret && !interrupted) {
		ssize_t got = read(job->fd, data + held, room - held);
		size_t whole;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			ret = complain("%s: %s", job->file, strerror(errno));
		if (got <= 0)
			break;
		held += got;
		whole = held - held % job->data;
		spread(job, words, data, whole);
		ret = send_words(job, words, whole / job->data * job->width);
		if (!ret)
			job->done += whole;
		memmove(data, data + whole, held - whole);
		held -= whole;
		meter(job, false);
	}
	if (!ret && held)
		ret = complain("%s: the last %zu bytes make no word of %zu and were not sent",
			       job->file, held, job->data);
	if (!interrupted && zcdma_stream_control(job->port.session, ZCDMA_TX, ZCDMA_STREAM_DRAIN))
		ret = explain(job, job->port.name);
	free(words);
	free(data);
	return ret;
}

static void summary(struct job *job)
{
	double elapsed = seconds(CLOCK_MONOTONIC) - job->started;
	FILE *out = job->to_stdout ? stderr : stdout;
	unsigned long long missing = lost(job);
	const char *kind = job->direction == ZCDMA_TX ? "underrun" : "overrun";

	if (job->json) {
		fprintf(out, "{\"port\": \"%s\", \"ring\": \"%s\", ", job->port.name,
			queued(job) ? "queued" : "cyclic");
		fprintf(out, "\"bytes\": %llu, \"seconds\": %.6f, \"bytes_per_second\": %.0f, ",
			job->done, elapsed, elapsed > 0 ? job->done / elapsed : 0);
		fprintf(out, "\"%ss\": %llu, \"periods_lost\": %llu}\n", kind, job->overruns,
			missing);
	} else if (!job->quiet) {
		fprintf(out, "%llu bytes %s %s, %.3f MB/s, %llu periods lost\n",
			job->done, job->direction == ZCDMA_TX ? "to" : "from", job->port.name,
			elapsed > 0 ? job->done / elapsed / 1e6 : 0, missing);
	}
}

static int open_file(struct job *job)
{
	bool rx = job->direction == ZCDMA_RX;

	if (!job->file || !strcmp(job->file, "-")) {
		job->file = rx ? "standard output" : "standard input";
		job->fd = rx ? STDOUT_FILENO : STDIN_FILENO;
		job->to_stdout = rx;
		return 0;
	}
	job->fd = open(job->file, rx ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY, 0666);
	return job->fd < 0 ? complain("%s: %s", job->file, strerror(errno)) : 0;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* A short read needs no long period. */
static void fit_period(struct job *job)
{
	uint64_t need = (job->limit + job->data - 1) / job->data * job->width;

	if (job->period)
		return;
	job->period = need < 4096 && job->limit != UINT64_MAX ? need : 4096;
	if (job->period < ZCDMA_STREAM_MIN_PERIOD)
		job->period = ZCDMA_STREAM_MIN_PERIOD;
}

static int go(struct job *job)
{
	int ret;

	if (port_look(&job->port, job->direction))
		return -1;
	if (!job->direction && job->port.query.out_directions == (ZCDMA_TX | ZCDMA_RX))
		return complain("%s sends and receives: say --tx or --rx", job->port.name);
	if (!job->direction)
		job->direction = job->port.query.out_directions;
	job->width = job->port.query.out_width;
	job->data = job->port.query.out_data;
	fit_period(job);
	if (port_take(&job->port) || setup(job) || open_file(job))
		return -1;
	catch_signals();
	job->started = seconds(CLOCK_MONOTONIC);
	ret = job->direction == ZCDMA_TX ? send_all(job) : receive(job);
	meter(job, true);
	summary(job);
	if (!ret && job->strict && job->gaps)
		ret = complain("%s: periods were lost, %llu times: the output has gaps",
			       job->port.name, job->gaps);
	if (!ret && job->limit != UINT64_MAX && job->done < job->limit)
		ret = -1;
	return ret;
}

static int set_option(struct job *job, int option, const char *argument)
{
	uint64_t value = 0;

	switch (option) {
	case 'n':
		if (!parse_size(argument, &job->limit) || !job->limit)
			return complain_usage("--bytes: %s: not a size", argument);
		return 0;
	case 'p':
		if (!parse_size(argument, &job->period) || job->period > UINT32_MAX)
			return complain_usage("--period: %s: not a size", argument);
		return 0;
	case 'r':
		if (!parse_size(argument, &job->ring))
			return complain_usage("--ring: %s: not a size", argument);
		return 0;
	case 'd':
		if (!parse_number(argument, 600000, &value) || !value)
			return complain_usage("--deadline: %s: not a number from 1 to 600000",
					      argument);
		job->port.deadline_ms = value;
		return 0;
	case 'o':
		job->file = argument;
		return 0;
	case 't':
	case 'x':
		job->direction = option == 't' ? ZCDMA_TX : ZCDMA_RX;
		return 0;
	case 'c':
	case 'u':
		job->cyclic = option == 'c';
		return 0;
	case 'q':
		job->quiet = true;
		return 0;
	case 'j':
		job->json = true;
		return 0;
	default:
		return EXIT_USAGE;
	}
}

static int run_job(struct job *job, int argc, char **argv, const char *short_options,
		   const char *help, int max_arguments)
{
	static const struct option options[] = {
		{ "bytes", required_argument, NULL, 'n' },
		{ "period", required_argument, NULL, 'p' },
		{ "ring", required_argument, NULL, 'r' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "output", required_argument, NULL, 'o' },
		{ "tx", no_argument, NULL, 't' },
		{ "rx", no_argument, NULL, 'x' },
		{ "cyclic", no_argument, NULL, 'c' },
		{ "queued", no_argument, NULL, 'u' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, ret;

	job->limit = UINT64_MAX;
	while ((option = getopt_long(argc, argv, "n:p:r:d:o:txcuqjh", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		if (option != '?' && !strchr(short_options, option))
			return complain_usage("-%c is not for %s", option, command);
		ret = set_option(job, option, optarg);
		if (ret)
			return ret;
	}
	if (optind == argc)
		return complain_usage("PORT is missing");
	if (argc - optind > max_arguments)
		return complain_usage("%s: superfluous argument", argv[optind + max_arguments]);
	job->port.name = argv[optind];
	if (argc - optind > 1)
		job->file = argv[optind + 1];
	ret = go(job);
	port_close(&job->port);
	return ret ? EXIT_FAILED : EXIT_DONE;
}

int read_main(int argc, char **argv)
{
	struct job job = { .direction = ZCDMA_RX, .cyclic = 0, .strict = true };

	return run_job(&job, argc, argv, "nprdoqj", read_help, 1);
}

int write_main(int argc, char **argv)
{
	struct job job = { .direction = ZCDMA_TX, .cyclic = 0, .strict = true };

	return run_job(&job, argc, argv, "prdqj", write_help, 2);
}

int stream_main(int argc, char **argv)
{
	struct job job = { .cyclic = -1 };

	return run_job(&job, argc, argv, "nprdtxcuqj", stream_help, 2);
}
