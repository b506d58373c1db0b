// SPDX-License-Identifier: GPL-2.0
/* The C library's calls that the fake takes: those of the device, and those that are to fail. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake.h"

/* The call of this name behind us, of the same type. */
#define REAL(name)	((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

#define NS_PER_MS	1000000ULL

static int result(int ret)
{
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

/* How much of @len is to be moved: less if an order says so, none with errno. */
static ssize_t allowed(const char *call, size_t len)
{
	int error = fake_on() ? fake_inject(call) : 0;

	if (!error)
		return len;
	if (error == FAKE_SHORT)
		return (len + 1) / 2;
	if (error == FAKE_EOF)
		return 0;
	errno = error;
	return -1;
}

/* ---- paths ---- */

static const struct {
	const char *path;
	const char *name;
	bool folder;
} places[] = {
	{ ZCDMA_DEVICE, "zcdma", false },
	{ "/sys/kernel/debug/softdma/", "", true },
	{ "/sys/module/softdma/parameters/", "", true },
	{ "/sys/bus/platform/drivers/softdma/", "", true },
	{ "/sys/module/zcdma/parameters/", "", true },
	{ "/proc/sys/vm/stat_refresh", "stat_refresh", false },
	{ "/proc/vmstat", "vmstat", false },
	{ "/dev/kmsg", "kmsg", false },
	{ "/etc/group", "group", false },
	{ "/etc/zcdma", "etc", false },
	{ "/etc/zcdma/", "etc/", true },
};

static const char *in_folder(const char *folder, const char *name, char there[512])
{
	char both[256];

	snprintf(both, sizeof(both), "%s%s", folder, name);
	return fake_path(both, there);
}

/* Where it is in the machine's folder, or the path itself. */
static const char *redirect(const char *path, char there[512])
{
	size_t i;

	for (i = 0; fake_on() && i < ARRAY_SIZE(places); i++) {
		size_t len = strlen(places[i].path);

		if (places[i].folder ? !strncmp(path, places[i].path, len) :
				       !strcmp(path, places[i].path))
			return in_folder(places[i].name, places[i].folder ? path + len : "", there);
	}
	return path;
}

/* A file of /sys that a program writes to: it is emptied first, but for logs. */
static int open_sys(const char *there, int flags)
{
	const char *name = strrchr(there, '/') + 1;
	bool appends = !strcmp(name, "kmsg");
	char device[512];
	int fd;

	fake_path("softdma.0", device);
	if (!strcmp(name, "unbind"))
		syscall(SYS_unlinkat, AT_FDCWD, device, 0);
	if (!strcmp(name, "bind")) {
		fd = syscall(SYS_openat, AT_FDCWD, device, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
		syscall(SYS_close, fd);
		fake_state->put = 0;
		fake_state->got = 0;
	}
	flags |= O_CREAT | (appends ? O_APPEND : O_TRUNC);
	fd = syscall(SYS_openat, AT_FDCWD, there, flags, 0666);
	if (fd >= 0 && appends)
		syscall(SYS_write, fd, "\n", 1);
	return fd;
}

static int open_ports(const char *there, int flags)
{
	sigset_t signals;
	int fd;

	fake_enter(&signals);
	fd = fake_open_ports(there, flags);
	fake_leave(&signals);
	return result(fd);
}

static int do_open(const char *path, int flags, mode_t mode)
{
	char buffer[512];
	const char *there = redirect(path, buffer);
	sigset_t signals;
	int fd, error;

	if (there == path || !strncmp(path, "/etc/", 5))
		return syscall(SYS_openat, AT_FDCWD, there, flags, mode);
	if (!strcmp(path, "/sys/module/zcdma/parameters/ports"))
		return open_ports(there, flags);
	if (strcmp(path, ZCDMA_DEVICE))
		return flags & O_ACCMODE ? open_sys(there, flags) :
					   syscall(SYS_openat, AT_FDCWD, there, flags, mode);
	error = fake_inject("open");
	if (error) {
		errno = error;
		return -1;
	}
	fake_enter(&signals);
	fd = fake_open_session(there, flags);
	fake_leave(&signals);
	return fd;
}

/* The argument behind @flags is there for O_CREAT only. */
FAKE_EXPORT int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	return do_open(path, flags, mode);
}

FAKE_EXPORT int open64(const char *path, int flags, ...) FAKE_ATTRIBUTE(alias("open"));

FAKE_EXPORT FILE *fopen(const char *path, const char *mode)
{
	char there[512];

	return REAL(fopen)(redirect(path, there), mode);
}

FAKE_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	char there[512];

	return REAL(fopen)(redirect(path, there), mode);
}

FAKE_EXPORT int access(const char *path, int mode)
{
	char there[512];

	return REAL(access)(redirect(path, there), mode);
}

FAKE_EXPORT int stat(const char *path, struct stat *st)
{
	char there[512];

	return fstatat(AT_FDCWD, redirect(path, there), st, 0);
}

FAKE_EXPORT int stat64(const char *path, struct stat64 *st)
{
	char there[512];

	return fstatat64(AT_FDCWD, redirect(path, there), st, 0);
}

FAKE_EXPORT int lstat(const char *path, struct stat *st)
{
	char there[512];

	return fstatat(AT_FDCWD, redirect(path, there), st, AT_SYMLINK_NOFOLLOW);
}

FAKE_EXPORT int lstat64(const char *path, struct stat64 *st)
{
	char there[512];

	return fstatat64(AT_FDCWD, redirect(path, there), st, AT_SYMLINK_NOFOLLOW);
}

FAKE_EXPORT int mkdir(const char *path, mode_t mode)
{
	char there[512];

	return allowed("mkdir", 0) < 0 ? -1 : REAL(mkdir)(redirect(path, there), mode);
}

FAKE_EXPORT int unlink(const char *path)
{
	char there[512];

	return REAL(unlink)(redirect(path, there));
}

FAKE_EXPORT char *realpath(const char *path, char *resolved)
{
	char there[512];

	return REAL(realpath)(redirect(path, there), resolved);
}

/* The six characters at the end are chosen in the machine's folder. */
FAKE_EXPORT int mkostemp(char *path, int flags)
{
	char buffer[512];
	char *there = (char *)redirect(path, buffer);
	int fd = allowed("mkostemp", 0) < 0 ? -1 : REAL(mkostemp)(there, flags);

	if (there != path)
		strcpy(path + strlen(path) - 6, there + strlen(there) - 6);
	return fd;
}

FAKE_EXPORT int mkostemp64(char *path, int flags)
{
	return mkostemp(path, flags);
}

/* ---- descriptors ---- */

FAKE_EXPORT int close(int fd)
{
	struct fake_session *s = fake_session(fd);
	sigset_t signals;
	int ret;

	fake_close_ports(fd);
	if (!s) {	/* it is closed all the same, as Linux does */
		ret = allowed("close", 0);
		return REAL(close)(fd) < 0 || ret < 0 ? -1 : 0;
	}
	fake_enter(&signals);
	ret = fake_close_session(fd);
	fake_leave(&signals);
	return ret;
}

FAKE_EXPORT int ioctl(int fd, unsigned long cmd, ...)
{
	struct fake_session *s = fake_session(fd);
	sigset_t signals;
	va_list args;
	void *arg;
	int ret;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	if (!s)
		return syscall(SYS_ioctl, fd, cmd, arg);
	fake_enter(&signals);
	ret = fake_ioctl(fd, s, cmd, arg, &signals);
	fake_leave(&signals);
	return result(ret);
}

/* One try: as read() of a descriptor with O_NONBLOCK. */
static ssize_t read_once(struct fake_session *s, void *buf, size_t len)
{
	int error = fake_inject("READ");

	if (error)
		return -error;
	if (s->streams[1].set)
		return fake_stream_read(s, buf, len);
	fake_advance(s);
	return fake_read_completions(s, buf, len);
}

static ssize_t write_once(struct fake_session *s, const void *buf, size_t len)
{
	int error = fake_inject("WRITE");

	if (error)
		return -error;
	return s->streams[0].set ? fake_stream_write(s, buf, len) : -EINVAL;
}

static ssize_t device_io(int fd, void *in, const void *out, size_t len)
{
	struct fake_session *s = fake_session(fd);
	__u64 end = fake_now() + s->deadline_ms * NS_PER_MS;
	sigset_t signals;
	ssize_t got;

	fake_enter(&signals);
	for (;;) {
		got = out ? write_once(s, out, len) : read_once(s, in, len);
		if (got != -EAGAIN || syscall(SYS_fcntl, fd, F_GETFL) & O_NONBLOCK)
			break;
		if (s->at_port && fake_now() > end)
			got = -ETIMEDOUT;
		else if (fake_wait(&signals, s->at_port ? end : UINT64_MAX))
			got = -EINTR;
		else
			continue;
		break;
	}
	fake_leave(&signals);
	if (got >= 0)
		return got;
	errno = -got;
	return -1;
}

FAKE_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	struct fake_session *s = fake_session(fd);
	ssize_t n = s ? 0 : allowed("read", len);

	if (s)
		return device_io(fd, buf, NULL, len);
	return n < 0 ? -1 : REAL(read)(fd, buf, n);
}

static ssize_t declare(const char *text, size_t len)
{
	sigset_t signals;
	ssize_t ret;

	fake_enter(&signals);
	ret = fake_declare(text, len);
	fake_leave(&signals);
	return result(ret);
}

FAKE_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	struct fake_session *s = fake_session(fd);
	ssize_t n;

	if (fake_writes_ports(fd))
		return declare(buf, len);
	n = s || fd == STDERR_FILENO ? (ssize_t)len : allowed("write", len);

	if (s)
		return device_io(fd, NULL, buf, len);
	return n < 0 ? -1 : REAL(write)(fd, buf, n);
}

FAKE_EXPORT ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
	ssize_t n = allowed("pread", len);

	return n < 0 ? -1 : syscall(SYS_pread64, fd, buf, n, offset);
}

FAKE_EXPORT ssize_t pread64(int fd, void *buf, size_t len, off64_t offset)
{
	return pread(fd, buf, len, offset);
}

/* ---- poll ---- */

static short events_of(struct fake_session *s, short wanted)
{
	short events = 0;

	fake_advance(s);
	if (s->streams[0].set || s->streams[1].set)
		return fake_stream_events(s) & wanted;
	if (fake_ready(s))
		events |= POLLIN;
	if (!s->flights || s->nr_flights < s->depth)
		events |= POLLOUT;
	events &= wanted;
	if (fake_gone(s) && fake_ready(s) == s->nr_flights)
		events |= POLLHUP | POLLERR;
	return events;
}

/* The tool and the library look at one descriptor at a time. */
static int poll_device(struct fake_session *s, struct pollfd *pfd, int timeout,
		       const sigset_t *mask)
{
	__u64 end = timeout < 0 ? UINT64_MAX : fake_now() + timeout * NS_PER_MS;
	int ret = 0, error;
	sigset_t signals;

	fake_enter(&signals);
	error = fake_inject("POLL");
	for (;;) {
		pfd->revents = events_of(s, pfd->events);
		ret = error ? -error : !!pfd->revents;
		if (ret || fake_now() >= end)
			break;
		if (fake_wait(mask ?: &signals, end)) {
			ret = -EINTR;
			break;
		}
	}
	fake_leave(&signals);
	return result(ret);
}

static struct fake_session *only_device(const struct pollfd *fds, nfds_t nr)
{
	return nr == 1 ? fake_session(fds->fd) : NULL;
}

FAKE_EXPORT int poll(struct pollfd *fds, nfds_t nr, int timeout)
{
	struct fake_session *s = only_device(fds, nr);

	return s ? poll_device(s, fds, timeout, NULL) : REAL(poll)(fds, nr, timeout);
}

FAKE_EXPORT int ppoll(struct pollfd *fds, nfds_t nr, const struct timespec *timeout,
		      const sigset_t *mask)
{
	struct fake_session *s = only_device(fds, nr);
	int ms = timeout ? timeout->tv_sec * 1000 + timeout->tv_nsec / 1000000 : -1;

	return s ? poll_device(s, fds, ms, mask) : REAL(ppoll)(fds, nr, timeout, mask);
}

/* ---- files that are in trouble ---- */

FAKE_EXPORT int fsync(int fd)
{
	return allowed("fsync", 0) < 0 ? -1 : REAL(fsync)(fd);
}

FAKE_EXPORT int fchmod(int fd, mode_t mode)
{
	return allowed("fchmod", 0) < 0 ? -1 : REAL(fchmod)(fd, mode);
}

FAKE_EXPORT int rename(const char *from, const char *to)
{
	char from_there[512], to_there[512];

	return allowed("rename", 0) < 0 ? -1 :
	       REAL(rename)(redirect(from, from_there), redirect(to, to_there));
}

FAKE_EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to,
			  unsigned int flags)
{
	char from_there[512], to_there[512];

	return allowed("rename", 0) < 0 ? -1 :
	       syscall(SYS_renameat2, from_dir, redirect(from, from_there), to_dir,
		       redirect(to, to_there), flags);
}

FAKE_EXPORT int posix_fallocate(int fd, off_t offset, off_t len)
{
	return allowed("fallocate", 0) < 0 ? errno : REAL(posix_fallocate)(fd, offset, len);
}

FAKE_EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t len)
{
	return posix_fallocate(fd, offset, len);
}

FAKE_EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (fd >= 0 && allowed("mmap", 0) < 0)
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

FAKE_EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
	return mmap(addr, len, prot, flags, fd, offset);
}

/* ---- users and limits, for the tests of the library: they need not be root ---- */

static struct rlimit memlock;
static bool memlock_set;

FAKE_EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	if (!fake_on() || resource != RLIMIT_MEMLOCK)
		return syscall(SYS_prlimit64, 0, resource, limit, NULL);
	memlock = *limit;
	memlock_set = true;
	return 0;
}

FAKE_EXPORT int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
	if (resource != RLIMIT_MEMLOCK || !memlock_set)
		return syscall(SYS_prlimit64, 0, resource, NULL, limit);
	*limit = memlock;
	return 0;
}

FAKE_EXPORT int setgroups(size_t nr, const gid_t *groups)
{
	return fake_on() ? 0 : REAL(setgroups)(nr, groups);
}

FAKE_EXPORT int setresgid(gid_t real, gid_t effective, gid_t saved)
{
	return fake_on() ? 0 : REAL(setresgid)(real, effective, saved);
}

FAKE_EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	if (!fake_on())
		return REAL(setresuid)(real, effective, saved);
	fake_ordinary_user = effective;
	return 0;
}
