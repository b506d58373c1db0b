/* SPDX-License-Identifier: GPL-2.0 */
/* Buffers: memory registered once, so that an op on it need not pin, charge and map. */
#ifndef _ZC_BUFFER_H
#define _ZC_BUFFER_H

#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/spinlock.h>
#include <uapi/linux/zcdma.h>
#include "mem.h"

struct zc_lease;

struct zc_buffer_page {
	struct zc_cursor at;
	size_t piece;
};

/**
 * struct zc_buffer - memory registered with a session
 * @mem: pinned, and mapped whole pages as long as @mapped says so.
 * @pages: where each of its pages begins in the mapped list, and of how many bytes from there on
 *	it is known that they are one piece.
 * @addr: user address at the time of the registration, without a tag.
 * @len: in bytes.
 * @cred: whose user is charged for @charged pages.
 * @read_only: no op may write to it.
 * @mapped: counted by the provider. Under zc_buffers.changing.
 * @users: ops that name it and whose completions were not reaped. Under zc_buffers.lock.
 */
struct zc_buffer {
	struct zc_mem mem;
	struct zc_buffer_page *pages;
	u64 addr;
	size_t len;
	const struct cred *cred;
	unsigned long charged;
	bool read_only;
	bool mapped;
	unsigned int users;
};

/**
 * struct zc_buffers - those of a session
 * @changing: one at a time adds, takes out, maps or unmaps. No user memory is touched meanwhile.
 * @lock: protects the next two, and users. Its owner's.
 * @table: by id - 1, with holes.
 * @nr: places there.
 */
struct zc_buffers {
	struct mutex changing;		/* see above */
	spinlock_t *lock;		/* see above */
	struct zc_buffer **table;
	unsigned int nr;
};

void zc_buffers_init(struct zc_buffers *buffers, spinlock_t *lock);
int zc_buffer_register(struct zc_buffers *buffers, struct zc_lease *lease, const int *err,
		       struct zcdma_register_buffer *what);
int zc_buffer_unregister(struct zc_buffers *buffers, struct zc_lease *lease, u32 id);
void zc_buffers_unmap(struct zc_buffers *buffers, struct zc_lease *lease);
bool zc_buffers_release(struct zc_buffers *buffers, struct zc_lease *lease);

/**
 * zc_buffer_find() - the buffer of an id from a user
 * @buffers: where to look; under its lock, or "changing".
 * @id: the id.
 *
 * Return: the buffer, or NULL.
 */
static inline struct zc_buffer *zc_buffer_find(const struct zc_buffers *buffers, u32 id)
{
	u32 at = id - 1;

	if (at >= buffers->nr)
		return NULL;
	return buffers->table[array_index_nospec(at, buffers->nr)];
}

/* Where byte @start of a mapped buffer is in the mapped list. */
static inline void zc_buffer_seek(const struct zc_buffer *buffer, size_t start,
				  struct zc_cursor *at)
{
	size_t first = buffer->mem.offset + start;

	*at = buffer->pages[first >> PAGE_SHIFT].at;
	zc_cursor_advance(at, offset_in_page(first));
}

/* The same for a part of @len bytes. Return: is that one piece for sure? */
static inline bool zc_buffer_piece(const struct zc_buffer *buffer, size_t start, size_t len,
				   struct zc_cursor *at)
{
	size_t first = buffer->mem.offset + start;
	const struct zc_buffer_page *page = &buffer->pages[first >> PAGE_SHIFT];

	at->sg = page->at.sg;
	at->offset = page->at.offset + offset_in_page(first);
	return offset_in_page(first) + len <= page->piece;
}

#endif
