// SPDX-License-Identifier: GPL-2.0
/*
 * What an op at a port of the device tree costs, beside the least that a driver does
 * (modules/port_client.c) on the same channel in the same boot: in counted instructions, which
 * each run has the same. An op is of a page: both then hand one piece to the engine. (The
 * driver's memory is coherent and mapped once; that of an op has to be made ready for the
 * device each time.)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "port_util.h"
#include "zcdma_util.h"

#define CLIENT		"/sys/module/port_client/parameters/run"
#define SIZE		4096U
#define COUNT		64U

/* How the memory is that zcdma moves; that of the driver is mapped once, for all. */
enum memory {
	ANY,				/* pinned and mapped for each op */
	REGISTERED,			/* once, as the driver's */
	MEMORIES,
};

static const struct {
	const char *name;
	double most;			/* times what the driver's takes */
} costs[] = {
	[ANY] = { "any memory", 3 },
	[REGISTERED] = { "registered memory", 2.5 },
};

FIXTURE(port_rate) {
	char *memory;
};

FIXTURE_SETUP(port_rate)
{
	zc_unlimit_memlock();
	ASSERT_TRUE(zc_lacks("ports") || zc_lacks("counted") ||
		    !system("modprobe port_client"));
	self->memory = zc_map(SIZE);
}

FIXTURE_TEARDOWN(port_rate)
{
	EXPECT_TRUE(zc_lacks("ports") || zc_lacks("counted") ||
		    !system("modprobe -r port_client"));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Nanoseconds, which are instructions, of an op of the driver; and its channel. Or 0. */
static double by_client(const char *port, char channel[64])
{
	unsigned long long ns = 0;
	char text[128];
	FILE *file;

	snprintf(text, sizeof(text), "%s %u %u", port, SIZE, COUNT);
	if (zc_write_file(CLIENT, text))
		return 0;
	file = fopen(CLIENT, "r");
	if (!file || fscanf(file, "%63s %llu", channel, &ns) != 2)
		ns = 0;
	if (file)
		fclose(file);
	return (double)ns / COUNT;
}

static int set_up_op(int fd, char *memory, const struct zcdma_query_port *port,
		     enum memory how, struct zcdma_op *op)
{
	bool sends = port->out_directions & ZCDMA_TX;
	__u64 addr = zc_ptr(memory);
	int id = 0;

	if (how == REGISTERED) {
		id = zc_register(fd, memory, SIZE, 0);
		addr = 0;
	}
	*op = (struct zcdma_op){
		.opcode = sends ? ZCDMA_OP_SEND : ZCDMA_OP_RECV,
		.len = SIZE,
		.src = sends ? addr : 0,
		.dst = sends ? 0 : addr,
		.src_buffer = sends ? id : 0,
		.dst_buffer = sends ? 0 : id,
		.deadline_ms = 60000,
	};
	return id < 0 ? id : 0;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * The same of zcdma: one op after the other, each waited for. What the op in the middle takes:
 * while one waits the clock may be moved on for something else that the machine waits for.
 */
static double by_zcdma(const struct zcdma_query_port *port, char *memory, enum memory how,
		       char channel[64])
{
	struct zcdma_query_channel query = { .flags = ZCDMA_QUERY_ATTACHED };
	int fd = port_open(port->out_name, 0, 0);
	int err = fd < 0 ? fd : zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &query);
	double took[COUNT];
	struct zcdma_op op;

	snprintf(channel, 64, "%s", query.out_name);
	err = err ?: set_up_op(fd, memory, port, how, &op);
	for (unsigned int i = 0; !err && i < COUNT; i++) {
		took[i] = now();
		err = zc_do(fd, op);
		took[i] = (now() - took[i]) * 1e9;
	}
	if (fd >= 0)
		close(fd);
	if (err)
		return 0;
	qsort(took, COUNT, sizeof(*took), by_size);
	printf("# ops took %.0f to %.0f instructions\n", took[0], took[COUNT - 1]);
	return took[COUNT / 2];
}

static bool is_within(struct __test_metadata *_metadata, const struct zcdma_query_port *port,
		      char *memory, enum memory how)
{
	char theirs_on[64] = "", ours_on[64] = "";
	double theirs, ours;

	theirs = by_client(port->out_name, theirs_on);
	ours = by_zcdma(port, memory, how, ours_on);
	TH_LOG("%s, %s: %.0f instructions, driver %.0f", port->out_name, costs[how].name, ours,
	       theirs);
	if (!theirs || !ours || strcmp(theirs_on, ours_on)) {
		TH_LOG("on channels '%s' and '%s'", theirs_on, ours_on);
		return false;
	}
	return ours <= costs[how].most * theirs;
}

TEST_F_TIMEOUT(port_rate, is_bounded_by_that_of_a_driver, 60)
{
	struct zcdma_query_port port = { 0 };
	int fd;

	if (zc_lacks("ports"))
		SKIP(return, "lacks ports: its engine serves no device here");
	if (zc_lacks("counted"))
		SKIP(return, "lacks counted: time is the host's");
	fd = zc_open(0);
	ASSERT_LE(0, fd);
	for (; !zc_ioctl(fd, ZCDMA_IOC_QUERY_PORT, &port); port.index++)
		for (int how = 0; how < MEMORIES; how++)
			EXPECT_TRUE(is_within(_metadata, &port, self->memory, how));
	EXPECT_LT(0, port.index);
	close(fd);
}

ZC_TEST_MAIN
