// SPDX-License-Identifier: GPL-2.0
/* Memory of all kinds. Files lose their names at once: nothing is left lying about. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "region.h"

#define PAGE	4096UL
#define RW	(PROT_READ | PROT_WRITE)

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static int open_file(enum region_kind kind)
{
	char name[] = "/tmp/zcdma-region-XXXXXX";
	char on_disk[] = "/scratch/zcdma-region-XXXXXX";
	char *path = kind == REGION_DISK ? on_disk : name;
	int fd;

	if (kind == REGION_MEMFD)
		return memfd_create("zcdma-region", MFD_CLOEXEC);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* Huge pages come only where a whole one fits: map too much, cut to measure. */
static char *map_aligned(size_t size)
{
	char *wide = mmap(NULL, size + HUGE_PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *base;
	size_t head;

	if (wide == MAP_FAILED)
		return wide;
	head = -(unsigned long)wide % HUGE_PAGE;
	base = wide + head;
	if (head)
		munmap(wide, head);
	munmap(base + size, HUGE_PAGE - head);
	return base;
}

/* How much of the mapping that starts at @base is in transparent huge pages? */
static size_t huge_bytes(const char *base)
{
	unsigned long start, kib = 0;
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	int inside = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%*x ", &start) == 1 && strchr(line, '-'))
			inside = start == (unsigned long)base;
		else if (inside && sscanf(line, "AnonHugePages: %lu kB", &kib) == 1)
			break;
	}
	fclose(f);
	return kib << 10;
}

static char *map_thp(size_t size)
{
	char *base = map_aligned(size);

	if (base == MAP_FAILED)
		return base;
	if (madvise(base, size, MADV_HUGEPAGE)) {
		munmap(base, size);
		return MAP_FAILED;
	}
	memset(base, 0, size);
	if (huge_bytes(base) < (size & -HUGE_PAGE)) {
		munmap(base, size);
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return base;
}

static char *map_file(struct region *r)
{
	int how = r->kind == REGION_PRIVATE ? MAP_PRIVATE : MAP_SHARED;

	r->fd = open_file(r->kind);
	if (r->fd < 0 || ftruncate(r->fd, r->size))
		return MAP_FAILED;
	return mmap(NULL, r->size, RW, how, r->fd, 0);
}

/* A ring is of blocks of whole pages. */
static size_t ring_block(size_t size)
{
	size_t page = getpagesize();

	return size < HUGE_PAGE ? round_up(size, page) : HUGE_PAGE;
}

/* Of a socket that is bound to nothing: no packet comes. The mapping keeps it open. */
static char *map_ring(struct region *r)
{
	size_t block = ring_block(r->size);
	struct tpacket_req ring = {
		.tp_block_size = block,
		.tp_block_nr = r->size / block,
		.tp_frame_size = block,
		.tp_frame_nr = r->size / block,
	};

	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	char *base = MAP_FAILED;

	if (fd < 0)
		return base;
	if (!setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)))
		base = mmap(NULL, r->size, RW, MAP_SHARED, fd, 0);
	close(fd);
	return base;
}

static char *map_kind(struct region *r)
{
	char *base;

	switch (r->kind) {
	case REGION_ANON:
		base = mmap(NULL, r->size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (base != MAP_FAILED)
			madvise(base, r->size, MADV_NOHUGEPAGE);
		return base;
	case REGION_THP:
		return map_thp(r->size);
	case REGION_HUGETLB:
		return mmap(NULL, r->size, RW,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	case REGION_RING:
		return map_ring(r);
	default:
		return map_file(r);
	}
}

int region_map(struct region *r, enum region_kind kind, size_t size)
{
	int err;

	/* hugetlb maps whole huge pages only */
	if (kind == REGION_HUGETLB)
		size = round_up(size, HUGE_PAGE);
	else if (kind == REGION_RING)
		size = round_up(size, ring_block(size));
	*r = (struct region){ .kind = kind, .fd = -1, .size = size };
	r->base = map_kind(r);
	if (r->base != MAP_FAILED)
		return 0;
	err = -errno;
	fprintf(stderr, "# cannot map %zu bytes of kind %d: %s\n", size, kind, strerror(-err));
	r->base = NULL;
	region_unmap(r);
	return err;
}

void region_unmap(struct region *r)
{
	if (r->base)
		munmap(r->base, r->size);
	if (r->fd >= 0)
		close(r->fd);
	r->base = NULL;
	r->fd = -1;
}

const char *region_needs(enum region_kind kind)
{
	switch (kind) {
	case REGION_THP:
	case REGION_HUGETLB:
		return "hugepages";
	case REGION_DISK:
		return "disk";
	default:
		return NULL;
	}
}

/* ---- memory of a device ---- */

static void *map_device(const char *path, off_t offset)
{
	int fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	void *at = MAP_FAILED;

	if (fd < 0)
		return at;
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	close(fd);
	return at;
}

/* Some PCI device's registers or memory. */
static void *map_pci(void)
{
	void *at = MAP_FAILED;
	glob_t found;

	if (glob("/sys/bus/pci/devices/*/resource[0-5]", 0, NULL, &found))
		return at;
	for (size_t i = 0; i < found.gl_pathc && at == MAP_FAILED; i++)
		at = map_device(found.gl_pathv[i], 0);
	globfree(&found);
	return at;
}

/*
 * Some other device's, from the physical address space: what is listed and is no
 * memory, or, as drivers may have claimed all of that, what follows. It is never
 * touched.
 */
static void *map_physical(void)
{
	unsigned long long start, end;
	FILE *f = fopen("/proc/iomem", "re");
	void *at = MAP_FAILED;
	char line[256];

	while (f && at == MAP_FAILED && fgets(line, sizeof(line), f)) {
		if (line[0] == ' ' || sscanf(line, "%llx-%llx", &start, &end) != 2)
			continue;
		if (!strstr(line, "System RAM") && start)
			at = map_device("/dev/mem", start & -PAGE);
		if (at == MAP_FAILED)
			at = map_device("/dev/mem", (end + PAGE) & -PAGE);
	}
	if (f)
		fclose(f);
	return at;
}

void *region_device(void)
{
	void *device = map_pci();

	return device == MAP_FAILED ? map_physical() : device;
}
