// SPDX-License-Identifier: GPL-2.0
/*
 * How fast ops at the ports of the device tree are, beside the least that a driver does
 * (modules/port_client.c) on the same channel in the same boot.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kselftest_harness.h"
#include "port_util.h"
#include "zcdma_util.h"

#define CLIENT		"/sys/module/port_client/parameters/run"
#define TRIES		10
#define MIB		1048576U

/* How the memory is that zcdma moves; that of the driver is mapped once, for all. */
enum memory {
	ANY,				/* pinned and mapped for each op */
	REGISTERED,			/* once, as the driver's */
	MEMORIES,
};

static const char * const names[] = { "any memory", "registered memory" };

FIXTURE(port_rate) {
	char *memory;
};

FIXTURE_SETUP(port_rate)
{
	zc_unlimit_memlock();
	ASSERT_TRUE(zc_lacks("ports") || !system("modprobe port_client"));
	self->memory = zc_map(MIB);
}

FIXTURE_TEARDOWN(port_rate)
{
	EXPECT_TRUE(zc_lacks("ports") || !system("modprobe -r port_client"));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Bytes per second of the driver, and its channel; or 0. */
static double by_client(const char *port, size_t size, unsigned int count, char channel[64])
{
	unsigned long long ns = 0;
	char text[128];
	FILE *file;

	snprintf(text, sizeof(text), "%s %zu %u", port, size, count);
	if (zc_write_file(CLIENT, text))
		return 0;
	file = fopen(CLIENT, "r");
	if (!file || fscanf(file, "%63s %llu", channel, &ns) != 2)
		ns = 0;
	if (file)
		fclose(file);
	return ns ? (double)size * count * 1e9 / ns : 0;
}

static int set_up_op(int fd, char *memory, const struct zcdma_query_port *port, size_t size,
		     enum memory how, struct zcdma_op *op)
{
	bool sends = port->out_directions & ZCDMA_TX;
	__u64 addr = zc_ptr(memory);
	int id = 0;

	if (how == REGISTERED) {
		id = zc_register(fd, memory, size, 0);
		addr = 0;
	}
	*op = (struct zcdma_op){
		.opcode = sends ? ZCDMA_OP_SEND : ZCDMA_OP_RECV,
		.len = size,
		.src = sends ? addr : 0,
		.dst = sends ? 0 : addr,
		.src_buffer = sends ? id : 0,
		.dst_buffer = sends ? 0 : id,
		.deadline_ms = 60000,
	};
	return id < 0 ? id : 0;
}

/* The same of zcdma: one op after the other, each waited for. */
static double by_zcdma(const struct zcdma_query_port *port, char *memory, size_t size,
		       unsigned int count, enum memory how, char channel[64])
{
	struct zcdma_query_channel query = { .flags = ZCDMA_QUERY_ATTACHED };
	int fd = port_open(port->out_name, 0, 0);
	struct zcdma_op op;
	double started, took = 0;
	int err = fd < 0 ? fd : zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &query);

	snprintf(channel, 64, "%s", query.out_name);
	err = err ?: set_up_op(fd, memory, port, size, how, &op);
	started = now();
	for (unsigned int i = 0; !err && i < count; i++)
		err = zc_do(fd, op);
	took = now() - started;
	if (fd >= 0)
		close(fd);
	return err ? 0 : size * count / took;
}

/* Both in turn. The host has other things to do as well: it may hold for one try only. */
static bool keeps_up(struct __test_metadata *_metadata, const struct zcdma_query_port *port,
		     char *memory, size_t size, unsigned int count, enum memory how)
{
	char theirs_on[64] = "", ours_on[64] = "";
	double theirs, ours;

	for (int i = 1; i <= TRIES; i++) {
		theirs = by_client(port->out_name, size, count, theirs_on);
		ours = by_zcdma(port, memory, size, count, how, ours_on);
		TH_LOG("%s, %zu bytes, %s, try %d: %.0f bytes/s, driver %.0f", port->out_name,
		       size, names[how], i, ours, theirs);
		if (!theirs || !ours || strcmp(theirs_on, ours_on)) {
			TH_LOG("on channels '%s' and '%s'", theirs_on, ours_on);
			return false;
		}
		if (ours >= 0.95 * theirs)
			return true;
	}
	return false;
}

static const struct {
	size_t size;
	unsigned int count;
} loads[] = { { 65536, 16 }, { MIB, 2 } };

static void compare(struct __test_metadata *_metadata, const struct zcdma_query_port *port,
		    char *memory)
{
	/* One who moves 100 KB in a second has enough with a few of the short ones. */
	bool slow = zc_lacks("bulk");

	for (size_t i = 0; i < (slow ? 1 : ARRAY_SIZE(loads)); i++)
		for (int how = 0; how < MEMORIES; how++)
			EXPECT_TRUE(keeps_up(_metadata, port, memory, loads[i].size,
					     slow ? 2 : loads[i].count, how));
}

TEST_F_TIMEOUT(port_rate, is_that_of_a_driver, 300)
{
	struct zcdma_query_port port = { 0 };
	int fd;

	if (zc_lacks("ports"))
		SKIP(return, "lacks ports: its engine serves no device here");
	fd = zc_open(0);
	ASSERT_LE(0, fd);
	for (; !zc_ioctl(fd, ZCDMA_IOC_QUERY_PORT, &port); port.index++)
		compare(_metadata, &port, self->memory);
	EXPECT_LT(0, port.index);
	close(fd);
}

TEST_HARNESS_MAIN
