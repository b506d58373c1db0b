// SPDX-License-Identifier: GPL-2.0
/*
 * Ops at the devices that the device tree names as ports: one that gives random numbers,
 * and one that is a serial port. What comes out of that cannot be seen from here. So a
 * test tells the lines that it sends, and qemu/run sees that they came out, all of them
 * and in order. Where there is a PCI bus, it is the memory of QEMU's "edu" device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "pattern.h"
#include "port_util.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(128 * PAGE)
#define PATIENCE	20000		/* ms */
#define LINE_MAX_LEN	64

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(device) {
	struct zcdma_query_port tx, rx;
	int fd;				/* of the port that a test is about */
	long pinned;
	char *memory;
};

#define WORLD FIXTURE_DATA(device)

FIXTURE_SETUP(device)
{
	struct zcdma_query_port port = { 0 };
	int fd;

	zc_unlimit_memlock();
	fd = zc_open(0);
	ASSERT_LE(0, fd);
	for (; !zc_ioctl(fd, ZCDMA_IOC_QUERY_PORT, &port); port.index++) {
		if (port.out_directions & ZCDMA_TX)
			self->tx = port;
		else
			self->rx = port;
	}
	close(fd);
	self->fd = -1;
	self->pinned = zc_pinned_baseline();
	self->memory = zc_map(SIZE);
	pattern_write(target, self->memory, 0, SIZE);
}

FIXTURE_TEARDOWN(device)
{
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

static struct zcdma_op send_op(__u64 from, size_t len, __u32 buffer)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_SEND, .src = from, .len = len, .src_buffer = buffer,
	};
}

static struct zcdma_op recv_op(__u64 to, size_t len, __u32 buffer)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_RECV, .dst = to, .len = len, .dst_buffer = buffer,
	};
}

/* What the target lacks for tests of a device that takes something, or NULL. */
static const char *no_sender(void)
{
	return zc_lacks("ports") ? "ports: its engine serves no device here" : NULL;
}

/* The same for one that gives something. */
static const char *no_receiver(void)
{
	if (!no_sender() && zc_lacks("receiving-port"))
		return "receiving-port: the one here only sends";
	return no_sender();
}

static int have(WORLD *self, const struct zcdma_query_port *port)
{
	self->fd = port_open(port->out_name, 0, 0);
	return self->fd;
}

static const size_t offsets[] = { 0, 4, 60, 64, 68, PAGE - 4, PAGE + 8 };

TEST_F(device, is_listed_at_its_engine)
{
	struct zcdma_query_port *ports[] = { &self->tx, &self->rx };

	if (no_sender())
		SKIP(return, "lacks %s", no_sender());
	for (int i = 0; i < 2; i++) {
		struct zcdma_query_port query;
		int fd;

		if (!ports[i]->out_directions)
			continue;
		EXPECT_EQ(ZCDMA_PORT_FREE, ports[i]->out_state);
		EXPECT_STREQ(zc_provider(), ports[i]->out_provider);
		EXPECT_STRNE("", ports[i]->out_device);
		fd = port_open(ports[i]->out_name, 0, 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, port_query(ports[i]->out_name, &query));
		EXPECT_EQ(ZCDMA_PORT_BUSY, query.out_state);
		EXPECT_EQ(getpid(), query.out_owner);
		close(fd);
	}
	EXPECT_NE(0, self->tx.out_directions | self->rx.out_directions);
}

/* ---- from a device ---- */

#define LEN_MAX	(65536 + 68)

static const size_t lens[] = { 4, 60, 64, 128, 132, PAGE, PAGE + 4, 65536, LEN_MAX };

/* Every word of it is new, and nothing around it. The memory is as before afterwards. */
static bool came(WORLD *self, size_t to, size_t len)
{
	size_t width = self->rx.out_width, old = 0;
	static char before[LEN_MAX];
	bool fine;

	pattern_write(target, before, to, len);
	for (size_t at = 0; at < len; at += width)
		old += !memcmp(self->memory + to + at, before + at, width);
	if (old)
		printf("# %zu words of %zu bytes at %zu are as they were\n", old, len, to);
	fine = !old && pattern_holds(target, self->memory, 0, to) &&
	       pattern_holds(target, self->memory + to + len, to + len, SIZE - to - len);
	memcpy(self->memory + to, before, len);
	return fine;
}

/* At all offsets; @begin is the memory's, as an op has it with @buffer. */
static void receive_everywhere(struct __test_metadata *_metadata, WORLD *self, __u64 begin,
			       int buffer)
{
	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
			size_t to = PAGE + offsets[o];
			struct zcdma_op op = recv_op(begin + to, lens[l], buffer);
			struct zcdma_completion c = port_op(self->fd, op);

			ASSERT_EQ(0, c.res)
				TH_LOG("%zu bytes to %zu", lens[l], to);
			ASSERT_EQ(lens[l], c.done);
			ASSERT_TRUE(c.flags & ZCDMA_DONE_HARDWARE);
			ASSERT_TRUE(came(self, to, lens[l]));
		}
	}
}

TEST_F_TIMEOUT(device, fills_any_memory, 120)
{
	if (no_receiver())
		SKIP(return, "lacks %s", no_receiver());
	ASSERT_LE(0, have(self, &self->rx));
	receive_everywhere(_metadata, self, zc_ptr(self->memory), 0);
}

TEST_F_TIMEOUT(device, fills_registered_memory, 120)
{
	int id;

	if (no_receiver())
		SKIP(return, "lacks %s", no_receiver());
	ASSERT_LE(0, have(self, &self->rx));
	id = zc_register(self->fd, self->memory, SIZE, 0);
	ASSERT_LT(0, id);
	receive_everywhere(_metadata, self, 0, id);
	EXPECT_EQ(0, zc_unregister(self->fd, id));
}

/* Random numbers: two pages differ, and have about all the bytes that there are. */
TEST_F(device, gives_what_was_not_there_before)
{
	bool seen[256] = { false };
	unsigned int kinds = 0;

	if (no_receiver())
		SKIP(return, "lacks %s", no_receiver());
	ASSERT_LE(0, have(self, &self->rx));
	ASSERT_EQ(0, zc_do(self->fd, recv_op(zc_ptr(self->memory), PAGE, 0)));
	ASSERT_EQ(0, zc_do(self->fd, recv_op(zc_ptr(self->memory + PAGE), PAGE, 0)));
	EXPECT_NE(0, memcmp(self->memory, self->memory + PAGE, PAGE));
	for (size_t i = 0; i < PAGE; i++) {
		kinds += !seen[(__u8)self->memory[i]];
		seen[(__u8)self->memory[i]] = true;
	}
	EXPECT_LT(240, kinds);
}

/* ---- to a device ---- */

/* What the test sends: lines, and the words that they are. */
struct text {
	unsigned int id;		/* no other text in this guest has process and id */
	unsigned int lines;
	size_t len;			/* of the words */
};

static void get_line(const struct text *text, unsigned int number, char line[LINE_MAX_LEN])
{
	snprintf(line, LINE_MAX_LEN, "zcdma-test: %08d.%04u %u\n", getpid(), text->id, number);
}

/* Tell qemu/run to look for it. */
static void tell_text(const struct text *text)
{
	char line[LINE_MAX_LEN];

	for (unsigned int i = 0; i < text->lines; i++) {
		get_line(text, i, line);
		printf("# to come out of a serial port: %s", line);
	}
	fflush(stdout);
}

/* As words at @to. */
static struct text make_text(const WORLD *self, char *to, unsigned int lines)
{
	size_t width = self->tx.out_width, data = self->tx.out_data;
	static unsigned int texts;
	struct text text = { .id = texts++, .lines = lines };

	for (unsigned int number = 0; number < lines; number++) {
		char line[LINE_MAX_LEN];

		get_line(&text, number, line);
		for (size_t i = 0; line[i]; i += data, text.len += width) {
			memset(to + text.len, 0, width);
			memcpy(to + text.len, line + i, data);
		}
	}
	return text;
}

static struct text told_text(const WORLD *self, char *to, unsigned int lines)
{
	struct text text = make_text(self, to, lines);

	tell_text(&text);
	return text;
}

TEST_F_TIMEOUT(device, takes_any_memory, 60)
{
	if (no_sender())
		SKIP(return, "lacks %s", no_sender());
	ASSERT_LE(0, have(self, &self->tx));
	ASSERT_EQ(1, self->tx.out_data);
	for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
		char *from = self->memory + offsets[o];
		struct text text = told_text(self, from, 1 + 40 * (o & 1));
		struct zcdma_completion c = port_op(self->fd, send_op(zc_ptr(from), text.len, 0));

		EXPECT_EQ(0, c.res);
		EXPECT_EQ(text.len, c.done);
		EXPECT_TRUE(c.flags & ZCDMA_DONE_HARDWARE);
	}
}

TEST_F_TIMEOUT(device, takes_registered_memory, 60)
{
	int id;

	if (no_sender())
		SKIP(return, "lacks %s", no_sender());
	ASSERT_LE(0, have(self, &self->tx));
	id = zc_register(self->fd, self->memory, SIZE, ZCDMA_BUFFER_READ_ONLY);
	ASSERT_LT(0, id);
	for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
		struct text text = told_text(self, self->memory + offsets[o], 1 + 40 * (o & 1));

		EXPECT_EQ(0, zc_do(self->fd, send_op(offsets[o], text.len, id)));
	}
	EXPECT_EQ(0, zc_unregister(self->fd, id));
}

#define PARTS	50

/* Ops that are the text at the beginning of the memory. */
static void make_parts(const WORLD *self, const struct text *text, struct zcdma_op ops[PARTS])
{
	size_t part = text->len / PARTS / self->tx.out_width * self->tx.out_width;

	for (int i = 0; i < PARTS; i++) {
		ops[i] = send_op(zc_ptr(self->memory) + i * part,
				 i < PARTS - 1 ? part : text->len - i * part, 0);
		ops[i].user_data = i;
	}
}

/* Many short ops at once are one text. */
TEST_F_TIMEOUT(device, takes_ops_in_their_order, 60)
{
	struct zcdma_completion c[PARTS];
	struct zcdma_op ops[PARTS];
	struct text text;

	if (no_sender())
		SKIP(return, "lacks %s", no_sender());
	ASSERT_LE(0, have(self, &self->tx));
	text = told_text(self, self->memory, 60);
	make_parts(self, &text, ops);
	ASSERT_EQ(0, zc_submit(self->fd, ops, PARTS, NULL));
	ASSERT_EQ(PARTS, zc_reap(self->fd, c, PARTS, PATIENCE));
	for (__u64 i = 0; i < PARTS; i++) {
		EXPECT_EQ(i, c[i].user_data);
		EXPECT_EQ(0, c[i].res);
	}
}

/* ---- a stream to a device ---- */

#define RING	8192
#define PERIOD	1024

/*
 * Send a text of more than twice the ring, so it is filled again in step with the engine. What
 * was written is counted and went out, be there zeros in between or not. Return: what was lost,
 * in periods.
 */
static __u64 stream_text(struct __test_metadata *_metadata, WORLD *self, struct text *text)
{
	struct zcdma_stream_status before = stream_status(self->fd, ZCDMA_TX), after;
	long written;

	*text = make_text(self, self->memory, 600);
	ASSERT_LT(2 * RING, text->len);
	written = stream_write(self->fd, self->memory, text->len);
	ASSERT_EQ(0, stream_do(self->fd, ZCDMA_TX, ZCDMA_STREAM_DRAIN));
	after = stream_status(self->fd, ZCDMA_TX);
	EXPECT_EQ(ZCDMA_STREAM_STOPPED, after.out_state);
	ASSERT_TRUE(written >= 0 || written == -EPIPE);
	EXPECT_EQ(written < 0 ? 0 : written, after.out_copied - before.out_copied);
	EXPECT_LE(after.out_copied - before.out_copied, after.out_moved - before.out_moved);
	if (after.out_lost == before.out_lost)
		EXPECT_EQ(text->len, written);
	return after.out_lost - before.out_lost;
}

TEST_F_TIMEOUT(device, takes_a_stream_period_by_period, 120)
{
	struct zcdma_stream_status status;
	struct text text;

	if (no_sender())
		SKIP(return, "lacks %s", no_sender());
	ASSERT_LE(0, have(self, &self->tx));
	ASSERT_EQ(0, stream_setup(self->fd, ZCDMA_TX, ZCDMA_STREAM_QUEUED, PERIOD, RING));
	stream_text(_metadata, self, &text);
	tell_text(&text);
	status = stream_status(self->fd, ZCDMA_TX);
	EXPECT_EQ(text.len, status.out_moved);
	EXPECT_EQ(text.len, status.out_copied);
}

/*
 * The engine goes round and waits for nobody. A guest that gets no CPU is late, and the
 * port has zeros, or a period cut short: that is told, and the text is sent once more. Only for
 * that: what is wrong with the numbers of a text is so the first time.
 */
TEST_F_TIMEOUT(device, takes_a_stream_from_a_ring, 120)
{
	__u64 end = zc_now_ms() + 90000;	/* of the test's 120 s */
	struct text text;
	__u64 lost;

	if (no_sender())
		SKIP(return, "lacks %s", no_sender());
	if (zc_lacks("cyclic"))
		SKIP(return, "lacks cyclic: a ring has no end here");
	ASSERT_LE(0, have(self, &self->tx));
	ASSERT_EQ(0, stream_setup(self->fd, ZCDMA_TX, 0, PERIOD, RING));
	while ((lost = stream_text(_metadata, self, &text))) {
		TH_LOG("too late: %llu periods were not there in time", (unsigned long long)lost);
		/* Counting does not help: there the engine takes no time at all, and is early. */
		ASSERT_GT(end, zc_now_ms());
	}
	/* Zeros may follow the last line, and were counted as lost if they came before. */
	tell_text(&text);
}

/* ---- what they are not for ---- */

/* pl330 can be paused and not resumed, bcm2835-dma neither: no stream of theirs can be paused. */
TEST_F(device, that_cannot_pause_says_so)
{
	struct zcdma_attach_port how = { 0 };
	int fd = zc_open(0), wanted;

	if (no_sender())
		SKIP(return, "lacks %s", no_sender());
	self->fd = fd;
	strcpy(how.name, self->tx.out_name);
	ASSERT_EQ(0, zc_ioctl(fd, ZCDMA_IOC_ATTACH_PORT, &how));
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_TX, ZCDMA_STREAM_QUEUED, PERIOD, RING));
	wanted = how.out_tx_caps & ZCDMA_CAP_PAUSE ? -EBUSY : -EOPNOTSUPP;
	EXPECT_EQ(wanted, stream_do(fd, ZCDMA_TX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(wanted, stream_do(fd, ZCDMA_TX, ZCDMA_STREAM_RESUME));
	ASSERT_EQ(0, stream_do(fd, ZCDMA_TX, ZCDMA_STREAM_START));
	if (wanted == -EOPNOTSUPP)
		EXPECT_EQ(wanted, stream_do(fd, ZCDMA_TX, ZCDMA_STREAM_PAUSE));
	EXPECT_EQ(ZCDMA_STREAM_RUNNING, stream_status(fd, ZCDMA_TX).out_state);
}

TEST_F(device, goes_one_way_in_whole_words)
{
	struct zcdma_query_port *ports[] = { &self->tx, &self->rx };

	if (no_sender())
		SKIP(return, "lacks %s", no_sender());
	for (int i = 0; i < 2; i++) {
		bool sends = ports[i]->out_directions & ZCDMA_TX;
		__u64 at = zc_ptr(self->memory);
		struct zcdma_op wrong;
		int fd;

		if (!ports[i]->out_directions)
			continue;
		fd = port_open(ports[i]->out_name, 0, 0);
		ASSERT_LE(0, fd);
		wrong = sends ? recv_op(at, PAGE, 0) : send_op(at, PAGE, 0);
		EXPECT_EQ(-EOPNOTSUPP, port_refusal(fd, wrong));
		wrong = zc_copy_op(self->memory, self->memory + PAGE, 64, 0);
		EXPECT_EQ(-EOPNOTSUPP, port_refusal(fd, wrong));
		if (ports[i]->out_width > 1) {
			wrong = sends ? send_op(at, 6, 0) : recv_op(at, 6, 0);
			EXPECT_EQ(-EINVAL, port_refusal(fd, wrong));
			wrong = sends ? send_op(at + 2, 4, 0) : recv_op(at + 2, 4, 0);
			EXPECT_EQ(-EINVAL, port_refusal(fd, wrong));
		}
		EXPECT_EQ(-EBUSY, port_open(ports[i]->out_name, 0, 0));
		close(fd);
	}
	EXPECT_TRUE(pattern_holds(target, self->memory, 0, SIZE));
}

/* ---- a bus master on PCI ---- */

enum { BOARD = 4092 };	/* of its 4095 bytes, in words */

/* It has one channel, and memory in place of a FIFO: up, and then down again. */
TEST_F(device, that_is_edu_keeps_what_it_was_sent)
{
	char *from = self->memory + PAGE - 16, *to = self->memory + 8 * PAGE - 8;
	bool loaded = !access("/sys/module/edudma", F_OK);
	struct zcdma_query_channel edu;
	struct zcdma_completion c;
	struct zcdma_op late;
	char text[256];

	if (zc_lacks("edu"))
		SKIP(return, "lacks edu");
	ASSERT_EQ(0, system("modprobe edudma"));
	ASSERT_EQ(0, zc_query("edudma", &edu));
	snprintf(text, sizeof(text), "t-up:tx=%s,width=4,reg=0x40000;"
		 "t-down:rx=%s,width=4,reg=0x40000", edu.out_name, edu.out_name);
	ASSERT_EQ(0, port_declare(text));
	pattern_write(source, from, 0, BOARD);
	self->fd = port_open("t-up", 0, 0);
	ASSERT_LE(0, self->fd);
	c = port_op(self->fd, send_op(zc_ptr(from), BOARD, 0));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(ZCDMA_DONE_HARDWARE | ZCDMA_DONE_REPORTED | ZCDMA_DONE_RESIDUE, c.flags);
	close(self->fd);
	self->fd = port_open("t-down", 0, 0);
	ASSERT_LE(0, self->fd);
	c = port_op(self->fd, recv_op(zc_ptr(to), BOARD, 0));
	EXPECT_EQ(0, c.res);
	EXPECT_TRUE(pattern_holds(target, to - PAGE, to - PAGE - self->memory, PAGE));
	EXPECT_TRUE(pattern_holds(source, to, 0, BOARD));
	EXPECT_TRUE(pattern_holds(target, to + BOARD, to + BOARD - self->memory, PAGE));
	/* 32 pieces of 100 ms do not fit into half a second. */
	late = recv_op(zc_ptr(to), 32 * BOARD, 0);
	late.deadline_ms = 500;
	c = port_op(self->fd, late);
	EXPECT_EQ(-ETIMEDOUT, c.res);
	EXPECT_LT(0, c.done);
	EXPECT_GT(32 * BOARD, c.done);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, port_declare("-t-up;-t-down"));
	EXPECT_TRUE(loaded || !system("modprobe -r edudma"));
}

ZC_TEST_MAIN
