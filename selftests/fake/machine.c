// SPDX-License-Identifier: GPL-2.0
/* The fake's machine: a folder of files, and what several processes share. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

#define NS_PER_MS	1000000ULL
#define SLICE_MIN	(NS_PER_MS / 10)
#define SLICE_MAX	(20 * NS_PER_MS)

struct fake_state *fake_state;
static_assert(sizeof(*fake_state) <= 1 << 20, "the file is made of this size");
bool fake_ordinary_user;

static const char *folder;
static int state_fd = -1;
static __u64 entered;		/* when the call that is in progress did */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* The fake's own files are opened by the kernel's calls: those of the C library are ours. */
static int raw_open(const char *path, int flags)
{
	return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

/* Where a program that looks for free descriptors does not meet it. */
static int move_up(int fd, int to)
{
	int up = fd < 0 ? fd : (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, to);

	if (up < 0)
		return fd;
	syscall(SYS_close, fd);
	return up;
}

bool fake_on(void)
{
	return fake_state;
}

const char *fake_path(const char *name, char path[512])
{
	snprintf(path, 512, "%s/%s", folder, name);
	return path;
}

ssize_t fake_read_file(const char *name, char *text, size_t size)
{
	char path[512];
	int fd = raw_open(fake_path(name, path), O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return -1;
	got = syscall(SYS_read, fd, text, size - 1);
	syscall(SYS_close, fd);
	text[got > 0 ? got : 0] = 0;
	return got;
}

void fake_append(const char *name, const char *text)
{
	char path[512];
	int fd = raw_open(fake_path(name, path), O_WRONLY | O_APPEND | O_CREAT);

	if (fd < 0 || syscall(SYS_write, fd, text, strlen(text)) < 0)
		_exit(99);
	syscall(SYS_close, fd);
}

void fake_log(const char *text)
{
	fake_append("kmsg", text);
}

unsigned long fake_knob(const char *name, unsigned long none)
{
	char text[32];

	return fake_read_file(name, text, sizeof(text)) > 0 ? strtoul(text, NULL, 0) : none;
}

bool fake_flag(const char *name)
{
	char text[32];

	return fake_read_file(name, text, sizeof(text)) > 0 && strchr("Yy1", text[0]);
}

void fake_set_knob(const char *name, unsigned long value)
{
	char path[512], text[32];
	int fd = raw_open(fake_path(name, path), O_WRONLY | O_TRUNC | O_CREAT);
	int len = snprintf(text, sizeof(text), "%lu", value);

	if (fd < 0 || syscall(SYS_write, fd, text, len) != len)
		fake_complain("cannot set %s", name);
	syscall(SYS_close, fd);
}

void fake_complain(const char *format, ...)
{
	char text[256] = "zcdma-fake: ";
	size_t len = strlen(text);
	va_list args;

	va_start(args, format);
	len += vsnprintf(text + len, sizeof(text) - len - 1, format, args);
	va_end(args);
	if (len > sizeof(text) - 2)
		len = sizeof(text) - 2;
	strcpy(text + len, "\n");
	fake_append("complaints", text);
	syscall(SYS_write, STDERR_FILENO, text, len + 1);
}

/* ---- channels ---- */

static bool parse_channel(const char *line, struct fake_channel *channel)
{
	unsigned long long caps;

	if (sscanf(line, "%63s %63s %63s %llx %u", channel->name, channel->device,
		   channel->provider, &caps, &channel->state) != 5)
		return false;
	channel->caps = caps;
	return strcmp(channel->device, "softdma.0") || fake_engine_since();
}

bool fake_channel_at(unsigned int index, struct fake_channel *channel)
{
	char text[4096], *line, *rest = text;

	if (fake_read_file("channels", text, sizeof(text)) < 0)
		return false;
	while ((line = strsep(&rest, "\n")))
		if (parse_channel(line, channel) && !index--)
			return true;
	return false;
}

bool fake_channel_find(const char *name, struct fake_channel *channel)
{
	unsigned int i;

	for (i = 0; fake_channel_at(i, channel); i++)
		if (!strcmp(channel->name, name))
			return true;
	return false;
}

__u64 fake_engine_since(void)
{
	char path[512];
	struct stat stat;

	if (fstatat(AT_FDCWD, fake_path("softdma.0", path), &stat, 0))
		return 0;
	return stat.st_ctim.tv_sec * 1000000000ULL + stat.st_ctim.tv_nsec;
}

/* ---- leases ---- */

bool fake_lease_lives(struct fake_lease *lease)
{
	if (lease->pid && lease->pid != getpid() && kill(lease->pid, 0) && errno == ESRCH)
		lease->pid = 0;
	return lease->pid;
}

struct fake_lease *fake_lease(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fake_state->leases); i++) {
		if (fake_state->leases[i].pid)
			continue;
		if (fake_state->nr_leases <= i)
			fake_state->nr_leases = i + 1;
		return &fake_state->leases[i];
	}
	fake_complain("too many sessions");
	return &fake_state->leases[0];
}

void fake_leave_leases(int fd)
{
	unsigned int i;

	for (i = 0; i < fake_state->nr_leases; i++)
		if (fake_state->leases[i].pid == getpid() && fake_state->leases[i].fd == fd)
			fake_state->leases[i].pid = 0;
}

/* ---- errors to order ---- */

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "EAGAIN", EAGAIN }, { "EBUSY", EBUSY }, { "EFAULT", EFAULT }, { "EINTR", EINTR },
	{ "EINVAL", EINVAL }, { "EIO", EIO }, { "EISCONN", EISCONN }, { "EMFILE", EMFILE },
	{ "ENODEV", ENODEV }, { "ENOENT", ENOENT }, { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC },
	{ "ENOTTY", ENOTTY }, { "EPERM", EPERM }, { "EPIPE", EPIPE }, { "EDQUOT", EDQUOT },
	{ "EOPNOTSUPP", EOPNOTSUPP }, { "ETIMEDOUT", ETIMEDOUT }, { "EEXIST", EEXIST },
	{ "ECANCELED", ECANCELED }, { "EFBIG", EFBIG },
	{ "SHORT", FAKE_SHORT }, { "EOF", FAKE_EOF },
};

static struct {
	char call[32];
	int error;
	unsigned int first;
	bool onwards;
	unsigned int calls;
} orders[16];

static unsigned int nr_orders;

static void read_orders(char *text)
{
	char name[32], *one;
	unsigned int i;

	while ((one = strsep(&text, ",")) && nr_orders < ARRAY_SIZE(orders)) {
		char *at = strchr(one, '@');

		if (sscanf(one, "%31[^:]:%31[A-Z]", orders[nr_orders].call, name) != 2) {
			fake_complain("%s: not an order", one);
			continue;
		}
		orders[nr_orders].first = at ? strtoul(at + 1, NULL, 10) : 1;
		orders[nr_orders].onwards = !at || strchr(at, '+');
		for (i = 0; i < ARRAY_SIZE(errors); i++)
			if (!strcmp(errors[i].name, name))
				orders[nr_orders].error = errors[i].number;
		if (!orders[nr_orders].error)
			fake_complain("%s: no such error", name);
		nr_orders++;
	}
}

void fake_order(const char *text)
{
	char *copy = strdup(text);

	nr_orders = 0;
	memset(orders, 0, sizeof(orders));
	if (*text)
		read_orders(copy);
	free(copy);
}

int fake_inject(const char *name)
{
	unsigned int i, nr;
	int error = 0;

	for (i = 0; i < nr_orders; i++) {
		if (strcmp(orders[i].call, name))
			continue;
		nr = ++orders[i].calls;
		if (nr == orders[i].first || (orders[i].onwards && nr > orders[i].first))
			error = orders[i].error;
	}
	return error;
}

/* ---- alone ---- */

static void lock_machine(int type)
{
	struct flock lock = { .l_type = type };

	while (syscall(SYS_fcntl, state_fd, F_SETLKW, &lock) < 0 && errno == EINTR)
		;
}

void fake_enter(sigset_t *signals)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, signals);
	pthread_mutex_lock(&mutex);
	lock_machine(F_WRLCK);
	entered = fake_now();
}

void fake_leave(const sigset_t *signals)
{
	int saved = errno;

	lock_machine(F_UNLCK);
	pthread_mutex_unlock(&mutex);
	pthread_sigmask(SIG_SETMASK, signals, NULL);
	errno = saved;
}

__u64 fake_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* What is waited for is looked for again and again, and is late by an eighth at most. */
static __u64 slice_until(__u64 until)
{
	__u64 now = fake_now(), slice = (now - entered) / 8;

	if (slice > SLICE_MAX)
		slice = SLICE_MAX;
	if (slice > until - now)
		slice = until - now;
	return slice < SLICE_MIN || until < now ? SLICE_MIN : slice;
}

/* Signals that came since fake_enter() are pending, and end it at once. */
int fake_wait(const sigset_t *signals, __u64 until)
{
	struct timespec slice = { .tv_nsec = slice_until(until) };
	int ret, error;

	lock_machine(F_UNLCK);
	pthread_mutex_unlock(&mutex);
	/* The kernel's call: ppoll() is ours. */
	ret = syscall(SYS_ppoll, NULL, 0, &slice, signals, 8);
	error = errno;
	pthread_mutex_lock(&mutex);
	lock_machine(F_WRLCK);
	return ret < 0 && error == EINTR ? -EINTR : 0;
}

static void __attribute__((constructor)) begin(void)
{
	char path[512], text[64], *inject = getenv("ZCDMA_FAKE_INJECT");

	folder = getenv("ZCDMA_FAKE");
	if (!folder)
		return;
	state_fd = move_up(raw_open(fake_path("state", path), O_RDWR), 900);
	if (state_fd >= 0)
		fake_state = (void *)syscall(SYS_mmap, NULL, sizeof(*fake_state),
					     PROT_READ | PROT_WRITE, MAP_SHARED, state_fd, 0L);
	if (!fake_state || fake_state == MAP_FAILED) {
		fprintf(stderr, "zcdma-fake: %s: %s\n", path, strerror(errno));
		_exit(99);
	}
	snprintf(text, sizeof(text), "%d\n", getpid());
	fake_append("entered", text);
	fake_ordinary_user = getenv("ZCDMA_FAKE_USER");
	if (inject && *inject)
		read_orders(strdup(inject));
}
