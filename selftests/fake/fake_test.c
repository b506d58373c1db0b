// SPDX-License-Identifier: GPL-2.0
/*
 * The fake itself: it is entered, it sees who does not keep to the contract, and fails what it
 * is told to. That it answers as the module does is what session, which runs in guests as well,
 * shows; see qemu/check-tool.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness.h"
#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

static char *in_machine(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", getenv("ZCDMA_FAKE"), name);
	return path;
}

static bool holds_line(const char *name, const char *wanted)
{
	char line[512];
	FILE *file = fopen(in_machine(name), "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, wanted);
	if (file)
		fclose(file);
	return found;
}

/* Did the fake complain of this, and of nothing before? It is forgotten then. */
static bool complained(const char *of)
{
	bool found = holds_line("complaints", of);

	return !truncate(in_machine("complaints"), 0) && found;
}

static bool silent(void)
{
	struct stat stat;

	return !lstat(in_machine("complaints"), &stat) && !stat.st_size;
}

TEST(it_is_in_this_process)
{
	char pid[16];
	pid_t parent = getppid();	/* the program: tests are its children */

	snprintf(pid, sizeof(pid), "%d\n", parent);
	EXPECT_TRUE(holds_line("entered", pid));
}

TEST(device_has_the_rights_of_its_file)
{
	char *gone = strdup(in_machine("gone"));
	int fd = zc_open(0);

	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, rename(in_machine("zcdma"), gone));
	EXPECT_EQ(-ENOENT, zc_open(0));
	ASSERT_EQ(0, rename(gone, in_machine("zcdma")));
	EXPECT_EQ(-1, ioctl(0, ZCDMA_IOC_GET_INFO, NULL));
}

TEST(reserved_fields_and_unknown_flags_are_complained_of)
{
	struct zcdma_attach_port port = { .__reserved = 1 };
	struct zcdma_register_buffer buffer = { .flags = 2 };
	struct zcdma_stream_control control = { .direction = ZCDMA_TX, .__reserved = 7 };
	struct zcdma_cancel cancel = { .flags = 1 << 31 };
	int fd = zc_session("softdma", 0);

	ASSERT_LE(0, fd);
	EXPECT_TRUE(silent());
	zc_ioctl(fd, ZCDMA_IOC_ATTACH_PORT, &port);
	EXPECT_TRUE(complained("ATTACH_PORT: a reserved field is 0x1"));
	zc_ioctl(fd, ZCDMA_IOC_REGISTER_BUFFER, &buffer);
	EXPECT_TRUE(complained("REGISTER_BUFFER: unknown flags 0x2"));
	zc_ioctl(fd, ZCDMA_IOC_STREAM_CONTROL, &control);
	EXPECT_TRUE(complained("STREAM_CONTROL: a reserved field is 0x7"));
	zc_ioctl(fd, ZCDMA_IOC_CANCEL, &cancel);
	EXPECT_TRUE(complained("CANCEL: unknown flags"));
}

TEST(ops_that_are_wrong_are_complained_of)
{
	char *memory = zc_map(8192);
	struct zcdma_op op = zc_copy_op(memory, memory + 4096, 64, 1);
	struct zcdma_submit submit = { .count = 1, .ops = zc_ptr(&op), .op_size = 60 };
	int fd = zc_session("softdma", 0);

	EXPECT_EQ(-EINVAL, zc_ioctl(fd, ZCDMA_IOC_SUBMIT, &submit));
	EXPECT_TRUE(complained("op_size is 60"));
	op.__reserved2 = 1;
	EXPECT_EQ(-EINVAL, zc_submit(fd, &op, 1, NULL));
	EXPECT_TRUE(complained("unknown bit"));
	op.__reserved2 = 0;
	op.opcode = 77;
	EXPECT_EQ(-EINVAL, zc_submit(fd, &op, 1, NULL));
	EXPECT_TRUE(complained("opcode: 77"));
}

/* Who gives memory back while an op is under way has not understood. */
TEST(memory_that_goes_too_early_is_complained_of)
{
	char *memory = zc_map(8192);
	struct zcdma_op op = zc_copy_op(memory, memory + 4096, 64, 1);
	struct zcdma_completion c;
	int fd = zc_session("softdma", 0);

	ASSERT_EQ(0, softdma_set("delay_us", 20000));
	ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
	munmap(memory, 8192);
	EXPECT_EQ(1, zc_reap(fd, &c, 1, 2000));
	EXPECT_TRUE(complained("unmapped before its completion"));
	softdma_set("delay_us", 0);
}

TEST(device_without_O_CLOEXEC_is_complained_of)
{
	int fd = open(ZCDMA_DEVICE, O_RDWR);

	EXPECT_LE(0, fd);
	EXPECT_TRUE(complained("without O_CLOEXEC"));
	close(fd);
}

/* Nothing is moved before the completion is asked for: who looks early sees old bytes. */
TEST(bytes_come_with_the_completion)
{
	char *memory = zc_map(8192);
	struct zcdma_op op = zc_fill_op(memory, 7, 64, 1);
	struct zcdma_completion c;
	int fd = zc_session("softdma", 0);

	ASSERT_EQ(0, softdma_set("delay_us", 20000));
	ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
	EXPECT_EQ(0, memory[0]);
	EXPECT_EQ(1, zc_reap(fd, &c, 1, 2000));
	EXPECT_EQ(7, memory[63]);
	EXPECT_EQ(0, memory[64]);
	softdma_set("delay_us", 0);
	EXPECT_TRUE(silent());
}

/* A port is one of the machine, and its owner is another process. */
TEST(processes_share_the_machine)
{
	struct zcdma_query_port query;
	pid_t pid;
	int fd;

	ASSERT_EQ(0, port_make("t-shared", 0, 1, ""));
	fd = port_open("t-shared", 0, 0);
	ASSERT_LE(0, fd);
	IN_CHILD(pid) {
		CHILD_CHECK(port_open("t-shared", 0, 0) == -EBUSY);
		CHILD_CHECK(!port_query("t-shared", &query));
		CHILD_CHECK(query.out_owner == getppid());
		CHILD_CHECK(query.out_state == ZCDMA_PORT_BUSY);
	}
	EXPECT_EQ(0, zc_wait(pid));
	close(fd);
	IN_CHILD(pid)
		CHILD_CHECK(port_open("t-shared", 0, 0) >= 0);
	EXPECT_EQ(0, zc_wait(pid));
	/* That one has ended, and owns nothing any more. */
	fd = port_open("t-shared", 0, 0);
	EXPECT_LE(0, fd);
	EXPECT_EQ(-EBUSY, port_drop("t-shared"));
	close(fd);
	EXPECT_EQ(0, port_drop("t-shared"));
}

ZC_TEST_MAIN
