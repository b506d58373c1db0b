// SPDX-License-Identifier: GPL-2.0
/*
 * Input that must be refused: with the right error, without a byte moved, a
 * page left pinned or a charge not given back.
 */
#include <fcntl.h>

#include "harness.h"
#include "pattern.h"
#include "region.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE	4096UL
#define SIZE	(64 * PAGE)

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(bad) {
	int fd;
	long pinned;
	char *src, *dst;
};

FIXTURE_SETUP(bad)
{
	zc_unlimit_memlock();
	self->pinned = zc_pinned_baseline();
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(bad)
{
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, 5000));
	close(self->fd);
}

static int submit_one(int fd, struct zcdma_op op)
{
	struct zcdma_completion c;
	__u32 accepted = ~0U;
	int err = zc_submit_wait(fd, &op, 1, &c, &accepted);

	return accepted == !err ? err : -EPROTO;
}

static int copy_between(int fd, __u64 dst, __u64 src, __u64 len)
{
	return submit_one(fd, (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .dst = dst, .src = src, .len = len,
	});
}

static int copy(int fd, void *dst, const void *src, size_t len)
{
	return submit_one(fd, zc_copy_op(dst, src, len, 1));
}

static int fill(int fd, void *dst, size_t len)
{
	return submit_one(fd, zc_fill_op(dst, 0xcc, len, 1));
}

/* For the helpers of the tests. */
#define BAD FIXTURE_DATA(bad)

static bool nothing_changed(const BAD *self)
{
	return pattern_holds(source, self->src, 0, SIZE) &&
	       pattern_holds(target, self->dst, 0, SIZE) && !zc_outstanding(self->fd);
}

/* ---- memory that is not there, or not for this ---- */

TEST_F(bad, nothing_mapped)
{
	char *hole = zc_map(SIZE);

	ASSERT_EQ(0, munmap(hole, SIZE));
	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, hole, 1));
	EXPECT_EQ(-EFAULT, copy(self->fd, hole, self->src, 1));
	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, hole, SIZE));
	EXPECT_EQ(-EFAULT, copy(self->fd, hole, self->src, SIZE));
	EXPECT_EQ(-EFAULT, fill(self->fd, hole, 1));
	EXPECT_EQ(-EFAULT, fill(self->fd, hole, SIZE));
	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, NULL, 1));
	EXPECT_EQ(-EFAULT, copy(self->fd, NULL, self->src, 1));
	EXPECT_TRUE(nothing_changed(self));
}

/* Pages before and behind the hole are pinned first, and must be let go. */
TEST_F(bad, hole_in_the_middle)
{
	const size_t pages[] = { 0, 1, 40, SIZE / PAGE - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		char *holey = zc_map(SIZE);

		pattern_write(source, holey, 0, SIZE);
		ASSERT_EQ(0, munmap(holey + pages[i] * PAGE, PAGE));
		EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, holey, SIZE));
		EXPECT_EQ(-EFAULT, copy(self->fd, holey, self->src, SIZE));
		EXPECT_EQ(-EFAULT, fill(self->fd, holey, SIZE));
		EXPECT_TRUE(nothing_changed(self));
		EXPECT_TRUE(pattern_holds(source, holey, 0, pages[i] * PAGE));
		EXPECT_TRUE(pattern_holds(source, holey + (pages[i] + 1) * PAGE,
					  (pages[i] + 1) * PAGE, SIZE - (pages[i] + 1) * PAGE));
		EXPECT_EQ(self->pinned, zc_pinned_pages());
	}
}

TEST_F(bad, one_byte_too_long_for_the_mapping)
{
	char *edge = zc_map_edge();

	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, edge - 100, 101));
	EXPECT_EQ(-EFAULT, copy(self->fd, edge - 100, self->src, 101));
	EXPECT_EQ(-EFAULT, fill(self->fd, edge - 100, 101));
	EXPECT_TRUE(filled_with(0, edge - PAGE, PAGE));
	EXPECT_TRUE(nothing_changed(self));
	EXPECT_EQ(0, copy(self->fd, edge - 100, self->src, 100));
}

TEST_F(bad, no_access)
{
	ASSERT_EQ(0, mprotect(self->src, SIZE, PROT_NONE));
	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, self->src, SIZE));
	EXPECT_EQ(-EFAULT, copy(self->fd, self->src, self->dst, SIZE));
	EXPECT_EQ(-EFAULT, fill(self->fd, self->src, SIZE));
	ASSERT_EQ(0, mprotect(self->src, SIZE, PROT_READ | PROT_WRITE));
	EXPECT_TRUE(nothing_changed(self));
}

TEST_F(bad, read_only_target)
{
	ASSERT_EQ(0, mprotect(self->dst, SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, self->src, SIZE));
	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst + 1, self->src, 1));
	EXPECT_EQ(-EFAULT, fill(self->fd, self->dst, 1));
	EXPECT_TRUE(nothing_changed(self));
}

TEST_F(bad, one_read_only_page_in_the_target)
{
	ASSERT_EQ(0, mprotect(self->dst + 33 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, self->src, SIZE));
	EXPECT_EQ(-EFAULT, fill(self->fd, self->dst, SIZE));
	EXPECT_TRUE(nothing_changed(self));
}

TEST_F(bad, file_that_may_only_be_read_as_target)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char *mapping = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	ASSERT_TRUE(mapping != MAP_FAILED);
	EXPECT_EQ(-EFAULT, copy(self->fd, mapping, self->src, 16));
	EXPECT_EQ(-EFAULT, fill(self->fd, mapping, 16));
	EXPECT_EQ(0, memcmp(mapping, "\177ELF", 4));
	EXPECT_EQ(-EFAULT, copy(self->fd, (void *)&source, self->src, sizeof(source)));
}

TEST_F(bad, beyond_the_end_of_a_file)
{
	int fd = memfd_create("short", MFD_CLOEXEC);
	char *mapping = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT_TRUE(mapping != MAP_FAILED);
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, mapping + PAGE, 16));
	EXPECT_EQ(-EFAULT, copy(self->fd, mapping + PAGE, self->src, 16));
	EXPECT_EQ(-EFAULT, copy(self->fd, mapping, self->src, PAGE + 1));
	EXPECT_TRUE(filled_with(0, mapping, PAGE));
	EXPECT_TRUE(nothing_changed(self));
}

TEST_F(bad, kernel_addresses)
{
	const __u64 kernel[] = {
		0xffff888000000000ULL, 0xffffffff81000000ULL, 0xffffffffff600000ULL,
		0xffff800000000000ULL, 0xffff000000000000ULL, 0xc0008000, 0x8000000000000000ULL,
		~0ULL - PAGE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(kernel); i++) {
		if (kernel[i] == (unsigned long)kernel[i] && (long)kernel[i] > 0)
			continue; /* a user's address here */
		EXPECT_EQ(-EFAULT, copy_between(self->fd, zc_ptr(self->dst), kernel[i], 64));
		EXPECT_EQ(-EFAULT, copy_between(self->fd, kernel[i], zc_ptr(self->src), 64));
	}
	EXPECT_TRUE(nothing_changed(self));
}

/* ---- memory of a device ---- */

TEST_F(bad, device_memory)
{
	void *device = region_device();

	ASSERT_TRUE(device != MAP_FAILED);
	EXPECT_EQ(-EFAULT, copy(self->fd, self->dst, device, 16));
	EXPECT_EQ(-EFAULT, copy(self->fd, device, self->src, 16));
	EXPECT_EQ(-EFAULT, copy(self->fd, device, self->src, PAGE));
	EXPECT_EQ(-EFAULT, fill(self->fd, device, 16));
	EXPECT_TRUE(nothing_changed(self));
}

/*
 * The kernel's time page is in every process; it is no memory of the process, and
 * none writes to it. Where it is an ordinary page (32-bit Arm), reading it is fine.
 */
TEST_F(bad, page_of_the_kernel_for_the_vdso)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long vvar = 0;
	char line[256];
	int err;

	while (fgets(line, sizeof(line), f))
		if (strstr(line, "[vvar]"))
			vvar = strtoul(line, NULL, 16);
	fclose(f);
	ASSERT_NE(0, vvar);
	EXPECT_EQ(-EFAULT, copy(self->fd, (void *)vvar, self->src, 16));
	EXPECT_EQ(-EFAULT, fill(self->fd, (void *)vvar, 16));
	EXPECT_TRUE(nothing_changed(self));
	err = copy(self->fd, self->dst, (void *)vvar, 16);
#ifdef __arm__
	EXPECT_EQ(0, err);
#else
	EXPECT_EQ(-EFAULT, err);
	EXPECT_TRUE(nothing_changed(self));
#endif
}

/* ---- lengths ---- */

TEST_F(bad, length_of_zero)
{
	EXPECT_EQ(-EINVAL, copy(self->fd, self->dst, self->src, 0));
	EXPECT_EQ(-EINVAL, fill(self->fd, self->dst, 0));
	EXPECT_EQ(-EINVAL, copy(self->fd, NULL, NULL, 0));
	EXPECT_TRUE(nothing_changed(self));
}

/* What is allowed to be said about an op of @len bytes at @addr, most of which is not there? */
static bool right_refusal(int err, __u64 addr, __u64 len, __u64 max_len)
{
	bool wraps = addr + len < addr, too_long = len > max_len;

	if (!wraps && !too_long)
		return err == -EFAULT;
	return (wraps && err == -EINVAL) || (too_long && err == -EMSGSIZE);
}

TEST_F(bad, absurd_lengths)
{
	const __u64 lens[] = {
		SIZE + PAGE, 0x7fffffff, 0x80000000, 0x80000001, 0xfffff000, 0xffffffff,
		0x100000000ULL, 0x100000001ULL, 0x100000000ULL + SIZE, 1ULL << 40,
		0x7fffffffffffffffULL, 1ULL << 63, -(__u64)SIZE, -PAGE, ~0ULL - 1, ~0ULL,
	};
	char *guard = zc_map(2 * PAGE);	/* alone, so that little lies behind it */
	__u64 max = zc_info(self->fd).out_max_len;

	ASSERT_EQ(0, mprotect(guard + PAGE, PAGE, PROT_NONE));
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		int from = copy_between(self->fd, zc_ptr(self->dst), zc_ptr(guard), lens[i]);
		int to = copy_between(self->fd, zc_ptr(guard), zc_ptr(self->src), lens[i]);

		/* source and target may also overlap, which is EINVAL too */
		EXPECT_TRUE(right_refusal(from, zc_ptr(guard), lens[i], max) || from == -EINVAL) {
			TH_LOG("length %#llx: %d", (unsigned long long)lens[i], from);
		}
		EXPECT_TRUE(right_refusal(to, zc_ptr(guard), lens[i], max) || to == -EINVAL) {
			TH_LOG("length %#llx: %d", (unsigned long long)lens[i], to);
		}
	}
	EXPECT_TRUE(filled_with(0, guard, PAGE));
	EXPECT_TRUE(nothing_changed(self));
}

TEST_F(bad, longer_than_the_longest)
{
	__u64 max = zc_info(self->fd).out_max_len;
	char *edge = zc_map_edge();
	struct zcdma_op op = zc_fill_op(edge - PAGE, 1, 1, 1);

	op.len = max;
	EXPECT_EQ(-EFAULT, submit_one(self->fd, op));
	op.len = max + 1;
	EXPECT_EQ(-EMSGSIZE, submit_one(self->fd, op));
	EXPECT_TRUE(filled_with(0, edge - PAGE, PAGE));
}

TEST_F(bad, wrap_around)
{
	const __u64 top = ~0ULL;
	__u64 here = zc_ptr(self->src);
	int err;

	EXPECT_EQ(-EINVAL, copy_between(self->fd, zc_ptr(self->dst), top - 10, 100));
	EXPECT_EQ(-EINVAL, copy_between(self->fd, top - 10, here, 100));
	EXPECT_EQ(-EINVAL, copy_between(self->fd, top, here, PAGE));
	EXPECT_EQ(-EINVAL, submit_one(self->fd, (struct zcdma_op){
		.opcode = ZCDMA_OP_FILL, .dst = top - 10, .len = 100 }));
	/* just to the end of the address space: no wrap, and no memory either */
	err = copy_between(self->fd, zc_ptr(self->dst), top - 99, 100);
	EXPECT_TRUE(err == -EFAULT || err == -EINVAL);
	EXPECT_TRUE(nothing_changed(self));
}

/* ---- overlap ---- */

TEST_F(bad, overlap)
{
	const long lens[] = { 1, 2, 63, PAGE, PAGE + 1, 3 * PAGE };
	char *middle = self->dst + SIZE / 2;

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		const long len = lens[i], shifts[] = { 0, 1, len / 2, len - 1 };

		for (size_t k = 0; k < ARRAY_SIZE(shifts); k++) {
			if (shifts[k] >= len)
				continue;
			EXPECT_EQ(-EINVAL, copy(self->fd, middle + shifts[k], middle, len));
			EXPECT_EQ(-EINVAL, copy(self->fd, middle - shifts[k], middle, len));
		}
	}
	EXPECT_TRUE(nothing_changed(self));
}

TEST_F(bad, touching_is_no_overlap)
{
	const size_t lens[] = { 1, 2, 63, PAGE, PAGE + 1, 3 * PAGE };
	const size_t middle = SIZE / 2;

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		pattern_write(target, self->dst, 0, SIZE);
		EXPECT_EQ(0, copy(self->fd, self->dst + middle + lens[i], self->dst + middle,
				  lens[i]));
		EXPECT_TRUE(pattern_holds(target, self->dst + middle + lens[i], middle, lens[i]));
		EXPECT_EQ(0, copy(self->fd, self->dst + middle - lens[i], self->dst + middle,
				  lens[i]));
		EXPECT_TRUE(pattern_holds(target, self->dst + middle - lens[i], middle, lens[i]));
	}
}

/* ---- arrays of ops ---- */

TEST_F(bad, op_among_good_ones)
{
	struct zcdma_op ops[4] = {
		zc_fill_op(self->dst, 1, 16, 0), zc_fill_op(self->dst + 16, 2, 16, 1),
		zc_fill_op(NULL, 3, 16, 2), zc_fill_op(self->dst + 48, 4, 16, 3),
	};
	struct zcdma_completion c[4];
	__u32 accepted;

	EXPECT_EQ(-EFAULT, zc_submit(self->fd, ops, 4, &accepted));
	EXPECT_EQ(2, accepted);
	EXPECT_EQ(2, zc_reap(self->fd, c, 4, 500));
	EXPECT_TRUE(filled_with(1, self->dst, 16));
	EXPECT_TRUE(filled_with(2, self->dst + 16, 16));
	EXPECT_TRUE(pattern_holds(target, self->dst + 32, 32, SIZE - 32));
}

TEST_F(bad, op_among_good_ones_that_are_waited_for)
{
	struct zcdma_op ops[3] = {
		zc_fill_op(self->dst, 1, 16, 10), zc_fill_op(self->dst + 16, 2, 16, 11),
		zc_fill_op(self->dst + 32, 3, 0, 12),
	};
	struct zcdma_completion c[3];
	__u32 accepted;

	memset(c, 0xee, sizeof(c));
	EXPECT_EQ(-EINVAL, zc_submit_wait(self->fd, ops, 3, c, &accepted));
	EXPECT_EQ(2, accepted);
	EXPECT_EQ(10, c[0].user_data);
	EXPECT_EQ(11, c[1].user_data);
	EXPECT_EQ(0, c[0].res | c[1].res);
	EXPECT_EQ(0xeeeeeeeeeeeeeeeeULL, c[2].user_data);
	EXPECT_EQ(0, zc_outstanding(self->fd));
	EXPECT_TRUE(pattern_holds(target, self->dst + 32, 32, SIZE - 32));
}

/* ---- over the limit of locked memory ---- */

#define LIMIT_PAGES	32
#define LIMIT		(LIMIT_PAGES * PAGE)
#define ROUNDS		(zc_brief() ? 250 : 1000)

FIXTURE(limit) {
	int fd;
	char *src, *dst;
};

FIXTURE_SETUP(limit)
{
	ASSERT_EQ(0, softdma_reset());
	self->fd = zc_session("softdma", 0);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(LIMIT + 2 * PAGE);
	self->dst = zc_map(LIMIT + 2 * PAGE);
}

FIXTURE_TEARDOWN(limit)
{
	softdma_reset();
	close(self->fd);
}

/* Source and target count, whole pages, however little of them is used. */
TEST_F(limit, counts_every_page_of_source_and_target)
{
	pid_t pid;

	IN_CHILD(pid) {
		zc_become_user(LIMIT);
		CHILD_CHECK(copy(self->fd, self->dst, self->src, LIMIT / 2) == 0);
		CHILD_CHECK(copy(self->fd, self->dst, self->src, LIMIT / 2 + 1) == -ENOMEM);
		CHILD_CHECK(copy(self->fd, self->dst + 1, self->src, LIMIT / 2) == -ENOMEM);
		CHILD_CHECK(copy(self->fd, self->dst, self->src + PAGE - 1, LIMIT / 2) == -ENOMEM);
		CHILD_CHECK(copy(self->fd, self->dst + 1, self->src + 1, LIMIT / 2 - 1) == 0);
		CHILD_CHECK(fill(self->fd, self->dst, LIMIT) == 0);
		CHILD_CHECK(fill(self->fd, self->dst, LIMIT + 1) == -ENOMEM);
		CHILD_CHECK(fill(self->fd, self->dst + PAGE - 1, LIMIT) == -ENOMEM);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

TEST_F(limit, of_zero_allows_nothing)
{
	pid_t pid;

	IN_CHILD(pid) {
		zc_become_user(0);
		CHILD_CHECK(fill(self->fd, self->dst, 1) == -ENOMEM);
		CHILD_CHECK(self->dst[0] == 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* After each op, good or bad, the whole limit is there again. */
TEST_F(limit, is_given_back_after_success)
{
	pid_t pid;

	IN_CHILD(pid) {
		zc_become_user(LIMIT);
		for (int i = 0; i < ROUNDS; i++)
			CHILD_CHECK(fill(self->fd, self->dst, LIMIT) == 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

TEST_F(limit, is_given_back_after_refusal)
{
	pid_t pid;

	IN_CHILD(pid) {
		zc_become_user(LIMIT);
		for (int i = 0; i < ROUNDS; i++)
			CHILD_CHECK(fill(self->fd, self->dst, LIMIT + 1) == -ENOMEM);
		CHILD_CHECK(filled_with(0, self->dst, LIMIT + PAGE));
		CHILD_CHECK(fill(self->fd, self->dst, LIMIT) == 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

TEST_F(limit, is_given_back_after_a_fault)
{
	pid_t pid;

	IN_CHILD(pid) {
		char *ro = self->dst + LIMIT / 4;

		CHILD_CHECK(!mprotect(ro, PAGE, PROT_READ));
		zc_become_user(LIMIT);
		for (int i = 0; i < ROUNDS; i++) {
			CHILD_CHECK(copy(self->fd, self->dst, self->src, LIMIT / 2) == -EFAULT);
			CHILD_CHECK(copy(self->fd, self->src, NULL, LIMIT / 2) == -EFAULT);
		}
		CHILD_CHECK(!mprotect(ro, PAGE, PROT_READ | PROT_WRITE));
		CHILD_CHECK(filled_with(0, self->dst, LIMIT));
		CHILD_CHECK(fill(self->fd, self->dst, LIMIT) == 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* Ops in flight add up; one that is too much is refused, those before it go on. */
TEST_F(limit, holds_for_all_ops_in_flight_together)
{
	int hang;
	pid_t pid;

	ASSERT_EQ(0, softdma_set("hang", 1));
	hang = softdma_open("hang");
	ASSERT_LE(0, hang);
	IN_CHILD(pid) {
		struct zcdma_op ops[3] = {
			zc_fill_op(self->dst, 1, LIMIT / 2, 0),
			zc_fill_op(self->dst + LIMIT / 2, 2, LIMIT / 2, 1),
			zc_fill_op(self->src, 3, 1, 2),
		};
		struct zcdma_completion c[3];
		__u32 accepted;

		zc_become_user(LIMIT);
		CHILD_CHECK(zc_submit(self->fd, ops, 3, &accepted) == -ENOMEM);
		CHILD_CHECK(accepted == 2);
		CHILD_CHECK(zc_submit(self->fd, ops + 2, 1, &accepted) == -ENOMEM);
		CHILD_CHECK(write(hang, "0", 1) == 1);
		CHILD_CHECK(zc_reap(self->fd, c, 2, 20000) == 2);
		CHILD_CHECK(filled_with(1, self->dst, LIMIT / 2));
		CHILD_CHECK(filled_with(2, self->dst + LIMIT / 2, LIMIT / 2));
		CHILD_CHECK(filled_with(0, self->src, PAGE));
		CHILD_CHECK(fill(self->fd, self->dst, LIMIT) == 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
	close(hang);
}

/* Two processes and two sessions of one user have one limit, not two. */
TEST_F(limit, is_not_doubled_by_a_second_process_or_session)
{
	pid_t pid, other;

	ASSERT_EQ(0, softdma_set("hang", 1));
	IN_CHILD(pid) {
		struct zcdma_op op = zc_fill_op(self->dst, 1, LIMIT, 0);

		zc_become_user(LIMIT);
		CHILD_CHECK(zc_submit(self->fd, &op, 1, NULL) == 0);
		IN_CHILD(other) {
			int fd = zc_session("softdma", 0);

			CHILD_CHECK(fd >= 0);
			CHILD_CHECK(fill(fd, self->src, 1) == -ENOMEM);
		}
		CHILD_CHECK(zc_wait(other) == 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

ZC_TEST_MAIN
