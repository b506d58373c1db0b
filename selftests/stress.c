// SPDX-License-Identifier: GPL-2.0
/* Many at once, killed, forked, passed on: no byte wrong, no page and no charge left behind. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "harness.h"
#include "pattern.h"
#include "region.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define THREADS		16
#define PATIENCE	20000

/* ---- a crowd ---- */

#define BATCH	8
#define SLOT	(5 * PAGE)
#define ARENA	(BATCH * SLOT)

/* One of many: its own memory, its own patterns, its own or a shared session. */
struct worker {
	pthread_t thread;
	int fd;
	int number;
	int rounds;
	char *src, *dst;
	__u64 random;
	bool ok;
};

static __u64 chance(struct worker *w, __u64 limit)
{
	w->random = w->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (w->random >> 33) % limit;
}

static struct pattern sources(const struct worker *w)
{
	return (struct pattern){ 'a' + w->number, w->rounds };
}

static struct pattern targets(const struct worker *w)
{
	return (struct pattern){ 't', w->number };
}

static void plan_batch(struct worker *w, struct zcdma_op *ops)
{
	for (int i = 0; i < BATCH; i++) {
		size_t at = i * SLOT + chance(w, PAGE), len = 1 + chance(w, 3 * PAGE);

		ops[i] = zc_copy_op(w->dst + at, w->src + chance(w, ARENA - len), len,
				    w->number * 100 + i);
	}
	pattern_write(sources(w), w->src, 0, ARENA);
	pattern_write(targets(w), w->dst, 0, ARENA);
}

static bool batch_is_right(const struct worker *w, const struct zcdma_op *ops,
			   const struct zcdma_completion *c)
{
	size_t pos = 0;

	for (int i = 0; i < BATCH; i++) {
		size_t at = ops[i].dst - zc_ptr(w->dst), from = ops[i].src - zc_ptr(w->src);

		if (c[i].res || c[i].done != ops[i].len || c[i].user_data != ops[i].user_data) {
			fprintf(stderr, "# op %llu, %llu bytes: completion %llu, %s, %llu bytes\n",
				(unsigned long long)ops[i].user_data,
				(unsigned long long)ops[i].len,
				(unsigned long long)c[i].user_data, strerror(-c[i].res),
				(unsigned long long)c[i].done);
			return false;
		}
		if (!pattern_holds(targets(w), w->dst + pos, pos, at - pos) ||
		    !pattern_holds(sources(w), w->dst + at, from, ops[i].len))
			return false;
		pos = at + ops[i].len;
	}
	return pattern_holds(targets(w), w->dst + pos, pos, ARENA - pos);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct zcdma_completion c[BATCH];
	struct zcdma_op ops[BATCH];

	for (; w->rounds > 0; w->rounds--) {
		int err;

		plan_batch(w, ops);
		err = zc_submit_wait(w->fd, ops, BATCH, c, NULL);
		if (err)
			fprintf(stderr, "# SUBMIT: %s\n", strerror(-err));
		if (err || !batch_is_right(w, ops, c))
			return NULL;
	}
	w->ok = true;
	return NULL;
}

/* Sixteen threads; each opens a session, or all share @shared. True if all were right. */
static bool crowd(int shared, int rounds)
{
	static struct worker workers[THREADS];
	bool ok = true;

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.fd = shared >= 0 ? shared : zc_session(zc_provider(), 0),
			.number = i, .rounds = rounds, .random = zc_random(),
			.src = zc_map(ARENA), .dst = zc_map(ARENA),
		};
		CHILD_CHECK(workers[i].fd >= 0);
		CHILD_CHECK(!pthread_create(&workers[i].thread, NULL, work, workers + i));
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		ok &= workers[i].ok;
		if (shared < 0)
			close(workers[i].fd);
		munmap(workers[i].src, ARENA);
		munmap(workers[i].dst, ARENA);
	}
	return ok;
}

FIXTURE(crowd) {
	long pinned;
};

/*
 * A child may end while pthread_create() has all signals blocked in the parent. SIGCHLD
 * is then kept for another thread rather than dropped, and ends its SUBMIT with EINTR.
 */
static bool block_sigchld(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return !pthread_sigmask(SIG_BLOCK, &set, NULL);
}

FIXTURE_SETUP(crowd)
{
	ASSERT_TRUE(block_sigchld());
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	zc_seed();
	self->pinned = zc_pinned_baseline();
}

FIXTURE_TEARDOWN(crowd)
{
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/* Many rounds, or fewer, or as many as a slow engine does in some seconds. */
static int many(int rounds)
{
	return zc_lacks("bulk") ? rounds / 20 : zc_brief() ? rounds / 6 : rounds;
}

TEST_F_TIMEOUT(crowd, two_processes_of_sixteen_threads_with_own_sessions, 90)
{
	pid_t pid;

	IN_CHILD(pid) {
		zc_random();
		CHILD_CHECK(crowd(-1, many(60)));
	}
	EXPECT_TRUE(crowd(-1, many(60)));
	EXPECT_EQ(0, zc_wait(pid));
}

TEST_F_TIMEOUT(crowd, sixteen_threads_with_one_session, 90)
{
	int fd = zc_session(zc_provider(), THREADS * BATCH);

	ASSERT_LE(0, fd);
	EXPECT_TRUE(crowd(fd, many(60)));
	EXPECT_EQ(0, zc_outstanding(fd));
	close(fd);
}

TEST_F_TIMEOUT(crowd, two_processes_of_sixteen_threads_with_one_session, 90)
{
	int fd = zc_session(zc_provider(), 2 * THREADS * BATCH);
	pid_t pid;

	ASSERT_LE(0, fd);
	IN_CHILD(pid)
		CHILD_CHECK(crowd(fd, many(30)));
	EXPECT_TRUE(crowd(fd, many(30)));
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(0, zc_outstanding(fd));
	close(fd);
}

/* Open, attach, one op, close, all at the same time. */
static void *come_and_go(void *arg)
{
	struct worker *w = arg;

	for (; w->rounds > 0; w->rounds--) {
		int fd = zc_session(zc_provider(), 0);
		unsigned char byte = 0;

		if (fd < 0 || zc_do(fd, zc_fill_op(&byte, w->rounds, 1, 1)) ||
		    byte != (unsigned char)w->rounds)
			return NULL;
		close(fd);
	}
	w->ok = true;
	return NULL;
}

TEST_F_TIMEOUT(crowd, sessions_that_come_and_go, 90)
{
	struct worker workers[THREADS];

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .number = i, .rounds = many(300) };
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, come_and_go, workers + i));
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		EXPECT_TRUE(workers[i].ok);
	}
}

/* ---- charges and pages of processes that end, change or pass their session on ---- */

#define LIMIT	(32 * PAGE)

FIXTURE(owner) {
	long pinned;
	char *memory;
	struct zcdma_completion done[64];
};

FIXTURE_SETUP(owner)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	zc_seed();
	self->pinned = zc_pinned_baseline();
	self->memory = zc_map(LIMIT + PAGE);
}

FIXTURE_TEARDOWN(owner)
{
	EXPECT_EQ(0, softdma_reset());
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
}

/*
 * Does the ordinary user have all of the limit, and no more? It may take a moment
 * until what a process left behind is cleared away.
 */
static bool limit_is_whole(char *memory, unsigned int ms)
{
	pid_t pid;

	IN_CHILD(pid) {
		__u64 end = zc_now_ms() + ms;
		int fd, err;

		zc_become_user(LIMIT);
		fd = zc_session("softdma", 0);
		CHILD_CHECK(fd >= 0);
		while ((err = zc_fill(fd, memory, 1, LIMIT)) == -ENOMEM && zc_now_ms() < end)
			zc_sleep_ms(10);
		CHILD_CHECK(!err);
		CHILD_CHECK(zc_fill(fd, memory, 1, LIMIT + 1) == -ENOMEM);
	}
	return !zc_wait(pid);
}

/* What a session that was closed before has at the engine is charged until that is through. */
static void submit_pages(int fd, char *memory, int ops)
{
	for (int i = 0; i < ops; i++) {
		struct zcdma_op op = zc_fill_op(memory + i * PAGE, i, PAGE, i);
		__u64 end = zc_now_ms() + PATIENCE;
		int err;

		while ((err = zc_submit(fd, &op, 1, NULL)) == -ENOMEM && zc_now_ms() < end)
			zc_sleep_ms(1);
		CHILD_CHECK(!err);
	}
}

/* Wait until something is pinned: false after PATIENCE. */
static bool pages_are_pinned(long before)
{
	__u64 end = zc_now_ms() + PATIENCE;

	while (zc_pinned_pages() <= before) {
		if (zc_now_ms() > end)
			return false;
	}
	return true;
}

/* The engine has something for longer than the end of a process takes, as it is found out. */
TEST_F_TIMEOUT(owner, who_is_killed_in_mid_flight_leaves_nothing_behind, 90)
{
	__u64 end = zc_now_ms() + PATIENCE;
	unsigned int delay_us = 5000;
	int in_flight = 0;

	for (int round = 0; round < many(40) || (!in_flight && zc_now_ms() < end); round++) {
		bool is;
		pid_t pid;

		ASSERT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
		ASSERT_EQ(0, softdma_set("delay_us", delay_us));

		IN_CHILD(pid) {
			int fd;

			zc_become_user(LIMIT);
			fd = zc_session("softdma", 0);
			CHILD_CHECK(fd >= 0);
			for (;;) {
				submit_pages(fd, self->memory, 16);
				CHILD_CHECK(zc_reap(fd, self->done, 16, PATIENCE) == 16);
			}
		}
		ASSERT_TRUE(pages_are_pinned(self->pinned));
		zc_sleep_ms(zc_random_below(30));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(-SIGKILL, zc_wait(pid));
		is = zc_pinned_pages() > self->pinned;
		in_flight += is;
		if (!is && delay_us < 200000)
			delay_us *= 2;
	}
	ASSERT_EQ(0, softdma_set("delay_us", 0));
	EXPECT_LT(0, in_flight);
	EXPECT_TRUE(limit_is_whole(self->memory, PATIENCE));
}

/* Words that are all different, in memory that parent and child share. */
static char *map_shared(size_t len)
{
	char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHILD_CHECK(memory != MAP_FAILED);
	for (size_t i = 0; i < len / sizeof(__u64); i++)
		((__u64 *)memory)[i] = (i + 1) * 0x9e3779b97f4a7c15ULL;
	return memory;
}

/* Is the word of the source at @at in its place, one byte before? */
static bool word_is_there(const char *dst, const char *src, size_t at)
{
	return !memcmp(dst + at, src + 1 + at, sizeof(__u64));
}

/*
 * It is killed while it moves what is for a CPU, half way through. Somebody else does that anew,
 * and whoever has the session hears of it when all is there.
 */
TEST_F_TIMEOUT(owner, who_is_killed_as_it_moves_its_op_leaves_it_to_somebody_else, 90)
{
	const size_t size = (zc_lacks("bulk") ? 8UL : 64UL) << 20, len = size - 2 * PAGE;
	char *src = map_shared(size), *dst = map_shared(size);
	__u64 end = zc_now_ms() + 20000;
	int half_way = 0, fd;

	ASSERT_EQ(0, softdma_become("align=64"));
	fd = zc_session("softdma", 0);
	ASSERT_LE(0, fd);
	while (half_way < 3 && zc_now_ms() < end) {
		struct zcdma_op op = zc_copy_op(dst, src + 1, len, 1);
		pid_t pid;

		op.deadline_ms = 60000;
		memset(dst, 0, size);
		IN_CHILD(pid) {
			CHILD_CHECK(!zc_submit(fd, &op, 1, NULL));
			pause();
		}
		while (!word_is_there(dst, src, 0))
			ASSERT_GT(end + PATIENCE, zc_now_ms());
		ASSERT_EQ(0, kill(pid, SIGKILL));
		half_way += !word_is_there(dst, src, len - sizeof(__u64));
		ASSERT_EQ(-SIGKILL, zc_wait(pid));
		ASSERT_EQ(1, zc_reap(fd, self->done, 1, PATIENCE));
		EXPECT_EQ(0, self->done[0].res);
		EXPECT_EQ(len, self->done[0].done);
		ASSERT_EQ(0, memcmp(dst, src + 1, len));
		EXPECT_TRUE(filled_with(0, dst + len, size - len));
	}
	EXPECT_LT(0, half_way);
	close(fd);
	munmap(src, size);
	munmap(dst, size);
}

/* Not even an exit that reaps nothing. */
TEST_F(owner, who_exits_in_mid_flight_leaves_nothing_behind)
{
	ASSERT_EQ(0, softdma_set("delay_us", 2000));
	for (int round = 0; round < many(20); round++) {
		pid_t pid;

		IN_CHILD(pid) {
			int fd;

			zc_become_user(LIMIT);
			fd = zc_session("softdma", 0);
			CHILD_CHECK(fd >= 0);
			submit_pages(fd, self->memory, 16);
		}
		ASSERT_EQ(0, zc_wait(pid));
		ASSERT_TRUE(limit_is_whole(self->memory, PATIENCE));
	}
}

/* The charge ends with the op and not when its completion is read. */
TEST_F(owner, who_reads_no_completions_gets_the_charge_back_all_the_same)
{
	int fd = zc_session("softdma", 64);
	pid_t pid;

	ASSERT_LE(0, fd);
	IN_CHILD(pid) {
		zc_become_user(LIMIT);
		submit_pages(fd, self->memory, 32);
	}
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_TRUE(limit_is_whole(self->memory, PATIENCE));
	EXPECT_EQ(32, zc_reap(fd, self->done, 32, PATIENCE));
	close(fd);
}

/* A session closed with completions that nobody read. */
TEST_F(owner, who_closes_without_reading_leaves_nothing_behind)
{
	pid_t pid;

	IN_CHILD(pid) {
		zc_become_user(LIMIT);
		for (int round = 0; round < many(200); round++) {
			int fd = zc_session("softdma", 0);

			CHILD_CHECK(fd >= 0);
			submit_pages(fd, self->memory, 1 + round % 8);
			close(fd);
		}
	}
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_TRUE(limit_is_whole(self->memory, PATIENCE));
}

static int receive_fd(int channel)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec io = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = space,
			      .msg_controllen = sizeof(space) };
	int fd;

	CHILD_CHECK(recvmsg(channel, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static void send_fd(int channel, int fd)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = space,
			      .msg_controllen = sizeof(space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CHILD_CHECK(sendmsg(channel, &msg, 0) == 1);
}

/*
 * The user submits all that it may, gives the session to root and goes. Root
 * reaps: the user, not root, gets back what it was charged.
 */
TEST_F(owner, who_passes_the_session_on_gets_the_charge_back)
{
	int channel[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, channel));
	ASSERT_EQ(0, softdma_set("hang", 1));
	IN_CHILD(pid) {
		zc_become_user(LIMIT);
		fd = zc_session("softdma", 64);
		CHILD_CHECK(fd >= 0);
		submit_pages(fd, self->memory, 32);
		CHILD_CHECK(zc_fill(fd, self->memory, 1, 1) == -ENOMEM);
		send_fd(channel[1], fd);
	}
	fd = receive_fd(channel[0]);
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(32, zc_outstanding(fd));
	IN_CHILD(pid) { /* the user is gone, its charge is not */
		int other;

		zc_become_user(LIMIT);
		other = zc_session("softdma", 0);
		CHILD_CHECK(zc_fill(other, self->memory, 1, 1) == -ENOMEM);
	}
	EXPECT_EQ(0, zc_wait(pid));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(32, zc_reap(fd, self->done, 32, PATIENCE));
	EXPECT_TRUE(limit_is_whole(self->memory, PATIENCE));
	/* and root's own ops through it are root's */
	EXPECT_EQ(0, zc_fill(fd, self->memory, 1, LIMIT + PAGE));
	EXPECT_TRUE(limit_is_whole(self->memory, 0));
	close(fd);
}

/* The other way: root opens, the user submits through it and is charged. */
TEST_F(owner, who_submits_is_charged_and_not_who_opened)
{
	int fd = zc_session("softdma", 0);
	pid_t pid;

	ASSERT_LE(0, fd);
	IN_CHILD(pid) {
		zc_become_user(LIMIT);
		CHILD_CHECK(zc_fill(fd, self->memory, 1, LIMIT + PAGE) == -ENOMEM);
		CHILD_CHECK(zc_fill(fd, self->memory, 1, LIMIT) == 0);
		CHILD_CHECK(zc_fill(fd, self->memory, 1, LIMIT + PAGE) == -ENOMEM);
	}
	EXPECT_EQ(0, zc_wait(pid));
	close(fd);
}

/* The program is replaced while the engine writes to its memory. */
TEST_F(owner, who_executes_another_program_in_mid_flight)
{
	int fd = zc_session("softdma", 64);
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, softdma_set("hang", 1));
	IN_CHILD(pid) {
		zc_become_user(LIMIT);
		submit_pages(fd, self->memory, 32);
		fcntl(fd, F_SETFD, 0);
		execl("/bin/sh", "sh", "-c", "exit 3", NULL);
		CHILD_CHECK(!"executed");
	}
	EXPECT_EQ(3, zc_wait(pid));
	EXPECT_EQ(32, zc_outstanding(fd));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(32, zc_reap(fd, self->done, 32, PATIENCE));
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(0, self->done[i].res);
	EXPECT_TRUE(limit_is_whole(self->memory, PATIENCE));
	close(fd);
}

/* Parent and child use the session at the same time, each with its own memory. */
TEST_F(owner, who_forks_shares_the_session_but_not_the_memory)
{
	int fd = zc_session("softdma", 64);
	char *memory = self->memory;
	pid_t pid;

	ASSERT_LE(0, fd);
	IN_CHILD(pid) {
		for (int i = 0; i < 300; i++) {
			CHILD_CHECK(!zc_fill(fd, memory, 1 + i % 100, PAGE));
			CHILD_CHECK(filled_with(1 + i % 100, memory, PAGE));
		}
	}
	for (int i = 0; i < 300; i++) {
		ASSERT_EQ(0, zc_fill(fd, memory, 101 + i % 100, PAGE));
		ASSERT_TRUE(filled_with(101 + i % 100, memory, PAGE));
	}
	EXPECT_EQ(0, zc_wait(pid));
	EXPECT_EQ(0, zc_outstanding(fd));
	close(fd);
}

ZC_TEST_MAIN
