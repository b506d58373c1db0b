// SPDX-License-Identifier: GPL-2.0
/* Ports: who may define, see and have them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "kselftest_harness.h"
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
	EXPECT_STREQ("port", self->query.out_owner_name);
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
		"t-x:tx=dma0chan0,width=128",
		"t-x:tx=dma0chan0,data=2",
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

/* A user sees and uses what is there, declares nothing and reads no address. */
TEST_F(port, is_for_users_and_defined_by_root)
{
	pid_t pid;

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

TEST_HARNESS_MAIN
