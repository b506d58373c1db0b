// SPDX-License-Identifier: GPL-2.0
/* Ports: who may define, see and have them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "harness.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

FIXTURE(port) {
	struct zcdma_query_port query;
};

FIXTURE_SETUP(port)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, port_make("t-loop", 0, 1, "width=4,data=2,burst=8"));
	ASSERT_EQ(0, port_make("t-rx", -1, 3, "reg=0x3f201000"));
}

FIXTURE_TEARDOWN(port)
{
	EXPECT_EQ(0, port_drop("t-loop"));
	EXPECT_EQ(0, port_drop("t-rx"));
	EXPECT_EQ(0, softdma_reset());
}

TEST_F(port, is_described)
{
	ASSERT_EQ(0, port_query("t-loop", &self->query));
	EXPECT_EQ(ZCDMA_TX | ZCDMA_RX, self->query.out_directions);
	EXPECT_EQ(ZCDMA_PORT_FREE, self->query.out_state);
	EXPECT_EQ(4, self->query.out_width);
	EXPECT_EQ(8, self->query.out_burst);
	EXPECT_EQ(2, self->query.out_data);
	EXPECT_EQ(0, self->query.out_owner);
	EXPECT_STREQ("softdma.0", self->query.out_device);
	EXPECT_STREQ("softdma", self->query.out_provider);
	EXPECT_STREQ("", self->query.out_owner_name);
	ASSERT_EQ(0, port_query("t-rx", &self->query));
	EXPECT_EQ(ZCDMA_RX, self->query.out_directions);
	EXPECT_EQ(1, self->query.out_width);
	EXPECT_EQ(1, self->query.out_data);
	EXPECT_EQ(-ENOENT, port_query("t-nothing", &self->query));
}

TEST_F(port, is_had_by_one)
{
	int fd = port_open("t-loop", 0, 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, port_open("t-loop", 0, 0));
	ASSERT_EQ(0, port_query("t-loop", &self->query));
	EXPECT_EQ(ZCDMA_PORT_BUSY, self->query.out_state);
	EXPECT_EQ(getpid(), self->query.out_owner);
	EXPECT_STREQ(program_invocation_short_name, self->query.out_owner_name);
	EXPECT_EQ(-EBUSY, port_drop("t-loop"));
	close(fd);
	ASSERT_EQ(0, port_query("t-loop", &self->query));
	EXPECT_EQ(ZCDMA_PORT_FREE, self->query.out_state);
	fd = port_open("t-loop", 0, 0);
	EXPECT_LE(0, fd);
	close(fd);
}

/* Of two ports with a channel in common one can be had; a copier can have it as well. */
TEST_F(port, shares_no_channel)
{
	struct zcdma_query_channel channel;
	int fd, other;

	ASSERT_EQ(0, port_make("t-other", -1, 1, ""));
	fd = port_open("t-loop", 0, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, port_open("t-other", 0, 0));
	ASSERT_EQ(0, port_query("t-other", &self->query));
	EXPECT_EQ(ZCDMA_PORT_BUSY, self->query.out_state);
	EXPECT_EQ(0, self->query.out_owner);
	ASSERT_EQ(0, zc_query("softdma", &channel));
	EXPECT_EQ(ZCDMA_CHANNEL_EXCLUSIVE, channel.out_state);
	EXPECT_EQ(-EBUSY, zc_session(channel.out_name, 0));
	close(fd);
	other = zc_session(channel.out_name, 0);
	ASSERT_LE(0, other);
	EXPECT_EQ(-EBUSY, port_open("t-loop", 0, 0));
	close(other);
	/* A try that fails half way gives back the half. */
	fd = port_open("t-other", 0, 0);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(0, port_drop("t-other"));
}

TEST_F(port, can_be_tried_again_in_the_same_session)
{
	struct zcdma_attach_port how = { .name = "t-nothing" };
	struct zcdma_attach any = { .name = "softdma" };
	int fd = zc_open(0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOENT, zc_ioctl(fd, ZCDMA_IOC_ATTACH_PORT, &how));
	strcpy(how.name, "t-loop");
	EXPECT_EQ(0, zc_ioctl(fd, ZCDMA_IOC_ATTACH_PORT, &how));
	EXPECT_EQ(ZCDMA_TX | ZCDMA_RX, how.out_directions);
	EXPECT_EQ(4, how.out_width);
	EXPECT_TRUE(how.out_rx_caps & ZCDMA_CAP_CYCLIC);
	EXPECT_TRUE(how.out_tx_caps & ZCDMA_CAP_PAUSE);
	EXPECT_EQ(-EISCONN, zc_ioctl(fd, ZCDMA_IOC_ATTACH_PORT, &how));
	EXPECT_EQ(-EISCONN, zc_ioctl(fd, ZCDMA_IOC_ATTACH, &any));
	close(fd);
}

/* How finely it counts, for one, is said there. */
TEST_F(port, tells_of_its_channels)
{
	struct zcdma_query_channel first, query;
	int fd = port_open("t-loop", 0, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, zc_query("softdma", &first));
	for (__u32 i = 0; i < 2; i++) {
		query = (struct zcdma_query_channel){ .flags = ZCDMA_QUERY_ATTACHED, .index = i };
		ASSERT_EQ(0, zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &query));
		EXPECT_EQ(first.out_name[strlen(first.out_name) - 1] + i,
			  query.out_name[strlen(query.out_name) - 1]);
		EXPECT_EQ(ZCDMA_CHANNEL_EXCLUSIVE, query.out_state);
	}
	query = (struct zcdma_query_channel){ .flags = ZCDMA_QUERY_ATTACHED, .index = 2 };
	EXPECT_EQ(-ENOENT, zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &query));
	EXPECT_EQ(2, zc_info(fd).out_channels);
	close(fd);
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	query = (struct zcdma_query_channel){ .flags = ZCDMA_QUERY_ATTACHED };
	EXPECT_EQ(0, zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &query));
	EXPECT_EQ('3', query.out_name[strlen(query.out_name) - 1]);
	query = (struct zcdma_query_channel){ .flags = ZCDMA_QUERY_ATTACHED, .index = 1 };
	EXPECT_EQ(-ENOENT, zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &query));
	EXPECT_EQ(1, zc_info(fd).out_channels);
	close(fd);
}

TEST_F(port, is_refused_where_the_engine_cannot)
{
	ASSERT_EQ(0, port_make("t-wide", 2, 3, "width=8"));
	EXPECT_EQ(-EOPNOTSUPP, port_open("t-wide", 0, 0));
	EXPECT_EQ(0, port_drop("t-wide"));
	ASSERT_EQ(0, port_make("t-absent", 77, -1, ""));
	EXPECT_EQ(-ENODEV, port_open("t-absent", 0, 0));
	ASSERT_EQ(0, port_query("t-absent", &self->query));
	EXPECT_EQ(ZCDMA_PORT_ABSENT, self->query.out_state);
	EXPECT_EQ(0, port_drop("t-absent"));
}

TEST_F(port, is_declared_in_whole_sentences)
{
	static const char * const bad[] = {
		"t-x", "t-x:", "t-x:width=4", "t-x:tx=", "t-x:tx", ":tx=dma0chan0",
		"t-x:tx=dma0chan0,width=3", "t-x:tx=dma0chan0,width=0",
		"t-x:tx=dma0chan0,width=32", "t-x:tx=dma0chan0,width=128",
		"t-x:tx=dma0chan0,data=2",
		"t-x:tx=dma0 chan0", "t-x:tx=dma0chan\0330", "#t-x:tx=dma0chan0",
		"t-x:tx=dma0chan0,burst=0", "t-x:tx=dma0chan0,burst=99999999",
		"t-x:tx=dma0chan0,reg=zero", "t-x:tx=dma0chan0,nothing=1", "t-x:tx=dma0chan0,",
		"t-x:tx=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:tx=dma0chan0",
		NULL
	};

	for (size_t i = 0; bad[i]; i++) {
		EXPECT_EQ(-EINVAL, port_declare(bad[i]))
			TH_LOG("%s", bad[i]);
	}
	EXPECT_EQ(-ENOENT, port_query("t-x", &self->query));
	EXPECT_EQ(-EEXIST, port_declare("t-loop:tx=dma0chan0"));
	EXPECT_EQ(-ENOENT, port_drop("t-x"));
	EXPECT_EQ(0, port_declare("t-x:tx=dma0chan0; t-y:rx=dma0chan1\n"));
	EXPECT_EQ(0, port_query("t-y", &self->query));
	EXPECT_EQ(0, port_declare("-t-x;-t-y"));
	EXPECT_EQ(-ENOENT, port_query("t-y", &self->query));
}

/* All of them, or an error. */
static long read_declarations(char text[8192])
{
	int fd = open("/sys/module/zcdma/parameters/ports", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, 8191);
	int err = errno;

	close(fd);
	text[got < 0 ? 0 : got] = 0;
	return got < 0 ? -err : got;
}

/* A list that is too long for a page is an error: a part would be taken for all. */
TEST_F(port, is_declared_by_what_is_read_of_its_declaration)
{
	char before[8192], after[8192], many[96];
	int n, i;

	ASSERT_EQ(0, port_declare("t-rx:group=65534,mode=0640"));
	ASSERT_LT(0, read_declarations(before));
	ASSERT_EQ(0, port_drop("t-loop") ?: port_drop("t-rx"));
	EXPECT_EQ(0, port_declare(before));
	EXPECT_LT(0, read_declarations(after));
	EXPECT_STREQ(before, after);
	EXPECT_NE(NULL, strstr(after, "reg=0x3f201000,group=65534,mode=0640\n"));
	for (n = 0; read_declarations(after) > 0 && n < 2000; n++) {
		snprintf(many, sizeof(many), "t-many%d:tx=dma0chan0,burst=65536", n);
		ASSERT_EQ(0, port_declare(many));
	}
	EXPECT_EQ(-EFBIG, read_declarations(after));
	for (i = 0; i < n; i++) {
		snprintf(many, sizeof(many), "t-many%d", i);
		EXPECT_EQ(0, port_drop(many));
	}
	EXPECT_LT(0, read_declarations(after));
	EXPECT_STREQ(before, after);
}

/* A user sees and uses what is there, declares nothing and reads no address. */
TEST_F(port, is_for_users_and_defined_by_root)
{
	pid_t pid;

	ASSERT_EQ(0, port_give_to_all("t-rx"));
	IN_CHILD(pid) {
		int fd;

		zc_become_user(1 << 20);
		CHILD_CHECK(port_declare("t-mine:tx=dma0chan2") == -EACCES);
		CHILD_CHECK(open("/sys/module/zcdma/parameters/ports", O_RDONLY) < 0);
		CHILD_CHECK(!port_query("t-rx", &self->query));
		fd = port_open("t-rx", 0, 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!stream_setup(fd, ZCDMA_RX, 0, 1024, 8192));
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* Rights can be taken away as well as given, each without the other. */
TEST_F(port, is_taken_from_those_it_was_given_to)
{
	static const struct {
		const char *text;
		bool may;
	} steps[] = {
		{ "t-rx:mode=0666", true }, { "t-rx:mode=0600", false },
		{ "t-rx:group=65534,mode=0660", true }, { "t-rx:group=", false },
		{ "t-rx:group=65534", true }, { "t-rx:mode=0600,group=", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		pid_t pid;

		ASSERT_EQ(0, port_declare(steps[i].text));
		IN_CHILD(pid) {
			int fd;

			zc_become_user(1 << 20);	/* with that group */
			fd = port_open("t-rx", 0, 0);
			CHILD_CHECK(fd == -EACCES || fd >= 0);
			CHILD_CHECK((fd >= 0) == steps[i].may);
		}
		EXPECT_EQ(0, zc_wait(pid)) {
			TH_LOG("%s", steps[i].text);
		}
	}
}

TEST_F(port, tells_only_root_and_the_same_user_who_has_it)
{
	struct zcdma_query_port *query = &self->query;
	int fd = port_open("t-rx", 0, 0);
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, port_give_to_all("t-loop"));
	IN_CHILD(pid) {
		zc_become_user(1 << 20);
		CHILD_CHECK(!port_query("t-rx", query));
		CHILD_CHECK(query->out_state == ZCDMA_PORT_BUSY);
		CHILD_CHECK(!query->out_owner && !*query->out_owner_name);
		CHILD_CHECK(port_open("t-loop", 0, 0) >= 0);
		CHILD_CHECK(!port_query("t-loop", query));
		CHILD_CHECK(query->out_owner == getpid() && *query->out_owner_name);
	}
	EXPECT_EQ(0, zc_wait(pid));
	close(fd);
}

TEST_F(port, comes_back_when_its_owner_is_killed)
{
	pid_t pid;
	int fd;

	IN_CHILD(pid) {
		fd = port_open("t-loop", 0, 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!stream_setup(fd, ZCDMA_TX, 0, 4096, 65536));
		CHILD_CHECK(!stream_do(fd, ZCDMA_TX, ZCDMA_STREAM_START));
		pause();
	}
	for (int i = 0; i < 500 && self->query.out_owner != pid; i++) {
		zc_sleep_ms(10);
		ASSERT_EQ(0, port_query("t-loop", &self->query));
	}
	ASSERT_EQ(pid, self->query.out_owner);
	zc_sleep_ms(200);
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, zc_wait(pid));
	fd = port_open("t-loop", 0, 0);
	EXPECT_LE(0, fd);
	close(fd);
}

/* All but one capability. */
static void lose_capability(int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	__u32 bit = 1U << capability % 32;

	CHILD_CHECK(!syscall(SYS_capget, &header, data));
	data[capability / 32].effective &= ~bit;
	data[capability / 32].permitted &= ~bit;
	data[capability / 32].inheritable &= ~bit;
	CHILD_CHECK(!syscall(SYS_capset, &header, data));
}

/* A port's register may be any address: who declares one has power over the hardware. */
TEST_F(port, is_declared_by_who_may_do_raw_io)
{
	pid_t pid;

	IN_CHILD(pid) {
		lose_capability(CAP_SYS_RAWIO);
		CHILD_CHECK(port_declare("t-mine:tx=dma0chan2,reg=0x1000") == -EPERM);
		CHILD_CHECK(port_query("t-mine", &self->query) == -ENOENT);
	}
	EXPECT_EQ(0, zc_wait(pid));
	port_drop("t-mine");
}

TEST_F(port, has_a_name_that_can_be_printed)
{
	static const char * const bad[] = {
		"t-\033]0;x\a:tx=dma0chan0", "t-\t:tx=dma0chan0", "t-\177:tx=dma0chan0",
		"t-\r:tx=dma0chan0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, port_declare(bad[i])) {
			TH_LOG("name %zu", i);
		}
	}
	/* What was made of them goes with the module. */
}

/* Root's, until its declaration says whose else: even where all may open the device. */
TEST_F(port, is_roots_unless_declared_otherwise)
{
	struct stat node;
	pid_t pid;

	ASSERT_EQ(0, stat(ZCDMA_DEVICE, &node));
	ASSERT_EQ(0, chmod(ZCDMA_DEVICE, 0666));
	IN_CHILD(pid) {
		int err;

		zc_become_user(1 << 20);
		err = port_open("t-rx", 0, 0);
		CHILD_CHECK(err == -EACCES || err == -EPERM);
	}
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(0, chmod(ZCDMA_DEVICE, node.st_mode & 07777));
}

/* Its device's FIFO holds what came: a reader that goes takes no byte more than it read. */
TEST_F(port, keeps_for_the_next_reader_what_the_first_has_left)
{
	struct zcdma_op op = { .opcode = ZCDMA_OP_SEND, .len = 64 };
	char out[64], in[64];
	int tx, rx;

	ASSERT_EQ(0, softdma_rebuild(""));
	ASSERT_EQ(0, port_make("t-tx", 0, -1, ""));
	ASSERT_EQ(0, port_make("t-in", -1, 1, ""));
	tx = port_open("t-tx", 0, 0);
	ASSERT_LE(0, tx);
	sequence_write(out, 0, 64);
	op.src = zc_ptr(out);
	ASSERT_EQ(0, port_op(tx, op).res);
	op.opcode = ZCDMA_OP_RECV;
	op.src = 0;
	op.dst = zc_ptr(in);
	op.len = 8;
	rx = port_open("t-in", 10000, 0);
	ASSERT_LE(0, rx);
	EXPECT_EQ(0, port_op(rx, op).res);
	close(rx);
	rx = port_open("t-in", 10000, 0);
	ASSERT_LE(0, rx);
	op.dst += 8;
	op.len = 56;
	EXPECT_EQ(0, port_op(rx, op).res);
	EXPECT_TRUE(sequence_holds(in, 0, 64));
	close(rx);
	close(tx);
	EXPECT_EQ(0, port_drop("t-tx"));
	EXPECT_EQ(0, port_drop("t-in"));
}

/* A stream hands out periods in their order: an engine that has none cannot serve it. */
TEST_F(port, of_an_engine_without_order_has_no_stream)
{
	int fd;

	ASSERT_EQ(0, softdma_become("unordered=Y"));
	fd = port_open("t-rx", 0, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, stream_setup(fd, ZCDMA_RX, ZCDMA_STREAM_QUEUED, 1024, 8192));
	close(fd);
}

/* To look at a ring takes no right to write. */
TEST_F(port, that_is_opened_for_reading_is_mapped_for_reading)
{
	struct zcdma_attach_port how = { .name = "t-rx" };
	int fd = open(ZCDMA_DEVICE, O_RDONLY | O_CLOEXEC);
	void *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, zc_ioctl(fd, ZCDMA_IOC_ATTACH_PORT, &how));
	ASSERT_EQ(0, stream_setup(fd, ZCDMA_RX, 0, 4096, 16384));
	p = mmap(NULL, 16384, PROT_READ, MAP_SHARED, fd, ZCDMA_MMAP_RX_RING);
	EXPECT_NE(MAP_FAILED, p);
	if (p != MAP_FAILED)
		munmap(p, 16384);
	close(fd);
}

ZC_TEST_MAIN
