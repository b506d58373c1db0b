// SPDX-License-Identifier: GPL-2.0
/*
 * What does this kernel have? conftest.sh compiles this file once for each "#ifdef HAVE_..."
 * with that name defined. Names of those that compile are defined in conftest.h, for
 * compat.h. The file must compile without any of them.
 *
 * Each snippet uses what it asks for, with the types that compat.h uses: a function of the same
 * name with other arguments must not compile.
 */
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dmaengine.h>
#include <linux/sched/user.h>

#if IS_ENABLED(CONFIG_IO_URING)
#ifdef HAVE_IO_URING_CMD_H		/* Linux 6.8 */
#include <linux/io_uring/cmd.h>
#elif __has_include("linux/io_uring/cmd.h")	/* for the other snippets */
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif
#endif

/* Linux 6.5: a command has its SQE, and not only the payload of that. */
#ifdef HAVE_IO_URING_CMD_SQE
static const struct io_uring_sqe * __maybe_unused probe(struct io_uring_cmd *cmd)
{
	return cmd->sqe;
}
#endif

/* Before Linux 6.2, which looks at the mapping as well. */
#ifdef HAVE_GUP_UNSHARES_ANON_ONLY
#include <linux/mm.h>
static bool __maybe_unused probe(struct page *page)
{
	return gup_must_unshare(0, page);
}
#endif

/* Linux 6.7 */
#ifdef HAVE_IO_URING_CMD_CANCEL
static void __maybe_unused probe(struct io_uring_cmd *cmd)
{
	io_uring_cmd_mark_cancelable(cmd, IO_URING_F_CANCEL);
}
#endif

/* Linux 6.18: io_uring_cmd_done() has no second result, this function has. */
#ifdef HAVE_IO_URING_CMD_DONE32
static void __maybe_unused probe(struct io_uring_cmd *cmd)
{
	io_uring_cmd_done32(cmd, 0, 0ULL, 0U);
}
#endif

/* Linux 6.19: task work has a type of its own for its arguments. */
#ifdef HAVE_IO_TW_REQ
static void work(struct io_tw_req req, io_tw_token_t tw)
{
	io_uring_cmd_done(io_uring_cmd_from_tw(req), 0, IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);
}

static void __maybe_unused probe(struct io_uring_cmd *cmd)
{
	io_uring_cmd_complete_in_task(cmd, work);
}
#endif

/* Linux 6.4: who is told of a class's devices is not told by which interface. */
#ifdef HAVE_CLASS_REMOVE_DEV_ALONE
static void probe(struct device *dev)
{
}

static const struct class_interface interface __maybe_unused = { .remove_dev = probe };
#endif

/* Linux 6.11: a channel that is registered by itself may have a name. */
#ifdef HAVE_DMA_CHANNEL_NAME
static int __maybe_unused probe(struct dma_device *device, struct dma_chan *chan)
{
	return dma_async_device_channel_register(device, chan, NULL);
}
#endif

/* Linux 6.10: dma_map_ops.alloc_pages has another name. */
#ifdef HAVE_DMA_OPS_ALLOC_PAGES_OP
static struct page *probe(struct device *dev, size_t size, dma_addr_t *addr,
			  enum dma_data_direction dir, gfp_t gfp)
{
	return NULL;
}

static const struct dma_map_ops ops __maybe_unused = { .alloc_pages_op = probe };
#endif

/* Linux 6.18: dma_map_ops.map_page is map_phys, which has a physical address. */
#ifdef HAVE_DMA_OPS_MAP_PHYS
static dma_addr_t probe(struct device *dev, phys_addr_t pa, size_t size,
			enum dma_data_direction dir, unsigned long attrs)
{
	return DMA_MAPPING_ERROR;
}

static const struct dma_map_ops ops __maybe_unused = { .map_phys = probe };
#endif

/* Linux 7.x: device.dma_coherent is a flag behind functions. */
#ifdef HAVE_DEV_ASSIGN_DMA_COHERENT
static void __maybe_unused probe(struct device *dev)
{
	dev_assign_dma_coherent(dev, true);
}
#endif

/* With CONFIG_NET or CONFIG_IO_URING; what else brings it differs. */
#ifdef HAVE_USER_LOCKED_VM
static atomic_long_t * __maybe_unused probe(struct user_struct *user)
{
	return &user->locked_vm;
}
#endif
