// SPDX-License-Identifier: GPL-2.0
/*
 * A buffer: memory registered once with a session, so that an op on it need not pin,
 * charge and map. What is left to do for an op is to synchronize its part.
 *
 * What holds:
 *
 * - A buffer is in session->buffers from the registration to the end of the
 *   session, or until it is unregistered. Whoever changes that holds "reaping";
 *   looking one up takes session->lock only.
 *
 * - "users" counts the requests that name it and are not cleaned up. While there
 *   are any it is neither unmapped nor unpinned: UNREGISTER says EBUSY.
 *
 * - Its mapping counts in device->mapped, so a provider does not go before it is
 *   unmapped. When the provider goes, the buffer stays registered, pinned and
 *   charged, but no op gets at it any more: the session is dead.
 *
 * - A user cannot unmap, remap or replace what is registered: the pages are
 *   pinned, and stay the ones that they were. After munmap(), fork() or exec()
 *   ops go on moving those pages. They are charged to the user who registered them.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include "zcdma.h"

#define MIN_BUFFERS	16
#define MAX_BUFFERS	1024

/* Nobody finds it any more. Its mapping is gone, or was never made. */
static void release(struct zcdma_buffer *buffer)
{
	zcdma_mem_release(&buffer->mem, true);
	kvfree(buffer->pages);
	zcdma_uncharge(buffer->cred, buffer->charged);
	put_cred(buffer->cred);
	kfree(buffer);
}

static void unmap(struct zcdma_session *session, struct zcdma_buffer *buffer)
{
	if (!buffer->mapped)
		return;
	buffer->mapped = false;
	zcdma_mem_unmap(&buffer->mem, session->chan);
	zcdma_device_unmapped(session->chan->device);
}

/* Where each page begins in the mapped list: an op finds its part without a walk. */
static int index_pages(struct zcdma_buffer *buffer)
{
	struct zcdma_mem *mem = &buffer->mem;
	struct zcdma_cursor at = { .sg = mem->sgt.sgl, .offset = -(size_t)mem->offset };
	unsigned int i;

	buffer->pages = kvmalloc_array(mem->nr_pages, sizeof(at), GFP_KERNEL_ACCOUNT);
	if (!buffer->pages)
		return -ENOMEM;
	for (i = 0; i < mem->nr_pages; i++) {
		buffer->pages[i] = at;
		if (i + 1 < mem->nr_pages)
			zcdma_cursor_advance(&at, PAGE_SIZE);
	}
	return 0;
}

static int map(struct zcdma_session *session, struct zcdma_buffer *buffer)
{
	int err = zcdma_device_mapping(session, session->chan);

	if (err)
		return err;
	err = zcdma_mem_map(&buffer->mem, session->chan, 0, buffer->len);
	if (err) {
		zcdma_device_unmapped(session->chan->device);
		return err == -EIO ? -ENOMEM : err;
	}
	buffer->mapped = true;
	return index_pages(buffer);
}

static int charge(struct zcdma_buffer *buffer)
{
	unsigned long pages = zcdma_mem_span(buffer->addr, buffer->len);
	int err = zcdma_charge(buffer->cred, pages);

	if (!err)
		buffer->charged = pages;
	return err;
}

static int prepare(struct zcdma_session *session, struct zcdma_buffer *buffer)
{
	enum dma_data_direction dir = buffer->read_only ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL;
	int err;

	err = charge(buffer);
	if (err)
		return err;
	err = zcdma_mem_pin(&buffer->mem, buffer->addr, buffer->len, dir,
			    FOLL_LONGTERM);
	if (err)
		return err;
	return map(session, buffer);
}

/* Twice as many places. Under session->reaping. */
static int grow(struct zcdma_session *session)
{
	unsigned int nr = session->nr_buffers ? 2 * session->nr_buffers : MIN_BUFFERS;
	struct zcdma_buffer **table, **old = session->buffers;

	if (nr > MAX_BUFFERS)
		return -ENOSPC;
	table = kcalloc(nr, sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return -ENOMEM;
	if (old)
		memcpy(table, old, session->nr_buffers * sizeof(*table));
	spin_lock_irq(&session->lock);
	session->buffers = table;
	session->nr_buffers = nr;
	spin_unlock_irq(&session->lock);
	kfree(old);
	return 0;
}

/*
 * From now on ops find it, unless the session has failed meanwhile: then nobody
 * unmaps it but the caller, who sees the error. Under session->reaping.
 */
static int insert(struct zcdma_session *session, struct zcdma_buffer *buffer, u32 *id)
{
	unsigned int i;
	int err;

	for (i = 0; i < session->nr_buffers && session->buffers[i]; i++)
		;
	if (i == session->nr_buffers) {
		err = grow(session);
		if (err)
			return err;
	}
	spin_lock_irq(&session->lock);
	err = session->err;
	if (!err)
		session->buffers[i] = buffer;
	spin_unlock_irq(&session->lock);
	*id = i + 1;
	return err;
}

static int check(struct zcdma_session *session, const struct zcdma_register_buffer *what)
{
	if (!zcdma_session_chan(session))
		return -ENOTCONN;
	if (zcdma_port_is_split(session))
		return -EOPNOTSUPP;
	if (!what->len || what->addr + what->len < what->addr)
		return -EINVAL;
	return what->len > ZCDMA_MAX_LEN ? -EMSGSIZE : 0;
}

/**
 * zcdma_buffer_register() - %ZCDMA_IOC_REGISTER_BUFFER
 * @session: the session.
 * @what: which memory; out_buffer is set.
 *
 * May sleep, for as long as page faults take.
 *
 * Return: 0 or -errno; see the uapi header.
 */
int zcdma_buffer_register(struct zcdma_session *session, struct zcdma_register_buffer *what)
{
	struct zcdma_buffer *buffer;
	int err;

	what->out_buffer = 0;
	err = check(session, what);
	if (!err)
		err = zcdma_queue_stock(session);
	if (err)
		return err;
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	buffer->addr = untagged_addr(what->addr);
	buffer->len = what->len;
	buffer->read_only = what->flags & ZCDMA_BUFFER_READ_ONLY;
	buffer->cred = get_current_cred();
	err = prepare(session, buffer);
	if (!err) {
		mutex_lock(&session->reaping);
		err = insert(session, buffer, &what->out_buffer);
		mutex_unlock(&session->reaping);
	}
	if (err) {
		what->out_buffer = 0;
		unmap(session, buffer);
		release(buffer);
	}
	return err;
}

/* Of an id from a user, or NULL. Under session->lock or session->reaping. */
static struct zcdma_buffer *find(const struct zcdma_session *session, u32 id)
{
	u32 at = id - 1;

	if (at >= session->nr_buffers)
		return NULL;
	return session->buffers[array_index_nospec(at, session->nr_buffers)];
}

/* Ops find it no more. Under session->reaping. */
static struct zcdma_buffer *take_out(struct zcdma_session *session, u32 id)
{
	struct zcdma_buffer *buffer = find(session, id);

	if (!buffer)
		return ERR_PTR(-EINVAL);
	spin_lock_irq(&session->lock);
	if (buffer->users)
		buffer = ERR_PTR(-EBUSY);
	else
		session->buffers[id - 1] = NULL;
	spin_unlock_irq(&session->lock);
	return buffer;
}

/**
 * zcdma_buffer_unregister() - %ZCDMA_IOC_UNREGISTER_BUFFER
 * @session: the session.
 * @what: which buffer.
 *
 * May sleep.
 *
 * Return: 0, -EINVAL or -EBUSY; see the uapi header.
 */
int zcdma_buffer_unregister(struct zcdma_session *session,
			    const struct zcdma_unregister_buffer *what)
{
	struct zcdma_buffer *buffer;

	mutex_lock(&session->reaping);
	buffer = take_out(session, what->buffer);
	if (!IS_ERR(buffer))
		unmap(session, buffer);
	mutex_unlock(&session->reaping);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	release(buffer);
	return 0;
}

/* The one that was looked up last. */
struct found {
	u32 id;				/* 0: none */
	struct zcdma_buffer *buffer;
};

/* The one that an op names. Return: 0, -EINVAL, or -EFAULT when it may not do that to it. */
static __always_inline int get(struct zcdma_session *session, struct found *last, u32 id,
			       u64 start, u64 len, bool write)
{
	struct zcdma_buffer *buffer = last->buffer;

	if (id != last->id) {
		buffer = find(session, id);
		if (!buffer)
			return -EINVAL;
		last->id = id;
		last->buffer = buffer;
	}
	if (start > buffer->len || len > buffer->len - start || (write && buffer->read_only))
		return -EFAULT;
	buffer->users++;
	return 0;
}

static __always_inline int find_both(struct zcdma_session *session, struct zcdma_request *req,
				     struct found *dst, struct found *src)
{
	const struct zcdma_op *op = &req->op;
	int err;

	if (op->dst_buffer) {
		err = get(session, dst, op->dst_buffer, op->dst, op->len, true);
		if (err)
			return err;
		req->dst_buffer = dst->buffer;
	}
	if (op->src_buffer) {
		err = get(session, src, op->src_buffer, op->src, op->len, false);
		if (err)
			return err;
		req->src_buffer = src->buffer;
	}
	return 0;
}

/**
 * zcdma_buffers_find() - the registered memory that each of a batch names
 * @session: its session.
 * @batch: requests that were checked. Those from the first on that cannot be done go to
 *	@rest.
 * @rest: receives them.
 *
 * To be followed by zcdma_buffers_put(), for those that were not found as well.
 *
 * Return: 0, or what is wrong with the first in @rest: -EINVAL when there is no such
 * buffer, -EFAULT, or why the session takes no more.
 */
int zcdma_buffers_find(struct zcdma_session *session, struct list_head *batch,
		       struct list_head *rest)
{
	struct found dst = {}, src = {};
	struct zcdma_request *req;
	int err;

	spin_lock_irq(&session->lock);
	err = session->err;
	list_for_each_entry(req, batch, node) {
		err = err ?: find_both(session, req, &dst, &src);
		if (err) {
			zcdma_cut_off(batch, req, rest);
			break;
		}
	}
	spin_unlock_irq(&session->lock);
	return err;
}

static bool unused(struct zcdma_session *session, struct zcdma_buffer *buffer)
{
	bool ret;

	spin_lock_irq(&session->lock);
	ret = !buffer->users;
	spin_unlock_irq(&session->lock);
	return ret;
}

/**
 * zcdma_buffers_unmap() - the provider goes
 * @session: failed, swept, and nothing of it is at the engine.
 *
 * May sleep. A SUBMIT that had found a buffer before the session failed may still
 * be synchronizing it; it does not wait for anybody meanwhile.
 */
void zcdma_buffers_unmap(struct zcdma_session *session)
{
	struct zcdma_buffer *buffer;
	unsigned int i;

	mutex_lock(&session->reaping);
	for (i = 0; i < session->nr_buffers; i++) {
		buffer = session->buffers[i];
		if (!buffer)
			continue;
		wait_event(session->wq, unused(session, buffer));
		unmap(session, buffer);
	}
	mutex_unlock(&session->reaping);
}

/**
 * zcdma_buffers_release() - the session is over
 * @session: closed, and no request of it is left. Nobody else looks at it.
 *
 * May sleep.
 */
void zcdma_buffers_release(struct zcdma_session *session)
{
	struct zcdma_buffer *buffer;
	unsigned int i;

	for (i = 0; i < session->nr_buffers; i++) {
		buffer = session->buffers[i];
		if (!buffer)
			continue;
		unmap(session, buffer);
		release(buffer);
	}
	kfree(session->buffers);
	session->buffers = NULL;
	session->nr_buffers = 0;
}
