/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all tests need to talk to /dev/zcdma. The functions return 0 (or what
 * they say) or -errno, so that a test is one line: EXPECT_EQ(-EINVAL, zc_...).
 */
#ifndef ZCDMA_SELFTESTS_UTIL_H
#define ZCDMA_SELFTESTS_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/zcdma.h>

/* An ordinary user of every Debian: "nobody". */
#define ZC_USER		65534

/* ---- the machine ---- */

/* The engine under test, as ATTACH takes it. */
const char *zc_provider(void);

/* Is the target declared to lack this capability? Only then a test may be skipped. */
bool zc_lacks(const char *capability);

/* Does each mapping for DMA go through a bounce buffer? Tests of that are skipped elsewhere. */
bool zc_bounces(void);
#define ZC_NO_BOUNCE_BUFFERS	"lacks bounce-buffers: the engine reaches all memory"

/*
 * Will fewer rounds do here, because another machine runs them all? So they will for 32 bits:
 * where those are not the machine's, the same program with 64 runs besides.
 */
bool zc_brief(void);

/*
 * Of all combinations of something a brief target tries one of ZC_SHARES, and six targets
 * together try all: is combination @number, from 0 on, this target's?
 */
#define ZC_SHARES	6
bool zc_my_share(unsigned int number);

/* Of @count combinations no target has more than so many. */
unsigned int zc_largest_share(unsigned int count);

/* ---- time and chance ---- */

__u64 zc_now_ms(void);
void zc_sleep_ms(unsigned int ms);

/* The seed is printed, and ZCDMA_SEED=N in the environment brings it back. */
void zc_seed(void);
__u64 zc_random(void);
__u64 zc_random_below(__u64 limit);

/* ---- sessions ---- */

int zc_ioctl(int fd, unsigned long cmd, void *arg);

/* A session that is not attached: a descriptor or -errno. */
int zc_open(int flags);

int zc_attach(int fd, const char *name, __u32 depth);

/* Open and attach: a descriptor or -errno. */
int zc_session(const char *name, __u32 depth);

/* The same; the name of the channel that it got is put into @channel, which may be @name. */
int zc_session_and_channel(const char *name, __u32 depth, char channel[ZCDMA_NAME_LEN]);

struct zcdma_get_info zc_info(int fd);
__u32 zc_outstanding(int fd);

/* Look for a channel by the name of it, its device or its provider: 0 or -ENOENT. */
int zc_query(const char *name, struct zcdma_query_channel *query);

/* How many channels the provider has. */
unsigned int zc_count_channels(const char *provider);

/* ---- ops ---- */

static inline __u64 zc_ptr(const void *p)
{
	return (uintptr_t)p;
}

struct zcdma_op zc_copy_op(void *dst, const void *src, size_t len, __u64 user_data);
struct zcdma_op zc_fill_op(void *dst, __u8 byte, size_t len, __u64 user_data);
struct zcdma_op zc_send_op(const void *src, size_t len, __u64 user_data);
struct zcdma_op zc_recv_op(void *dst, size_t len, __u64 user_data);

/* A copy between two registered buffers, at offsets. */
struct zcdma_op zc_buffer_op(int dst_id, __u64 dst, int src_id, __u64 src, size_t len);

/* @accepted may be NULL. */
int zc_submit(int fd, const struct zcdma_op *ops, __u32 count, __u32 *accepted);
int zc_submit_wait(int fd, const struct zcdma_op *ops, __u32 count,
		   struct zcdma_completion *completions, __u32 *accepted);

/* One op, waited for: 0 when all of it was moved, or the error of SUBMIT or of the op. */
int zc_do(int fd, struct zcdma_op op);
int zc_copy(int fd, void *dst, const void *src, size_t len);
int zc_fill(int fd, void *dst, __u8 byte, size_t len);

/* Submit all of them, in portions if the queue is short, and reap them: 0 if all succeeded. */
int zc_do_all(int fd, struct zcdma_op *ops, unsigned int count);

/* read() whole completions: how many, or -errno. */
int zc_read(int fd, struct zcdma_completion *completions, unsigned int room);

/* Read until @count are there or nothing came for @ms: how many there were, or -errno. */
int zc_reap(int fd, struct zcdma_completion *completions, unsigned int count, unsigned int ms);

/* Events that poll() saw at once or was woken for within @ms, or 0. */
short zc_poll(int fd, short events, int ms);

int zc_cancel(int fd, __u64 user_data, __u32 flags, __u32 *cancelled);

/* Wait until no engine has anything of the session, for @ms at most. */
int zc_drain(int fd, __u32 ms);

/* ---- registered memory ---- */

/* The buffer's id, or -errno. */
int zc_register(int fd, const void *memory, size_t len, __u32 flags);
int zc_unregister(int fd, __u32 buffer);

/* ---- memory ---- */

/* Anonymous memory, zeroed, in small pages; a test that gets none ends. */
char *zc_map(size_t size);

/* The address where memory ends: a page is before it, nothing behind it. */
char *zc_map_edge(void);

/* ---- other processes ---- */

/*
 * As an ordinary user, without any capability, who may lock @memlock bytes. Of the device's
 * group, unless that is root's.
 */
void zc_become_user(size_t memlock);

/* For root: as much memory as a test wants. */
void zc_unlimit_memlock(void);

/*
 * A signal each @ms, so that one surely comes when a call sleeps, and ends it, or with SA_RESTART
 * in @flags may have it restarted; 0: no more. And how many came so far.
 */
void zc_signal_each_ms(unsigned int ms, int flags);
unsigned int zc_signals(void);

/* How a child ended: its exit status, or -(the signal that ended it). */
int zc_wait(pid_t pid);

/*
 * Wait until the process sleeps in this system call, SYS_write or the like, where a signal can
 * wake it: false after 20 s. So nobody needs to guess how long it takes to get there.
 */
bool zc_sleeps_in(pid_t pid, long number);

/* In which function of the kernel it sleeps; "" if it does not. Root only. */
void zc_wchan(pid_t pid, char function[64]);

/* Where there is no harness (in children, in helpers): complain and end. */
#define CHILD_CHECK(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "# %s:%d: %s is false: %m\n", \
			__FILE__, __LINE__, #condition); \
		_exit(1); \
	} \
} while (0)

/* Run the statement that follows in a child, which then ends with status 0. */
#define IN_CHILD(pid) \
	for (int in_child = ((pid) = fork()) == 0; in_child; _exit(in_child = 0))

/* ---- files under /sys and /proc ---- */

/* The number that stands after @key in a file such as /proc/meminfo; 0 if there is none. */
unsigned long zc_number_in(const char *path, const char *key);
int zc_write_file(const char *path, const char *text);

/* Pages that the whole kernel has pinned for DMA and not yet unpinned. */
long zc_pinned_pages(void);

/*
 * What that number is when a test begins: 0, once all is released that tests before have had.
 * Taken while it is not, the number would hide as large a leak. If it does not fall to 0, that
 * is told, and the test will find pages that are pinned.
 */
long zc_pinned_baseline(void);

/* Wait for that number to fall to @pages (or below): false if it did not within @ms. */
bool zc_pinned_falls_to(long pages, unsigned int ms);

#endif /* ZCDMA_SELFTESTS_UTIL_H */
