// SPDX-License-Identifier: GPL-2.0
/*
 * The ABI's form: numbers, layouts, sizes, flags, reserved fields, pointers.
 * Built twice on x86: the 32-bit program must find exactly the same.
 */
#include <assert.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "harness.h"
#include "zcdma_util.h"

/* ---- what is frozen for ever ---- */

#define FROZEN_SIZE(type, size) \
	static_assert(sizeof(struct type) == (size), #type)
#define FROZEN(type, field, offset) \
	static_assert(offsetof(struct type, field) == (offset), #type "." #field)

FROZEN_SIZE(zcdma_get_info, 56);
FROZEN(zcdma_get_info, flags, 0);
FROZEN(zcdma_get_info, out_channels, 4);
FROZEN(zcdma_get_info, out_features, 8);
FROZEN(zcdma_get_info, out_opcodes, 16);
FROZEN(zcdma_get_info, out_max_len, 24);
FROZEN(zcdma_get_info, out_max_deadline_ms, 32);
FROZEN(zcdma_get_info, out_default_deadline_ms, 36);
FROZEN(zcdma_get_info, out_max_queue_depth, 40);
FROZEN(zcdma_get_info, out_queue_depth, 44);
FROZEN(zcdma_get_info, out_outstanding, 48);
FROZEN(zcdma_get_info, __reserved, 52);

FROZEN_SIZE(zcdma_query_channel, 240);
FROZEN(zcdma_query_channel, flags, 0);
FROZEN(zcdma_query_channel, index, 4);
FROZEN(zcdma_query_channel, out_caps, 8);
FROZEN(zcdma_query_channel, out_state, 16);
FROZEN(zcdma_query_channel, out_sessions, 20);
FROZEN(zcdma_query_channel, out_copy_align, 24);
FROZEN(zcdma_query_channel, out_fill_align, 28);
FROZEN(zcdma_query_channel, out_max_segment, 32);
FROZEN(zcdma_query_channel, out_residue, 36);
FROZEN(zcdma_query_channel, out_numa_node, 40);
FROZEN(zcdma_query_channel, __reserved, 44);
FROZEN(zcdma_query_channel, out_name, 48);
FROZEN(zcdma_query_channel, out_device, 112);
FROZEN(zcdma_query_channel, out_provider, 176);

FROZEN_SIZE(zcdma_attach, 152);
FROZEN(zcdma_attach, flags, 0);
FROZEN(zcdma_attach, channels, 4);
FROZEN(zcdma_attach, caps, 8);
FROZEN(zcdma_attach, queue_depth, 16);
FROZEN(zcdma_attach, deadline_ms, 20);
FROZEN(zcdma_attach, name, 24);
FROZEN(zcdma_attach, out_name, 88);

FROZEN_SIZE(zcdma_op, 64);
FROZEN(zcdma_op, opcode, 0);
FROZEN(zcdma_op, __reserved0, 1);
FROZEN(zcdma_op, flags, 4);
FROZEN(zcdma_op, user_data, 8);
FROZEN(zcdma_op, src, 16);
FROZEN(zcdma_op, dst, 24);
FROZEN(zcdma_op, len, 32);
FROZEN(zcdma_op, src_buffer, 40);
FROZEN(zcdma_op, dst_buffer, 44);
FROZEN(zcdma_op, deadline_ms, 48);
FROZEN(zcdma_op, __reserved1, 52);
FROZEN(zcdma_op, __reserved2, 56);
FROZEN(zcdma_op, rows, 52);
FROZEN(zcdma_op, src_stride, 56);
FROZEN(zcdma_op, dst_stride, 60);

FROZEN_SIZE(zcdma_completion, 32);
FROZEN(zcdma_completion, user_data, 0);
FROZEN(zcdma_completion, done, 8);
FROZEN(zcdma_completion, res, 16);
FROZEN(zcdma_completion, flags, 20);
FROZEN(zcdma_completion, __reserved, 24);

FROZEN_SIZE(zcdma_register_buffer, 24);
FROZEN(zcdma_register_buffer, flags, 0);
FROZEN(zcdma_register_buffer, out_buffer, 4);
FROZEN(zcdma_register_buffer, addr, 8);
FROZEN(zcdma_register_buffer, len, 16);

FROZEN_SIZE(zcdma_unregister_buffer, 8);
FROZEN(zcdma_unregister_buffer, flags, 0);
FROZEN(zcdma_unregister_buffer, buffer, 4);

FROZEN_SIZE(zcdma_submit, 32);
FROZEN(zcdma_submit, flags, 0);
FROZEN(zcdma_submit, count, 4);
FROZEN(zcdma_submit, ops, 8);
FROZEN(zcdma_submit, op_size, 16);
FROZEN(zcdma_submit, out_accepted, 20);
FROZEN(zcdma_submit, completions, 24);

FROZEN_SIZE(zcdma_cancel, 16);
FROZEN(zcdma_cancel, flags, 0);
FROZEN(zcdma_cancel, out_cancelled, 4);
FROZEN(zcdma_cancel, user_data, 8);

FROZEN_SIZE(zcdma_drain, 8);
FROZEN(zcdma_drain, flags, 0);
FROZEN(zcdma_drain, timeout_ms, 4);

FROZEN_SIZE(zcdma_query_port, 288);
FROZEN(zcdma_query_port, index, 4);
FROZEN(zcdma_query_port, out_directions, 8);
FROZEN(zcdma_query_port, out_state, 12);
FROZEN(zcdma_query_port, out_width, 16);
FROZEN(zcdma_query_port, out_burst, 20);
FROZEN(zcdma_query_port, out_owner, 24);
FROZEN(zcdma_query_port, out_data, 28);
FROZEN(zcdma_query_port, out_name, 32);
FROZEN(zcdma_query_port, out_device, 96);
FROZEN(zcdma_query_port, out_provider, 160);
FROZEN(zcdma_query_port, out_owner_name, 224);

FROZEN_SIZE(zcdma_attach_port, 104);
FROZEN(zcdma_attach_port, queue_depth, 4);
FROZEN(zcdma_attach_port, deadline_ms, 8);
FROZEN(zcdma_attach_port, __reserved, 12);
FROZEN(zcdma_attach_port, name, 16);
FROZEN(zcdma_attach_port, out_directions, 80);
FROZEN(zcdma_attach_port, out_width, 84);
FROZEN(zcdma_attach_port, out_tx_caps, 88);
FROZEN(zcdma_attach_port, out_rx_caps, 96);

FROZEN_SIZE(zcdma_stream_setup, 40);
FROZEN(zcdma_stream_setup, direction, 4);
FROZEN(zcdma_stream_setup, period_bytes, 8);
FROZEN(zcdma_stream_setup, __reserved, 12);
FROZEN(zcdma_stream_setup, ring_bytes, 16);
FROZEN(zcdma_stream_setup, out_periods, 24);
FROZEN(zcdma_stream_setup, out_residue, 28);
FROZEN(zcdma_stream_setup, out_ring_bytes, 32);

FROZEN_SIZE(zcdma_stream_control, 16);
FROZEN(zcdma_stream_control, direction, 4);
FROZEN(zcdma_stream_control, action, 8);
FROZEN(zcdma_stream_control, __reserved, 12);

FROZEN_SIZE(zcdma_stream_status, 56);
FROZEN(zcdma_stream_status, direction, 4);
FROZEN(zcdma_stream_status, out_state, 8);
FROZEN(zcdma_stream_status, out_head, 16);
FROZEN(zcdma_stream_status, out_tail, 24);
FROZEN(zcdma_stream_status, out_lost, 32);
FROZEN(zcdma_stream_status, out_moved, 40);
FROZEN(zcdma_stream_status, out_copied, 48);

FROZEN_SIZE(zcdma_ring, 160);
FROZEN(zcdma_ring, head, 0);
FROZEN(zcdma_ring, tail, 64);
FROZEN(zcdma_ring, oldest, 128);
FROZEN(zcdma_ring, lost, 136);
FROZEN(zcdma_ring, state, 144);
FROZEN(zcdma_ring, period_bytes, 148);
FROZEN(zcdma_ring, periods, 152);

static_assert(ZCDMA_IOC_ATTACH_PORT == 0xc068d510, "number of ATTACH_PORT");
static_assert(ZCDMA_IOC_QUERY_PORT == 0xc120d511, "number of QUERY_PORT");
static_assert(ZCDMA_IOC_STREAM_SETUP == 0xc028d512, "number of STREAM_SETUP");
static_assert(ZCDMA_IOC_STREAM_CONTROL == 0xc010d513, "number of STREAM_CONTROL");
static_assert(ZCDMA_IOC_STREAM_STATUS == 0xc038d514, "number of STREAM_STATUS");

static_assert(ZCDMA_IOC_GET_INFO == 0xc038d500, "number of GET_INFO");
static_assert(ZCDMA_IOC_QUERY_CHANNEL == 0xc0f0d501, "number of QUERY_CHANNEL");
static_assert(ZCDMA_IOC_ATTACH == 0xc098d502, "number of ATTACH");
static_assert(ZCDMA_IOC_REGISTER_BUFFER == 0xc018d503, "number of REGISTER_BUFFER");
static_assert(ZCDMA_IOC_UNREGISTER_BUFFER == 0xc008d504, "number of UNREGISTER_BUFFER");
static_assert(ZCDMA_URING_OP == 0x4040d505, "number of the io_uring command");
static_assert(ZCDMA_IOC_SUBMIT == 0xc020d505, "number of SUBMIT");
static_assert(ZCDMA_IOC_CANCEL == 0xc010d506, "number of CANCEL");
static_assert(ZCDMA_IOC_DRAIN == 0xc008d507, "number of DRAIN");

/* ---- each verb, in every size and with every wrong bit ---- */

#define MAX_SIZE	((1 << _IOC_SIZEBITS) - 1)
#define CANARY		0x5a
#define BYTE		0xa7

/* Longer than every struct that a caller can announce. */
static union arg {
	struct zcdma_get_info info;
	struct zcdma_query_channel query;
	struct zcdma_attach attach;
	struct zcdma_register_buffer reg;
	struct zcdma_unregister_buffer unreg;
	struct zcdma_submit submit;
	struct zcdma_cancel cancel;
	struct zcdma_drain drain;
	struct zcdma_attach_port attach_port;
	struct zcdma_query_port query_port;
	struct zcdma_stream_setup setup;
	struct zcdma_stream_control control;
	struct zcdma_stream_status status;
	unsigned char bytes[MAX_SIZE + 1];
} arg;

/* What SUBMIT's one good op works on. */
static struct zcdma_op op;
static unsigned char target;

static void good_query(void)
{
	arg.query.index = 0;
}

static void good_attach(void)
{
	strcpy(arg.attach.name, zc_provider());
}

static void good_submit(void)
{
	target = 0;
	op = zc_fill_op(&target, BYTE, 1, 0);
	arg.submit.flags = ZCDMA_SUBMIT_WAIT;
	arg.submit.count = 1;
	arg.submit.ops = zc_ptr(&op);
	arg.submit.op_size = sizeof(op);
}

static void good_register(void)
{
	target = 0;
	arg.reg.addr = zc_ptr(&target);
	arg.reg.len = 1;
}

static void good_nothing(void)
{
}

static void dirty_info(void)
{
	memset(&arg.info, 0xff, sizeof(arg.info));
	arg.info.flags = 0;
	arg.info.__reserved = 0;
}

static void dirty_query(void)
{
	memset(&arg.query, 0xff, sizeof(arg.query));
	arg.query.flags = 0;
	arg.query.index = 0;
	arg.query.__reserved = 0;
}

static void dirty_attach(void)
{
	memset(arg.attach.out_name, 0xff, sizeof(arg.attach.out_name));
}

static void dirty_register(void)
{
	arg.reg.out_buffer = ~0U;
}

static void dirty_nothing(void)
{
}

static void dirty_submit(void)
{
	arg.submit.out_accepted = ~0U;
}

static void dirty_cancel(void)
{
	arg.cancel.out_cancelled = ~0U;
}

/* Ports may or may not be there; what is said of one that is not, is always the same. */
static void good_attach_port(void)
{
	strcpy(arg.attach_port.name, "no such port");
}

static void dirty_attach_port(void)
{
	memset(&arg.attach_port.out_directions, 0xff,
	       sizeof(arg.attach_port) - offsetof(struct zcdma_attach_port, out_directions));
}

static void good_query_port(void)
{
	arg.query_port.index = ~0U;
}

static void dirty_query_port(void)
{
	memset(&arg.query_port.out_directions, 0xff,
	       offsetof(struct zcdma_query_port, out_name) -
	       offsetof(struct zcdma_query_port, out_directions));
	memset(arg.query_port.out_name, 0xff, 4 * ZCDMA_NAME_LEN);
}

static void good_setup(void)
{
	arg.setup.direction = ZCDMA_RX;
	arg.setup.period_bytes = 4096;
	arg.setup.ring_bytes = 65536;
}

static void dirty_setup(void)
{
	arg.setup.out_periods = ~0U;
	arg.setup.out_residue = ~0U;
	arg.setup.out_ring_bytes = ~0ULL;
}

static void good_control(void)
{
	arg.control.direction = ZCDMA_TX;
	arg.control.action = ZCDMA_STREAM_START;
}

static void good_status(void)
{
	arg.status.direction = ZCDMA_TX;
}

static void dirty_status(void)
{
	arg.status.out_state = ~0U;
	memset(&arg.status.out_head, 0xff,
	       sizeof(arg.status) - offsetof(struct zcdma_stream_status, out_head));
}

FIXTURE(verb) {
	int fd;
};

FIXTURE_VARIANT(verb) {
	unsigned long cmd;
	size_t size;
	bool attached;		/* before the call */
	__u32 flags;		/* all known ones */
	int good;		/* what a good call returns */
	void (*prepare)(void);	/* makes the zeroed arg a good one */
	void (*dirty)(void);	/* writes rubbish to its outputs */
};

FIXTURE_VARIANT_ADD(verb, get_info) {
	.cmd = ZCDMA_IOC_GET_INFO, .size = sizeof(struct zcdma_get_info),
	.attached = true, .prepare = good_nothing, .dirty = dirty_info,
};

FIXTURE_VARIANT_ADD(verb, query_channel) {
	.cmd = ZCDMA_IOC_QUERY_CHANNEL, .size = sizeof(struct zcdma_query_channel),
	.attached = true, .flags = ZCDMA_QUERY_ATTACHED,
	.prepare = good_query, .dirty = dirty_query,
};

FIXTURE_VARIANT_ADD(verb, attach) {
	.cmd = ZCDMA_IOC_ATTACH, .size = sizeof(struct zcdma_attach),
	.flags = ZCDMA_ATTACH_EXCLUSIVE, .prepare = good_attach, .dirty = dirty_attach,
};

FIXTURE_VARIANT_ADD(verb, register_buffer) {
	.cmd = ZCDMA_IOC_REGISTER_BUFFER, .size = sizeof(struct zcdma_register_buffer),
	.attached = true, .flags = ZCDMA_BUFFER_READ_ONLY,
	.prepare = good_register, .dirty = dirty_register,
};

/* With nothing registered, the best that UNREGISTER can say is EINVAL. */
FIXTURE_VARIANT_ADD(verb, unregister_buffer) {
	.cmd = ZCDMA_IOC_UNREGISTER_BUFFER, .size = sizeof(struct zcdma_unregister_buffer),
	.attached = true, .good = -EINVAL, .prepare = good_nothing, .dirty = dirty_nothing,
};

FIXTURE_VARIANT_ADD(verb, submit) {
	.cmd = ZCDMA_IOC_SUBMIT, .size = sizeof(struct zcdma_submit),
	.attached = true, .flags = ZCDMA_SUBMIT_WAIT,
	.prepare = good_submit, .dirty = dirty_submit,
};

/* With nothing outstanding, the best that CANCEL can say is ENOENT. */
FIXTURE_VARIANT_ADD(verb, cancel) {
	.cmd = ZCDMA_IOC_CANCEL, .size = sizeof(struct zcdma_cancel),
	.attached = true, .flags = ZCDMA_CANCEL_ALL, .good = -ENOENT,
	.prepare = good_nothing, .dirty = dirty_cancel,
};

/* Nothing is at an engine, so there is nothing to wait for. */
FIXTURE_VARIANT_ADD(verb, drain) {
	.cmd = ZCDMA_IOC_DRAIN, .size = sizeof(struct zcdma_drain),
	.attached = true, .prepare = good_nothing, .dirty = dirty_nothing,
};

FIXTURE_VARIANT_ADD(verb, attach_port) {
	.cmd = ZCDMA_IOC_ATTACH_PORT, .size = sizeof(struct zcdma_attach_port), .good = -ENOENT,
	.prepare = good_attach_port, .dirty = dirty_attach_port,
};

FIXTURE_VARIANT_ADD(verb, query_port) {
	.cmd = ZCDMA_IOC_QUERY_PORT, .size = sizeof(struct zcdma_query_port), .good = -ENOENT,
	.prepare = good_query_port, .dirty = dirty_query_port,
};

FIXTURE_VARIANT_ADD(verb, stream_setup) {
	.cmd = ZCDMA_IOC_STREAM_SETUP, .size = sizeof(struct zcdma_stream_setup),
	.flags = ZCDMA_STREAM_QUEUED, .good = -ENOTCONN,
	.prepare = good_setup, .dirty = dirty_setup,
};

FIXTURE_VARIANT_ADD(verb, stream_control) {
	.cmd = ZCDMA_IOC_STREAM_CONTROL, .size = sizeof(struct zcdma_stream_control),
	.good = -ENOTCONN, .prepare = good_control, .dirty = good_nothing,
};

FIXTURE_VARIANT_ADD(verb, stream_status) {
	.cmd = ZCDMA_IOC_STREAM_STATUS, .size = sizeof(struct zcdma_stream_status),
	.good = -ENOTCONN, .prepare = good_status, .dirty = dirty_status,
};

/* For the helpers of the tests. */
#define VERB FIXTURE_VARIANT(verb)

static int fresh_session(const VERB *verb)
{
	return verb->attached ? zc_session(zc_provider(), 0) : zc_open(0);
}

FIXTURE_SETUP(verb)
{
	self->fd = fresh_session(variant);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(verb)
{
	close(self->fd);
}

/* A good argument, with canaries right behind the struct. */
static void prepare(const VERB *verb)
{
	memset(&arg, 0, verb->size);
	memset(arg.bytes + verb->size, CANARY, sizeof(arg) - verb->size);
	verb->prepare();
}

static int call(int fd, const VERB *verb, size_t size, void *where)
{
	return zc_ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, ZCDMA_IOC_MAGIC,
				 _IOC_NR(verb->cmd), size), where);
}

/* A call that failed has changed nothing. */
static bool nothing_happened(int fd, const VERB *verb)
{
	struct zcdma_get_info info = zc_info(fd);

	return info.out_channels == verb->attached && !info.out_outstanding && target != BYTE;
}

TEST_F(verb, takes_its_exact_size)
{
	prepare(variant);
	EXPECT_EQ(variant->good, call(self->fd, variant, variant->size, &arg));
}

TEST_F(verb, writes_nothing_behind_the_struct)
{
	prepare(variant);
	EXPECT_EQ(variant->good, call(self->fd, variant, variant->size, &arg));
	for (size_t i = variant->size; i < sizeof(arg); i++)
		ASSERT_EQ(CANARY, arg.bytes[i]);
}

TEST_F(verb, takes_a_longer_struct_that_ends_in_zeros)
{
	const size_t sizes[] = { variant->size + 1, variant->size + 8, 4096, 4097, MAX_SIZE };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int fd = fresh_session(variant);

		prepare(variant);
		memset(arg.bytes + variant->size, 0, sizeof(arg) - variant->size);
		EXPECT_EQ(variant->good, call(fd, variant, sizes[i], &arg)) {
			TH_LOG("size %zu", sizes[i]);
		}
		close(fd);
	}
}

TEST_F(verb, refuses_a_longer_struct_that_does_not_end_in_zeros)
{
	const size_t places[] = { variant->size, variant->size + 7, 4095, 4096, MAX_SIZE - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		prepare(variant);
		memset(arg.bytes + variant->size, 0, sizeof(arg) - variant->size);
		arg.bytes[places[i]] = 1;
		EXPECT_EQ(-E2BIG, call(self->fd, variant, MAX_SIZE, &arg)) {
			TH_LOG("byte %zu", places[i]);
		}
		EXPECT_TRUE(nothing_happened(self->fd, variant));
	}
}

TEST_F(verb, refuses_every_shorter_struct)
{
	for (size_t size = 0; size < variant->size; size++) {
		prepare(variant);
		EXPECT_EQ(-EINVAL, call(self->fd, variant, size, &arg)) {
			TH_LOG("size %zu", size);
		}
		EXPECT_TRUE(nothing_happened(self->fd, variant));
	}
}

TEST_F(verb, refuses_each_unknown_flag)
{
	for (int bit = 0; bit < 32; bit++) {
		if (variant->flags & 1U << bit)
			continue;
		prepare(variant);
		arg.info.flags |= 1U << bit; /* all structs begin with their flags */
		EXPECT_EQ(-EINVAL, call(self->fd, variant, variant->size, &arg)) {
			TH_LOG("bit %d", bit);
		}
		EXPECT_TRUE(nothing_happened(self->fd, variant));
	}
}

TEST_F(verb, ignores_what_output_fields_hold)
{
	prepare(variant);
	variant->dirty();
	EXPECT_EQ(variant->good, call(self->fd, variant, variant->size, &arg));
}

TEST_F(verb, refuses_pointers_to_no_memory)
{
	char *edge = zc_map_edge();
	void *bad[] = {
		NULL, (void *)8, (void *)-4096L, (void *)-1L,
		edge, edge - variant->size + 1, edge - 1,
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EFAULT, call(self->fd, variant, variant->size, bad[i])) {
			TH_LOG("pointer %p", bad[i]);
		}
		EXPECT_TRUE(nothing_happened(self->fd, variant));
	}
}

TEST_F(verb, does_nothing_if_it_cannot_write_its_results)
{
	long page = sysconf(_SC_PAGESIZE);
	char *ro = zc_map(page);
	int err;

	prepare(variant);
	memcpy(ro, &arg, variant->size);
	ASSERT_EQ(0, mprotect(ro, page, PROT_READ));
	err = call(self->fd, variant, variant->size, ro);
	EXPECT_TRUE(err == -EFAULT || (variant->good && err == variant->good)) {
		TH_LOG("result %d", err);
	}
	EXPECT_TRUE(nothing_happened(self->fd, variant));
}

/* ---- numbers that nobody has ---- */

static bool known(unsigned int nr)
{
	return nr <= 7 || (nr >= 0x10 && nr <= 0x14);
}

TEST(unknown_commands_get_ENOTTY)
{
	const size_t sizes[] = { 0, 8, 64, MAX_SIZE };
	int fd = zc_session(zc_provider(), 0);

	ASSERT_LE(0, fd);
	memset(&arg, 0, sizeof(arg));
	for (unsigned int nr = 0; nr < 256; nr++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes) && !known(nr); i++) {
			unsigned long cmd = _IOC(_IOC_READ | _IOC_WRITE, ZCDMA_IOC_MAGIC, nr,
						 sizes[i]);

			EXPECT_EQ(-ENOTTY, zc_ioctl(fd, cmd, &arg)) {
				TH_LOG("number %#x, size %zu", nr, sizes[i]);
			}
		}
	}
	close(fd);
}

TEST(other_magics_get_ENOTTY)
{
	int fd = zc_session(zc_provider(), 0);

	ASSERT_LE(0, fd);
	memset(&arg, 0, sizeof(arg));
	for (unsigned int magic = 0; magic < 256; magic++) {
		if (magic == ZCDMA_IOC_MAGIC)
			continue;
		EXPECT_EQ(-ENOTTY, zc_ioctl(fd, _IOWR(magic, 0, struct zcdma_get_info), &arg)) {
			TH_LOG("magic %#x", magic);
		}
	}
	close(fd);
}

/* ---- single fields ---- */

#define KNOWN_CAPS (ZCDMA_CAP_COPY | ZCDMA_CAP_FILL | ZCDMA_CAP_SLAVE | ZCDMA_CAP_CYCLIC | \
		    ZCDMA_CAP_HARDWARE | ZCDMA_CAP_TERMINATE | ZCDMA_CAP_PAUSE | \
		    ZCDMA_CAP_UNORDERED | ZCDMA_CAP_COHERENT)

FIXTURE(field) {
	int fd;				/* attached */
	int loose;			/* not attached */
	struct zcdma_get_info info;
	char source[64], target[64];
};

FIXTURE_SETUP(field)
{
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->loose = zc_open(0);
	ASSERT_LE(0, self->loose);
	self->info = zc_info(self->fd);
}

FIXTURE_TEARDOWN(field)
{
	close(self->fd);
	close(self->loose);
}

TEST_F(field, reserved_ones_must_be_zero)
{
	struct zcdma_get_info info = { .__reserved = 1 };
	struct zcdma_query_channel query = { .__reserved = 1 };

	EXPECT_EQ(-EINVAL, zc_ioctl(self->fd, ZCDMA_IOC_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, &query));
}

TEST_F(field, info_is_sensible)
{
	struct zcdma_get_info before = zc_info(self->loose), *after = &self->info;

	EXPECT_EQ(0, before.out_channels);
	EXPECT_EQ(1, after->out_channels);
	/* Which bits, and which limits, is tested by info.c. */
	EXPECT_EQ(before.out_features, after->out_features);
	EXPECT_TRUE(after->out_opcodes & 1 << ZCDMA_OP_COPY);
	EXPECT_TRUE(after->out_opcodes & 1 << ZCDMA_OP_FILL);
	EXPECT_LE(64 << 20, after->out_max_len);
	EXPECT_LT(0, after->out_default_deadline_ms);
	EXPECT_LE(after->out_default_deadline_ms, after->out_max_deadline_ms);
	EXPECT_LT(0, before.out_queue_depth);
	EXPECT_EQ(before.out_queue_depth, after->out_queue_depth);
	EXPECT_LE(after->out_queue_depth, after->out_max_queue_depth);
	EXPECT_EQ(0, after->out_outstanding);
	EXPECT_EQ(0, after->__reserved);
}

static bool is_name(const char name[ZCDMA_NAME_LEN])
{
	size_t len = strnlen(name, ZCDMA_NAME_LEN);

	return len > 0 && len < ZCDMA_NAME_LEN;
}

static bool is_power_of_two(__u32 n)
{
	return n && !(n & (n - 1));
}

TEST_F(field, every_channel_is_sensible)
{
	struct zcdma_query_channel q;
	__u32 i;

	for (i = 0; q = (struct zcdma_query_channel){ .index = i },
	     !zc_ioctl(self->loose, ZCDMA_IOC_QUERY_CHANNEL, &q); i++) {
		EXPECT_EQ(i, q.index);
		EXPECT_TRUE(is_name(q.out_name));
		EXPECT_TRUE(is_name(q.out_device));
		EXPECT_TRUE(is_name(q.out_provider));
		EXPECT_EQ(0, q.out_caps & ~(__u64)KNOWN_CAPS);
		EXPECT_NE(0, q.out_caps & (ZCDMA_CAP_COPY | ZCDMA_CAP_FILL | ZCDMA_CAP_SLAVE));
		EXPECT_GE(ZCDMA_CHANNEL_DENIED, q.out_state);
		EXPECT_TRUE(is_power_of_two(q.out_copy_align));
		EXPECT_TRUE(is_power_of_two(q.out_fill_align));
		EXPECT_LT(0, q.out_max_segment);
		EXPECT_GE(ZCDMA_RESIDUE_BURST, q.out_residue);
		EXPECT_LE(-1, q.out_numa_node);
		EXPECT_EQ(0, q.__reserved);
	}
	EXPECT_LT(0, i);
	EXPECT_EQ(-ENOENT, zc_ioctl(self->loose, ZCDMA_IOC_QUERY_CHANNEL, &q));
	q = (struct zcdma_query_channel){ .index = ~0U };
	EXPECT_EQ(-ENOENT, zc_ioctl(self->loose, ZCDMA_IOC_QUERY_CHANNEL, &q));
}

TEST_F(field, query_of_attached_channels_walks_only_those)
{
	struct zcdma_query_channel none = { .flags = ZCDMA_QUERY_ATTACHED };
	struct zcdma_query_channel one = { .flags = ZCDMA_QUERY_ATTACHED };
	struct zcdma_query_channel two = { .flags = ZCDMA_QUERY_ATTACHED, .index = 1 };

	EXPECT_EQ(-ENOENT, zc_ioctl(self->loose, ZCDMA_IOC_QUERY_CHANNEL, &none));
	EXPECT_EQ(0, zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, &one));
	EXPECT_STREQ(zc_provider(), one.out_provider);
	EXPECT_EQ(ZCDMA_CHANNEL_SHARED, one.out_state);
	EXPECT_EQ(1, one.out_sessions);
	EXPECT_EQ(-ENOENT, zc_ioctl(self->fd, ZCDMA_IOC_QUERY_CHANNEL, &two));
}

static int attach(int fd, struct zcdma_attach how)
{
	return zc_ioctl(fd, ZCDMA_IOC_ATTACH, &how);
}

TEST_F(field, attach_refuses_what_is_out_of_range)
{
	struct zcdma_attach endless = { 0 };
	__u32 too_deep = self->info.out_max_queue_depth + 1;
	__u32 too_late = self->info.out_max_deadline_ms + 1;

	memset(endless.name, 'x', sizeof(endless.name));
	EXPECT_EQ(-EINVAL, attach(self->loose, endless));
	EXPECT_EQ(-EINVAL, attach(self->loose, (struct zcdma_attach){ .channels = 17 }));
	EXPECT_EQ(-EINVAL, attach(self->loose, (struct zcdma_attach){ .channels = ~0U }));
	EXPECT_EQ(-EINVAL, attach(self->loose, (struct zcdma_attach){ .queue_depth = too_deep }));
	EXPECT_EQ(-EINVAL, attach(self->loose, (struct zcdma_attach){ .queue_depth = ~0U }));
	EXPECT_EQ(-EINVAL, attach(self->loose, (struct zcdma_attach){ .deadline_ms = too_late }));
	EXPECT_EQ(-EINVAL, attach(self->loose, (struct zcdma_attach){ .deadline_ms = ~0U }));
	for (int bit = 0; bit < 64; bit++) {
		struct zcdma_attach how = { .caps = 1ULL << bit };

		if (how.caps & KNOWN_CAPS)
			continue;
		EXPECT_EQ(-EINVAL, attach(self->loose, how)) {
			TH_LOG("capability bit %d", bit);
		}
	}
	EXPECT_EQ(0, zc_info(self->loose).out_channels);
}

TEST_F(field, attach_takes_what_is_just_in_range)
{
	struct zcdma_attach how = {
		.channels = 1, .caps = ZCDMA_CAP_COPY,
		.queue_depth = self->info.out_max_queue_depth,
		.deadline_ms = self->info.out_max_deadline_ms,
	};

	EXPECT_EQ(0, attach(self->loose, how));
	EXPECT_EQ(how.queue_depth, zc_info(self->loose).out_queue_depth);
}

/* SUBMIT of a single op and what it says about it. */
static int submit_one(int fd, struct zcdma_op op)
{
	struct zcdma_completion c;
	__u32 accepted = ~0U;
	int err = zc_submit_wait(fd, &op, 1, &c, &accepted);

	return accepted == !err ? err : -EPROTO;
}

static bool is_zero(const char *bytes, size_t len)
{
	while (len && !*bytes)
		bytes++, len--;
	return !len;
}

TEST_F(field, op_with_anything_reserved_set_is_refused)
{
	const struct zcdma_op good = zc_copy_op(self->target, self->source, 64, 1);
	struct zcdma_op bad;

	memset(self->source, 1, 64);
	for (int bit = 0; bit < 32; bit++) {
		bad = good;
		bad.flags = 1U << bit;
		if (bad.flags != ZCDMA_OP_FLAG_BARRIER)
			EXPECT_EQ(-EINVAL, submit_one(self->fd, bad));
	}
	for (int i = 0; i < 3; i++) {
		bad = good;
		bad.__reserved0[i] = 0x80;
		EXPECT_EQ(-EINVAL, submit_one(self->fd, bad));
	}
	bad = good;
	bad.__reserved1 = 1;
	EXPECT_EQ(-EINVAL, submit_one(self->fd, bad));
	bad = good;
	bad.__reserved2 = 1ULL << 63;
	EXPECT_EQ(-EINVAL, submit_one(self->fd, bad));
	bad = good;
	bad.src_buffer = 1;
	EXPECT_EQ(-EINVAL, submit_one(self->fd, bad));
	bad = good;
	bad.dst_buffer = 1;
	EXPECT_EQ(-EINVAL, submit_one(self->fd, bad));
	bad = good;
	bad.deadline_ms = self->info.out_max_deadline_ms + 1;
	EXPECT_EQ(-EINVAL, submit_one(self->fd, bad));
	EXPECT_TRUE(is_zero(self->target, 64));
	EXPECT_EQ(0, submit_one(self->fd, good));
}

TEST_F(field, opcodes_are_those_that_info_names)
{
	for (unsigned int opcode = 0; opcode < 256; opcode++) {
		struct zcdma_op op = zc_copy_op(self->target, self->source, 64, 1);
		bool named = opcode < 64 && self->info.out_opcodes >> opcode & 1;

		int wanted = named ? 0 : -EINVAL;

		if (opcode == ZCDMA_OP_FILL)
			op.src = 0xff;
		if (opcode == ZCDMA_OP_SEND)
			op.dst = 0;
		if (opcode == ZCDMA_OP_RECV)
			op.src = 0;
		if (opcode == ZCDMA_OP_COPY_2D) {
			op.rows = 1;
			op.src_stride = 64;
			op.dst_stride = 64;
		}
		if (opcode == ZCDMA_OP_SEND || opcode == ZCDMA_OP_RECV)
			wanted = -EOPNOTSUPP; /* not at a channel */
		else if (named && opcode > ZCDMA_OP_COPY_2D)
			continue; /* of a later module */
		op.opcode = opcode;
		EXPECT_EQ(wanted, submit_one(self->fd, op)) {
			TH_LOG("opcode %u", opcode);
		}
	}
}

TEST_F(field, fill_takes_a_byte_and_nothing_larger)
{
	struct zcdma_op op = zc_fill_op(self->target, 255, 64, 1);

	EXPECT_EQ(0, submit_one(self->fd, op));
	op.src = 256;
	EXPECT_EQ(-EINVAL, submit_one(self->fd, op));
	op.src = zc_ptr(self->source);
	EXPECT_EQ(-EINVAL, submit_one(self->fd, op));
	op.src = 1ULL << 32;
	EXPECT_EQ(-EINVAL, submit_one(self->fd, op));
}

TEST_F(field, submit_takes_a_count_within_the_queue_depth_limit)
{
	struct zcdma_op op = zc_fill_op(self->target, 1, 64, 1);
	__u32 accepted;

	EXPECT_EQ(-EINVAL, zc_submit(self->fd, &op, 0, &accepted));
	EXPECT_EQ(-EINVAL, zc_submit(self->fd, &op, self->info.out_max_queue_depth + 1, &accepted));
	EXPECT_EQ(-EINVAL, zc_submit(self->fd, &op, ~0U, &accepted));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

TEST_F(field, completions_without_wait_are_refused)
{
	struct zcdma_op op = zc_fill_op(self->target, 1, 64, 1);
	struct zcdma_completion c;
	struct zcdma_submit what = {
		.count = 1, .ops = zc_ptr(&op), .op_size = sizeof(op), .completions = zc_ptr(&c),
	};

	EXPECT_EQ(-EINVAL, zc_ioctl(self->fd, ZCDMA_IOC_SUBMIT, &what));
	EXPECT_EQ(0, zc_outstanding(self->fd));
	EXPECT_TRUE(is_zero(self->target, 64));
}

/* Attached or not: nothing is at an engine, so all that is in range returns at once. */
TEST_F(field, drain_takes_a_timeout_up_to_the_longest_deadline)
{
	const int fds[] = { self->fd, self->loose };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		EXPECT_EQ(0, zc_drain(fds[i], 0));
		EXPECT_EQ(0, zc_drain(fds[i], self->info.out_max_deadline_ms));
		EXPECT_EQ(-EINVAL, zc_drain(fds[i], self->info.out_max_deadline_ms + 1));
		EXPECT_EQ(-EINVAL, zc_drain(fds[i], ~0U));
	}
}

/* ---- ops of a size that this module does not know ---- */

#define STRIDE_MAX	4096

static int submit_stride(int fd, void *ops, __u32 count, __u32 stride, __u32 *accepted)
{
	struct zcdma_completion c[2];
	struct zcdma_submit what = {
		.flags = ZCDMA_SUBMIT_WAIT, .count = count, .ops = zc_ptr(ops),
		.op_size = stride, .completions = zc_ptr(c),
	};
	int err = zc_ioctl(fd, ZCDMA_IOC_SUBMIT, &what);

	*accepted = what.out_accepted;
	return err;
}

TEST_F(field, op_size_is_a_stride)
{
	static char ops[2 * STRIDE_MAX];
	const __u32 strides[] = { 64, 65, 72, 128, 1000, STRIDE_MAX };
	__u32 accepted;

	for (size_t i = 0; i < ARRAY_SIZE(strides); i++) {
		struct zcdma_op first = zc_fill_op(self->target, i + 1, 32, 1);
		struct zcdma_op second = zc_fill_op(self->target + 32, i + 2, 32, 2);

		memset(ops, 0, sizeof(ops));
		memcpy(ops, &first, sizeof(first));
		memcpy(ops + strides[i], &second, sizeof(second));
		EXPECT_EQ(0, submit_stride(self->fd, ops, 2, strides[i], &accepted));
		EXPECT_EQ(2, accepted);
		EXPECT_EQ((char)(i + 1), self->target[31]);
		EXPECT_EQ((char)(i + 2), self->target[32]);
	}
}

TEST_F(field, longer_op_that_does_not_end_in_zeros_is_refused)
{
	struct zcdma_op ops[4] = {
		zc_fill_op(self->target, 1, 32, 1), { 0 },
		zc_fill_op(self->target + 32, 2, 32, 2), { 0 },
	};
	__u32 accepted;

	ops[3].__reserved2 = 1ULL << 56;
	EXPECT_EQ(-E2BIG, submit_stride(self->fd, ops, 2, 2 * sizeof(*ops), &accepted));
	EXPECT_GE(1, accepted);
	EXPECT_TRUE(is_zero(self->target + 32, 32));
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

TEST_F(field, shorter_op_is_refused)
{
	struct zcdma_op op = zc_fill_op(self->target, 1, 64, 1);
	__u32 accepted;

	for (__u32 stride = 0; stride < sizeof(op); stride++)
		EXPECT_EQ(-EINVAL, submit_stride(self->fd, &op, 1, stride, &accepted));
	EXPECT_TRUE(is_zero(self->target, 64));
}

TEST_F(field, huge_op_size_does_not_overflow)
{
	struct zcdma_op ops[2] = { zc_fill_op(self->target, 1, 64, 1) };
	const __u32 strides[] = { 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff };
	__u32 accepted;

	/* The stack ends long before: whatever the order of checks, no op is good. */
	for (size_t i = 0; i < ARRAY_SIZE(strides); i++) {
		int err = submit_stride(self->fd, ops, 2, strides[i], &accepted);

		EXPECT_TRUE(err == -EFAULT || err == -E2BIG || err == -EINVAL) {
			TH_LOG("stride %#x: %d", strides[i], err);
		}
		EXPECT_EQ(0, accepted);
	}
	EXPECT_TRUE(is_zero(self->target, 64));
}

/* ---- pointers inside the structs ---- */

TEST_F(field, ops_that_cannot_be_read_get_EFAULT)
{
	struct zcdma_op *last = (struct zcdma_op *)zc_map_edge() - 1;
	struct zcdma_completion c[2];
	__u32 accepted;
	int n;

	*last = zc_fill_op(self->target, 1, 32, 1);
	EXPECT_EQ(-EFAULT, zc_submit(self->fd, NULL, 1, &accepted));
	EXPECT_EQ(0, accepted);
	EXPECT_EQ(-EFAULT, zc_submit(self->fd, (void *)-4096L, 1, &accepted));
	EXPECT_EQ(0, accepted);
	EXPECT_EQ(-EFAULT, zc_submit(self->fd, last + 1, 1, &accepted));
	EXPECT_EQ(0, accepted);

	/* The first of two is good: it may have been accepted or not, but it must be said. */
	EXPECT_EQ(-EFAULT, zc_submit(self->fd, last, 2, &accepted));
	EXPECT_GE(1, accepted);
	n = zc_reap(self->fd, c, accepted, 10000);
	EXPECT_EQ(accepted, n);
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* Whatever was accepted completes once, and can be had, even if the array is bad. */
TEST_F(field, completions_that_cannot_be_written_are_not_lost)
{
	struct zcdma_op op = zc_fill_op(self->target, 1, 64, 4711);
	struct zcdma_completion c;
	__u32 accepted = ~0U;

	EXPECT_EQ(-EFAULT, zc_submit_wait(self->fd, &op, 1, (void *)-4096L, &accepted));
	EXPECT_GE(1, accepted);
	EXPECT_EQ(accepted, zc_outstanding(self->fd));
	EXPECT_EQ(accepted, zc_reap(self->fd, &c, accepted, 10000));
	EXPECT_TRUE(!accepted || c.user_data == 4711);
	EXPECT_EQ(0, zc_outstanding(self->fd));
}

/* A 32-bit program's pointers are 64 bits wide in an op: none of them may be cut off. */
TEST_F(field, addresses_are_not_truncated)
{
	const __u64 beyond = 1ULL << 50;
	struct zcdma_op op = zc_copy_op(self->target, self->source, 64, 1);

	memset(self->source, 1, 64);
	op.src |= beyond;
	EXPECT_EQ(-EFAULT, submit_one(self->fd, op));
	op = zc_copy_op(self->target, self->source, 64, 1);
	op.dst |= beyond;
	EXPECT_EQ(-EFAULT, submit_one(self->fd, op));
	op.dst = zc_ptr(self->target) | 1ULL << 32;
	EXPECT_TRUE(sizeof(long) > 4 || submit_one(self->fd, op) == -EFAULT);
	EXPECT_TRUE(is_zero(self->target, 64));
}

TEST_F(field, user_data_comes_back_as_it_was)
{
	const __u64 data[] = { 0, 1, 1ULL << 32, 1ULL << 63, ~0ULL };

	for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
		struct zcdma_op op = zc_fill_op(self->target, 1, 64, data[i]);
		struct zcdma_completion c = { .user_data = ~data[i] };

		EXPECT_EQ(0, zc_submit_wait(self->fd, &op, 1, &c, NULL));
		EXPECT_EQ(data[i], c.user_data);
		EXPECT_EQ(64, c.done);
		EXPECT_EQ(0, c.__reserved);
	}
}

ZC_TEST_MAIN
