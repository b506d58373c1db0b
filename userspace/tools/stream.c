// SPDX-License-Identifier: GPL-2.0
/* zcdma stream: bytes from or to a port without end, by a ring of periods. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flow.h"

static const char help[] =
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
	"  -p, --period SIZE    move in periods of SIZE (default 4096)\n"
	"  -r, --ring SIZE      with a ring of SIZE (default 64 periods)\n"
	"  -d, --deadline MS    give up when the device asks for nothing for so long\n"
	"  -q, --quiet          no summary\n"
	"  -j, --json           the summary as JSON, on standard output (standard error if\n"
	"                       the data is there)\n"
	"  -h, --help\n";

/**
 * struct stream - a flow by a ring
 * @flow: what is moved.
 * @cyclic: 1, 0, or -1: not said.
 * @period: in bytes of words.
 * @ring: the same.
 * @overruns: how often something was lost, or was late.
 */
struct stream {
	struct flow flow;
	int cyclic;
	uint64_t period;
	uint64_t ring;
	unsigned long long overruns;
};

static bool queued(const struct stream *stream)
{
	if (stream->cyclic >= 0)
		return !stream->cyclic;
	return stream->flow.direction == ZCDMA_TX ||
	       !(stream->flow.port.caps[1] & ZCDMA_CAP_CYCLIC);
}

static int setup(struct stream *stream)
{
	struct flow *flow = &stream->flow;
	struct zcdma_stream_setup how = {
		.flags = queued(stream) ? ZCDMA_STREAM_QUEUED : 0,
		.direction = flow->direction,
		.period_bytes = stream->period,
		.ring_bytes = stream->ring ? stream->ring : 64 * stream->period,
	};
	const char *name = flow->port.name;

	if (!zcdma_stream_setup(flow->port.session, &how))
		return 0;
	switch (errno) {
	case EOPNOTSUPP:
		return complain("%s: its engine has no cyclic transfers; try --queued", name);
	case EINVAL:
		if (stream->period % flow->width)
			return complain("%s: %llu bytes are no multiple of its %zu-byte words",
					name, (unsigned long long)stream->period, flow->width);
		if (stream->period < ZCDMA_STREAM_MIN_PERIOD ||
		    stream->period > ZCDMA_STREAM_MAX_PERIOD)
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

static unsigned long long lost(const struct stream *stream)
{
	struct zcdma_stream_status status;

	if (zcdma_stream_status(stream->flow.port.session, stream->flow.direction, &status))
		return 0;
	return status.out_lost;
}

/* A queued ring that sends waits where it has nothing: a gap, and all is sent. */
static bool has_gaps(const struct stream *stream)
{
	return stream->flow.direction == ZCDMA_TX && queued(stream);
}

static const char *lost_what(const struct stream *stream)
{
	return has_gaps(stream) ? "gaps" : "periods lost";
}

static void meter(struct stream *stream)
{
	char text[64];

	if (!flow_meter_due(&stream->flow))
		return;
	snprintf(text, sizeof(text), "  %llu %s", lost(stream), lost_what(stream));
	flow_meter(&stream->flow, text);
}

static int timeout_of(const struct stream *stream)
{
	return stream->flow.port.deadline_ms ? (int)stream->flow.port.deadline_ms : -1;
}

static int receive(struct stream *stream)
{
	struct flow *flow = &stream->flow;
	char *buf = malloc(stream->period);
	size_t held = 0;
	int ret = buf ? 0 : complain("%s", strerror(errno));

	while (!ret && !interrupted && flow->done < flow->limit) {
		long got = zcdma_stream_read(flow->port.session, buf + held,
					     stream->period - held, timeout_of(stream));
		size_t n;

		if (!got || (got < 0 && errno == EINTR))
			break;
		if (got < 0 && errno == EPIPE) {
			stream->overruns++;
			held = 0;
			continue;
		}
		if (got < 0) {
			ret = flow_explain(flow);
			break;
		}
		/* Words may come in parts; a period is whole words. */
		held += got;
		if (held % flow->width)
			continue;
		n = flow_gather(flow, buf, held);
		if (n > flow->limit - flow->done)
			n = flow->limit - flow->done;
		held = 0;
		ret = flow_put(flow, buf, n);
		meter(stream);
	}
	free(buf);
	return ret;
}

static int send_words(struct stream *stream, const char *words, size_t len)
{
	while (len && !interrupted) {
		long got = zcdma_stream_write(stream->flow.port.session, words, len,
					      timeout_of(stream));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EPIPE) {
			stream->overruns++;
			continue;
		}
		if (got < 0)
			return flow_explain(&stream->flow);
		words += got;
		len -= got;
	}
	return 0;
}

/* Sent is sent in whole words: bytes that make none wait for more. */
static int send_input(struct stream *stream, char *words, char *data, size_t room)
{
	struct flow *flow = &stream->flow;
	size_t held = 0;

	for (;;) {
		ssize_t got = flow_get(flow, data, held, room);
		size_t whole;

		if (got < 0)
			return interrupted ? 0 : -1;
		if ((size_t)got == held)
			return flow_rest(flow, held);
		held = got;
		whole = held - held % flow->data;
		if (send_words(stream, words, flow_spread(flow, words, data, whole)))
			return -1;
		flow->done += whole;
		memmove(data, data + whole, held - whole);
		held -= whole;
		meter(stream);
	}
}

static int send_all(struct stream *stream)
{
	struct flow *flow = &stream->flow;
	size_t room = stream->period / flow->width * flow->data;
	char *words = malloc(stream->period), *data = malloc(room);
	int ret = -1;

	if (words && data)
		ret = send_input(stream, words, data, room);
	else
		complain("%s", strerror(errno));
	if (!interrupted && zcdma_stream_control(flow->port.session, ZCDMA_TX, ZCDMA_STREAM_DRAIN))
		ret = flow_explain(flow);
	free(words);
	free(data);
	return ret;
}

static void summary(struct stream *stream)
{
	const struct flow *flow = &stream->flow;
	double elapsed = seconds(CLOCK_MONOTONIC) - flow->started;
	FILE *out = flow_summary_to(flow);
	unsigned long long missing = lost(stream);
	bool tx = flow->direction == ZCDMA_TX;

	if (flow->json) {
		fprintf(out, "{\"port\": \"%s\", \"ring\": \"%s\", ", flow->port.name,
			queued(stream) ? "queued" : "cyclic");
		fprintf(out, "\"bytes\": %llu, \"seconds\": %.6f, \"bytes_per_second\": %.0f, ",
			flow->done, elapsed, flow_rate(flow, elapsed));
		fprintf(out, "\"%ss\": %llu, \"periods_lost\": %llu}\n",
			tx ? "underrun" : "overrun",
			has_gaps(stream) ? missing : stream->overruns,
			has_gaps(stream) ? 0 : missing);
	} else if (!flow->quiet) {
		fprintf(out, "%llu bytes %s %s, %.3f MB/s, %llu %s\n", flow->done,
			tx ? "to" : "from", flow->port.name, flow_rate(flow, elapsed) / 1e6,
			missing, lost_what(stream));
	}
}

/* A short read needs no long period. */
static void fit_period(struct stream *stream)
{
	const struct flow *flow = &stream->flow;
	uint64_t need = (flow->limit + flow->data - 1) / flow->data * flow->width;

	if (stream->period)
		return;
	stream->period = need < 4096 && flow->limit != UINT64_MAX ? need : 4096;
	if (stream->period < ZCDMA_STREAM_MIN_PERIOD)
		stream->period = ZCDMA_STREAM_MIN_PERIOD;
}

static int go(struct stream *stream)
{
	struct flow *flow = &stream->flow;
	int ret;

	if (flow_look(flow))
		return -1;
	if (!flow->direction && flow->port.query.out_directions == (ZCDMA_TX | ZCDMA_RX))
		return complain("%s sends and receives: say --tx or --rx", flow->port.name);
	if (!flow->direction)
		flow->direction = flow->port.query.out_directions;
	fit_period(stream);
	if (port_take(&flow->port) || setup(stream) || flow_start(flow))
		return -1;
	ret = flow->direction == ZCDMA_TX ? send_all(stream) : receive(stream);
	flow_meter_end(flow);
	summary(stream);
	if (!ret && flow->limit != UINT64_MAX && flow->done < flow->limit)
		ret = -1;
	return ret;
}

static int set_option(struct stream *stream, int option, const char *argument)
{
	switch (option) {
	case 'p':
		if (!parse_size(argument, &stream->period) || stream->period > UINT32_MAX)
			return complain_usage("--period: %s: not a size", argument);
		return EXIT_DONE;
	case 'r':
		if (!parse_size(argument, &stream->ring))
			return complain_usage("--ring: %s: not a size", argument);
		return EXIT_DONE;
	case 't':
	case 'x':
		stream->flow.direction = option == 't' ? ZCDMA_TX : ZCDMA_RX;
		return EXIT_DONE;
	case 'c':
	case 'u':
		stream->cyclic = option == 'c';
		return EXIT_DONE;
	default:
		return flow_set_option(&stream->flow, option, argument);
	}
}

int stream_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "bytes", required_argument, NULL, 'n' },
		{ "period", required_argument, NULL, 'p' },
		{ "ring", required_argument, NULL, 'r' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "tx", no_argument, NULL, 't' },
		{ "rx", no_argument, NULL, 'x' },
		{ "cyclic", no_argument, NULL, 'c' },
		{ "queued", no_argument, NULL, 'u' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct stream stream = { .flow = { .limit = UINT64_MAX }, .cyclic = -1 };
	int option, ret;

	while ((option = getopt_long(argc, argv, "n:p:r:d:txcuqjh", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		ret = set_option(&stream, option, optarg);
		if (ret)
			return ret;
	}
	if (optind == argc)
		return complain_usage("PORT is missing");
	if (argc - optind > 2)
		return complain_usage("%s: superfluous argument", argv[optind + 2]);
	stream.flow.port.name = argv[optind];
	if (argc - optind > 1)
		stream.flow.file = argv[optind + 1];
	ret = go(&stream);
	port_close(&stream.flow.port);
	return ret ? EXIT_FAILED : EXIT_DONE;
}
