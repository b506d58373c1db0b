// SPDX-License-Identifier: GPL-2.0
/*
 * REGISTER and UNREGISTER at their edges: lengths, alignment, memory that may not be pinned,
 * ids that nobody has, and what becomes of the pages when the mapping changes.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "harness.h"
#include "pattern.h"
#include "region.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(64 * PAGE)
#define PATIENCE	20000

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(registered) {
	int fd;
	char *src, *dst;	/* SIZE bytes each */
};

FIXTURE_SETUP(registered)
{
	zc_unlimit_memlock();
	/* Of machine-wide numbers only 0 is a baseline: no earlier test is still at it. */
	ASSERT_TRUE(zc_pinned_falls_to(0, PATIENCE));
	self->fd = zc_session(zc_provider(), 0);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(registered)
{
	close(self->fd);
	EXPECT_TRUE(zc_pinned_falls_to(0, PATIENCE));
}

/* @len bytes of the source from @from on at @to of the target, and nothing else changed. */
static bool moved(const char *dst, size_t to, size_t from, size_t len)
{
	return pattern_holds(target, dst, 0, to) && pattern_holds(source, dst + to, from, len) &&
	       pattern_holds(target, dst + to + len, to + len, SIZE - to - len);
}

/* ---- lengths and addresses ---- */

/* Neither end of either buffer is that of a page, and offsets count from where it begins. */
TEST_F(registered, memory_of_any_alignment_is_copied_right)
{
	static const size_t starts[] = { 0, 1, 3, 63, 64, 100, PAGE - 1 };
	const size_t len = 3 * PAGE + 77;

	for (size_t s = 0; s < ARRAY_SIZE(starts); s++)
		for (size_t t = 0; t < ARRAY_SIZE(starts); t++) {
			int src = zc_register(self->fd, self->src + starts[s], len + 9,
					      ZCDMA_BUFFER_READ_ONLY);
			int dst = zc_register(self->fd, self->dst + starts[t], len + 5, 0);

			ASSERT_LT(0, src);
			ASSERT_LT(0, dst);
			pattern_write(target, self->dst, 0, SIZE);
			ASSERT_EQ(0, zc_do(self->fd, zc_buffer_op(dst, 5, src, 9, len)));
			EXPECT_TRUE(moved(self->dst, starts[t] + 5, starts[s] + 9, len)) {
				TH_LOG("from page + %zu to page + %zu", starts[s], starts[t]);
			}
			EXPECT_EQ(-EFAULT, zc_do(self->fd, zc_buffer_op(dst, 6, src, 9, len)));
			EXPECT_EQ(-EFAULT, zc_do(self->fd, zc_buffer_op(dst, 5, src, 10, len)));
			ASSERT_EQ(0, zc_unregister(self->fd, src));
			ASSERT_EQ(0, zc_unregister(self->fd, dst));
		}
}

TEST_F(registered, memory_can_be_filled_at_any_alignment)
{
	static const size_t starts[] = { 1, 63, PAGE - 1 };

	for (size_t t = 0; t < ARRAY_SIZE(starts); t++) {
		struct zcdma_op op = { .opcode = ZCDMA_OP_FILL, .src = 0xa5, .len = PAGE + 3 };

		pattern_write(target, self->dst, 0, SIZE);
		op.dst_buffer = zc_register(self->fd, self->dst + starts[t], PAGE + 4, 0);
		op.dst = 1;
		ASSERT_EQ(0, zc_do(self->fd, op));
		EXPECT_TRUE(pattern_holds(target, self->dst, 0, starts[t] + 1));
		EXPECT_TRUE(filled_with(0xa5, self->dst + starts[t] + 1, PAGE + 3));
		EXPECT_TRUE(pattern_holds(target, self->dst + starts[t] + PAGE + 4,
					  starts[t] + PAGE + 4, SIZE - starts[t] - PAGE - 4));
	}
}

TEST_F(registered, lengths_from_one_byte_on)
{
	static const size_t lens[] = { 1, 2, 63, PAGE - 1, PAGE, PAGE + 1, SIZE - 1, SIZE };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		int src = zc_register(self->fd, self->src, lens[i], ZCDMA_BUFFER_READ_ONLY);
		int dst = zc_register(self->fd, self->dst, lens[i], 0);

		ASSERT_LT(0, src);
		ASSERT_LT(0, dst);
		pattern_write(target, self->dst, 0, SIZE);
		EXPECT_EQ(0, zc_do(self->fd, zc_buffer_op(dst, 0, src, 0, lens[i])));
		EXPECT_TRUE(moved(self->dst, 0, 0, lens[i]));
		EXPECT_EQ(-EFAULT, zc_do(self->fd, zc_buffer_op(dst, 0, src, 0, lens[i] + 1)));
		EXPECT_EQ(-EFAULT, zc_do(self->fd, zc_buffer_op(dst, lens[i], src, 0, 1)));
	}
}

/* One page of a file as often as it takes: little memory, a mapping as long as can be. */
TEST_F(registered, length_can_be_the_longest_and_not_more)
{
	const size_t longest = zc_info(self->fd).out_max_len, step = 2 << 20;
	int memfd = memfd_create("pages", 0), id;
	char *base;

	if (zc_lacks("bulk") || sizeof(long) < 8)
		SKIP(return, "lacks bulk: no room for a mapping of the longest length");
	ASSERT_EQ(0, ftruncate(memfd, step));
	base = mmap(NULL, longest + step, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, base);
	for (size_t at = 0; at < longest + step; at += step)
		ASSERT_NE(MAP_FAILED, mmap(base + at, step, PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_FIXED, memfd, 0));
	EXPECT_EQ(-EMSGSIZE, zc_register(self->fd, base, longest + 1, 0));
	EXPECT_EQ(-EMSGSIZE, zc_register(self->fd, base + 1, longest + 1, 0));
	id = zc_register(self->fd, base, longest, 0);
	if (id == -ENOMEM && zc_lacks("long-mapping"))
		SKIP(return, "lacks long-mapping: bounce buffers have no room for it");
	ASSERT_LT(0, id);
	/* The last bytes of it are there. */
	pattern_write(target, base, 0, PAGE);
	ASSERT_EQ(0, zc_do(self->fd, (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .src = zc_ptr(self->src), .dst_buffer = id,
		.dst = longest - PAGE, .len = PAGE }));
	EXPECT_TRUE(pattern_holds(source, base + step - PAGE, 0, PAGE));
	EXPECT_EQ(0, zc_unregister(self->fd, id));
	munmap(base, longest + step);
	close(memfd);
}

/* ---- memory that cannot be registered ---- */

TEST_F(registered, memory_of_a_device_is_refused)
{
	char *device = region_device();
	int ok;

	ASSERT_NE(MAP_FAILED, device);
	EXPECT_EQ(-EFAULT, zc_register(self->fd, device, PAGE, 0));
	EXPECT_EQ(-EFAULT, zc_register(self->fd, device, PAGE, ZCDMA_BUFFER_READ_ONLY));
	EXPECT_EQ(-EFAULT, zc_register(self->fd, device, 16, ZCDMA_BUFFER_READ_ONLY));
	/* Not even as the second page of something. */
	ASSERT_EQ(self->dst + PAGE, mremap(device, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
					   self->dst + PAGE));
	EXPECT_EQ(-EFAULT, zc_register(self->fd, self->dst, 3 * PAGE, 0));
	EXPECT_EQ(0, zc_pinned_pages());
	ok = zc_register(self->fd, self->dst, PAGE, 0);
	EXPECT_LT(0, ok);
}

/* What the program may not read itself no engine reads for it. */
TEST_F(registered, memory_that_may_not_be_read_is_refused)
{
	ASSERT_EQ(0, mprotect(self->src + PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, zc_register(self->fd, self->src + PAGE, PAGE, ZCDMA_BUFFER_READ_ONLY));
	EXPECT_EQ(-EFAULT, zc_register(self->fd, self->src, 3 * PAGE, ZCDMA_BUFFER_READ_ONLY));
	EXPECT_EQ(-EFAULT, zc_register(self->fd, self->src, 3 * PAGE, 0));
	EXPECT_EQ(0, zc_pinned_pages());
	EXPECT_LT(0, zc_register(self->fd, self->src, PAGE, ZCDMA_BUFFER_READ_ONLY));
}

/* Since Linux 6.5 a file whose writes its file system must hear of is such a one. */
static bool files_may_be_pinned(void)
{
	unsigned int major, minor;
	struct utsname name;

	uname(&name);
	return sscanf(name.release, "%u.%u", &major, &minor) != 2 ||
	       major < 6 || (major == 6 && minor < 5);
}

TEST_F(registered, file_that_may_not_be_pinned_for_long_is_refused)
{
	struct region file;

	if (zc_lacks("disk"))
		SKIP(return, "lacks disk");
	ASSERT_EQ(0, region_map(&file, REGION_DISK, SIZE));
	if (files_may_be_pinned()) {
		EXPECT_LT(0, zc_register(self->fd, file.base, SIZE, 0));
	} else {
		EXPECT_EQ(-EFAULT, zc_register(self->fd, file.base, SIZE, 0));
		EXPECT_EQ(0, zc_pinned_pages());
	}
	EXPECT_LT(0, zc_register(self->fd, file.base, SIZE, ZCDMA_BUFFER_READ_ONLY));
	close(self->fd);
	self->fd = -1;
	EXPECT_TRUE(zc_pinned_falls_to(0, PATIENCE));
	region_unmap(&file);
}

/* After each refusal the whole limit is there again. */
TEST_F(registered, nothing_stays_charged_after_a_refusal)
{
	pid_t pid;

	IN_CHILD(pid) {
		char *edge = zc_map_edge(), *ro = self->src;
		int fd;

		CHILD_CHECK(!mprotect(ro + PAGE, PAGE, PROT_READ));
		zc_become_user(8 * PAGE);
		fd = zc_session(zc_provider(), 0);
		CHILD_CHECK(fd >= 0);
		for (int i = 0; i < 20; i++) {
			CHILD_CHECK(zc_register(fd, edge - PAGE, 2 * PAGE, 0) == -EFAULT);
			CHILD_CHECK(zc_register(fd, ro, 3 * PAGE, 0) == -EFAULT);
			CHILD_CHECK(zc_register(fd, NULL, PAGE, 0) == -EFAULT);
			CHILD_CHECK(zc_register(fd, self->dst, 9 * PAGE, 0) == -ENOMEM);
			CHILD_CHECK(zc_register(fd, self->dst, 1UL << 31, 0) == -EMSGSIZE);
			CHILD_CHECK(zc_register(fd, self->dst, 0, 0) == -EINVAL);
		}
		CHILD_CHECK(zc_register(fd, self->dst, 8 * PAGE, 0) > 0);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* ---- ids ---- */

/* The table of buffers grows by doubling: ids behind its end, full or not, are unknown. */
TEST_F(registered, ids_just_past_the_table_are_unknown)
{
	static const unsigned int sizes[] = { 1, 15, 16, 17, 31, 32, 33, 64, 128, 1024 };
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (; n < sizes[i]; n++)
			ASSERT_LT(0, zc_register(self->fd, self->dst, 1, 0));
		for (unsigned int id = n + 1; id <= n + 34; id++) {
			ASSERT_EQ(-EINVAL, zc_unregister(self->fd, id));
			ASSERT_EQ(-EINVAL, zc_do(self->fd, zc_buffer_op(id, 0, 1, 0, 1)));
			ASSERT_EQ(-EINVAL, zc_do(self->fd, zc_buffer_op(1, 0, id, 0, 1)));
		}
	}
	EXPECT_EQ(-EINVAL, zc_unregister(self->fd, 0));
	EXPECT_EQ(-EINVAL, zc_unregister(self->fd, ~0U));
	EXPECT_EQ(-EINVAL, zc_unregister(self->fd, 1U << 31));
}

TEST_F(registered, id_is_unknown_once_given_back)
{
	int a = zc_register(self->fd, self->dst, PAGE, 0);
	int b = zc_register(self->fd, self->dst + PAGE, PAGE, 0);

	ASSERT_LT(0, a);
	ASSERT_LT(0, b);
	EXPECT_NE(a, b);
	EXPECT_EQ(0, zc_unregister(self->fd, a));
	EXPECT_EQ(-EINVAL, zc_unregister(self->fd, a));
	EXPECT_EQ(-EINVAL, zc_do(self->fd, zc_buffer_op(b, 0, a, 0, 1)));
	EXPECT_EQ(-EINVAL, zc_do(self->fd, zc_buffer_op(a, 0, b, 0, 1)));
	EXPECT_EQ(0, zc_unregister(self->fd, b));
}

/* The op has finished, its completion was not taken: it is outstanding all the same. */
TEST_F(registered, buffer_is_not_given_back_before_the_completion_is_reaped)
{
	int src = zc_register(self->fd, self->src, SIZE, ZCDMA_BUFFER_READ_ONLY);
	int dst = zc_register(self->fd, self->dst, SIZE, 0);
	struct zcdma_op op = zc_buffer_op(dst, 0, src, 0, PAGE);
	struct zcdma_completion c;

	ASSERT_LT(0, src);
	ASSERT_LT(0, dst);
	ASSERT_EQ(0, zc_submit(self->fd, &op, 1, NULL));
	ASSERT_EQ(POLLIN, zc_poll(self->fd, POLLIN, PATIENCE));
	EXPECT_EQ(-EBUSY, zc_unregister(self->fd, src));
	EXPECT_EQ(-EBUSY, zc_unregister(self->fd, dst));
	ASSERT_EQ(1, zc_read(self->fd, &c, 1));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(0, zc_unregister(self->fd, src));
	EXPECT_EQ(0, zc_unregister(self->fd, dst));
	EXPECT_TRUE(moved(self->dst, 0, 0, PAGE));
}

/* ---- what becomes of the pages ---- */

/* They move with the mapping, and ops move them still: at the new address they are seen. */
TEST_F(registered, pages_stay_the_same_after_mremap)
{
	char *room = zc_map(2 * SIZE), *now;
	int id = zc_register(self->fd, self->dst, SIZE, 0);
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_COPY, .src = zc_ptr(self->src), .len = SIZE,
	};

	ASSERT_LT(0, id);
	op.dst_buffer = id;
	now = mremap(self->dst, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, room);
	ASSERT_EQ(room, now);
	ASSERT_EQ(self->dst, mmap(self->dst, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(pattern_holds(source, now, 0, SIZE));
	EXPECT_TRUE(filled_with(0, self->dst, SIZE));
	/* And as a source. */
	pattern_write(target, now, 0, SIZE);
	op = (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .src_buffer = id, .dst = zc_ptr(self->src), .len = SIZE,
	};
	ASSERT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(pattern_holds(target, self->src, 0, SIZE));
}

/* After fork() the pages are the parent's, also when the child or the parent wrote before. */
TEST_F(registered, pages_are_the_parents_after_fork_and_a_write)
{
	int id = zc_register(self->fd, self->dst, SIZE, 0);
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_COPY, .src = zc_ptr(self->src), .dst_buffer = id, .len = SIZE,
	};
	pid_t pid;

	ASSERT_LT(0, id);
	IN_CHILD(pid) {
		memset(self->dst, 0x11, SIZE);
		CHILD_CHECK(!zc_do(self->fd, op));
		CHILD_CHECK(filled_with(0x11, self->dst, SIZE));
	}
	ASSERT_EQ(0, zc_wait(pid));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
	pattern_write(target, self->dst, 0, SIZE);
	ASSERT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, SIZE));
}

/* Run again by itself, in a process that has none of this memory any more. */
#define AFTER_EXEC	"--after-exec"

/*
 * Memory that does not overlap the addresses where the buffer was: 32-bit machines have
 * few to choose from, and what is mapped next lies beside what was mapped before.
 */
static char *map_elsewhere(char *was)
{
	char *new;

	do
		new = zc_map(SIZE);
	while (new < was + SIZE && was < new + SIZE);
	return new;
}

/* What the pages hold, seen by an op on them: they are as they were. */
static int after_exec(int fd, int id, char *was)
{
	char *seen = map_elsewhere(was);
	struct zcdma_op op = {
		.opcode = ZCDMA_OP_COPY, .src_buffer = id, .dst = zc_ptr(seen), .len = SIZE,
	};

	zc_unlimit_memlock();
	if (zc_do(fd, op) || !pattern_holds(source, seen, 0, SIZE))
		return 1;
	op = (struct zcdma_op){
		.opcode = ZCDMA_OP_FILL, .dst_buffer = id, .src = 0x77, .len = PAGE,
	};
	if (zc_do(fd, op))
		return 2;
	op = (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .src_buffer = id, .dst = zc_ptr(seen), .len = SIZE,
	};
	if (zc_do(fd, op) || !filled_with(0x77, seen, PAGE) ||
	    !pattern_holds(source, seen + PAGE, PAGE, SIZE - PAGE))
		return 3;
	if (zc_unregister(fd, id))
		return 4;
	return zc_pinned_falls_to(0, PATIENCE) ? 0 : 5;
}

static void __attribute__((constructor)) be_the_executed_program(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], AFTER_EXEC))
		_exit(after_exec(atoi(argv[2]), atoi(argv[3]),
				 (char *)strtoul(argv[4], NULL, 0)));
}

/* The session is open in the new program, and the pages live as long as it does. */
TEST_F(registered, pages_live_on_after_exec)
{
	pid_t pid;

	close(self->fd);
	IN_CHILD(pid) {
		int fd = open(ZCDMA_DEVICE, O_RDWR), id;	/* not closed by exec() */
		char fd_text[16], id_text[16], was_text[32];

		CHILD_CHECK(fd >= 0 && !zc_attach(fd, zc_provider(), 0));
		id = zc_register(fd, self->src, SIZE, 0);
		CHILD_CHECK(id > 0);
		snprintf(fd_text, sizeof(fd_text), "%d", fd);
		snprintf(id_text, sizeof(id_text), "%d", id);
		snprintf(was_text, sizeof(was_text), "%p", self->src);
		execl("/proc/self/exe", "register", AFTER_EXEC, fd_text, id_text, was_text, NULL);
		CHILD_CHECK(false);
	}
	EXPECT_EQ(0, zc_wait(pid));
	self->fd = -1;
}

/* Another buffer's old addresses say nothing about where its pages are. */
TEST_F(registered, pages_do_not_overlap_what_is_mapped_at_their_old_address)
{
	struct zcdma_op op = { .opcode = ZCDMA_OP_COPY, .len = SIZE };
	char *new;

	op.src_buffer = zc_register(self->fd, self->src, SIZE, 0);
	ASSERT_LT(0, (int)op.src_buffer);
	new = mmap(self->src, SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_TRUE(new == self->src);
	op.dst = zc_ptr(new);
	EXPECT_EQ(0, zc_do(self->fd, op));
	EXPECT_TRUE(pattern_holds(source, new, 0, SIZE));
}

ZC_TEST_MAIN
