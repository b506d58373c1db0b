// SPDX-License-Identifier: GPL-2.0
/* Registered buffers: what they move, what they cost, what they refuse, when they end. */
#include <fcntl.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
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
	self->pinned = zc_pinned_pages();
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

/* Both ends in the registered buffers. */
static struct zcdma_op copy_op(int dst_id, __u64 to, int src_id, __u64 from, size_t len)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .dst_buffer = dst_id, .dst = to,
		.src_buffer = src_id, .src = from, .len = len,
	};
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
	unsigned int step = zc_one_in(), turn = zc_random_below(step);

	for (size_t l = 0; l < ARRAY_SIZE(lens); l++)
		for (size_t t = 0; t < ARRAY_SIZE(offsets); t++)
			for (size_t f = 0; f < ARRAY_SIZE(offsets); f++) {
				size_t to = offsets[t], from = offsets[f], len = lens[l];

				if (len + to > SIZE || len + from > SIZE || turn++ % step)
					continue;
				pattern_write(target, self->dst, 0, SIZE);
				ASSERT_EQ(0, zc_do(self->fd, copy_op(self->dst_id, to, self->src_id,
								     from, len)));
				ASSERT_TRUE(moved(self->dst, to, from, len)) {
					TH_LOG("%zu bytes from %zu to %zu", len, from, to);
				}
			}
}

TEST_F(buffer, one_end_registered_and_one_not)
{
	struct zcdma_op op = copy_op(self->dst_id, 5, 0, zc_ptr(self->src) + 9, 3 * PAGE);

	ASSERT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(moved(self->dst, 5, 9, 3 * PAGE));
	pattern_write(target, self->dst, 0, SIZE);
	op = copy_op(0, zc_ptr(self->dst) + 5, self->src_id, 9, 3 * PAGE);
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
		ASSERT_EQ(0, zc_do(self->fd, copy_op(self->dst_id, to, self->src_id, 0, len)));
		ASSERT_TRUE(pattern_holds(now, self->dst + to, 0, len));
	}
}

TEST_F(buffer, many_ops_in_flight)
{
	struct zcdma_op ops[SIZE / PAGE];

	for (int round = 0; round < 5; round++) {
		pattern_write(target, self->dst, 0, SIZE);
		for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
			ops[i] = copy_op(self->dst_id, i * PAGE, self->src_id, i * PAGE, PAGE);
		ASSERT_EQ(0, zc_do_all(self->fd, ops, ARRAY_SIZE(ops)));
		ASSERT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	}
}

TEST_F(buffer, may_overlap_another)
{
	int again = zc_register(self->fd, self->dst + PAGE, 2 * PAGE, 0);

	ASSERT_LT(0, again);
	ASSERT_EQ(0, zc_do(self->fd, copy_op(again, 0, self->src_id, 0, PAGE)));
	EXPECT_TRUE(moved(self->dst, PAGE, 0, PAGE));
	EXPECT_EQ(0, zc_unregister(self->fd, again));
	ASSERT_EQ(0, zc_do(self->fd, copy_op(self->dst_id, PAGE, self->src_id, PAGE, PAGE)));
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
	ASSERT_EQ(0, zc_do(self->fd, copy_op(id, PAGE, self->src_id, 0, PAGE)));
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
		REFUSED(-EINVAL, copy_op(ids[i], 0, self->src_id, 0, 64));
		REFUSED(-EINVAL, copy_op(self->dst_id, 0, ids[i], 0, 64));
		EXPECT_EQ(-EINVAL, zc_unregister(self->fd, ids[i]));
	}
	EXPECT_EQ(-EINVAL, zc_unregister(self->fd, 0));
}

TEST_F(buffer, of_another_session)
{
	int other = zc_session(zc_provider(), 0);

	ASSERT_LE(0, other);
	EXPECT_EQ(-EINVAL, zc_do(other, copy_op(self->dst_id, 0, self->src_id, 0, 64)));
	EXPECT_EQ(-EINVAL, zc_unregister(other, self->src_id));
	EXPECT_TRUE(pattern_holds(target, self->dst, 0, SIZE));
	close(other);
}

TEST_F(buffer, ranges_past_the_end)
{
	const __u64 starts[] = { SIZE, SIZE - 63, SIZE + 1, 1ULL << 31, 1ULL << 32, ~0ULL - 64 };

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		REFUSED(-EFAULT, copy_op(self->dst_id, starts[i], self->src_id, 0, 64));
		REFUSED(-EFAULT, copy_op(self->dst_id, 0, self->src_id, starts[i], 64));
		REFUSED(-EFAULT, fill_op(self->dst_id, starts[i], 1, 64));
	}
	REFUSED(-EINVAL, copy_op(self->dst_id, ~0ULL, self->src_id, 0, 64));
	REFUSED(-EFAULT, copy_op(self->dst_id, 0, self->src_id, 0, SIZE + 1));
}

TEST_F(buffer, writing_to_one_that_is_read_only)
{
	struct zcdma_op op = copy_op(self->src_id, 0, self->dst_id, 0, 64);

	EXPECT_EQ(-EFAULT, zc_do(self->fd, op));
	EXPECT_EQ(-EFAULT, zc_do(self->fd, fill_op(self->src_id, 0, 1, 64)));
	EXPECT_TRUE(pattern_holds(source, self->src, 0, SIZE));
}

TEST_F(buffer, source_and_target_that_overlap)
{
	int alias = zc_register(self->fd, self->dst, SIZE, ZCDMA_BUFFER_READ_ONLY);

	ASSERT_LT(0, alias);
	REFUSED(-EINVAL, copy_op(self->dst_id, 0, self->dst_id, 63, 64));
	REFUSED(-EINVAL, copy_op(self->dst_id, 63, alias, 0, 64));
	REFUSED(-EINVAL, copy_op(self->dst_id, 0, 0, zc_ptr(self->dst) + 10, 64));
	EXPECT_EQ(0, zc_do(self->fd, copy_op(self->dst_id, 0, self->dst_id, 64, 64)));
}

TEST_F(buffer, op_behind_a_refused_one_is_not_taken)
{
	struct zcdma_op ops[3] = {
		copy_op(self->dst_id, 0, self->src_id, 0, 64),
		copy_op(self->dst_id, PAGE, 99, 0, 64),
		copy_op(self->dst_id, 2 * PAGE, self->src_id, 0, 64),
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

/* ---- the end of buffers, and of what they were made from ---- */

TEST_F(buffer, is_not_unregistered_while_an_op_is_in_flight)
{
	struct zcdma_op op = copy_op(0, 0, 0, 0, PAGE);
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

TEST_F(buffer, outlives_its_mapping)
{
	int memfd = memfd_create("pages", 0), id;
	char *view, *memory;

	ASSERT_EQ(0, ftruncate(memfd, 4 * PAGE));
	memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	id = zc_register(self->fd, memory, 4 * PAGE, 0);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, munmap(memory, 4 * PAGE));
	ASSERT_EQ(0, zc_do(self->fd, copy_op(id, PAGE, self->src_id, 0, 2 * PAGE)));
	view = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, memfd, 0);
	EXPECT_TRUE(pattern_holds(source, view + PAGE, 0, 2 * PAGE));
	close(memfd);
}

/* Other memory at the same address is other memory. */
TEST_F(buffer, stays_what_it_was_when_its_address_is_mapped_again)
{
	ASSERT_TRUE(mmap(self->dst, SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	ASSERT_EQ(0, zc_do(self->fd, copy_op(self->dst_id, 0, self->src_id, 0, SIZE)));
	EXPECT_TRUE(filled_with(0, self->dst, SIZE));
}

TEST_F(buffer, of_the_parent_is_what_a_child_moves)
{
	pid_t pid;

	IN_CHILD(pid)
		CHILD_CHECK(!zc_do(self->fd, copy_op(self->dst_id, 0, self->src_id, 0, PAGE)));
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
	ASSERT_EQ(0, zc_do(self->fd, copy_op(self->dst_id, 0, ids[0], 0, PAGE)));
	EXPECT_TRUE(moved(self->dst, 0, 0, PAGE));
}

TEST_F(buffer, of_a_killed_process_is_released)
{
	for (int round = 0; round < 10; round++) {
		long before = zc_pinned_pages();
		pid_t pid;

		IN_CHILD(pid) {
			int fd = zc_session("softdma", 64), src, dst;

			src = zc_register(fd, self->src, SIZE, 0);
			dst = zc_register(fd, self->dst, SIZE, 0);
			CHILD_CHECK(src > 0 && dst > 0);
			for (;;) {
				struct zcdma_completion done[8];
				struct zcdma_op ops[8];

				for (int i = 0; i < 8; i++)
					ops[i] = copy_op(dst, i * PAGE, src, i * PAGE, PAGE);
				CHILD_CHECK(!zc_submit_wait(fd, ops, 8, NULL, NULL));
				CHILD_CHECK(zc_reap(fd, done, 8, 0) == 8);
			}
		}
		zc_sleep_ms(20 + zc_random_below(50));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(-SIGKILL, zc_wait(pid));
		ASSERT_TRUE(zc_pinned_falls_to(before, PATIENCE));
	}
}

TEST_F(buffer, is_released_when_the_session_closes_with_ops_in_flight)
{
	struct zcdma_op op = copy_op(0, 0, 0, 0, PAGE);
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
	struct zcdma_op op = copy_op(0, 0, 0, 0, PAGE);
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
	struct zcdma_op op = copy_op(0, 0, 0, 0, PAGE);
	int fd = zc_session("softdma", 0);

	op.src_buffer = zc_register(fd, self->src, SIZE, 0);
	op.dst_buffer = zc_register(fd, self->dst, SIZE, 0);
	op.deadline_ms = 600;
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_EQ(-ETIMEDOUT, zc_do(fd, op));
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
			ops[i] = copy_op(dst, i * PAGE + 3 * i, src, i * PAGE + 3 * i,
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
	ASSERT_EQ(0, zc_do(self->fd, copy_op(id, half + 1000, id, 1000, len)));
	EXPECT_TRUE(pattern_holds(target, base + half, 0, 1000));
	EXPECT_TRUE(pattern_holds(source, base + half + 1000, 1000, len));
	EXPECT_TRUE(pattern_holds(target, base + half + 1000 + len, 1000 + len, 3000));
}

TEST_HARNESS_MAIN
