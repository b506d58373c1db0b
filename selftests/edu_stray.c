// SPDX-License-Identifier: GPL-2.0
/*
 * A bug on purpose: let QEMU's edu device read and write memory that nobody has mapped for it.
 * Behind an IOMMU that is a fault, the kernel says so, and qemu/run must take it for a complaint:
 *
 *	qemu/run --target x86_64-iommu -- /selftests/edu_stray	# exits with 123
 *
 * From user space: edu's registers are written directly, in place of its driver.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "zcdma_util.h"

#define EDU_ID		"PCI_ID=1234:11E8"

/* Registers, see kmod/providers/edudma.c */
#define DMA_SRC		0x80
#define DMA_DST		0x88
#define DMA_COUNT	0x90
#define DMA_CMD		0x98
#define CMD_START	1 /* reads as 1 until the device is ready */
#define CMD_FROM_BOARD	2
#define BOARD		0x40000

#define COMMAND		4 /* in PCI's configuration */
#define COMMAND_MEMORY	2
#define COMMAND_MASTER	4

#define NOT_MAPPED	0x100000

static void fail(const char *what)
{
	fprintf(stderr, "edu_stray: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Is it edu's folder in sysfs, that of this uevent? */
static bool is_edu(const char *uevent)
{
	FILE *f = fopen(uevent, "re");
	bool found = false;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		found |= !strncmp(line, EDU_ID, strlen(EDU_ID));
	if (f)
		fclose(f);
	return found;
}

/* Go to edu's folder in sysfs. */
static void find_edu(void)
{
	glob_t all;

	if (glob("/sys/bus/pci/devices/*/uevent", 0, NULL, &all))
		fail("no PCI device");
	for (size_t i = 0; i < all.gl_pathc; i++) {
		if (!is_edu(all.gl_pathv[i]))
			continue;
		*strrchr(all.gl_pathv[i], '/') = 0;
		if (chdir(all.gl_pathv[i]))
			fail(all.gl_pathv[i]);
		return;
	}
	errno = ENODEV;
	fail("QEMU was given no -device edu");
}

static void take_from_driver(void)
{
	char path[256];

	if (access("driver", F_OK))
		return;
	if (!getcwd(path, sizeof(path)))
		fail("no folder");
	errno = -zc_write_file("driver/unbind", strrchr(path, '/') + 1);
	if (errno)
		fail("driver/unbind");
}

static __u32 *enable(void)
{
	void *registers;
	__u16 command;
	int fd;

	fd = open("config", O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &command, sizeof(command), COMMAND) != sizeof(command))
		fail("config");
	command |= COMMAND_MEMORY | COMMAND_MASTER;
	if (pwrite(fd, &command, sizeof(command), COMMAND) != sizeof(command))
		fail("config");
	fd = open("resource0", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("resource0");
	registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (registers == MAP_FAILED)
		fail("registers");
	return registers;
}

static void set(__u32 *reg, __u32 value)
{
	__atomic_store_n(reg, value, __ATOMIC_RELEASE);
}

static __u32 get(__u32 *reg)
{
	return __atomic_load_n(reg, __ATOMIC_ACQUIRE);
}

/* Let it move some bytes, and wait until it has. */
static void move(__u32 *registers, __u32 src, __u32 dst, __u32 command)
{
	set(registers + DMA_SRC / 4, src);
	set(registers + DMA_DST / 4, dst);
	set(registers + DMA_COUNT / 4, 64);
	set(registers + DMA_CMD / 4, CMD_START | command);
	for (int i = 0; i < 500; i++) {
		if (!(get(registers + DMA_CMD / 4) & CMD_START))
			return;
		zc_sleep_ms(10);
	}
	errno = ETIMEDOUT;
	fail("the device does not come to rest");
}

int main(void)
{
	__u32 *registers;

	find_edu();
	take_from_driver();
	registers = enable();
	move(registers, NOT_MAPPED, BOARD, 0);
	move(registers, BOARD, NOT_MAPPED, CMD_FROM_BOARD);
	printf("edu has read and written %#x, which is not mapped\n", NOT_MAPPED);
	return 0;
}
