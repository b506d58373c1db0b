// SPDX-License-Identifier: GPL-2.0
/*
 * zcdma read, write: so many bytes from or to a port, as ops.
 *
 * What is read is asked for in blocks, of which two are on their way: the engine has the
 * next one when the first is done, so the device need not wait for us. It is asked for
 * no more than is wanted. What is written goes block by block: where one is cut short,
 * the device must get the rest of it before the next.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flow.h"

#define BLOCKS		2
#define BLOCK_DEFAULT	65536

/* How often to look whether we were interrupted, and to draw the meter. */
#define LOOK_MS		200

#define OPTIONS_HELP \
	"  -b, --block SIZE     move in ops of SIZE (default 64K)\n" \
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

/**
 * struct transfer - a flow by ops
 * @flow: what is moved.
 * @size: of a block, in whole words.
 * @memory: of the blocks.
 * @forever: there is no deadline.
 * @begun: blocks that ops were submitted for.
 * @ended: of those, completed ones.
 * @asked: bytes of words of those that are not.
 * @len: of each block's op.
 * @back: it is complete.
 * @result: what became of it.
 * @moved: when something was, in seconds.
 */
struct transfer {
	struct flow flow;
	uint64_t size;
	char *memory[BLOCKS];
	bool forever;
	unsigned int begun;
	unsigned int ended;
	uint64_t asked;
	size_t len[BLOCKS];
	bool back[BLOCKS];
	struct zcdma_completion result[BLOCKS];
	double moved;
};

static int submit(struct transfer *t, size_t len)
{
	unsigned int block = t->begun % BLOCKS;
	bool rx = t->flow.direction == ZCDMA_RX;
	uintptr_t addr = (uintptr_t)t->memory[block];
	struct zcdma_op op = {
		.opcode = rx ? ZCDMA_OP_RECV : ZCDMA_OP_SEND,
		.user_data = block,
		.src = rx ? 0 : addr,
		.dst = rx ? addr : 0,
		.len = len,
	};

	if (zcdma_submit(t->flow.port.session, &op, 1, NULL)) {
		if (errno == ENOMEM)
			return complain("%s: no memory for blocks of %zu bytes; see ulimit -l",
					t->flow.port.name, len);
		if (errno == EOPNOTSUPP)
			return complain("%s: its engine cannot be stopped", t->flow.port.name);
		return flow_explain(&t->flow);
	}
	t->len[block] = len;
	t->back[block] = false;
	t->asked += len;
	t->begun++;
	return 0;
}

/* Look for a completion for a while. 0, or -1 after telling why there is none any more. */
static int look(struct transfer *t)
{
	struct zcdma_completion c;
	int got = zcdma_reap(t->flow.port.session, &c, 1, LOOK_MS);

	if (got == 1) {
		t->result[c.user_data] = c;
		t->back[c.user_data] = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		return flow_explain(&t->flow);
	}
	return 0;
}

/*
 * The oldest op completes, called off if we are interrupted. One that has not begun may be
 * back before it. 0, or -1 after telling why not.
 */
static int await(struct transfer *t, struct zcdma_completion *result)
{
	unsigned int block = t->ended % BLOCKS;

	while (!t->back[block]) {
		if (look(t))
			return -1;
		if (interrupted)
			zcdma_cancel_all(t->flow.port.session);
		if (flow_meter_due(&t->flow))
			flow_meter(&t->flow, "");
	}
	*result = t->result[block];
	t->asked -= t->len[block];
	t->ended++;
	return 0;
}

/*
 * An op was cut short: may others go on from there? After a deadline they may while
 * something moves, if it is known how much did.
 */
static bool goes_on(struct transfer *t, const struct zcdma_completion *result)
{
	double now = seconds(CLOCK_MONOTONIC);

	if (result->done)
		t->moved = now;
	if (!result->res)
		return true;
	if (result->res != -ETIMEDOUT || !(result->flags & ZCDMA_DONE_RESIDUE))
		return false;
	return t->forever || now - t->moved < t->flow.port.deadline_ms / 1e3;
}

/* 0, or -1 after telling what went wrong; that we were interrupted is nothing wrong. */
static int end_of(const struct transfer *t, const struct zcdma_completion *result)
{
	if (interrupted && result->res == -ECANCELED)
		return 0;
	errno = -result->res;
	return flow_explain(&t->flow);
}

/* ---- read ---- */

/* Bytes of words that are still to be asked for. */
static uint64_t wanted(const struct transfer *t)
{
	const struct flow *flow = &t->flow;
	uint64_t words;

	if (flow->limit == UINT64_MAX)
		return UINT64_MAX;
	words = (flow->limit - flow->done + flow->data - 1) / flow->data;
	return words * flow->width - t->asked;
}

static int ask(struct transfer *t)
{
	while (t->begun - t->ended < BLOCKS && wanted(t) && !interrupted) {
		uint64_t len = wanted(t);

		if (submit(t, len < t->size ? len : t->size))
			return -1;
	}
	return 0;
}

static int take(struct transfer *t, char *block, size_t len)
{
	struct flow *flow = &t->flow;
	size_t n = flow_gather(flow, block, len);

	if (n > flow->limit - flow->done)
		n = flow->limit - flow->done;
	return flow_put(flow, block, n);
}

/* Whatever happens, what was asked for is waited for: it is in our memory. */
static int read_all(struct transfer *t)
{
	struct zcdma_completion result;
	int ret = ask(t);

	while (t->begun != t->ended) {
		char *block = t->memory[t->ended % BLOCKS];
		bool go_on;

		if (await(t, &result))
			return -1;
		go_on = goes_on(t, &result);
		if (ret)
			continue;
		ret = take(t, block, result.done);
		if (!ret && !go_on)
			ret = end_of(t, &result);
		if (ret)
			zcdma_cancel_all(t->flow.port.session);
		else
			ret = ask(t);
	}
	if (!ret && t->flow.limit != UINT64_MAX && t->flow.done < t->flow.limit)
		ret = -1;
	return ret;
}

/* ---- write ---- */

/* The words at the begin of the block. */
static int send_words(struct transfer *t, size_t len)
{
	struct zcdma_completion result;
	char *block = t->memory[0];

	while (len && !interrupted) {
		t->begun = 0;
		t->ended = 0;
		if (submit(t, len) || await(t, &result))
			return -1;
		t->flow.done += result.done / t->flow.width * t->flow.data;
		if (!goes_on(t, &result))
			return end_of(t, &result);
		len -= result.done;
		memmove(block, block + result.done, len);
	}
	return 0;
}

static int write_all(struct transfer *t)
{
	struct flow *flow = &t->flow;
	size_t room = t->size / flow->width * flow->data, held = 0;
	char *data = t->memory[1];
	int ret = 0;

	while (!ret && !interrupted) {
		ssize_t got = flow_get(flow, data, held, room);
		size_t whole;

		if (got < 0)
			return interrupted ? 0 : -1;
		if ((size_t)got == held)
			return flow_rest(flow, held);
		held = got;
		whole = held - held % flow->data;
		t->moved = seconds(CLOCK_MONOTONIC);
		ret = send_words(t, flow_spread(flow, t->memory[0], data, whole));
		memmove(data, data + whole, held - whole);
		held -= whole;
	}
	return ret;
}

/* ---- both ---- */

static void summary(const struct transfer *t)
{
	const struct flow *flow = &t->flow;
	double elapsed = seconds(CLOCK_MONOTONIC) - flow->started;
	FILE *out = flow_summary_to(flow);

	if (flow->json)
		fprintf(out, "{\"port\": \"%s\", \"bytes\": %llu, \"seconds\": %.6f, %s%.0f}\n",
			flow->port.name, flow->done, elapsed, "\"bytes_per_second\": ",
			flow_rate(flow, elapsed));
	else if (!flow->quiet)
		fprintf(out, "%llu bytes %s %s, %.3f MB/s\n", flow->done,
			flow->direction == ZCDMA_TX ? "to" : "from", flow->port.name,
			flow_rate(flow, elapsed) / 1e6);
}

/* Blocks of whole words; a short read needs no long ones. */
static int make_blocks(struct transfer *t)
{
	const struct flow *flow = &t->flow;
	int i;

	if (!t->size)
		t->size = BLOCK_DEFAULT;
	if (t->size % flow->width)
		return complain("%s: %llu bytes are no multiple of its %zu-byte words",
				flow->port.name, (unsigned long long)t->size, flow->width);
	if (wanted(t) < t->size)
		t->size = wanted(t);
	for (i = 0; i < BLOCKS; i++) {
		/* Lines of the cache to itself: then no byte goes by way of the CPU. */
		t->memory[i] = aligned_alloc(4096, (t->size + 4095) / 4096 * 4096);
		if (!t->memory[i])
			return complain("%s", strerror(errno));
	}
	return 0;
}

static int prepare(struct transfer *t)
{
	struct flow *flow = &t->flow;
	struct zcdma_get_info info;

	if (flow_look(flow))
		return -1;
	zcdma_get_info(flow->port.session, &info);
	t->forever = !flow->port.deadline_ms;
	if (t->forever)
		flow->port.deadline_ms = info.out_max_deadline_ms;
	if (t->size > info.out_max_len)
		return complain("--block: at most %llu bytes",
				(unsigned long long)info.out_max_len);
	if (port_take(&flow->port) || make_blocks(t) || flow_start(flow))
		return -1;
	t->moved = flow->started;
	return 0;
}

static int go(struct transfer *t)
{
	int ret;

	if (prepare(t))
		return -1;
	ret = t->flow.direction == ZCDMA_RX ? read_all(t) : write_all(t);
	flow_meter_end(&t->flow);
	summary(t);
	return ret;
}

static int set_option(struct transfer *t, int option, const char *argument)
{
	switch (option) {
	case 'b':
		if (!parse_size(argument, &t->size) || !t->size)
			return complain_usage("--block: %s: not a size", argument);
		return EXIT_DONE;
	case 'o':
		t->flow.file = argument;
		return EXIT_DONE;
	default:
		return flow_set_option(&t->flow, option, argument);
	}
}

static int run(int argc, char **argv, __u32 direction, const char *help)
{
	static const struct option options[] = {
		{ "block", required_argument, NULL, 'b' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "bytes", required_argument, NULL, 'n' },
		{ "output", required_argument, NULL, 'o' },
		{ 0 },
	};
	bool rx = direction == ZCDMA_RX;
	struct transfer t = { .flow = { .direction = direction, .limit = UINT64_MAX } };
	int option, ret, i;

	while ((option = getopt_long(argc, argv, rx ? "b:d:qjhn:o:" : "b:d:qjh", options,
				     NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		if (!rx && (option == 'n' || option == 'o'))
			return complain_usage("-%c is not for %s", option, command);
		ret = set_option(&t, option, optarg);
		if (ret)
			return ret;
	}
	if (optind == argc)
		return complain_usage("PORT is missing");
	if (argc - optind > (rx ? 1 : 2))
		return complain_usage("%s: superfluous argument", argv[optind + (rx ? 1 : 2)]);
	t.flow.port.name = argv[optind];
	if (!rx)
		t.flow.file = argv[optind + 1];
	ret = go(&t);
	port_close(&t.flow.port);
	for (i = 0; i < BLOCKS; i++)
		free(t.memory[i]);
	return ret ? EXIT_FAILED : EXIT_DONE;
}

int read_main(int argc, char **argv)
{
	return run(argc, argv, ZCDMA_RX, read_help);
}

int write_main(int argc, char **argv)
{
	return run(argc, argv, ZCDMA_TX, write_help);
}
