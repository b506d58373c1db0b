// SPDX-License-Identifier: GPL-2.0
/*
 * Memory registered to be read only: an op moves what the program has there at the time of
 * the op, whatever sort of memory it is and whenever it was written.
 */
#include <fcntl.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "harness.h"
#include "zcdma_util.h"

#define SIZE	(64 * 4096UL)

static alignas(4096) char bss[SIZE];

/* A file of SIZE bytes of 1, without a name. */
static int make_file(void)
{
	static char ones[SIZE];
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	memset(ones, 1, SIZE);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(write(fd, ones, SIZE) == (ssize_t)SIZE);
	return fd;
}

static char *map_file(int prot, int flags)
{
	int fd = make_file();
	char *p = mmap(NULL, SIZE, prot, flags, fd, 0);

	CHILD_CHECK(p != MAP_FAILED);
	close(fd);
	return p;
}

static char *get_bss(void)
{
	return bss;
}

static char *get_heap(void)
{
	char *p = calloc(1, SIZE);

	CHILD_CHECK(p);
	return p;
}

static char *get_anonymous(void)
{
	return zc_map(SIZE);
}

static char *get_private_file(void)
{
	return map_file(PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

static char *get_private_file_to_read(void)
{
	return map_file(PROT_READ, MAP_PRIVATE);
}

static char *get_shared_file_to_read(void)
{
	return map_file(PROT_READ, MAP_SHARED);
}

FIXTURE(readonly) {
	int fd;
	char *dst;
};

FIXTURE_VARIANT(readonly) {
	char *(*get)(void);
	bool writable;
};

FIXTURE_VARIANT_ADD(readonly, bss) { get_bss, true };
FIXTURE_VARIANT_ADD(readonly, heap) { get_heap, true };
FIXTURE_VARIANT_ADD(readonly, anonymous) { get_anonymous, true };
FIXTURE_VARIANT_ADD(readonly, private_file) { get_private_file, true };
FIXTURE_VARIANT_ADD(readonly, private_file_to_read) { get_private_file_to_read, false };
FIXTURE_VARIANT_ADD(readonly, shared_file_to_read) { get_shared_file_to_read, false };

FIXTURE_SETUP(readonly)
{
	zc_unlimit_memlock();
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->dst = zc_map(SIZE);
}

FIXTURE_TEARDOWN(readonly)
{
	close(self->fd);
}

/* Registered before the program has ever touched it. */
TEST_F(readonly, memory_is_moved_as_it_is)
{
	char *src = variant->get();
	int id = zc_register(self->fd, src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	struct zcdma_op op = zc_copy_op(self->dst, NULL, SIZE, 0);

	ASSERT_LT(0, id);
	if (variant->writable)
		memset(src, 0x5a, SIZE);
	memset(self->dst, 0xee, SIZE);
	op.src_buffer = id;
	ASSERT_EQ(0, zc_do(self->fd, op));
	EXPECT_EQ(0, memcmp(self->dst, src, SIZE));
}

ZC_TEST_MAIN
