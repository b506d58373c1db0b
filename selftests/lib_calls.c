// SPDX-License-Identifier: GPL-2.0
/* The library: its descriptor, calls from other threads, and how waits and sessions end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "harness.h"
#include "pattern.h"
#include "softdma.h"
#include "zcdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define SIZE		(64 * PAGE)
#define PATIENCE	20000

static const struct pattern source = { 's', 1 }, target = { 't', 1 };

FIXTURE(calls) {
	struct zcdma_session *session;	/* attached to softdma */
	char *src, *dst;
};

static int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

static int attach(struct zcdma_session *session, __u32 deadline_ms)
{
	struct zcdma_attach how = { .name = "softdma", .deadline_ms = deadline_ms };

	return result(zcdma_attach(session, &how));
}

FIXTURE_SETUP(calls)
{
	zc_unlimit_memlock();
	ASSERT_EQ(0, softdma_reset());
	ASSERT_TRUE(zc_pinned_falls_to(0, PATIENCE));
	self->session = zcdma_open(NULL);
	ASSERT_TRUE(!!self->session);
	ASSERT_EQ(0, attach(self->session, 0));
	self->src = zc_map(SIZE);
	self->dst = zc_map(SIZE);
	pattern_write(source, self->src, 0, SIZE);
	pattern_write(target, self->dst, 0, SIZE);
}

FIXTURE_TEARDOWN(calls)
{
	zcdma_close(self->session);
	EXPECT_EQ(0, softdma_reset());
	EXPECT_TRUE(zc_pinned_falls_to(0, PATIENCE));
}

#define WORLD FIXTURE_DATA(calls)

/* Ops of a page each, the first of which the engine has and hangs with; the others wait. */
static int submit_hung(WORLD *self, unsigned int nr)
{
	struct zcdma_op ops[16];

	if (softdma_set("pool", 1) || softdma_set("hang", 1))
		return -EPROTO;
	for (unsigned int i = 0; i < nr; i++)
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
	return result(zcdma_submit(self->session, ops, nr, NULL));
}

/* ---- opening ---- */

TEST_F(calls, descriptor_is_closed_by_exec_and_does_not_block)
{
	int fd = zcdma_fd(self->session);

	ASSERT_LE(0, fd);
	EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

TEST_F(calls, open_tells_that_the_device_is_not_for_this_user)
{
	struct stat before;
	pid_t pid;

	ASSERT_EQ(0, stat(ZCDMA_DEVICE, &before));
	ASSERT_EQ(0, chmod(ZCDMA_DEVICE, 0600));
	IN_CHILD(pid) {
		zc_become_user(1 << 20);
		CHILD_CHECK(!zcdma_open(NULL) && errno == EACCES);
	}
	EXPECT_EQ(0, zc_wait(pid));
	ASSERT_EQ(0, chmod(ZCDMA_DEVICE, before.st_mode & 07777));
}

TEST_F(calls, open_tells_that_there_are_too_many_files)
{
	struct rlimit few = { 3, 3 };
	pid_t pid;

	IN_CHILD(pid) {
		CHILD_CHECK(!setrlimit(RLIMIT_NOFILE, &few));
		CHILD_CHECK(!zcdma_open(NULL) && errno == EMFILE);
	}
	EXPECT_EQ(0, zc_wait(pid));
}

/* ---- the descriptor, polled ---- */

TEST_F(calls, descriptor_tells_of_completions_and_of_room)
{
	struct zcdma_completion c[16];

	EXPECT_EQ(POLLOUT, zc_poll(zcdma_fd(self->session), POLLIN | POLLOUT, 0));
	ASSERT_EQ(0, submit_hung(self, 1));
	EXPECT_EQ(POLLOUT, zc_poll(zcdma_fd(self->session), POLLIN | POLLOUT, 0));
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(POLLIN, zc_poll(zcdma_fd(self->session), POLLIN, PATIENCE));
	EXPECT_EQ(1, zcdma_reap(self->session, c, 16, 0));
	EXPECT_EQ(0, zc_poll(zcdma_fd(self->session), POLLIN, 0));
}

TEST_F(calls, descriptor_tells_that_the_engine_is_gone)
{
	struct zcdma_completion c[16];

	ASSERT_EQ(0, submit_hung(self, 3));
	ASSERT_EQ(0, softdma_unbind());
	EXPECT_EQ(POLLHUP | POLLERR,
		  zc_poll(zcdma_fd(self->session), 0, PATIENCE) & (POLLHUP | POLLERR));
	/* All completions are still there, and then it says why there are no more. */
	EXPECT_EQ(3, zcdma_reap(self->session, c, 16, -1));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(-ENODEV, c[i].res);
	EXPECT_EQ(-ENODEV, result(zcdma_reap(self->session, c, 16, -1)));
	ASSERT_EQ(0, softdma_bind());
}

/* ---- waits that a signal ends ---- */

TEST_F(calls, reap_ends_when_a_signal_comes)
{
	struct zcdma_completion c;

	ASSERT_EQ(0, submit_hung(self, 1));
	zc_signal_each_ms(200, 0);
	EXPECT_EQ(-EINTR, result(zcdma_reap(self->session, &c, 1, -1)));
	signal(SIGALRM, SIG_IGN);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(1, zcdma_reap(self->session, &c, 1, -1));
	EXPECT_EQ(0, c.res);
}

/* Its ops go on, and are to be reaped. */
TEST_F(calls, submit_wait_ends_when_a_signal_comes)
{
	struct zcdma_completion c[2];
	struct zcdma_op ops[2];
	unsigned int accepted = 0;

	for (int i = 0; i < 2; i++)
		ops[i] = zc_copy_op(self->dst + i * PAGE, self->src + i * PAGE, PAGE, i);
	ASSERT_EQ(0, softdma_set("hang", 1));
	zc_signal_each_ms(200, 0);
	EXPECT_EQ(-EINTR, result(zcdma_submit_wait(self->session, ops, 2, c, &accepted)));
	signal(SIGALRM, SIG_IGN);
	EXPECT_EQ(2, accepted);
	/* They are outstanding to the library as well. */
	EXPECT_EQ(-EBUSY, result(zcdma_copy(self->session, self->dst + 4 * PAGE, self->src, 64,
					    NULL)));
	ASSERT_EQ(0, softdma_set("hang", 0));
	for (int left = 2; left;) {
		int got = zcdma_reap(self->session, c, 2, PATIENCE);

		ASSERT_LT(0, got);
		left -= got;
	}
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, 2 * PAGE));
	EXPECT_EQ(0, zcdma_copy(self->session, self->dst + 4 * PAGE, self->src, 64, NULL));
}

TEST_F(calls, reap_of_nothing_does_not_wait)
{
	struct zcdma_completion c;

	EXPECT_EQ(0, zcdma_reap(self->session, &c, 1, -1));
}

/* ---- calls from other threads ---- */

struct visitor {
	struct zcdma_session *session;
	const char *failure;
};

#define VISITOR_CHECK(v, condition) do { \
	if (!(condition)) \
		(v)->failure = #condition; \
} while (0)

/* All that any thread may call; the last of it ends what the session's own thread waits for. */
static void *visit(void *arg)
{
	struct visitor *v = arg;
	struct zcdma_query_channel first, same;
	struct zcdma_get_info info;

	zc_sleep_ms(100);
	VISITOR_CHECK(v, zcdma_fd(v->session) >= 0);
	VISITOR_CHECK(v, !zcdma_get_info(v->session, &info));
	VISITOR_CHECK(v, info.out_channels == 1);
	VISITOR_CHECK(v, info.out_outstanding == 4);
	VISITOR_CHECK(v, !zcdma_query_channel(v->session, ZCDMA_QUERY_ATTACHED, 0, &first));
	VISITOR_CHECK(v, !zcdma_find_channel(v->session, first.out_name, &same));
	VISITOR_CHECK(v, !strcmp(first.out_name, same.out_name));
	VISITOR_CHECK(v, zcdma_cancel(v->session, 77) == -1 && errno == ENOENT);
	VISITOR_CHECK(v, zcdma_cancel(v->session, 0) == -1 && errno == EALREADY);
	VISITOR_CHECK(v, zcdma_cancel(v->session, 2) == 1);
	zc_sleep_ms(50);
	VISITOR_CHECK(v, zcdma_cancel_all(v->session) == 2);
	return NULL;
}

TEST_F(calls, of_other_threads_do_not_wait_for_who_reaps)
{
	struct visitor visitor = { .session = self->session };
	struct zcdma_completion c[4];
	pthread_t thread;
	int n = 0, got;

	ASSERT_EQ(0, submit_hung(self, 4));
	ASSERT_EQ(0, pthread_create(&thread, NULL, visit, &visitor));
	while (n < 3) {
		got = zcdma_reap(self->session, c + n, 4 - n, PATIENCE);
		ASSERT_LT(0, got);
		n += got;
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(NULL, visitor.failure) {
		TH_LOG("%s is false", visitor.failure);
	}
	ASSERT_EQ(3, n);
	EXPECT_EQ(2, c[0].user_data);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(-ECANCELED, c[i].res);
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_EQ(1, zcdma_reap(self->session, c, 1, PATIENCE));
	EXPECT_EQ(0, c[0].res);
}

/* Cancel until there was something to cancel. */
static void *cancel_all_soon(void *arg)
{
	struct visitor *v = arg;

	for (int i = 0; i < 2000; i++) {
		if (zcdma_cancel_all(v->session) > 0)
			break;
		zc_sleep_ms(5);
	}
	zc_sleep_ms(50);
	softdma_set("hang", 0);
	return NULL;
}

/* A copy ends so, and says how far it came. */
TEST_F(calls, copy_ends_when_another_thread_cancels)
{
	struct visitor visitor = { .session = self->session };
	struct zcdma_completion r = { 0 };
	pthread_t thread;

	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("max_len", PAGE));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, pthread_create(&thread, NULL, cancel_all_soon, &visitor));
	EXPECT_EQ(-ECANCELED, result(zcdma_copy(self->session, self->dst, self->src, SIZE, &r)));
	pthread_join(thread, NULL);
	EXPECT_EQ(-ECANCELED, r.res);
	EXPECT_GT(SIZE, r.done);
	EXPECT_TRUE(pattern_holds(source, self->dst, 0, r.done));
	EXPECT_EQ(0, zc_outstanding(zcdma_fd(self->session)));
}

struct copier {
	struct zcdma_session *session;
	char *src, *dst;
	int ret;
};

/* 64 bytes of each page */
static void *copy_columns(void *arg)
{
	struct copier *c = arg;

	c->ret = result(zcdma_copy_2d(c->session, c->dst, PAGE, c->src, PAGE, 64, SIZE / PAGE,
				      NULL));
	return NULL;
}

/* What is between rows is pinned and charged, too: it is not all in flight at once. */
TEST_F(calls, copy_of_rows_has_no_more_pinned_than_another)
{
	struct copier c = { .session = self->session, .src = self->src, .dst = self->dst };
	long pinned = 0, before;
	pthread_t thread;

	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, pthread_create(&thread, NULL, copy_columns, &c));
	do {
		before = pinned;
		zc_sleep_ms(300);
		pinned = zc_pinned_pages();
	} while (!pinned || pinned > before);
	EXPECT_GT(2 * SIZE / PAGE, pinned);
	ASSERT_EQ(0, softdma_set("hang", 0));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, c.ret);
	for (size_t at = 0; at < SIZE; at += PAGE) {
		EXPECT_TRUE(pattern_holds(source, self->dst + at, at, 64));
		EXPECT_TRUE(pattern_holds(target, self->dst + at + 64, at + 64, PAGE - 64));
	}
}

/* A CPU would move rows that are so far apart, if they were one op. */
TEST_F(calls, copy_of_rows_far_apart_is_for_the_engine)
{
	const size_t stride = 18 * PAGE, rows = (SIZE - PAGE) / stride + 1;

	/* It learns that it may have long pieces. */
	for (int i = 0; i < 8; i++)
		ASSERT_EQ(0, zcdma_copy(self->session, self->dst, self->src, SIZE, NULL));
	pattern_write(target, self->dst, 0, SIZE);
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	ASSERT_EQ(0, zcdma_copy_2d(self->session, self->dst, stride, self->src, stride, PAGE,
				   rows, NULL));
	EXPECT_LE(rows, softdma_get("descriptors"));
	for (size_t i = 0; i < rows; i++)
		EXPECT_TRUE(pattern_holds(source, self->dst + i * stride, i * stride, PAGE));
	EXPECT_TRUE(pattern_holds(target, self->dst + PAGE, PAGE, stride - PAGE));
}

/* ---- the end ---- */

/* It waits until the engine, which goes on in a moment, has nothing; nothing is written later. */
TEST_F(calls, close_returns_when_the_engine_has_let_go)
{
	char *then = zc_map(SIZE);
	pid_t pid;

	ASSERT_EQ(0, submit_hung(self, 8));
	EXPECT_LT(0, zc_pinned_pages());
	IN_CHILD(pid) {
		zc_sleep_ms(300);
		CHILD_CHECK(!softdma_set("hang", 0));
	}
	errno = EDOM;
	zcdma_close(self->session);
	EXPECT_EQ(EDOM, errno);
	self->session = NULL;
	EXPECT_EQ(0, zc_pinned_pages());
	memcpy(then, self->dst, SIZE);
	EXPECT_EQ(0, zc_wait(pid));
	zc_sleep_ms(100);
	EXPECT_EQ(0, memcmp(then, self->dst, SIZE));
	/* Those behind the first had not begun. */
	EXPECT_TRUE(pattern_holds(target, self->dst + PAGE, PAGE, SIZE - PAGE));
}

/* With registered memory, too. */
TEST_F(calls, close_gives_registered_memory_back)
{
	ASSERT_LT(0, zcdma_register(self->session, self->src, SIZE, 0));
	EXPECT_LE((long)(SIZE / PAGE), zc_pinned_pages());
	zcdma_close(self->session);
	self->session = NULL;
	EXPECT_EQ(0, zc_pinned_pages());
}

/* Sessions know nothing of each other: each thread may have its own. */
static void *copy_with_my_own(void *arg)
{
	struct zcdma_session *mine = zcdma_open(NULL);
	struct visitor *v = arg;
	char *src, *dst;

	if (!mine || attach(mine, 0)) {
		v->failure = "attach";
		return NULL;
	}
	src = malloc(SIZE);
	dst = malloc(SIZE);
	for (int round = 0; round < 20 && !v->failure; round++) {
		pattern_write(source, src, 0, SIZE);
		memset(dst, 0, SIZE);
		VISITOR_CHECK(v, !zcdma_copy(mine, dst, src, SIZE, NULL));
		VISITOR_CHECK(v, pattern_holds(source, dst, 0, SIZE));
	}
	zcdma_close(mine);
	free(src);
	free(dst);
	return NULL;
}

TEST_F(calls, of_sessions_are_independent)
{
	struct visitor visitors[4] = { { 0 } };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(threads + i, NULL, copy_with_my_own, visitors + i));
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(NULL, visitors[i].failure);
	}
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
