// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a file system that a user serves, and does not: a page that is never written back
 * stays locked, and who lets go of it waits for the user. Whoever that is, the others do not. The
 * file system has one file, which is its root.
 */
#include <fcntl.h>
#include <liburing.h>
#include <linux/fuse.h>
#include <linux/kernel-page-flags.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "harness.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PAGE		4096UL
#define PATIENCE	20000		/* ms */
#define AT_ONCE		8000		/* ms, for what must not wait for the user */
#define FILE_NAME	"/tmp/fuse-file"
#define FILE_SIZE	PAGE

/* ---- the file system ---- */

/* What the server and the test tell each other, in memory that both see. */
struct wire {
	atomic_bool open;		/* by who keeps it so */
	atomic_bool lock;		/* no WRITE is answered: the page is to be locked */
	atomic_ullong page;		/* its number, once it is pinned */
};

static void answer(int fd, const struct fuse_in_header *in, int error, const void *out, size_t len)
{
	struct fuse_out_header header = {
		.len = sizeof(header) + len, .error = error, .unique = in->unique,
	};
	struct iovec parts[] = { { &header, sizeof(header) }, { (void *)out, len } };

	/* ENOENT: nobody waits any more. */
	CHILD_CHECK(writev(fd, parts, 2) == header.len || errno == ENOENT);
}

static void serve(int fd, struct wire *wire, const struct fuse_in_header *in)
{
	static const char zeros[FILE_SIZE];
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = PAGE,
		.max_readahead = PAGE,
	};
	struct fuse_attr_out attr = {
		.attr = { .ino = 1, .size = FILE_SIZE, .mode = S_IFREG | 0666, .nlink = 1 },
	};
	struct fuse_open_out opened = { 0 };
	struct fuse_write_out written = { .size = FILE_SIZE };

	switch (in->opcode) {
	case FUSE_INIT:
		answer(fd, in, 0, &init, sizeof(init));
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		answer(fd, in, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(fd, in, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		answer(fd, in, 0, zeros, sizeof(zeros));
		break;
	case FUSE_WRITE:
		/* At times the kernel's own idea, as soon as some of the file is dirty. */
		if (!wire->lock)
			answer(fd, in, 0, &written, sizeof(written));
		break;
	case FUSE_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(fd, in, -EOPNOTSUPP, NULL, 0);
	}
}

static int device;

/* Until the file system is unmounted. */
static void be_server(struct wire *wire)
{
	static char request[FUSE_MIN_READ_BUFFER + PAGE];
	ssize_t got;

	do {
		got = read(device, request, sizeof(request));
		if (got > 0)
			serve(device, wire, (void *)request);
	} while (got > 0 || errno == EINTR || errno == ENOENT);
	_exit(0);
}

/*
 * FUSE warns when it is to write back a page of a file that nobody has open any more who ever
 * mapped it to write. What direct I/O or an engine writes after the last close() makes such. So
 * somebody has it open for as long as anything is pinned: a process of its own, for who closes it
 * waits.
 */
static void keep_open(struct wire *wire)
{
	int fd = open(FILE_NAME, O_RDWR | O_CLOEXEC);

	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	wire->open = true;
	for (;;)
		pause();
}

/* As fusermount does it for a user. */
static int mount_file(void)
{
	char options[128];
	int fd = open(FILE_NAME, O_CREAT | O_RDWR | O_CLOEXEC, 0666);

	if (fd < 0)
		return -errno;
	close(fd);
	if (system("modprobe -q fuse"))
		return -ENODEV;
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -errno;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=100666,user_id=%d,group_id=%d,allow_other", device, ZC_USER,
		 ZC_USER);
	return mount("fuse", FILE_NAME, "fuse", MS_NOSUID | MS_NODEV, options) ? -errno : 0;
}

/* Whoever waits for it goes on. */
static void unmount_file(void)
{
	umount2(FILE_NAME, MNT_FORCE);
	umount2(FILE_NAME, MNT_DETACH);
}

/* ---- users ---- */

FIXTURE(fuse) {
	struct wire *wire;
	pid_t server, keeper, user;
	long pinned;
	int fd;				/* somebody else's, at the user's channel */
	char channel[ZCDMA_NAME_LEN];
	char *src, *dst;		/* a page each */
};

#define WORLD FIXTURE_DATA(fuse)

FIXTURE_SETUP(fuse)
{
	ASSERT_EQ(0, softdma_reset());
	zc_unlimit_memlock();
	self->pinned = zc_pinned_baseline();
	self->wire = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->wire);
	ASSERT_EQ(0, mount_file());
	IN_CHILD(self->server)
		be_server(self->wire);
	close(device);
	IN_CHILD(self->keeper)
		keep_open(self->wire);
	while (!self->wire->open)
		zc_sleep_ms(10);
	self->fd = zc_session_and_channel("softdma", 0, self->channel);
	ASSERT_LE(0, self->fd);
	self->src = zc_map(PAGE);
	self->dst = zc_map(PAGE);
}

FIXTURE_TEARDOWN(fuse)
{
	softdma_set("hang", 0);
	unmount_file();
	if (self->user > 0) {
		kill(self->user, SIGKILL);
		zc_wait(self->user);
	}
	if (self->server > 0) {
		kill(self->server, SIGKILL);
		zc_wait(self->server);
	}
	unlink(FILE_NAME);
	close(self->fd);
	if (!softdma_is_bound())
		EXPECT_EQ(0, softdma_bind());
	EXPECT_EQ(0, softdma_reset());
	EXPECT_TRUE(zc_pinned_falls_to(self->pinned, PATIENCE));
	if (self->keeper > 0) {
		kill(self->keeper, SIGKILL);
		zc_wait(self->keeper);
	}
}

/* The user's page of the file */
static struct {
	char *page;
	int fd;
	struct wire *wire;
} file;

/* The physical page, which root may be told. */
static __u64 number_of_page(int pagemap, char *page)
{
	off_t at = (uintptr_t)page / PAGE * sizeof(__u64);
	__u64 entry;

	CHILD_CHECK(pread(pagemap, &entry, sizeof(entry), at) == sizeof(entry) && entry >> 63);
	return entry & ((1ULL << 55) - 1);
}

/*
 * Who writes into a page that is on its way to the disk waits for it to arrive, with the page
 * locked. So the second time here does not end.
 */
static void *lock_page(void *arg)
{
	while (!file.wire->lock)
		zc_sleep_ms(10);
	for (;;) {
		__atomic_store_n(file.page, 1, __ATOMIC_RELAXED);
		sync_file_range(file.fd, 0, PAGE, SYNC_FILE_RANGE_WRITE);
	}
	return NULL;
}

/* With @nr sessions, each with an op into the page. */
static void be_user(WORLD *self, unsigned int nr, bool reads)
{
	struct zcdma_completion c;
	struct zcdma_op op;
	int fd, pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	pthread_t thread;
	struct stat size;

	file.wire = self->wire;
	file.fd = open(FILE_NAME, O_RDWR | O_CLOEXEC);
	zc_become_user(1 << 30);
	/* The kernel asks for its size now. */
	CHILD_CHECK(file.fd >= 0 && !fstat(file.fd, &size) && size.st_size == FILE_SIZE);
	file.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
	CHILD_CHECK(file.page != MAP_FAILED);
	op = zc_copy_op(file.page, self->src, PAGE, 1);
	op.deadline_ms = 30000;
	for (unsigned int i = 0; i < nr; i++) {
		fd = zc_session(self->channel, 0);
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!zc_submit(fd, &op, 1, NULL));
	}
	self->wire->page = number_of_page(pagemap, file.page);
	CHILD_CHECK(!pthread_create(&thread, NULL, lock_page, NULL));
	if (reads)
		zc_read(fd, &c, 1);
	pause();
}

/* Is the page locked, now and ten times more within 100 ms? */
static bool stays_locked(__u64 page)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC), times = 0;
	__u64 flags = 1 << KPF_LOCKED;

	while ((flags & 1 << KPF_LOCKED) && times++ <= 10) {
		if (pread(fd, &flags, sizeof(flags), page * sizeof(flags)) != sizeof(flags))
			flags = 0;
		zc_sleep_ms(10);
	}
	close(fd);
	return flags & 1 << KPF_LOCKED;
}

/* When this returns nobody gets the page any more, and the user's ops have left the engine. */
static void make_stuck(struct __test_metadata *_metadata, WORLD *self, unsigned int nr, bool reads)
{
	__u64 end = zc_now_ms() + PATIENCE;

	ASSERT_EQ(0, softdma_set("hang", 1));
	IN_CHILD(self->user)
		be_user(self, nr, reads);
	while (!self->wire->page) {
		ASSERT_GT(end, zc_now_ms());
		zc_sleep_ms(10);
	}
	self->wire->lock = true;
	while (!stays_locked(self->wire->page))
		ASSERT_GT(end, zc_now_ms());
	ASSERT_EQ(0, softdma_set("hang", 0));
	/* The engine does them, and after a while the kernel would have released them. */
	zc_sleep_ms(500);
	EXPECT_LT(self->pinned, zc_pinned_pages());
}

/* What somebody else does takes no time: @attached is what ATTACH says. */
static void goes_on(struct __test_metadata *_metadata, WORLD *self, int attached)
{
	__u64 start = zc_now_ms(), took;
	int fd = zc_open(0);

	EXPECT_LE(0, fd);
	EXPECT_EQ(attached ? 0 : 4, zc_count_channels("softdma"));
	EXPECT_EQ(attached, zc_attach(fd, self->channel, 0));
	if (!attached)
		EXPECT_EQ(0, zc_copy(fd, self->dst, self->src, PAGE));
	close(fd);
	took = zc_now_ms() - start;
	EXPECT_GE(AT_ONCE, took) {
		TH_LOG("it took %llu ms", (unsigned long long)took);
	}
}

TEST_F_TIMEOUT(fuse, page_that_is_never_written_back_holds_up_its_user_alone, 90)
{
	make_stuck(_metadata, self, 1, true);
	goes_on(_metadata, self, 0);
	EXPECT_EQ(0, zc_copy(self->fd, self->dst, self->src, PAGE));
	EXPECT_EQ(0, zc_drain(self->fd, AT_ONCE));
}

/* Nobody reads the completion: the kernel itself lets go of the page. */
TEST_F_TIMEOUT(fuse, page_that_is_never_written_back_and_not_read_holds_up_nobody, 90)
{
	make_stuck(_metadata, self, 1, false);
	goes_on(_metadata, self, 0);
	EXPECT_EQ(0, zc_copy(self->fd, self->dst, self->src, PAGE));
}

/* Nor the engine's going, and others hear of that. */
TEST_F_TIMEOUT(fuse, page_that_is_never_written_back_does_not_keep_the_engine, 90)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	pid_t unbinder;
	__u64 start;

	make_stuck(_metadata, self, 2, true);
	start = zc_now_ms();
	IN_CHILD(unbinder)
		CHILD_CHECK(!softdma_unbind());
	/* Its channels go one after the other. */
	while (zc_count_channels("softdma") && zc_now_ms() - start < PATIENCE)
		zc_sleep_ms(10);
	goes_on(_metadata, self, -ENODEV);
	EXPECT_EQ(-ENODEV, zc_submit(self->fd, &op, 1, NULL));
	start = zc_now_ms();
	close(self->fd);
	self->fd = -1;
	EXPECT_GE(AT_ONCE, zc_now_ms() - start);
	EXPECT_EQ(0, zc_wait(unbinder));
	EXPECT_GE(PATIENCE, zc_now_ms() - start);
}

/* More sessions of one user's than the kernel has threads for such work. */
#define MANY	600

/* The engine hangs with one op of somebody else's; the one behind it ends at its deadline. */
TEST_F_TIMEOUT(fuse, page_that_is_never_written_back_keeps_no_deadline_from_passing, 90)
{
	struct zcdma_op ops[2] = {
		zc_copy_op(self->dst, self->src, PAGE, 1),
		zc_copy_op(self->dst, self->src, PAGE, 2),
	};
	struct zcdma_completion c = { 0 };

	make_stuck(_metadata, self, MANY, false);
	goes_on(_metadata, self, 0);
	ASSERT_EQ(0, softdma_set("pool", 1));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ops[0].deadline_ms = 60000;
	ops[1].deadline_ms = 600;
	ASSERT_EQ(0, zc_submit(self->fd, ops, 2, NULL));
	EXPECT_EQ(1, zc_reap(self->fd, &c, 1, 5000));
	EXPECT_EQ(2, c.user_data);
	EXPECT_EQ(-ETIMEDOUT, c.res);
}

/* Ops of somebody else whose completion nobody waits for are completed by the same threads. */
TEST_F_TIMEOUT(fuse, page_that_is_never_written_back_keeps_no_ring_waiting, 90)
{
	struct zcdma_op op = zc_copy_op(self->dst, self->src, PAGE, 1);
	struct __kernel_timespec patience = { .tv_sec = 5 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int err;

	make_stuck(_metadata, self, MANY, false);
	ASSERT_EQ(0, io_uring_queue_init(1, &ring, IORING_SETUP_SQE128));
	sqe = io_uring_get_sqe(&ring);
	memset(sqe, 0, 128);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = self->fd;
	sqe->cmd_op = ZCDMA_URING_OP;
	memcpy(sqe->cmd, &op, sizeof(op));
	ASSERT_EQ(1, io_uring_submit(&ring));
	err = io_uring_wait_cqe_timeout(&ring, &cqe, &patience);
	EXPECT_EQ(PAGE, err ?: cqe->res);
	if (err)
		kill(self->user, SIGKILL);	/* or the ring does not end, either */
	io_uring_queue_exit(&ring);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_FUSE_ONLY()
ZC_TEST_MAIN
