// SPDX-License-Identifier: GPL-2.0
/* What all tests need to talk to /dev/zcdma. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "zcdma_util.h"

const char *zc_provider(void)
{
	return getenv("ZCDMA_PROVIDER") ?: "softdma";
}

bool zc_lacks(const char *capability)
{
	const char *lacks = getenv("ZCDMA_LACKS") ?: "";
	size_t len = strlen(capability);

	while (*lacks) {
		size_t word = strcspn(lacks, " ");

		if (word == len && !strncmp(lacks, capability, len))
			return true;
		lacks += word + strspn(lacks + word, " ");
	}
	return false;
}

bool zc_bounces(void)
{
	return !zc_lacks("bounce-buffers");
}

bool zc_brief(void)
{
	return sizeof(long) == 4 || !strcmp(getenv("ZCDMA_BRIEF") ?: "", "yes");
}

/*
 * Of six in a row each target has one, and another one in the next row: where there are six
 * values of a thing, a share must not be one of these values.
 */
bool zc_my_share(unsigned int number)
{
	unsigned int share = strtoul(getenv("ZCDMA_SHARE") ?: "0", NULL, 10);
	unsigned int row = number / ZC_SHARES;

	return !zc_brief() || (number + row + row / ZC_SHARES) % ZC_SHARES == share;
}

unsigned int zc_largest_share(unsigned int count)
{
	return zc_brief() ? (count + ZC_SHARES - 1) / ZC_SHARES : count;
}

__u64 zc_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void zc_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static __u64 random_state = 1;

void zc_seed(void)
{
	const char *given = getenv("ZCDMA_SEED");

	random_state = given ? strtoull(given, NULL, 0) : zc_now_ms() ^ (__u64)getpid() << 32;
	random_state |= 1;
	fprintf(stderr, "# ZCDMA_SEED=%#llx\n", (unsigned long long)random_state);
}

/* xorshift64* */
__u64 zc_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dULL;
}

__u64 zc_random_below(__u64 limit)
{
	return (zc_random() >> 16) % limit;
}

int zc_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

int zc_open(int flags)
{
	int fd = open(ZCDMA_DEVICE, O_RDWR | O_CLOEXEC | flags);

	return fd < 0 ? -errno : fd;
}

int zc_attach(int fd, const char *name, __u32 depth)
{
	struct zcdma_attach how = { .queue_depth = depth };

	strncpy(how.name, name, sizeof(how.name) - 1);
	return zc_ioctl(fd, ZCDMA_IOC_ATTACH, &how);
}

int zc_session(const char *name, __u32 depth)
{
	int fd = zc_open(0);
	int err;

	if (fd < 0)
		return fd;
	err = zc_attach(fd, name, depth);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int zc_session_and_channel(const char *name, __u32 depth, char channel[ZCDMA_NAME_LEN])
{
	struct zcdma_query_channel query = { .flags = ZCDMA_QUERY_ATTACHED };
	int fd = zc_session(name, depth);
	int err;

	if (fd < 0)
		return fd;
	err = zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &query);
	if (err) {
		close(fd);
		return err;
	}
	strcpy(channel, query.out_name);
	return fd;
}

struct zcdma_get_info zc_info(int fd)
{
	struct zcdma_get_info info = { 0 };

	if (zc_ioctl(fd, ZCDMA_IOC_GET_INFO, &info))
		memset(&info, 0xff, sizeof(info));
	return info;
}

__u32 zc_outstanding(int fd)
{
	return zc_info(fd).out_outstanding;
}

/* Walk all channels; those that have @name are counted and the last is left in @query. */
static unsigned int walk(const char *name, struct zcdma_query_channel *query, bool first)
{
	unsigned int found = 0;
	int fd = zc_open(0);

	for (__u32 i = 0; fd >= 0; i++) {
		struct zcdma_query_channel q = { .index = i };

		if (zc_ioctl(fd, ZCDMA_IOC_QUERY_CHANNEL, &q))
			break;
		if (strcmp(q.out_name, name) && strcmp(q.out_device, name) &&
		    strcmp(q.out_provider, name))
			continue;
		found++;
		*query = q;
		if (first)
			break;
	}
	if (fd >= 0)
		close(fd);
	return found;
}

int zc_query(const char *name, struct zcdma_query_channel *query)
{
	return walk(name, query, true) ? 0 : -ENOENT;
}

unsigned int zc_count_channels(const char *provider)
{
	struct zcdma_query_channel query;

	return walk(provider, &query, false);
}

struct zcdma_op zc_copy_op(void *dst, const void *src, size_t len, __u64 user_data)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .user_data = user_data,
		.src = zc_ptr(src), .dst = zc_ptr(dst), .len = len,
	};
}

struct zcdma_op zc_fill_op(void *dst, __u8 byte, size_t len, __u64 user_data)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_FILL, .user_data = user_data,
		.src = byte, .dst = zc_ptr(dst), .len = len,
	};
}

struct zcdma_op zc_send_op(const void *src, size_t len, __u64 user_data)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_SEND, .src = zc_ptr(src), .len = len, .user_data = user_data,
	};
}

struct zcdma_op zc_recv_op(void *dst, size_t len, __u64 user_data)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_RECV, .dst = zc_ptr(dst), .len = len, .user_data = user_data,
	};
}

struct zcdma_op zc_buffer_op(int dst_id, __u64 dst, int src_id, __u64 src, size_t len)
{
	return (struct zcdma_op){
		.opcode = ZCDMA_OP_COPY, .dst_buffer = dst_id, .dst = dst,
		.src_buffer = src_id, .src = src, .len = len,
	};
}

static int submit(int fd, struct zcdma_submit *what, __u32 *accepted)
{
	int err = zc_ioctl(fd, ZCDMA_IOC_SUBMIT, what);

	if (accepted)
		*accepted = what->out_accepted;
	return err;
}

int zc_submit(int fd, const struct zcdma_op *ops, __u32 count, __u32 *accepted)
{
	struct zcdma_submit what = {
		.count = count, .ops = zc_ptr(ops), .op_size = sizeof(*ops),
	};

	return submit(fd, &what, accepted);
}

int zc_submit_wait(int fd, const struct zcdma_op *ops, __u32 count,
		   struct zcdma_completion *completions, __u32 *accepted)
{
	struct zcdma_submit what = {
		.flags = ZCDMA_SUBMIT_WAIT, .count = count, .ops = zc_ptr(ops),
		.op_size = sizeof(*ops), .completions = zc_ptr(completions),
	};

	return submit(fd, &what, accepted);
}

/* A completion of success that keeps its promises. */
static int judge(const struct zcdma_completion *c, const struct zcdma_op *op)
{
	__u64 all = op->opcode == ZCDMA_OP_COPY_2D ? op->rows * op->len : op->len;

	if (c->user_data != op->user_data || c->__reserved || c->done > all)
		return -EBADMSG;
	if (c->res)
		return c->res;
	if (c->done != all || !(c->flags & (ZCDMA_DONE_CPU | ZCDMA_DONE_HARDWARE)))
		return -EBADMSG;
	return 0;
}

int zc_do(int fd, struct zcdma_op op)
{
	struct zcdma_completion c;
	int err;

	memset(&c, 0xff, sizeof(c));
	err = zc_submit_wait(fd, &op, 1, &c, NULL);
	return err ?: judge(&c, &op);
}

int zc_copy(int fd, void *dst, const void *src, size_t len)
{
	return zc_do(fd, zc_copy_op(dst, src, len, zc_random()));
}

int zc_fill(int fd, void *dst, __u8 byte, size_t len)
{
	return zc_do(fd, zc_fill_op(dst, byte, len, zc_random()));
}

/* Each op is found by its index, which it gets as user_data, and must be found once. */
static int reap_some(int fd, struct zcdma_op *ops, unsigned int count, unsigned int *reaped)
{
	struct zcdma_completion c[64];
	int n = zc_read(fd, c, 64);
	int err;

	if (n <= 0)
		return n ?: -ENODATA;
	for (int i = 0; i < n; i++) {
		struct zcdma_op *op = ops + c[i].user_data;

		if (c[i].user_data >= count || !op->opcode)
			return -EBADMSG;
		err = judge(c + i, op);
		if (err)
			return err;
		op->opcode = 0;
	}
	*reaped += n;
	return 0;
}

int zc_do_all(int fd, struct zcdma_op *ops, unsigned int count)
{
	unsigned int sent = 0, reaped = 0, max = zc_info(fd).out_max_queue_depth;
	__u32 accepted;
	int err;

	for (unsigned int i = 0; i < count; i++)
		ops[i].user_data = i;
	while (reaped < count) {
		accepted = 0;
		err = 0;
		if (sent < count)
			err = zc_submit(fd, ops + sent, count - sent < max ? count - sent : max,
					&accepted);
		if (err && err != -EAGAIN)
			return err;
		sent += accepted;
		err = reap_some(fd, ops, count, &reaped);
		if (err)
			return err;
	}
	return 0;
}

int zc_read(int fd, struct zcdma_completion *completions, unsigned int room)
{
	ssize_t got = read(fd, completions, room * sizeof(*completions));

	if (got < 0)
		return -errno;
	return got % sizeof(*completions) ? -EBADMSG : (int)(got / sizeof(*completions));
}

int zc_reap(int fd, struct zcdma_completion *completions, unsigned int count, unsigned int ms)
{
	unsigned int have = 0;
	int n;

	/* When the engine has left poll() does not wait, but read() does for what is to come. */
	while (have < count && zc_poll(fd, POLLIN, ms)) {
		n = zc_read(fd, completions + have, count - have);
		if (n <= 0)
			return have ?: n;
		have += n;
	}
	return have;
}

short zc_poll(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	__u64 start = zc_now_ms();

	/* What is there at once is, however long it takes us to look. */
	if (poll(&p, 1, 0) > 0)
		return p.revents;
	if (!ms || poll(&p, 1, ms) <= 0)
		return 0;
	/* At the end of its time poll() looks once more: that is not being woken. */
	if (ms > 0 && zc_now_ms() - start >= ms) {
		fprintf(stderr, "# poll() was not woken\n");
		return 0;
	}
	return p.revents;
}

int zc_cancel(int fd, __u64 user_data, __u32 flags, __u32 *cancelled)
{
	struct zcdma_cancel what = { .flags = flags, .user_data = user_data };
	int err = zc_ioctl(fd, ZCDMA_IOC_CANCEL, &what);

	if (cancelled)
		*cancelled = what.out_cancelled;
	return err;
}

int zc_drain(int fd, __u32 ms)
{
	struct zcdma_drain what = { .timeout_ms = ms };

	return zc_ioctl(fd, ZCDMA_IOC_DRAIN, &what);
}

int zc_register(int fd, const void *memory, size_t len, __u32 flags)
{
	struct zcdma_register_buffer what = { .flags = flags, .addr = zc_ptr(memory), .len = len };
	int err = zc_ioctl(fd, ZCDMA_IOC_REGISTER_BUFFER, &what);

	return err ?: (int)what.out_buffer;
}

int zc_unregister(int fd, __u32 buffer)
{
	struct zcdma_unregister_buffer what = { .buffer = buffer };

	return zc_ioctl(fd, ZCDMA_IOC_UNREGISTER_BUFFER, &what);
}

char *zc_map(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHILD_CHECK(memory != MAP_FAILED);
	madvise(memory, size, MADV_NOHUGEPAGE);
	return memory;
}

char *zc_map_edge(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *memory = zc_map(2 * page);

	CHILD_CHECK(!mprotect(memory + page, page, PROT_NONE));
	return memory + page;
}

static void limit_memlock(rlim_t bytes)
{
	struct rlimit limit = { bytes, bytes };

	CHILD_CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
}

void zc_become_user(size_t memlock)
{
	struct stat node = { 0 };

	stat(ZCDMA_DEVICE, &node);
	limit_memlock(memlock);
	CHILD_CHECK(!setgroups(!!node.st_gid, &node.st_gid));
	CHILD_CHECK(!setresgid(ZC_USER, ZC_USER, ZC_USER));
	CHILD_CHECK(!setresuid(ZC_USER, ZC_USER, ZC_USER));
}

void zc_unlimit_memlock(void)
{
	limit_memlock(RLIM_INFINITY);
}

static atomic_uint signals;

static void count_signal(int sig)
{
	signals++;
}

void zc_signal_each_ms(unsigned int ms, int flags)
{
	struct timeval time = { ms / 1000, ms % 1000 * 1000 };
	struct itimerval timer = { time, time };
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };

	CHILD_CHECK(!sigaction(SIGALRM, &action, NULL));
	CHILD_CHECK(!setitimer(ITIMER_REAL, &timer, NULL));
}

unsigned int zc_signals(void)
{
	return signals;
}

int zc_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The first line of /proc/PID/@name, or "". */
static void proc_line(pid_t pid, const char *name, char *line, int size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	f = fopen(path, "re");
	if (!f || !fgets(line, size, f))
		line[0] = 0;
	if (f)
		fclose(f);
}

/* The state stands behind the name, which may have blanks and brackets. */
static bool can_be_woken(pid_t pid)
{
	char line[512], *end;

	proc_line(pid, "stat", line, sizeof(line));
	end = strrchr(line, ')');
	return end && !strncmp(end, ") S", 3);
}

bool zc_sleeps_in(pid_t pid, long number)
{
	__u64 end = zc_now_ms() + 20000;
	char line[512];

	do {
		/* "4 0x1 ...", or "running" */
		proc_line(pid, "syscall", line, sizeof(line));
		if (isdigit(line[0]) && atol(line) == number && can_be_woken(pid))
			return true;
		zc_sleep_ms(1);
	} while (zc_now_ms() < end);
	fprintf(stderr, "# process %d does not sleep in system call %ld: %s\n", pid, number, line);
	return false;
}

void zc_wchan(pid_t pid, char function[64])
{
	proc_line(pid, "wchan", function, 64);
	if (!strcmp(function, "0"))
		function[0] = 0;
}

unsigned long zc_number_in(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	unsigned long number = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		if (sscanf(line + strlen(key), "%*[^0-9]%lu", &number) == 1)
			break;
	}
	if (f)
		fclose(f);
	return number;
}

int zc_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

long zc_pinned_pages(void)
{
	zc_write_file("/proc/sys/vm/stat_refresh", "1");
	return zc_number_in("/proc/vmstat", "nr_foll_pin_acquired") -
	       zc_number_in("/proc/vmstat", "nr_foll_pin_released");
}

long zc_pinned_baseline(void)
{
	if (!zc_pinned_falls_to(0, 20000))
		fprintf(stderr, "# %ld pages are pinned before the test begins\n",
			zc_pinned_pages());
	return 0;
}

bool zc_pinned_falls_to(long pages, unsigned int ms)
{
	__u64 end = zc_now_ms() + ms;

	while (zc_pinned_pages() > pages) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(10);
	}
	return true;
}
