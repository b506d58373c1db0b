// SPDX-License-Identifier: GPL-2.0
/*
 * Every byte where it belongs, and no other byte changed: all sizes, offsets and
 * kinds of memory.
 *
 * Source and target are cut into slots of some pages, one op works in each. All
 * of the source holds pattern 's' and all of the target pattern 't'. Afterwards
 * one walk over the target finds 's' where ops moved it, 't' everywhere else.
 */
#include <fcntl.h>
#include <signal.h>

#include "harness.h"
#include "pattern.h"
#include "region.h"
#include "softdma.h"
#include "zcdma_util.h"

#define KIB(n)		((size_t)(n) << 10)
#define MIB(n)		((size_t)(n) << 20)
#define PAGE		KIB(4)

static const size_t sizes[] = {
	1, 2, 3, 7, 8, 9, 31, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000,
	PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 1, 2 * PAGE, 2 * PAGE + 1,
};

static const size_t offsets[] = { 0, 1, 8, 63, 64, PAGE / 2 + 3, PAGE - 1 };

#define SLOT		(4 * PAGE)
#define SLOTS		(ARRAY_SIZE(sizes) * ARRAY_SIZE(offsets) * ARRAY_SIZE(offsets))
#define SIZE		(SLOTS * SLOT)

/* ---- one source, one target ---- */

struct plan {
	int fd;
	struct region src, dst;
	__u16 generation;
	struct zcdma_op *ops;	/* sorted by target */
	unsigned int count;
};

static struct pattern source_of(const struct plan *p)
{
	return (struct pattern){ 's', p->generation };
}

static struct pattern target_of(const struct plan *p)
{
	return (struct pattern){ 't', p->generation };
}

/* A new generation in the first @size bytes of both, and no ops. */
static void begin(struct plan *p, size_t size)
{
	p->generation++;
	p->count = 0;
	pattern_write(source_of(p), p->src.base, 0, size);
	pattern_write(target_of(p), p->dst.base, 0, size);
}

static void add(struct plan *p, struct zcdma_op op)
{
	/* A slow engine, a busy host. With longer ones, files could not be written to since 6.5. */
	op.deadline_ms = 30000;
	p->ops[p->count++] = op;
}

/* All at once, as many in flight as the session takes. */
static int run(struct plan *p)
{
	struct zcdma_op *ops = malloc(p->count * sizeof(*ops));
	int err;

	memcpy(ops, p->ops, p->count * sizeof(*ops));
	err = zc_do_all(p->fd, ops, p->count);
	free(ops);
	return err;
}

static bool moved(const struct plan *p, const struct zcdma_op *op, const char *at)
{
	if (op->opcode == ZCDMA_OP_FILL)
		return filled_with(op->src, at, op->len);
	return pattern_holds(source_of(p), at, op->src - zc_ptr(p->src.base), op->len);
}

/* Are the first @size bytes of source and target as they must be? */
static bool all_is_well(const struct plan *p, size_t size)
{
	const struct zcdma_op *op = p->ops;
	size_t pos = 0;

	for (; op < p->ops + p->count; op++) {
		size_t start = op->dst - zc_ptr(p->dst.base);

		if (!pattern_holds(target_of(p), p->dst.base + pos, pos, start - pos) ||
		    !moved(p, op, p->dst.base + start)) {
			fprintf(stderr, "# opcode %u, length %u, source ...%03x, target ...%03x\n",
				op->opcode, (unsigned int)op->len,
				(unsigned int)(op->src % PAGE), (unsigned int)(op->dst % PAGE));
			return false;
		}
		pos = start + op->len;
	}
	return pattern_holds(target_of(p), p->dst.base + pos, pos, size - pos) &&
	       pattern_holds(source_of(p), p->src.base, 0, size);
}

/* ---- all kinds of memory ---- */

FIXTURE(memory) {
	struct plan plan;
};

FIXTURE_VARIANT(memory) {
	enum region_kind src, dst;
	bool read_only;		/* source */
	size_t large;		/* longest op; 0: 16 MiB */
};

FIXTURE_VARIANT_ADD(memory, anonymous) {
	.src = REGION_ANON, .dst = REGION_ANON, .large = MIB(64),
};

FIXTURE_VARIANT_ADD(memory, transparent_huge_pages) {
	.src = REGION_THP, .dst = REGION_THP, .large = MIB(64),
};

FIXTURE_VARIANT_ADD(memory, hugetlb) {
	.src = REGION_HUGETLB, .dst = REGION_HUGETLB,
};

FIXTURE_VARIANT_ADD(memory, from_small_to_huge_pages) {
	.src = REGION_ANON, .dst = REGION_THP,
};

FIXTURE_VARIANT_ADD(memory, from_huge_to_small_pages) {
	.src = REGION_HUGETLB, .dst = REGION_ANON,
};

FIXTURE_VARIANT_ADD(memory, memfd) {
	.src = REGION_MEMFD, .dst = REGION_MEMFD, .large = MIB(64),
};

FIXTURE_VARIANT_ADD(memory, file_in_tmpfs) {
	.src = REGION_TMPFS, .dst = REGION_TMPFS,
};

FIXTURE_VARIANT_ADD(memory, file_on_disk) {
	.src = REGION_DISK, .dst = REGION_DISK,
};

FIXTURE_VARIANT_ADD(memory, private_file_mapping) {
	.src = REGION_PRIVATE, .dst = REGION_PRIVATE,
};

FIXTURE_VARIANT_ADD(memory, ring_of_a_packet_socket) {
	.src = REGION_RING, .dst = REGION_RING,
};

FIXTURE_VARIANT_ADD(memory, read_only_source) {
	.src = REGION_TMPFS, .dst = REGION_ANON, .read_only = true,
};

static bool lacks(enum region_kind kind)
{
	return region_needs(kind) && zc_lacks(region_needs(kind));
}

/* For the helpers of the tests. */
#define MEMORY FIXTURE_VARIANT(memory)

/* What the target lacks for these tests, or NULL. They must ask: a set-up cannot skip them. */
static const char *missing(const MEMORY *kind)
{
	return lacks(kind->src) ? region_needs(kind->src) :
	       lacks(kind->dst) ? region_needs(kind->dst) : NULL;
}

/* How much those of all sizes and offsets use. */
static size_t matrix_extent(void)
{
	return zc_largest_share(SLOTS) * SLOT;
}

/* How much of the memory ops at random use. */
static size_t extent(void)
{
	return zc_brief() ? (SLOTS / 3 + 1) * SLOT : SIZE;
}

/* What a slow engine moves in a second or two, or as many MiB as they should be. */
static size_t longest(const MEMORY *kind)
{
	if (zc_lacks("bulk") || zc_brief())
		return MIB(2) + 1;
	return kind->large ?: MIB(16);
}

FIXTURE_SETUP(memory)
{
	struct plan *p = &self->plan;
	size_t size = longest(variant) + 2 * PAGE;

	if (missing(variant))
		return;
	if (size < extent())
		size = extent();
	if (size < 6 * HUGE_PAGE)
		size = 6 * HUGE_PAGE;
	zc_unlimit_memlock();
	zc_seed();
	p->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, p->fd);
	p->ops = calloc(SLOTS, sizeof(*p->ops));
	ASSERT_EQ(0, region_map(&p->src, variant->src, size));
	ASSERT_EQ(0, region_map(&p->dst, variant->dst, size));
}

FIXTURE_TEARDOWN(memory)
{
	close(self->plan.fd);
	region_unmap(&self->plan.src);
	region_unmap(&self->plan.dst);
}

static void protect_source(const struct plan *p, const MEMORY *kind)
{
	if (kind->read_only)
		CHILD_CHECK(!mprotect(p->src.base, p->src.size, PROT_READ));
}

/* Each size at each pair of offsets, one per slot, or the target's share of them. */
static void plan_matrix(struct plan *p, bool fill)
{
	unsigned int number = 0;
	size_t slot = 0;

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (size_t from = 0; from < ARRAY_SIZE(offsets); from++) {
			for (size_t to = 0; to < ARRAY_SIZE(offsets); to++) {
				char *src = p->src.base + slot + offsets[from];
				char *dst = p->dst.base + slot + offsets[to];

				if (!zc_my_share(number++))
					continue;
				slot += SLOT;
				add(p, fill ? zc_fill_op(dst, p->count, sizes[s], 0) :
					      zc_copy_op(dst, src, sizes[s], 0));
			}
		}
	}
}

TEST_F_TIMEOUT(memory, copies_of_all_sizes_at_all_offsets, 60)
{
	if (missing(variant))
		SKIP(return, "lacks %s", missing(variant));
	begin(&self->plan, matrix_extent());
	protect_source(&self->plan, variant);
	plan_matrix(&self->plan, false);
	ASSERT_EQ(0, run(&self->plan));
	EXPECT_TRUE(all_is_well(&self->plan, matrix_extent()));
}

TEST_F_TIMEOUT(memory, fills_of_all_sizes_at_all_offsets, 60)
{
	if (missing(variant))
		SKIP(return, "lacks %s", missing(variant));
	begin(&self->plan, matrix_extent());
	plan_matrix(&self->plan, true);
	ASSERT_EQ(0, run(&self->plan));
	EXPECT_TRUE(all_is_well(&self->plan, matrix_extent()));
}

TEST_F_TIMEOUT(memory, one_op_as_long_as_can_be, 60)
{
	struct plan *p = &self->plan;
	size_t len = longest(variant), size = len + 2 * PAGE;

	if (missing(variant))
		SKIP(return, "lacks %s", missing(variant));
	begin(p, size);
	protect_source(p, variant);
	add(p, zc_copy_op(p->dst.base + PAGE - 3, p->src.base + 1, len, 0));
	ASSERT_EQ(0, run(p));
	EXPECT_TRUE(all_is_well(p, size));
}

/*
 * Around the ends of huge pages, and from page to page where they are small. In brief, and by
 * a slow engine, around one such end only.
 */
TEST_F_TIMEOUT(memory, ops_that_cross_huge_pages, 60)
{
	bool few = zc_lacks("bulk") || zc_brief();
	const size_t lens[] = {
		few ? 2 * PAGE + 7 : HUGE_PAGE + PAGE + 7, HUGE_PAGE - 1, HUGE_PAGE, HUGE_PAGE + 1
	};
	size_t count = few ? 1 : ARRAY_SIZE(lens);
	size_t extent = few ? HUGE_PAGE + 2 * PAGE : (count + 2) * HUGE_PAGE;
	struct plan *p = &self->plan;
	size_t at = HUGE_PAGE - PAGE - 5, from = few ? at - 1 : 0;

	if (missing(variant))
		SKIP(return, "lacks %s", missing(variant));
	begin(p, extent);
	protect_source(p, variant);
	for (size_t i = 0; i < count; i++) {
		add(p, zc_copy_op(p->dst.base + at, p->src.base + from + i, lens[i], 0));
		at += lens[i] + 1;
		from += lens[i];
	}
	ASSERT_EQ(0, run(p));
	EXPECT_TRUE(all_is_well(p, extent));
}

static struct zcdma_op random_op(const struct plan *p, size_t slot, size_t slot_size)
{
	size_t at = zc_random_below(slot_size - 1), from;
	size_t len = 1 + zc_random_below(slot_size - at);

	/* most ops are short */
	if (zc_random() & 1)
		len = 1 + zc_random_below(len < 300 ? len : 300);
	from = zc_random_below(extent() - len);
	if (!(zc_random() & 7))
		return zc_fill_op(p->dst.base + slot + at, zc_random(), len, 0);
	return zc_copy_op(p->dst.base + slot + at, p->src.base + from, len, 0);
}

TEST_F_TIMEOUT(memory, random_ops_many_in_flight, 60)
{
	const size_t slot = extent() / 256 / PAGE * PAGE;
	struct plan *p = &self->plan;

	if (missing(variant))
		SKIP(return, "lacks %s", missing(variant));
	begin(p, extent());
	protect_source(p, variant);
	for (size_t i = 0; i < 256; i++)
		add(p, random_op(p, i * slot, slot));
	ASSERT_EQ(0, run(p));
	EXPECT_TRUE(all_is_well(p, extent()));
}

/* What the engine wrote is in the file; what it wrote to a private mapping is not. */
TEST_F(memory, files_get_what_their_mapping_got)
{
	char seen[2 * PAGE], zero[2 * PAGE] = { 0 }, *wanted;
	struct plan *p = &self->plan;

	if (missing(variant))
		SKIP(return, "lacks %s", missing(variant));
	begin(p, 2 * PAGE);
	if (p->dst.fd < 0)
		memset(p->dst.base, 0, 2 * PAGE);
	add(p, zc_copy_op(p->dst.base + 100, p->src.base + 1, PAGE, 0));
	ASSERT_EQ(0, run(p));
	if (p->dst.fd < 0) {
		EXPECT_TRUE(pattern_holds(source_of(p), p->dst.base + 100, 1, PAGE));
		return;
	}
	ASSERT_EQ(sizeof(seen), pread(p->dst.fd, seen, sizeof(seen), 0));
	wanted = variant->dst == REGION_PRIVATE ? zero : p->dst.base;
	EXPECT_EQ(0, memcmp(seen, wanted, sizeof(seen)));
	EXPECT_TRUE(all_is_well(p, 2 * PAGE));
}

/* ---- pages in odd places ---- */

#define ARENA		(64 * PAGE)

FIXTURE(pages) {
	struct plan plan;
};

FIXTURE_SETUP(pages)
{
	struct plan *p = &self->plan;

	zc_unlimit_memlock();
	p->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, p->fd);
	p->ops = calloc(ARENA, sizeof(*p->ops));
	ASSERT_EQ(0, region_map(&p->src, REGION_MEMFD, ARENA));
	ASSERT_EQ(0, region_map(&p->dst, REGION_MEMFD, ARENA));
	begin(p, ARENA);
}

FIXTURE_TEARDOWN(pages)
{
	close(self->plan.fd);
	free(self->plan.ops);
	region_unmap(&self->plan.src);
	region_unmap(&self->plan.dst);
}

/* Page @page of @r's file, mapped at @where. */
static bool map_page(const struct region *r, char *where, size_t page)
{
	return mmap(where, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    r->fd, page * PAGE) == where;
}

TEST_F(pages, one_page_many_times_as_source)
{
	struct plan *p = &self->plan;
	char *same = zc_map(ARENA);

	for (size_t i = 0; i < ARENA / PAGE; i++)
		ASSERT_TRUE(map_page(&p->src, same + i * PAGE, 5));
	ASSERT_EQ(0, zc_copy(p->fd, p->dst.base, same, ARENA));
	for (size_t i = 0; i < ARENA / PAGE; i++)
		ASSERT_TRUE(pattern_holds(source_of(p), p->dst.base + i * PAGE, 5 * PAGE, PAGE));
}

TEST_F(pages, one_page_many_times_as_target)
{
	struct plan *p = &self->plan;
	char *same = zc_map(ARENA);

	for (size_t i = 0; i < ARENA / PAGE; i++) {
		pattern_write(source_of(p), p->src.base + i * PAGE, 0, PAGE);
		ASSERT_TRUE(map_page(&p->dst, same + i * PAGE, 5));
	}
	ASSERT_EQ(0, zc_copy(p->fd, same, p->src.base, ARENA));
	EXPECT_TRUE(pattern_holds(target_of(p), p->dst.base, 0, 5 * PAGE));
	EXPECT_TRUE(pattern_holds(source_of(p), p->dst.base + 5 * PAGE, 0, PAGE));
	EXPECT_TRUE(pattern_holds(target_of(p), p->dst.base + 6 * PAGE, 6 * PAGE,
				  ARENA - 6 * PAGE));
}

TEST_F(pages, in_reverse_order)
{
	const size_t last = ARENA / PAGE - 1;
	struct plan *p = &self->plan;
	char *backwards = zc_map(ARENA);

	for (size_t i = 0; i <= last; i++)
		ASSERT_TRUE(map_page(&p->src, backwards + i * PAGE, last - i));
	ASSERT_EQ(0, zc_copy(p->fd, p->dst.base, backwards, ARENA));
	for (size_t i = 0; i <= last; i++)
		ASSERT_TRUE(pattern_holds(source_of(p), p->dst.base + i * PAGE,
					  (last - i) * PAGE, PAGE));
}

TEST_F(pages, every_second_one)
{
	struct plan *p = &self->plan;
	char *sparse = zc_map(ARENA / 2);

	for (size_t i = 0; i < ARENA / PAGE / 2; i++)
		ASSERT_TRUE(map_page(&p->dst, sparse + i * PAGE, 2 * i));
	ASSERT_EQ(0, zc_copy(p->fd, sparse + 1, p->src.base, ARENA / 2 - 2));
	EXPECT_TRUE(pattern_holds(source_of(p), sparse + 1, 0, ARENA / 2 - 2));
	for (size_t i = 1; i < ARENA / PAGE; i += 2)
		ASSERT_TRUE(pattern_holds(target_of(p), p->dst.base + i * PAGE, i * PAGE, PAGE));
}

/* A huge page, then small ones, in one source. */
TEST_F(pages, huge_and_small_side_by_side)
{
	const size_t half = HUGE_PAGE, size = 2 * HUGE_PAGE;
	struct pattern mixed = { 'm', 1 };
	struct plan *p = &self->plan;
	struct region huge, target;

	if (zc_lacks("hugepages"))
		SKIP(return, "lacks hugepages");
	ASSERT_EQ(0, region_map(&huge, REGION_THP, size));
	ASSERT_EQ(0, region_map(&target, REGION_ANON, size));
	ASSERT_TRUE(mmap(huge.base + half, half, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == huge.base + half);
	madvise(huge.base + half, half, MADV_NOHUGEPAGE);
	pattern_write(mixed, huge.base, 0, size);
	ASSERT_EQ(0, zc_copy(p->fd, target.base + 3, huge.base + 7, size - 7));
	EXPECT_TRUE(pattern_holds(mixed, target.base + 3, 7, size - 7));
	ASSERT_EQ(0, zc_copy(p->fd, huge.base + 1, target.base + 3, size - 8));
	EXPECT_TRUE(pattern_holds(mixed, huge.base + 1, 7, size - 8));
}

/* Source and target in one page, one cache line, side by side. */
TEST_F(pages, shared_by_source_and_target)
{
	const size_t lens[] = { 1, 2, 3, 8, 31, 32, 63, 64, 65, 100, 192 };
	struct plan *p = &self->plan;
	char *page = p->dst.base + PAGE;

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		for (size_t at = 500; at < 530; at += 7) {
			size_t len = lens[i], end = at + 2 * len;

			begin(p, 3 * PAGE);
			ASSERT_EQ(0, zc_copy(p->fd, page + at + len, page + at, len));
			ASSERT_TRUE(pattern_holds(target_of(p), p->dst.base, 0, PAGE + at + len));
			ASSERT_TRUE(pattern_holds(target_of(p), page + at + len, PAGE + at, len));
			ASSERT_TRUE(pattern_holds(target_of(p), page + end, PAGE + end,
						  2 * PAGE - end));
			ASSERT_EQ(0, zc_copy(p->fd, page + at, page + end, len));
			ASSERT_TRUE(pattern_holds(target_of(p), page + at, PAGE + end, len));
			ASSERT_TRUE(pattern_holds(target_of(p), page + at + len, PAGE + at, len));
		}
	}
}

/* Neighbouring bytes, each moved by an op of its own, all at once. */
TEST_F(pages, shared_by_thousands_of_ops)
{
	struct plan *p = &self->plan;
	size_t at = 1;

	zc_seed();
	while (at < 2 * PAGE) {
		size_t len = 1 + zc_random_below(5);

		add(p, zc_copy_op(p->dst.base + at, p->src.base + zc_random_below(ARENA - 8),
				  len, 0));
		at += len + zc_random_below(2);
	}
	ASSERT_EQ(0, run(p));
	EXPECT_TRUE(all_is_well(p, ARENA));
}

/* ---- pages that are not what they seem ---- */

TEST_F(pages, never_touched_as_target)
{
	struct plan *p = &self->plan;
	char *fresh = zc_map(2 * PAGE), *other = zc_map(2 * PAGE);

	/* Once read, both are the zero page, which all share. */
	ASSERT_TRUE(filled_with(0, fresh, 2 * PAGE));
	ASSERT_TRUE(filled_with(0, other, 2 * PAGE));
	ASSERT_EQ(0, zc_copy(p->fd, fresh + PAGE / 2, p->src.base, PAGE));
	EXPECT_TRUE(pattern_holds(source_of(p), fresh + PAGE / 2, 0, PAGE));
	EXPECT_TRUE(filled_with(0, fresh, PAGE / 2));
	EXPECT_TRUE(filled_with(0, fresh + 3 * PAGE / 2, PAGE / 2));
	EXPECT_TRUE(filled_with(0, other, 2 * PAGE));
}

TEST_F(pages, never_touched_as_source)
{
	struct plan *p = &self->plan;
	struct region hole;

	ASSERT_EQ(0, region_map(&hole, REGION_MEMFD, 4 * PAGE));
	ASSERT_EQ(0, zc_copy(p->fd, p->dst.base, zc_map(4 * PAGE), 4 * PAGE));
	EXPECT_TRUE(filled_with(0, p->dst.base, 4 * PAGE));
	ASSERT_EQ(0, zc_copy(p->fd, p->dst.base + 4 * PAGE, hole.base, 4 * PAGE));
	EXPECT_TRUE(filled_with(0, p->dst.base + 4 * PAGE, 4 * PAGE));
}

static const char constant[] = "a string in the program's own file, which nobody may write";

TEST_F(pages, of_the_program_and_its_stack)
{
	struct plan *p = &self->plan;
	char stack[sizeof(constant)];

	ASSERT_EQ(0, zc_copy(p->fd, stack, constant, sizeof(constant)));
	EXPECT_STREQ(constant, stack);
}

/* The pages are shared by parent and child until one of them writes: zcdma does. */
TEST_F(pages, copied_on_write_after_fork)
{
	struct plan *p = &self->plan;
	char *shared = zc_map(4 * PAGE);
	int ready[2], go[2];
	char c = 0;
	pid_t pid;

	pattern_write((struct pattern){ 'f', 1 }, shared, 0, 4 * PAGE);
	ASSERT_EQ(0, pipe(ready) | pipe(go));
	IN_CHILD(pid) {
		CHILD_CHECK(write(ready[1], &c, 1) == 1 && read(go[0], &c, 1) == 1);
		CHILD_CHECK(pattern_holds((struct pattern){ 'f', 1 }, shared, 0, 4 * PAGE));
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	ASSERT_EQ(0, zc_copy(p->fd, shared + 10, p->src.base, 2 * PAGE));
	ASSERT_EQ(1, write(go[1], &c, 1));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_TRUE(pattern_holds(source_of(p), shared + 10, 0, 2 * PAGE));
}

/* ---- changes while the engine is at it ---- */

FIXTURE(meanwhile) {
	struct plan plan;
	struct zcdma_completion done;
};

FIXTURE_SETUP(meanwhile)
{
	struct plan *p = &self->plan;

	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	p->fd = zc_session("softdma", 0);
	ASSERT_LE(0, p->fd);
	ASSERT_EQ(0, region_map(&p->src, REGION_ANON, ARENA));
	ASSERT_EQ(0, softdma_set("hang", 1));
}

FIXTURE_TEARDOWN(meanwhile)
{
	softdma_reset();
	close(self->plan.fd);
	region_unmap(&self->plan.src);
	region_unmap(&self->plan.dst);
}

static int start_copy(const struct plan *p, size_t size)
{
	struct zcdma_op op = zc_copy_op(p->dst.base, p->src.base, size, 1);
	int err = zc_submit(p->fd, &op, 1, NULL);

	zc_sleep_ms(50); /* the engine is half way */
	return err;
}

/* The parent keeps the pages that the engine writes; the child gets copies. */
TEST_F(meanwhile, fork)
{
	struct plan *p = &self->plan;
	pid_t pid;

	ASSERT_EQ(0, region_map(&p->dst, REGION_ANON, ARENA));
	begin(p, ARENA);
	ASSERT_EQ(0, start_copy(p, ARENA));
	IN_CHILD(pid)
		memset(p->dst.base, 0, ARENA);
	ASSERT_EQ(0, zc_wait(pid));
	p->dst.base[ARENA - 1] = 0; /* would now break copy-on-write */
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(1, zc_reap(p->fd, &self->done, 1, 10000));
	EXPECT_EQ(0, self->done.res);
	EXPECT_TRUE(pattern_holds(source_of(p), p->dst.base, 0, ARENA));
}

/* The memory's name is gone, the memory must not be: the engine still has it. */
TEST_F(meanwhile, munmap)
{
	enum { OTHERS = 50 };
	struct plan *p = &self->plan;
	char *others[OTHERS];

	ASSERT_EQ(0, region_map(&p->dst, REGION_MEMFD, ARENA));
	begin(p, ARENA);
	ASSERT_EQ(0, start_copy(p, ARENA));
	munmap(p->dst.base, ARENA);
	ASSERT_EQ(0, ftruncate(p->dst.fd, 0));
	for (int i = 0; i < OTHERS; i++) { /* would get the pages, were they free */
		others[i] = zc_map(ARENA);
		memset(others[i], 0x11, ARENA);
	}
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(1, zc_reap(p->fd, &self->done, 1, 10000));
	EXPECT_EQ(0, self->done.res);
	for (int i = 0; i < OTHERS; i++)
		EXPECT_TRUE(filled_with(0x11, others[i], ARENA));
	p->dst.base = NULL;
}

TEST_F(meanwhile, munmap_and_new_memory_in_its_place)
{
	struct plan *p = &self->plan;
	char *again;

	ASSERT_EQ(0, region_map(&p->dst, REGION_ANON, ARENA));
	begin(p, ARENA);
	ASSERT_EQ(0, start_copy(p, ARENA));
	again = mmap(p->dst.base, ARENA, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_TRUE(again == p->dst.base);
	memset(again, 0x22, ARENA);
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(1, zc_reap(p->fd, &self->done, 1, 10000));
	EXPECT_EQ(0, self->done.res);
	EXPECT_TRUE(filled_with(0x22, again, ARENA));
}

/*
 * An op that may take longer than 30 s has its pages for long: those of some files may not be had
 * so since Linux 6.5.
 */
TEST_F(meanwhile, pinned_for_long_if_the_deadline_is)
{
	struct plan *p = &self->plan;
	struct zcdma_op op;

	if (zc_lacks("disk"))
		SKIP(return, "lacks disk");
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(0, region_map(&p->dst, REGION_DISK, ARENA));
	begin(p, ARENA);
	op = zc_copy_op(p->dst.base, p->src.base, ARENA, 1);
	op.deadline_ms = 30001;
	EXPECT_EQ(zc_lacks("file-pins") ? -EFAULT : 0, zc_do(p->fd, op));
	op.deadline_ms = 30000;
	EXPECT_EQ(0, zc_do(p->fd, op));
	EXPECT_TRUE(pattern_holds(source_of(p), p->dst.base, 0, ARENA));
}

/* What the target's file has on the disk, once nobody has it mapped. 0 or -errno */
static int read_back(struct plan *p, char *seen)
{
	if (munmap(p->dst.base, ARENA))
		return -errno;
	p->dst.base = NULL;
	if (fsync(p->dst.fd))
		return -errno;
	if (posix_fadvise(p->dst.fd, 0, 0, POSIX_FADV_DONTNEED))
		return -EINVAL;
	return pread(p->dst.fd, seen, ARENA, 0) == ARENA ? 0 : -EIO;
}

/*
 * The file was written back, and so is clean, before the engine writes the rest:
 * it must be dirty again afterwards, or the bytes are lost with the cache.
 */
TEST_F(meanwhile, write_back)
{
	struct plan *p = &self->plan;
	char *seen = malloc(ARENA);

	if (zc_lacks("disk"))
		SKIP(return, "lacks disk");
	ASSERT_EQ(0, region_map(&p->dst, REGION_DISK, ARENA));
	begin(p, ARENA);
	ASSERT_EQ(0, start_copy(p, ARENA));
	ASSERT_EQ(0, msync(p->dst.base, ARENA, MS_SYNC));
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(1, zc_reap(p->fd, &self->done, 1, 10000));
	EXPECT_EQ(0, self->done.res);
	ASSERT_EQ(0, read_back(p, seen));
	EXPECT_TRUE(pattern_holds(source_of(p), seen, 0, ARENA));
}

/* The same where a CPU writes all of it: the engine has never seen the op. */
TEST_F(meanwhile, write_back_of_what_a_cpu_writes)
{
	const size_t len = ARENA - 1;	/* from the source's second byte on: it does not fit */
	struct plan *p = &self->plan;
	struct zcdma_op ops[2];
	char *seen = malloc(ARENA), *other = zc_map(4096);
	struct zcdma_completion c[2];

	if (zc_lacks("disk"))
		SKIP(return, "lacks disk");
	close(p->fd);
	ASSERT_EQ(0, softdma_become("align=64"));
	p->fd = zc_session("softdma", 0);
	ASSERT_LE(0, p->fd);
	ASSERT_EQ(0, region_map(&p->dst, REGION_DISK, ARENA));
	begin(p, ARENA);
	ASSERT_EQ(0, softdma_set("hang", 1));
	ops[0] = zc_copy_op(other, p->src.base, 4096, 1);
	ops[1] = zc_copy_op(p->dst.base, p->src.base + 1, len, 2);
	ops[1].flags = ZCDMA_OP_FLAG_BARRIER;	/* it is pinned now, and moved later */
	ASSERT_EQ(0, zc_submit(p->fd, ops, 2, NULL));
	ASSERT_EQ(0, msync(p->dst.base, ARENA, MS_SYNC));
	ASSERT_EQ(0, softdma_set("hang", 0));
	ASSERT_EQ(2, zc_reap(p->fd, c, 2, 10000));
	EXPECT_EQ(0, c[0].res);
	EXPECT_EQ(0, c[1].res);
	ASSERT_EQ(0, read_back(p, seen));
	EXPECT_TRUE(pattern_holds(source_of(p), seen, 1, len));
}

ZC_TEST_MAIN
