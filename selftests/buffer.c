// SPDX-License-Identifier: GPL-2.0
/* Registered buffers: what they move, what they cost, what they refuse, when they end. */
#include <fcntl.h>
#include <sys/mman.h>

#include "harness.h"
#include "kmsg.h"
#include "pattern.h"
#include "region.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(64 * PAGE)
#define PATIENCE	20000

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(buffer) {
	long pinned;
	int fd;
	char *src, *dst;	/* SIZE bytes each, the source registered read-only */
	int src_id, dst_id;
};

FIXTURE_SETUP(buffer)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	zc_seed();
	self->pinned = zc_pinned_baseline();
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
	self->src_id = zc_register(self->fd, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	self->dst_id = zc_register(self->fd, self->dst, SIZE, 0);
	ASSERT_LT(0, self->src_id);
	ASSERT_LT(0, self->dst_id);
}

FIXTURE_TEARDOWN(buffer)
{
	EXPECT_EQ(0, softdma_reset());
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

static struct zcdma_op fill_op(int dst_id, __u64 to, __u8 byte, size_t len)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_FILL, .dst_buffer = dst_id, .dst = to, .src = byte, .len = len,
	};
}

/* @len bytes of the source from @from on at @to of the target, and nothing else changed. */
static bool moved(const char *dst, size_t to, size_t from, size_t len)
{
	return pattern_holds(target, dst, 0, to) && pattern_holds(source, dst + to, from, len) &&
	       pattern_holds(target, dst + to + len, to + len, SIZE - to - len);
}

TEST_F(buffer, copies_of_all_sizes_at_all_offsets)
{
	const size_t lens[] = { 1, 2, 3, 7, 63, 64, 65, 200, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE,
				17 * PAGE + 5, SIZE - 200 };
	const size_t offsets[] = { 0, 1, 3, 64, 100, PAGE - 1 };
	unsigned int number = 0;

	for (size_t l = 0; l < ARRAY_SIZE(lens); l++)
		for (size_t t = 0; t < ARRAY_SIZE(offsets); t++)
			for (size_t f = 0; f < ARRAY_SIZE(offsets); f++) {
				size_t to = offsets[t], from = offsets[f], len = lens[l];
				struct zcdma_op op;

				if (len + to > SIZE || len + from > SIZE || !zc_my_share(number++))
					continue;
				pattern_write(target, self->dst, 0, SIZE);
				op = zc_buffer_op(self->dst_id, to, self->src_id, from, len);
				ASSERT_EQ(0, zc_do(self->fd, op));
				ASSERT_TRUE(moved(self->dst, to, from, len)) {
					TH_LOG("%zu bytes from %zu to %zu", len, from, to);
				}
			}
}

TEST_F(buffer, one_end_registered_and_one_not)
{
	struct zcdma_op op = zc_buffer_op(self->dst_id, 5, 0, zc_ptr(self->src) + 9, 3 * PAGE);

	ASSERT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(moved(self->dst, 5, 9, 3 * PAGE));
	pattern_write(target, self->dst, 0, SIZE);
	op = zc_buffer_op(0, zc_ptr(self->dst) + 5, self->src_id, 9, 3 * PAGE);
	ASSERT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(moved(self->dst, 5, 9, 3 * PAGE));
}

TEST_F(buffer, fills)
{
	const size_t lens[] = { 1, 100, PAGE, 5 * PAGE + 3 };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		pattern_write(target, self->dst, 0, SIZE);
		ASSERT_EQ(0, zc_do(self->fd, fill_op(self->dst_id, 77, 0xc5, lens[i])));
		EXPECT_TRUE(pattern_holds(target, self->dst, 0, 77));
		EXPECT_TRUE(filled_with(0xc5, self->dst + 77, lens[i]));
		EXPECT_TRUE(pattern_holds(target, self->dst + 77 + lens[i], 77 + lens[i],
					  SIZE - 77 - lens[i]));
	}
}

/* What the CPU writes between two ops is what the next one moves, and what it reads is new. */
TEST_F(buffer, sees_what_was_written_before_each_op)
{
	for (int round = 0; round < 50; round++) {
		const struct pattern now = { 'r', round };
		size_t len = 1 + zc_random_below(3 * PAGE), to = zc_random_below(SIZE - len);

		pattern_write(now, self->src, 0, len);
		ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(self->dst_id, to, self->src_id, 0, len)));
		ASSERT_TRUE(pattern_holds(now, self->dst + to, 0, len));
	}
}

/* More than are made ready, or finished, at a time when nobody may sleep. */
TEST_F(buffer, many_bytes_are_seen_as_they_were_written)
{
	for (int round = 0; round < 5; round++) {
		const struct pattern now = { 'm', round };

		pattern_write(now, self->src, 0, SIZE);
		ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(self->dst_id, 0, self->src_id, 0, SIZE)));
		ASSERT_TRUE(pattern_holds(now, self->dst, 0, SIZE));
	}
}

TEST_F(buffer, many_ops_in_flight)
{
	struct zcdma_op ops[SIZE / PAGE];

	for (int round = 0; round < 5; round++) {
		pattern_write(target, self->dst, 0, SIZE);
		for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
			ops[i] = zc_buffer_op(self->dst_id, i * PAGE, self->src_id, i * PAGE, PAGE);
		ASSERT_EQ(0, zc_do_all(self->fd, ops, ARRAY_SIZE(ops)));
		ASSERT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	}
}

TEST_F(buffer, may_overlap_another)
{
	int again = zc_register(self->fd, self->dst + PAGE, 2 * PAGE, 0);

	ASSERT_LT(0, again);
	ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(again, 0, self->src_id, 0, PAGE)));
	EXPECT_TRUE(moved(self->dst, PAGE, 0, PAGE));
	EXPECT_EQ(0, zc_unregister(self->fd, again));
	ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(self->dst_id, PAGE, self->src_id, PAGE, PAGE)));
	EXPECT_TRUE(moved(self->dst, PAGE, PAGE, PAGE));
}

/* The same page many times, as a mapping may have it. */
TEST_F(buffer, may_hold_a_page_twice)
{
	char *twice = zc_map(2 * PAGE);
	int memfd = memfd_create("page", 0), id;

	ASSERT_EQ(0, ftruncate(memfd, PAGE));
	for (int i = 0; i < 2; i++)
		ASSERT_TRUE(mmap(twice + i * PAGE, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, memfd, 0) != MAP_FAILED);
	id = zc_register(self->fd, twice, 2 * PAGE, 0);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(id, PAGE, self->src_id, 0, PAGE)));
	EXPECT_TRUE(pattern_holds(source, twice, 0, PAGE));
	close(memfd);
}

/* ---- what is refused, before anything moves ---- */

#define REFUSED(error, op) do { \
	EXPECT_EQ(error, zc_do(self->fd, op)); \
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE)); \
	EXPECT_EQ(0, zc_outstanding(self->fd)); \
} while (0)

TEST_F(buffer, unknown_ids)
{
	const __u32 ids[] = { 3, 1000, 1024, 1025, ~0U };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		REFUSED(-EINVAL, zc_buffer_op(ids[i], 0, self->src_id, 0, 64));
		REFUSED(-EINVAL, zc_buffer_op(self->dst_id, 0, ids[i], 0, 64));
		EXPECT_EQ(-EINVAL, zc_unregister(self->fd, ids[i]));
	}
	EXPECT_EQ(-EINVAL, zc_unregister(self->fd, 0));
}

TEST_F(buffer, of_another_session)
{
	int other = zc_session(zc_provider(), 0);

	ASSERT_LE(0, other);
	EXPECT_EQ(-EINVAL, zc_do(other, zc_buffer_op(self->dst_id, 0, self->src_id, 0, 64)));
	EXPECT_EQ(-EINVAL, zc_unregister(other, self->src_id));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	close(other);
}

TEST_F(buffer, ranges_past_the_end)
{
	const __u64 starts[] = { SIZE, SIZE - 63, SIZE + 1, 1ULL << 31, 1ULL << 32, ~0ULL - 64 };

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		REFUSED(-EFAULT, zc_buffer_op(self->dst_id, starts[i], self->src_id, 0, 64));
		REFUSED(-EFAULT, zc_buffer_op(self->dst_id, 0, self->src_id, starts[i], 64));
		REFUSED(-EFAULT, fill_op(self->dst_id, starts[i], 1, 64));
	}
	REFUSED(-EINVAL, zc_buffer_op(self->dst_id, ~0ULL, self->src_id, 0, 64));
	REFUSED(-EFAULT, zc_buffer_op(self->dst_id, 0, self->src_id, 0, SIZE + 1));
}

TEST_F(buffer, writing_to_one_that_is_read_only)
{
	struct zcdma_op op = zc_buffer_op(self->src_id, 0, self->dst_id, 0, 64);

	EXPECT_EQ(-EFAULT, zc_do(self->fd, op));
	EXPECT_EQ(-EFAULT, zc_do(self->fd, fill_op(self->src_id, 0, 1, 64)));
	EXPECT_TRUE(pattern_holds(source, self->src, 0, SIZE));
}

TEST_F(buffer, source_and_target_that_overlap)
{
	int alias = zc_register(self->fd, self->dst, SIZE, ZCDMA_BUFFER_READ_ONLY);

	ASSERT_LT(0, alias);
	REFUSED(-EINVAL, zc_buffer_op(self->dst_id, 0, self->dst_id, 63, 64));
	REFUSED(-EINVAL, zc_buffer_op(self->dst_id, 63, alias, 0, 64));
	REFUSED(-EINVAL, zc_buffer_op(self->dst_id, 0, 0, zc_ptr(self->dst) + 10, 64));
	EXPECT_EQ(0, zc_do(self->fd, zc_buffer_op(self->dst_id, 0, self->dst_id, 64, 64)));
}

TEST_F(buffer, op_with_anything_reserved_set_is_refused)
{
	struct zcdma_op good = zc_buffer_op(self->dst_id, 0, self->src_id, 0, 64), bad;

	for (size_t i = 0; i < sizeof(good.__reserved0); i++) {
		bad = good;
		bad.__reserved0[i] = 1;
		REFUSED(-EINVAL, bad);
	}
	bad = good;
	bad.__reserved1 = 1U << 31;
	REFUSED(-EINVAL, bad);
	bad = good;
	bad.__reserved2 = 1;
	REFUSED(-EINVAL, bad);
	bad = good;
	bad.flags = 1U << 31;
	REFUSED(-EINVAL, bad);
	EXPECT_EQ(0, zc_do(self->fd, good));
}

/* Whatever was wrong with it: the buffers that it named can be unregistered at once. */
TEST_F(buffer, refused_op_leaves_its_buffers_unused)
{
	REFUSED(-EINVAL, zc_buffer_op(self->dst_id, 0, 99, 0, 64));
	REFUSED(-EINVAL, zc_buffer_op(99, 0, self->src_id, 0, 64));
	REFUSED(-EFAULT, zc_buffer_op(self->dst_id, 0, self->src_id, SIZE, 64));
	REFUSED(-EFAULT, zc_buffer_op(self->dst_id, SIZE, self->src_id, 0, 64));
	REFUSED(-EFAULT, zc_buffer_op(self->dst_id, 0, 0, zc_ptr(NULL), 64));
	REFUSED(-EINVAL, zc_buffer_op(self->dst_id, 0, self->dst_id, 63, 64));
	EXPECT_EQ(0, zc_unregister(self->fd, self->dst_id));
	EXPECT_EQ(0, zc_unregister(self->fd, self->src_id));
}

TEST_F(buffer, op_behind_a_refused_one_is_not_taken)
{
	struct zcdma_op ops[3] = {
		zc_buffer_op(self->dst_id, 0, self->src_id, 0, 64),
		zc_buffer_op(self->dst_id, PAGE, 99, 0, 64),
		zc_buffer_op(self->dst_id, 2 * PAGE, self->src_id, 0, 64),
	};
	struct zcdma_completion c[3];
	__u32 accepted = 77;

	EXPECT_EQ(-EINVAL, zc_submit_wait(self->fd, ops, 3, c, &accepted));
	EXPECT_EQ(1, accepted);
	EXPECT_EQ(0, c[0].res);
	EXPECT_TRUE(moved(self->dst, 0, 0, 64));
}

TEST_F(buffer, registrations_of_what_cannot_be_pinned)
{
	struct zcdma_register_buffer wrapping = { .addr = -PAGE, .len = PAGE + 1 };
	char *edge = zc_map_edge();
	char *ro = zc_map(PAGE);

	wrapping.addr |= ~0ULL << 32;	/* for 32-bit programs, too */
	ASSERT_EQ(0, mprotect(ro, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, zc_register(self->fd, edge - PAGE, 2 * PAGE, 0));
	EXPECT_EQ(-EFAULT, zc_register(self->fd, NULL, PAGE, ZCDMA_BUFFER_READ_ONLY));
	EXPECT_EQ(-EFAULT, zc_register(self->fd, ro, PAGE, 0));
	EXPECT_LT(0, zc_register(self->fd, ro, PAGE, ZCDMA_BUFFER_READ_ONLY));
	EXPECT_EQ(-EINVAL, zc_register(self->fd, ro, 0, 0));
	EXPECT_EQ(-EINVAL, zc_ioctl(self->fd, ZCDMA_IOC_REGISTER_BUFFER, &wrapping));
	EXPECT_EQ(-EMSGSIZE, zc_register(self->fd, ro, zc_info(self->fd).out_max_len + 1, 0));
}

TEST_F(buffer, needs_a_channel_to_be_mapped_for)
{
	int fd = zc_open(0);

	EXPECT_EQ(-ENOTCONN, zc_register(fd, self->src, PAGE, 0));
	close(fd);
}

TEST_F(buffer, no_more_than_1024)
{
	for (int i = 2; i < 1024; i++)
		ASSERT_LT(0, zc_register(self->fd, self->src, 1, 0));
	EXPECT_EQ(-ENOSPC, zc_register(self->fd, self->src, 1, 0));
	ASSERT_EQ(0, zc_unregister(self->fd, 500));
	EXPECT_EQ(500, zc_register(self->fd, self->src, 1, 0));
}

/* ---- charge ---- */

/* The limit counts, a refused registration leaves no charge, unregistering gives it back. */
TEST_F(buffer, is_charged_until_it_is_unregistered)
{
	pid_t pid;

	IN_CHILD(pid) {
		int fd, id;

		zc_become_user(32 * PAGE);
		fd = zc_session(zc_provider(), 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(zc_register(fd, self->src, 33 * PAGE, 0) == -ENOMEM);
		for (int round = 0; round < 3; round++) {
			id = zc_register(fd, self->src, 32 * PAGE, 0);
			CHILD_CHECK(id > 0);
			CHILD_CHECK(zc_register(fd, self->src, 1, 0) == -ENOMEM);
			CHILD_CHECK(!zc_unregister(fd, id));
		}
		CHILD_CHECK(zc_register(fd, self->src, 32 * PAGE, 0) > 0);
		close(fd);
		zc_sleep_ms(200);
		fd = zc_session(zc_provider(), 0);
		CHILD_CHECK(zc_register(fd, self->src, 32 * PAGE, 0) > 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* Whole pages: one that begins or ends inside a page pins that page, too. */
TEST_F(buffer, is_charged_for_each_page_that_it_touches)
{
	pid_t pid;

	IN_CHILD(pid) {
		int fd, id;

		zc_become_user(4 * PAGE);
		fd = zc_session(zc_provider(), 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(zc_register(fd, self->src + 1, 4 * PAGE, 0) == -ENOMEM);
		CHILD_CHECK(zc_register(fd, self->src + PAGE - 1, 3 * PAGE + 2, 0) == -ENOMEM);
		id = zc_register(fd, self->src + PAGE - 1, 2, 0);
		CHILD_CHECK(id > 0);
		CHILD_CHECK(zc_register(fd, self->src + PAGE - 1, PAGE + 2, 0) == -ENOMEM);
		CHILD_CHECK(zc_register(fd, self->src + PAGE - 1, PAGE + 1, 0) > 0);
		CHILD_CHECK(zc_register(fd, self->src, 1, 0) == -ENOMEM);
		CHILD_CHECK(!zc_unregister(fd, id));
		CHILD_CHECK(zc_register(fd, self->src + PAGE - 1, 2, 0) > 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* May the ordinary user lock @pages pages, and no page more? */
static bool user_may_lock(char *memory, size_t pages)
{
	pid_t pid;

	IN_CHILD(pid) {
		int fd;

		zc_become_user(32 * PAGE);
		fd = zc_session(zc_provider(), 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(zc_register(fd, memory, pages * PAGE, 0) > 0);
		CHILD_CHECK(zc_register(fd, memory, 1, 0) == -ENOMEM);
	}
	return !zc_wait(pid);
}

/* The user registers 20 pages with a session of root's, and is gone then. */
static int register_as_user(int fd, char *memory)
{
	int ids[2], id = -1;
	pid_t pid;

	CHILD_CHECK(!pipe(ids));
	IN_CHILD(pid) {
		zc_become_user(32 * PAGE);
		id = zc_register(fd, memory, 20 * PAGE, 0);
		CHILD_CHECK(write(ids[1], &id, sizeof(id)) == sizeof(id));
	}
	if (!zc_wait(pid))
		CHILD_CHECK(read(ids[0], &id, sizeof(id)) == sizeof(id));
	close(ids[0]);
	close(ids[1]);
	return id;
}

/* Whoever unregisters, and whoever closes the session. */
TEST_F(buffer, charge_goes_back_to_the_user_who_registered)
{
	int fd = zc_session("softdma", 0), id;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(user_may_lock(self->src, 32));
	id = register_as_user(fd, self->src);
	ASSERT_LT(0, id);
	EXPECT_TRUE(user_may_lock(self->src, 12));
	ASSERT_EQ(0, zc_unregister(fd, id));
	ASSERT_TRUE(user_may_lock(self->src, 32));

	ASSERT_LT(0, register_as_user(fd, self->src));
	EXPECT_TRUE(user_may_lock(self->src, 12));
	close(fd);
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned + 2 * SIZE / PAGE, PATIENCE));
	EXPECT_TRUE(user_may_lock(self->src, 32));
}

/* The same where a worker of the kernel's is the last: the engine has an op at the close. */
TEST_F(buffer, charge_goes_back_to_the_user_when_the_engine_is_done)
{
	struct zcdma_op op = zc_buffer_op(0, 0, 0, 0, PAGE);
	int fd, other, id;

	ASSERT_EQ(0, softdma_rebuild("channels=1"));
	fd = zc_session("softdma", 0);
	other = zc_session("softdma", 0);	/* the engine is not stopped at the close */
	ASSERT_LE(0, fd);
	ASSERT_LE(0, other);
	id = register_as_user(fd, self->src);
	ASSERT_LT(0, id);
	op.src_buffer = id;
	op.dst_buffer = zc_register(fd, self->dst, SIZE, 0);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
	close(fd);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned + 2 * SIZE / PAGE, PATIENCE));
	/* The charge goes a moment after the last page. */
	for (int i = 0; i < 40 && !user_may_lock(self->src, 32); i++)
		zc_sleep_ms(50);
	EXPECT_TRUE(user_may_lock(self->src, 32));
	close(other);
}

/* ---- files ---- */

/*
 * The page is clean when the engine writes to it: written back since it was registered. It
 * must be written back once more, or what the engine wrote is lost with the page cache.
 */
TEST_F(buffer, registered_file_memory_is_marked_dirty)
{
	char *seen = zc_map(SIZE);
	struct region region;
	int id;

	if (zc_lacks("disk"))
		SKIP(return, "lacks disk: a file system that writes back");
	if (zc_lacks("file-pins"))
		SKIP(return, "lacks file-pins: this kernel does not pin its files for long");
	ASSERT_EQ(0, region_map(&region, REGION_DISK, SIZE));
	pattern_write(target, region.base, 0, SIZE);
	id = zc_register(self->fd, region.base, SIZE, 0);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, msync(region.base, SIZE, MS_SYNC));
	ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(id, 0, self->src_id, 0, SIZE / 2 + 100)));
	ASSERT_EQ(0, zc_unregister(self->fd, id));
	ASSERT_EQ(0, munmap(region.base, SIZE));
	ASSERT_EQ(0, fsync(region.fd));
	ASSERT_EQ(0, posix_fadvise(region.fd, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_EQ(SIZE, pread(region.fd, seen, SIZE, 0));
	EXPECT_TRUE(moved(seen, 0, 0, SIZE / 2 + 100));
	close(region.fd);
}

/* ---- the end of buffers, and of what they were made from ---- */

TEST_F(buffer, is_not_unregistered_while_an_op_is_in_flight)
{
	struct zcdma_op op = zc_buffer_op(0, 0, 0, 0, PAGE);
	struct zcdma_completion c;
	int fd, src, dst;

	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	src = zc_register(fd, self->src, SIZE, 0);
	dst = zc_register(fd, self->dst, SIZE, 0);
	op.src_buffer = src;
	op.dst_buffer = dst;
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
	EXPECT_EQ(-EBUSY, zc_unregister(fd, src));
	EXPECT_EQ(-EBUSY, zc_unregister(fd, dst));
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(1, zc_reap(fd, &c, 1, PATIENCE));
	EXPECT_EQ(0, zc_unregister(fd, src));
	EXPECT_EQ(-EINVAL, zc_do(fd, op));
	EXPECT_EQ(0, zc_unregister(fd, dst));
	close(fd);
}

/*
 * What the program writes to it after the last op is what it has afterwards: the end takes nothing
 * back from the engine. (A bounce buffer holds what was there before.)
 */
TEST_F(buffer, keeps_what_was_written_before_it_is_unregistered)
{
	const size_t lens[] = { PAGE, SIZE };	/* mapped in one piece, and as a list */

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		const struct pattern now = { 'u', i };
		int id = zc_register(self->fd, self->dst, lens[i], 0);

		ASSERT_LT(0, id);
		ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(id, 0, self->src_id, 0, lens[i])));
		pattern_write(now, self->dst, 0, lens[i]);
		ASSERT_EQ(0, zc_unregister(self->fd, id));
		EXPECT_TRUE(pattern_holds(now, self->dst, 0, lens[i]));
	}
}

TEST_F(buffer, outlives_its_mapping)
{
	int memfd = memfd_create("pages", 0), id;
	char *view, *memory;

	ASSERT_EQ(0, ftruncate(memfd, 4 * PAGE));
	memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	id = zc_register(self->fd, memory, 4 * PAGE, 0);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, munmap(memory, 4 * PAGE));
	ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(id, PAGE, self->src_id, 0, 2 * PAGE)));
	view = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, memfd, 0);
	EXPECT_TRUE(pattern_holds(source, view + PAGE, 0, 2 * PAGE));
	close(memfd);
}

/* Other memory at the same address is other memory. */
TEST_F(buffer, stays_what_it_was_when_its_address_is_mapped_again)
{
	ASSERT_TRUE(mmap(self->dst, SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(self->dst_id, 0, self->src_id, 0, SIZE)));
	EXPECT_TRUE(filled_with(0, self->dst, SIZE));
}

TEST_F(buffer, of_the_parent_is_what_a_child_moves)
{
	pid_t pid;

	IN_CHILD(pid)
		CHILD_CHECK(!zc_do(self->fd, zc_buffer_op(self->dst_id, 0, self->src_id, 0, PAGE)));
	ASSERT_EQ(0, zc_wait(pid));
	EXPECT_TRUE(moved(self->dst, 0, 0, PAGE));
}

/* The child registers and ends; the session lives on in the parent. */
TEST_F(buffer, of_a_process_that_ended_can_still_be_used)
{
	int ids[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(ids));
	IN_CHILD(pid) {
		char *memory = zc_map(PAGE);
		int id;

		pattern_write(source, memory, 0, PAGE);
		id = zc_register(self->fd, memory, PAGE, 0);
		CHILD_CHECK(id > 0 && write(ids[1], &id, sizeof(id)) == sizeof(id));
	}
	ASSERT_EQ(0, zc_wait(pid));
	ASSERT_EQ(sizeof(int), read(ids[0], ids, sizeof(int)));
	ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(self->dst_id, 0, ids[0], 0, PAGE)));
	EXPECT_TRUE(moved(self->dst, 0, 0, PAGE));
}

/* Some are killed while the engine has something, for longer than their end takes. */
TEST_F_TIMEOUT(buffer, of_a_killed_process_is_released, 60)
{
	long before = zc_pinned_pages();
	__u64 end = zc_now_ms() + PATIENCE;
	unsigned int delay_us = 5000;
	int in_flight = 0;

	for (int round = 0; round < 10 || (!in_flight && zc_now_ms() < end); round++) {
		bool is;
		pid_t pid;

		ASSERT_EQ(0, softdma_set("delay_us", delay_us));
		IN_CHILD(pid) {
			int fd = zc_session("softdma", 64), src, dst;

			src = zc_register(fd, self->src, SIZE, 0);
			dst = zc_register(fd, self->dst, SIZE, 0);
			CHILD_CHECK(src > 0 && dst > 0);
			for (;;) {
				struct zcdma_completion done[8];
				struct zcdma_op ops[8];

				for (int i = 0; i < 8; i++)
					ops[i] = zc_buffer_op(dst, i * PAGE, src, i * PAGE, PAGE);
				CHILD_CHECK(!zc_submit_wait(fd, ops, 8, NULL, NULL));
				CHILD_CHECK(zc_reap(fd, done, 8, 0) == 8);
			}
		}
		while (zc_pinned_pages() < before + 2 * (long)(SIZE / PAGE))
			ASSERT_GT(end + PATIENCE, zc_now_ms());
		zc_sleep_ms(zc_random_below(50));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(-SIGKILL, zc_wait(pid));
		is = zc_pinned_pages() > before;
		in_flight += is;
		if (!is && delay_us < 200000)
			delay_us *= 2;
		ASSERT_TRUE(zc_pinned_falls_to(before, PATIENCE));
	}
	ASSERT_EQ(0, softdma_set("delay_us", 0));
	EXPECT_LT(0, in_flight);
}

TEST_F(buffer, is_released_when_the_session_closes_with_ops_in_flight)
{
	struct zcdma_op op = zc_buffer_op(0, 0, 0, 0, PAGE);
	long before = zc_pinned_pages();
	int fd = zc_session("softdma", 0);

	op.src_buffer = zc_register(fd, self->src, SIZE, 0);
	op.dst_buffer = zc_register(fd, self->dst, SIZE, 0);
	ASSERT_EQ(0, softdma_set("delay_us", 100000));
	ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
	close(fd);
	ASSERT_EQ(0, softdma_set("delay_us", 0));
	EXPECT_TRUE(zc_pinned_falls_to(before, PATIENCE));
}

/* The engine leaves: the op fails, the buffer can be given back, the session stays dead. */
TEST_F(buffer, survives_the_engine)
{
	struct zcdma_op op = zc_buffer_op(0, 0, 0, 0, PAGE);
	struct zcdma_completion c;
	int fd = zc_session("softdma", 0), src, dst;

	src = zc_register(fd, self->src, SIZE, 0);
	dst = zc_register(fd, self->dst, SIZE, 0);
	op.src_buffer = src;
	op.dst_buffer = dst;
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, zc_submit(fd, &op, 1, NULL));
	ASSERT_EQ(0, softdma_unbind());
	ASSERT_EQ(1, zc_reap(fd, &c, 1, PATIENCE));
	EXPECT_EQ(-ENODEV, c.res);
	EXPECT_EQ(-ENODEV, zc_do(fd, op));
	EXPECT_EQ(-ENODEV, zc_register(fd, self->src, PAGE, 0));
	EXPECT_EQ(0, zc_unregister(fd, src));
	EXPECT_EQ(0, softdma_bind());
	close(fd);
}

/* A deadline passes: what the engine might still write to stays registered until it is stopped. */
TEST_F(buffer, survives_a_deadline)
{
	struct zcdma_op op = zc_buffer_op(0, 0, 0, 0, PAGE);
	int fd = zc_session("softdma", 0);

	op.src_buffer = zc_register(fd, self->src, SIZE, 0);
	op.dst_buffer = zc_register(fd, self->dst, SIZE, 0);
	op.deadline_ms = 600;
	zc_kmsg_expect(ZC_KMSG_HANGS);
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_EQ(-ETIMEDOUT, zc_do(fd, op));
	EXPECT_TRUE(zc_kmsg_expected(ZC_KMSG_HANGS));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(0, zc_do(fd, op));
	EXPECT_TRUE(moved(self->dst, 0, 0, PAGE));
	EXPECT_EQ(0, zc_unregister(fd, op.dst_buffer));
	close(fd);
}

/* ---- on engines of every kind ---- */

TEST_F(buffer, moved_right_by_engines_of_every_kind)
{
	const char * const kinds[] = {
		"align=8", "align=64", "align=256", "max_segment=1024", "boundary=4096",
		"unordered=Y", "no_terminate=Y", "no_terminate=Y prep_sleeps=Y",
		"lock_until_submit=Y", "callback_context=softirq", "callback_context=hardirq",
		"ledger=Y", "ledger=Y ledger_merges=Y",
	};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct zcdma_op ops[64];
		int fd, src, dst;

		close(self->fd);
		ASSERT_EQ(0, softdma_reset());
		ASSERT_EQ(0, softdma_rebuild(kinds[k]));
		ASSERT_EQ(0, softdma_set("pool", 3));
		fd = zc_session("softdma", 0);
		self->fd = fd;
		src = zc_register(fd, self->src, SIZE, 0);
		dst = zc_register(fd, self->dst, SIZE, 0);
		ASSERT_LT(0, src);
		ASSERT_LT(0, dst);
		pattern_write(target, self->dst, 0, SIZE);
		for (int i = 0; i < 64; i++)
			ops[i] = zc_buffer_op(dst, i * PAGE + 3 * i, src, i * PAGE + 3 * i,
					      PAGE - 3 * i - i % 7);
		ASSERT_EQ(0, zc_do_all(fd, ops, 64)) {
			TH_LOG("%s", kinds[k]);
		}
		for (int i = 0; i < 64; i++) {
			ASSERT_TRUE(pattern_holds(source, self->dst + ops[i].dst, ops[i].src,
						  ops[i].len)) {
				TH_LOG("%s, op %d", kinds[k], i);
			}
		}
		EXPECT_EQ(0, softdma_get("violations"));
	}
}

/* ---- memory of every kind ---- */

FIXTURE(kind) {
	struct region region;
	int fd;
};

FIXTURE_VARIANT(kind) {
	enum region_kind kind;
};

FIXTURE_VARIANT_ADD(kind, thp) { .kind = REGION_THP };
FIXTURE_VARIANT_ADD(kind, hugetlb) { .kind = REGION_HUGETLB };
FIXTURE_VARIANT_ADD(kind, memfd) { .kind = REGION_MEMFD };
FIXTURE_VARIANT_ADD(kind, tmpfs) { .kind = REGION_TMPFS };
FIXTURE_VARIANT_ADD(kind, private) { .kind = REGION_PRIVATE };
FIXTURE_VARIANT_ADD(kind, ring) { .kind = REGION_RING };

#define KIND FIXTURE_VARIANT(kind)

/* What this kind of memory needs and this machine lacks, or NULL. */
static const char *kind_lacks(const KIND *variant)
{
	const char *needs = region_needs(variant->kind);

	return needs && zc_lacks(needs) ? needs : NULL;
}

FIXTURE_SETUP(kind)
{
	self->fd = -1;
	if (kind_lacks(variant))
		return;
	zc_unlimit_memlock();
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, region_map(&self->region, variant->kind, 2 * HUGE_PAGE));
}

FIXTURE_TEARDOWN(kind)
{
	if (self->fd < 0)
		return;
	close(self->fd);
	region_unmap(&self->region);
}

TEST_F(kind, of_memory_can_be_registered)
{
	const size_t half = HUGE_PAGE, len = HUGE_PAGE - 4000;
	char *base = self->region.base;
	int id;

	if (kind_lacks(variant))
		SKIP(return, "lacks %s: no such memory here", kind_lacks(variant));
	id = zc_register(self->fd, base, 2 * HUGE_PAGE, 0);
	ASSERT_LT(0, id);
	pattern_write(source, base, 0, half);
	pattern_write(target, base + half, 0, half);
	ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(id, half + 1000, id, 1000, len)));
	EXPECT_TRUE(pattern_holds(target, base + half, 0, 1000));
	EXPECT_TRUE(pattern_holds(source, base + half + 1000, 1000, len));
	EXPECT_TRUE(pattern_holds(target, base + half + 1000 + len, 1000 + len, 3000));
}

ZC_TEST_MAIN
