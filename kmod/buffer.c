// SPDX-License-Identifier: GPL-2.0
/*
 * A buffer: memory registered once with a session, so that an op on it need not pin,
 * charge and map. What is left to do for an op is to synchronize its part.
 *
 * What holds:
 *
 * - A buffer is in the table from the registration to the end of the session, or until it
 *   is unregistered. Whoever changes that holds "changing"; looking one up takes the lock only.
 *
 * - "users" counts the ops that name it and were not reaped. While there are any it is not
 *   unpinned: UNREGISTER says EBUSY.
 *
 * - Its mapping counts with the provider, so that does not go before it is unmapped. When it
 *   goes, the buffer stays registered, pinned and charged, but no op gets at it any more: the
 *   session is dead.
 *
 * - It is mapped from the begin of its first page to the end of its last, so that what is
 *   aligned for the program is so for the engine, wherever the buffer begins.
 *
 * - A user cannot unmap, remap or replace what is registered: the pages are
 *   pinned, and stay the ones that they were. After munmap(), fork() or exec()
 *   ops go on moving those pages. They are charged to the user who registered them.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "buffer.h"
#include "lease.h"
#include "provider.h"

#define MIN_BUFFERS	16
#define MAX_BUFFERS	1024

/* Longest, in bytes; as an op's. */
#define MAX_BUFFER	SZ_1G

void zc_buffers_init(struct zc_buffers *buffers, spinlock_t *lock)
{
	mutex_init(&buffers->changing);
	buffers->lock = lock;
	buffers->table = NULL;
	buffers->nr = 0;
}

static void buffer_free(struct zc_buffer *buffer, bool written)
{
	zc_mem_release(&buffer->mem, written);
	kvfree(buffer->pages);
	zc_uncharge(buffer->cred, buffer->charged);
	put_cred(buffer->cred);
	kfree(buffer);
}

/* Nobody finds it any more. Its mapping is gone, or was never made. May sleep. */
static void buffer_release(struct zc_buffer *buffer)
{
	buffer_free(buffer, true);
}

static void buffer_unmap(struct zc_buffer *buffer, struct zc_lease *lease)
{
	if (!buffer->mapped)
		return;
	buffer->mapped = false;
	zc_mem_unmap(&buffer->mem, lease->limits.dev);
	zc_provider_unmapped(lease->provider);
}

/*
 * Where each page begins in the mapped list: an op finds its part without a walk. Where the engine
 * sees other alignments than the program, no piece fits it.
 */
static int buffer_index(struct zc_buffer *buffer, u64 boundary)
{
	struct zc_cursor at = { .sg = buffer->mem.sgt.sgl };
	unsigned int i, nr = buffer->mem.nr_pages;

	buffer->pages = kvmalloc_array(nr, sizeof(*buffer->pages), GFP_KERNEL_ACCOUNT);
	if (!buffer->pages)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		buffer->pages[i].at = at;
		buffer->pages[i].piece = buffer->mem.shifted ? 0 :
			zc_within(boundary, zc_cursor_addr(&at), zc_cursor_left(&at));
		if (i + 1 < nr)
			zc_cursor_advance(&at, PAGE_SIZE);
	}
	return 0;
}

static int buffer_map(struct zc_buffer *buffer, struct zc_lease *lease, const int *gone)
{
	size_t len = (size_t)buffer->mem.nr_pages << PAGE_SHIFT;
	int err = zc_provider_mapping(lease->provider, gone);

	if (err)
		return err;
	err = zc_mem_map(&buffer->mem, &lease->limits, 0, len);
	if (err) {
		zc_provider_unmapped(lease->provider);
		return err == -EIO ? -ENOMEM : err;
	}
	buffer->mapped = true;
	return buffer_index(buffer, lease->limits.boundary);
}

static int buffer_charge(struct zc_buffer *buffer)
{
	unsigned long pages = zc_mem_span(buffer->addr, buffer->len);
	int err = zc_charge(buffer->cred, pages);

	if (!err)
		buffer->charged = pages;
	return err;
}

static int buffer_prepare(struct zc_buffer *buffer, struct zc_lease *lease, const int *gone)
{
	enum dma_data_direction dir = buffer->read_only ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL;

	return buffer_charge(buffer) ?:
	       zc_mem_pin(&buffer->mem, buffer->addr, buffer->len, dir, true) ?:
	       buffer_map(buffer, lease, gone);
}

/* Twice as many places. Under "changing". */
static int buffers_grow(struct zc_buffers *buffers)
{
	unsigned int nr = buffers->nr ? 2 * buffers->nr : MIN_BUFFERS;
	struct zc_buffer **table, **old = buffers->table;

	if (nr > MAX_BUFFERS)
		return -ENOSPC;
	table = kcalloc(nr, sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return -ENOMEM;
	if (old)
		memcpy(table, old, buffers->nr * sizeof(*table));
	spin_lock_irq(buffers->lock);
	buffers->table = table;
	buffers->nr = nr;
	spin_unlock_irq(buffers->lock);
	kfree(old);
	return 0;
}

/*
 * From now on ops find it, unless the session has failed meanwhile: then nobody
 * unmaps it but the caller, who sees the error. Under "changing".
 */
static int buffers_insert(struct zc_buffers *buffers, struct zc_buffer *buffer, const int *gone,
			  u32 *id)
{
	unsigned int i;
	int err;

	for (i = 0; i < buffers->nr && buffers->table[i]; i++)
		;
	if (i == buffers->nr) {
		err = buffers_grow(buffers);
		if (err)
			return err;
	}
	spin_lock_irq(buffers->lock);
	err = *gone;
	if (!err)
		buffers->table[i] = buffer;
	spin_unlock_irq(buffers->lock);
	*id = i + 1;
	return err;
}

/**
 * zc_buffer_register() - pin, charge and map memory
 * @buffers: where it is to be found.
 * @lease: the channel whose device it is for.
 * @gone: 0, or why @lease is over; under buffers->lock.
 * @what: which memory; out_buffer is set.
 *
 * May sleep, for as long as page faults take.
 *
 * Return: 0 or -errno; see the uapi header.
 */
int zc_buffer_register(struct zc_buffers *buffers, struct zc_lease *lease, const int *gone,
		       struct zcdma_register_buffer *what)
{
	struct zc_buffer *buffer;
	int err;

	what->out_buffer = 0;
	if (!what->len || what->addr + what->len < what->addr)
		return -EINVAL;
	if (what->len > MAX_BUFFER)
		return -EMSGSIZE;
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	buffer->addr = untagged_addr(what->addr);
	buffer->len = what->len;
	buffer->read_only = what->flags & ZCDMA_BUFFER_READ_ONLY;
	buffer->cred = get_current_cred();
	err = buffer_prepare(buffer, lease, gone);
	if (!err) {
		mutex_lock(&buffers->changing);
		err = buffers_insert(buffers, buffer, gone, &what->out_buffer);
		mutex_unlock(&buffers->changing);
	}
	if (err) {
		what->out_buffer = 0;
		buffer_unmap(buffer, lease);
		buffer_release(buffer);
	}
	return err;
}

/* Ops find it no more. Under "changing". */
static struct zc_buffer *buffers_take_out(struct zc_buffers *buffers, u32 id)
{
	struct zc_buffer *buffer = zc_buffer_find(buffers, id);

	if (!buffer)
		return ERR_PTR(-EINVAL);
	spin_lock_irq(buffers->lock);
	if (buffer->users)
		buffer = ERR_PTR(-EBUSY);
	else
		buffers->table[id - 1] = NULL;
	spin_unlock_irq(buffers->lock);
	return buffer;
}

/**
 * zc_buffer_unregister() - give it back
 * @buffers: where it is found.
 * @lease: as for zc_buffer_register().
 * @id: which.
 *
 * May sleep.
 *
 * Return: 0, -EINVAL or -EBUSY; see the uapi header.
 */
int zc_buffer_unregister(struct zc_buffers *buffers, struct zc_lease *lease, u32 id)
{
	struct zc_buffer *buffer;

	mutex_lock(&buffers->changing);
	buffer = buffers_take_out(buffers, id);
	if (!IS_ERR(buffer))
		buffer_unmap(buffer, lease);
	mutex_unlock(&buffers->changing);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	buffer_release(buffer);
	return 0;
}

/* The provider goes, and nothing is at its engines: no op synchronizes a part any more. */
void zc_buffers_unmap(struct zc_buffers *buffers, struct zc_lease *lease)
{
	unsigned int i;

	mutex_lock(&buffers->changing);
	for (i = 0; i < buffers->nr; i++)
		if (buffers->table[i])
			buffer_unmap(buffers->table[i], lease);
	mutex_unlock(&buffers->changing);
}

/* Return: false when a file system has a page of it, and it is still there. */
static bool buffer_try_release(struct zc_buffer *buffer)
{
	if (!zc_mem_try_dirty(&buffer->mem))
		return false;
	buffer_free(buffer, false);
	return true;
}

/*
 * The session is over: no op of it is left. But its provider may be going, and unmap what it
 * finds here. May sleep, but waits for no file system that has a page.
 *
 * Return: false when one has; then some are still there.
 */
bool zc_buffers_release(struct zc_buffers *buffers, struct zc_lease *lease)
{
	bool ret = true;
	unsigned int i;

	zc_buffers_unmap(buffers, lease);
	mutex_lock(&buffers->changing);
	for (i = 0; i < buffers->nr; i++) {
		if (!buffers->table[i])
			continue;
		if (buffer_try_release(buffers->table[i]))
			buffers->table[i] = NULL;
		else
			ret = false;
	}
	if (ret) {
		kfree(buffers->table);
		buffers->table = NULL;
		buffers->nr = 0;
	}
	mutex_unlock(&buffers->changing);
	return ret;
}
