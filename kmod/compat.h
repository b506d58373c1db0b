/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels has one form here, so that no other file has an #if on the
 * kernel's version or configuration.
 *
 * conftest.h is generated: conftest.sh compiles the snippets of conftest.c against the
 * kernel's headers. Versions are not compared, because stable kernels get changes too, without
 * a version that would tell. To add a difference, add a snippet to conftest.c and use its
 * HAVE_... here.
 */
#ifndef _ZCDMA_COMPAT_H
#define _ZCDMA_COMPAT_H

#include <linux/dma-map-ops.h>
#include <linux/dmaengine.h>
#include <linux/sched/user.h>
#include "conftest.h"

/* ---- io_uring commands ---- */

#if IS_ENABLED(CONFIG_IO_URING)

#ifdef HAVE_IO_URING_CMD_H
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

/* Of the payload of an SQE128, in bytes: all behind the fields of every SQE. */
#define COMPAT_URING_PAYLOAD						\
	(2 * sizeof(struct io_uring_sqe) - offsetof(struct io_uring_sqe, cmd))

/* The payload, in memory that the user can write to. For commands with IO_URING_F_SQE128. */
static inline const void *compat_uring_payload(const struct io_uring_cmd *cmd)
{
#ifdef HAVE_IO_URING_CMD_SQE
	return (const void *)cmd->sqe + offsetof(struct io_uring_sqe, cmd);
#else
	return cmd->cmd;
#endif
}

/* The flags that the user gave: the kernel has some of its own there, of one that comes again. */
static inline u32 compat_uring_flags(const struct io_uring_cmd *cmd)
{
#if defined(IORING_URING_CMD_REISSUE)
	return cmd->flags & ~(IORING_URING_CMD_REISSUE | IORING_URING_CMD_CANCELABLE);
#elif defined(IORING_URING_CMD_CANCELABLE)
	return cmd->flags & ~IORING_URING_CMD_CANCELABLE;
#else
	return cmd->flags;
#endif
}

/* Complete a command. @res2 reaches the user on rings with IORING_SETUP_CQE32. */
static inline void compat_uring_done(struct io_uring_cmd *cmd, s32 res, u64 res2,
				     unsigned int issue_flags)
{
#ifdef HAVE_IO_URING_CMD_DONE32
	io_uring_cmd_done32(cmd, res, res2, issue_flags);
#else
	io_uring_cmd_done(cmd, res, res2, issue_flags);
#endif
}

/*
 * COMPAT_URING_WORK() - let a task run a function for a command
 * @fn: void fn(struct io_uring_cmd *cmd, unsigned int issue_flags), which hands @issue_flags on
 *	to compat_uring_done().
 *
 * Defines fn_work(), to be given to io_uring_cmd_complete_in_task():
 *
 *	static void reap(struct io_uring_cmd *cmd, unsigned int issue_flags)
 *	{
 *		compat_uring_done(cmd, 0, 0, issue_flags);
 *	}
 *
 *	COMPAT_URING_WORK(reap)
 *
 *	io_uring_cmd_complete_in_task(cmd, reap_work);
 */
#ifdef HAVE_IO_TW_REQ
#define COMPAT_URING_WORK(fn)								\
	static void fn##_work(struct io_tw_req req, io_tw_token_t tw)			\
	{										\
		fn(io_uring_cmd_from_tw(req), IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);	\
	}
#else
#define COMPAT_URING_WORK(fn)								\
	static void fn##_work(struct io_uring_cmd *cmd, unsigned int issue_flags)	\
	{										\
		fn(cmd, issue_flags);							\
	}
#endif

/*
 * Does this kernel cancel commands of a dying task or a closing ring? Then
 *
 * - compat_uring_mark_cancelable() says that this command is one that can be cancelled. It
 *   must be called from ->uring_cmd(), with its issue flags, before anything can complete the
 *   command; ->uring_cmd() must then return -EIOCBQUEUED.
 * - To cancel, io_uring calls ->uring_cmd() again with flags for which compat_uring_is_cancel()
 *   is true. The command may have been completed meanwhile, but is not freed during the call.
 *
 * Otherwise compat_uring_is_cancel() is always false.
 */
#ifdef HAVE_IO_URING_CMD_CANCEL
#define COMPAT_URING_CAN_CANCEL		true
static inline void compat_uring_mark_cancelable(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
}

static inline bool compat_uring_is_cancel(unsigned int issue_flags)
{
	return issue_flags & IO_URING_F_CANCEL;
}
#else
#define COMPAT_URING_CAN_CANCEL		false
static inline void compat_uring_mark_cancelable(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
}

static inline bool compat_uring_is_cancel(unsigned int issue_flags)
{
	return false;
}
#endif

#else /* !CONFIG_IO_URING */
#define COMPAT_URING_CAN_CANCEL		false
#endif

/*
 * ---- the plug of a task ----
 *
 * While io_uring hands in entries, the task is plugged as for disks. A callback that was added
 * to the plug runs at the end of that, or when the task goes to sleep. Without CONFIG_BLOCK there
 * is no plug: nothing can be added to it.
 */
#ifdef CONFIG_BLOCK
#include <linux/blkdev.h>

/* Return: @unplug's entry for @data, zeroed in @size bytes when it is new, or NULL: no plug. */
static inline struct blk_plug_cb *
compat_plug_add(void (*unplug)(struct blk_plug_cb *cb, bool from_schedule), void *data, int size)
{
	return blk_check_plugged(unplug, data, size);
}

/* Return: the entry that was added last, by anybody, or NULL. */
static inline struct blk_plug_cb *compat_plug_last(void)
{
	struct blk_plug *plug = current->plug;

	return plug ? list_first_entry_or_null(&plug->cb_list, struct blk_plug_cb, list) : NULL;
}

/* Return: how many entries io_uring has to hand in; the task must be plugged. */
static inline unsigned int compat_plug_nr_ios(void)
{
	return current->plug->nr_ios;
}
#else
struct blk_plug_cb {
	struct list_head list;
	void (*callback)(struct blk_plug_cb *cb, bool from_schedule);
	void *data;
};

static inline struct blk_plug_cb *
compat_plug_add(void (*unplug)(struct blk_plug_cb *cb, bool from_schedule), void *data, int size)
{
	return NULL;
}

static inline struct blk_plug_cb *compat_plug_last(void)
{
	return NULL;
}

static inline unsigned int compat_plug_nr_ios(void)
{
	return 0;
}
#endif

/* ---- pins ---- */

/* Is what a long-term pin for reading has perhaps not what the program writes later? See mem.c. */
#ifdef HAVE_GUP_UNSHARES_ANON_ONLY
#define COMPAT_PIN_TO_READ_IS_STALE	true
#else
#define COMPAT_PIN_TO_READ_IS_STALE	false
#endif

/* ---- memory that users have locked ---- */

#ifndef HAVE_USER_LOCKED_VM
#error "This kernel does not count locked memory per user: enable CONFIG_NET or CONFIG_IO_URING."
#endif

/* In pages, against RLIMIT_MEMLOCK. */
static inline atomic_long_t *compat_locked_vm(struct user_struct *user)
{
	return &user->locked_vm;
}

/* ---- patterns ---- */

#ifdef CONFIG_GLOB
#include <linux/glob.h>

/* Without CONFIG_GLOB, only "*" and "?" are special in a pattern. */
static inline bool compat_glob_match(const char *pattern, const char *name)
{
	return glob_match(pattern, name);
}
#else
static inline bool compat_glob_match(const char *pattern, const char *name)
{
	const char *star = NULL, *retry = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = name;
		} else if (*pattern == '?' || *pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
#endif

/* ---- devices of a class, and dmaengine's of it ---- */

/*
 * COMPAT_CLASS_REMOVE() - be told of a class's devices that go
 * @fn: void fn(struct device *dev).
 *
 * Defines fn_op(), for class_interface.remove_dev.
 */
#ifdef HAVE_CLASS_REMOVE_DEV_ALONE
#define COMPAT_CLASS_REMOVE(fn)								\
	static void fn##_op(struct device *dev)						\
	{										\
		fn(dev);								\
	}
#else
#define COMPAT_CLASS_REMOVE(fn)								\
	static void fn##_op(struct device *dev, struct class_interface *interface)	\
	{										\
		fn(dev);								\
	}
#endif

static inline int compat_dma_channel_register(struct dma_device *device, struct dma_chan *chan)
{
#ifdef HAVE_DMA_CHANNEL_NAME
	return dma_async_device_channel_register(device, chan, NULL);
#else
	return dma_async_device_channel_register(device, chan);
#endif
}

/* ---- DMA operations of a device ---- */

/* Whether the device sees the CPU's caches; on machines where all do, it always does. */
static inline void compat_set_dma_coherent(struct device *dev, bool coherent)
{
#if defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU_ALL)
#ifdef HAVE_DEV_ASSIGN_DMA_COHERENT
	dev_assign_dma_coherent(dev, coherent);
#else
	dev->dma_coherent = coherent;
#endif
#endif
}

/*
 * Members of struct dma_map_ops by names that do not change, for initializers.
 *
 * COMPAT_DMA_MAP() - let the DMA API map by a function of the physical address
 * @fn: dma_addr_t fn(struct device *dev, phys_addr_t pa, size_t size,
 *	enum dma_data_direction dir, unsigned long attrs).
 *
 * Defines fn_op(): { .compat_op_map = fn_op, .compat_op_unmap = unmap, ... }
 */
#ifdef HAVE_DMA_OPS_MAP_PHYS
#define compat_op_map		map_phys
#define compat_op_unmap		unmap_phys
#define COMPAT_DMA_MAP(fn)								\
	static dma_addr_t fn##_op(struct device *dev, phys_addr_t pa, size_t size,	\
				  enum dma_data_direction dir, unsigned long attrs)	\
	{										\
		return fn(dev, pa, size, dir, attrs);					\
	}
#else
#define compat_op_map		map_page
#define compat_op_unmap		unmap_page
#define COMPAT_DMA_MAP(fn)								\
	static dma_addr_t fn##_op(struct device *dev, struct page *page,		\
				  unsigned long offset, size_t size,			\
				  enum dma_data_direction dir, unsigned long attrs)	\
	{										\
		return fn(dev, page_to_phys(page) + offset, size, dir, attrs);		\
	}
#endif

#ifdef HAVE_DMA_OPS_ALLOC_PAGES_OP
#define compat_op_alloc_pages	alloc_pages_op
#else
#define compat_op_alloc_pages	alloc_pages
#endif

#endif
