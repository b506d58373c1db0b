/* SPDX-License-Identifier: GPL-2.0 */
/* A region: memory of one kind, of those that a program may hand to an engine. */
#ifndef ZCDMA_SELFTESTS_REGION_H
#define ZCDMA_SELFTESTS_REGION_H

#include <stddef.h>

/**
 * enum region_kind - where a region's pages come from
 * @REGION_ANON: anonymous memory, small pages.
 * @REGION_THP: anonymous memory, transparent huge pages.
 * @REGION_HUGETLB: huge pages of hugetlbfs.
 * @REGION_MEMFD: shared memory without a name.
 * @REGION_TMPFS: a file on tmpfs, shared mapping.
 * @REGION_DISK: a file on a disk's file system, shared mapping.
 * @REGION_PRIVATE: a file on tmpfs, private mapping: writing must not reach it.
 * @REGION_RING: a packet socket's ring: memory of the kernel, in pieces of 2 MiB if there
 *	are such left, on machines without huge pages too. For root only.
 */
enum region_kind {
	REGION_ANON,
	REGION_THP,
	REGION_HUGETLB,
	REGION_MEMFD,
	REGION_TMPFS,
	REGION_DISK,
	REGION_PRIVATE,
	REGION_RING,
};

#define HUGE_PAGE	(2UL << 20)

/**
 * struct region - mapped memory
 * @kind: of which kind.
 * @fd: its file, or -1.
 * @base: where it is mapped, readable and writable.
 * @size: its length.
 */
struct region {
	enum region_kind kind;
	int fd;
	char *base;
	size_t size;
};

/* Return 0 or -errno, and say on stderr what failed. */
int region_map(struct region *r, enum region_kind kind, size_t size);
void region_unmap(struct region *r);

/* The capability that a target must have for this kind, or NULL. */
const char *region_needs(enum region_kind kind);

/* A page of some device's registers or memory, for root, not to be touched; or MAP_FAILED. */
void *region_device(void);

#endif /* ZCDMA_SELFTESTS_REGION_H */
