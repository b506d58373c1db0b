// SPDX-License-Identifier: GPL-2.0
/*
 * edudma: a dmaengine provider for "edu", the PCI device that QEMU has for teaching (-device edu).
 *
 * To be read from top to bottom as an example of a provider. It uses no code that other providers
 * share, so all of a provider's duties are in sight.
 *
 *
 * The hardware
 *
 * A bus master with 4 KiB of memory on board. It moves bytes between that and the machine's memory,
 * in either direction, one transfer at a time: write where from, where to, how many and "start";
 * 100 ms later it moves them all at once and interrupts. We call that a hop. The device
 *
 *   - reaches 28 bits of addresses. The kernel maps memory accordingly, if it can: that takes an
 *     IOMMU, or a machine with no more than 256 MiB;
 *   - cannot stop a hop once it has begun, and ignores what is written to its registers meanwhile;
 *   - does not refuse what is wrong: it would cut an address to 28 bits, or end QEMU. So we check;
 *   - does not notice that memory could not be reached.
 *
 *
 * What clients get
 *
 * One channel, as the device does one thing at a time. DMA_MEMCPY takes two hops for each piece, up
 * to the memory on board and down again. DMA_SLAVE takes one: the memory on board is the
 * peripheral. Its address, for dma_slave_config, is the device's own, EDU_BOARD and up, and unlike
 * a FIFO's it advances with the bytes. DMA_MEMCPY overwrites it. The channel is private: an engine
 * as slow as this must be asked for, not found.
 *
 *
 * The life of a descriptor
 *
 *	      client             client                    engine             tasklet
 *	prep -> prepared -submit-> submitted -issue_pending-> issued -> active -> finished -> called
 *
 * A descriptor is a list of hops, made by prep. The interrupt handler goes from hop to hop, and
 * from descriptor to descriptor, so the engine never waits for a client. The tasklet calls the
 * clients, who expect callbacks in softirq context. Then it is freed, unless the client has said by
 * a lack of DMA_CTRL_ACK that it will still look at it.
 *
 * A descriptor has a cookie from submit on. Cookies are given out, and completed, in order, so two
 * numbers say it all: the last one given out (chan.cookie) and the last one completed
 * (chan.completed_cookie).
 *
 * terminate_all drops what is submitted or issued. The running hop cannot be stopped: its
 * descriptor is marked, ends without a callback when the hop is over, and device_synchronize waits
 * for that. Only then may the client unmap its memory.
 *
 * A hop that is not over in time means that the device has left us. We take its right to the bus
 * away, so that it can do no harm however late, and treat it as one that was removed: @dead.
 *
 *
 * Locking
 *
 * edu.lock guards lists, cookies and state, and the device's DMA registers; it is taken in any
 * context. It is not held in callbacks: they prepare, submit and terminate. Nothing sleeps but
 * synchronize, probe and remove, and what dmaengine calls when a channel is taken or given back.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/interrupt.h>
#include <linux/iopoll.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

/* Registers, in BAR 0. Those for DMA have 64 bits, of which an address needs 28. */
#define EDU_ID			0x00
#define EDU_ID_MASK		0xff
#define EDU_ID_VALUE		0xed
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_ACK		0x64
#define EDU_IRQ_DMA		BIT(8)
#define EDU_DMA_SRC		0x80
#define EDU_DMA_DST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_CMD		0x98
#define EDU_DMA_START		BIT(0)	/* reads as 1 until the hop is over */
#define EDU_DMA_FROM_BOARD	BIT(1)
#define EDU_DMA_IRQ		BIT(2)

#define EDU_DMA_BITS		28

/*
 * The memory on board, as the device's DMA registers address it. It has 4096 bytes, but a QEMU that
 * is not quite new (7.2 for one) ends itself when the last of them is used.
 */
#define EDU_BOARD		0x40000
#define EDU_BOARD_SIZE		4095

/* A hop takes 100 ms. After ten times that it is lost. */
#define EDU_HOP_LIMIT_MS	1000

/* What a descriptor may ask for. This takes 3.4 s already; clients cut. */
#define EDU_MAX_LEN		SZ_64K

/**
 * struct edu_hop - what the device does at a time
 * @mem: bus address in the machine's memory
 * @board: address in the memory on board
 * @len: bytes
 * @up: to the board, not from it
 * @arrives: the bytes are then where the client wants them
 */
struct edu_hop {
	dma_addr_t mem;
	u32 board;
	u32 len;
	bool up;
	bool arrives;
};

/**
 * struct edu_desc - a descriptor
 * @tx: what dmaengine and the client see
 * @node: in one of the lists of struct edu, unless active
 * @len: bytes to move
 * @done: bytes that have arrived
 * @dropped: terminated while active, no callback
 * @result: how it ended, once it is finished
 * @nr_hops: length of @hops
 * @next: the hop that is running or comes next
 * @hops: the way
 */
struct edu_desc {
	struct dma_async_tx_descriptor tx;
	struct list_head node;
	u32 len;
	u32 done;
	bool dropped;
	enum dmaengine_tx_result result;
	unsigned int nr_hops;
	unsigned int next;
	struct edu_hop hops[];
};

/**
 * struct edu - a device and its channel
 * @dma: what dmaengine sees of the device
 * @chan: what it sees of the channel
 * @pdev: the PCI device
 * @regs: its registers
 * @config: where slave transfers begin or end on board
 * @lock: guards the lists and what follows them, the cookies in @chan and @config
 * @prepared: the client's
 * @submitted: have a cookie, wait for issue_pending
 * @issued: wait for the engine
 * @finished: wait for the tasklet
 * @called: done with, to be freed once the client has set DMA_CTRL_ACK
 * @active: its hop is running
 * @deadline: in jiffies, when that hop is lost
 * @calling: the tasklet is in a callback
 * @dead: removed or lost, nothing is accepted any more
 * @failed: cookie of the last one that failed
 * @wait: for the end of a hop, or of a callback
 * @tasklet: calls the clients back
 * @watchdog: looks after a hop that takes too long
 * @retired: in the list of those to be freed
 */
struct edu {
	struct dma_device dma;
	struct dma_chan chan;
	struct pci_dev *pdev;
	void __iomem *regs;
	struct dma_slave_config config;

	spinlock_t lock;	/* taken in any context */
	struct list_head prepared;
	struct list_head submitted;
	struct list_head issued;
	struct list_head finished;
	struct list_head called;
	struct edu_desc *active;
	unsigned long deadline;
	bool calling;
	bool dead;
	dma_cookie_t failed;

	wait_queue_head_t wait;
	struct tasklet_struct tasklet;
	struct timer_list watchdog;
	struct llist_node retired;
};

static struct edu *to_edu(struct dma_chan *chan)
{
	return container_of(chan, struct edu, chan);
}

static struct edu_desc *to_edu_desc(struct dma_async_tx_descriptor *tx)
{
	return container_of(tx, struct edu_desc, tx);
}

/* --- the engine: from hop to hop, from descriptor to descriptor --- */

static void edu_start_hop(struct edu *edu)
{
	const struct edu_hop *hop = &edu->active->hops[edu->active->next];
	u32 mem = lower_32_bits(hop->mem);

	lockdep_assert_held(&edu->lock);
	writel(hop->up ? mem : hop->board, edu->regs + EDU_DMA_SRC);
	writel(hop->up ? hop->board : mem, edu->regs + EDU_DMA_DST);
	writel(hop->len, edu->regs + EDU_DMA_COUNT);
	/* Comes after the client's writes to memory, as any writel() does. */
	writel(EDU_DMA_START | EDU_DMA_IRQ | (hop->up ? 0 : EDU_DMA_FROM_BOARD),
	       edu->regs + EDU_DMA_CMD);

	edu->deadline = jiffies + msecs_to_jiffies(EDU_HOP_LIMIT_MS);
	mod_timer(&edu->watchdog, edu->deadline);
}

static void edu_start_next(struct edu *edu)
{
	lockdep_assert_held(&edu->lock);
	if (edu->active || edu->dead || list_empty(&edu->issued))
		return;
	edu->active = list_first_entry(&edu->issued, struct edu_desc, node);
	list_del(&edu->active->node);
	edu_start_hop(edu);
}

/* @d is in no list. The tasklet does the rest. */
static void edu_finish(struct edu *edu, struct edu_desc *d, enum dmaengine_tx_result result)
{
	lockdep_assert_held(&edu->lock);
	if (result == DMA_TRANS_NOERROR)
		edu->chan.completed_cookie = d->tx.cookie;
	else
		edu->failed = d->tx.cookie;
	d->result = result;
	list_add_tail(&d->node, &edu->finished);
	tasklet_schedule(&edu->tasklet);
}

static void edu_finish_active(struct edu *edu, enum dmaengine_tx_result result)
{
	struct edu_desc *d = edu->active;

	edu->active = NULL;
	edu_finish(edu, d, result);
}

static void edu_abort_waiting(struct edu *edu)
{
	struct edu_desc *d, *next;

	list_splice_tail_init(&edu->submitted, &edu->issued);
	list_for_each_entry_safe(d, next, &edu->issued, node) {
		list_del(&d->node);
		edu_finish(edu, d, DMA_TRANS_ABORTED);
	}
}

static enum dmaengine_tx_result edu_failure(const struct edu_hop *hop)
{
	return hop->up ? DMA_TRANS_READ_FAILED : DMA_TRANS_WRITE_FAILED;
}

/* Without the right to the bus, the device has moved nothing, and will not say so. */
static bool edu_is_master(struct edu *edu)
{
	u16 command;

	return !pci_read_config_word(edu->pdev, PCI_COMMAND, &command) &&
	       (command & PCI_COMMAND_MASTER);
}

static void edu_hop_over(struct edu *edu)
{
	struct edu_desc *d = edu->active;
	const struct edu_hop *hop = &d->hops[d->next++];

	if (!edu_is_master(edu)) {
		edu_finish_active(edu, edu_failure(hop));
	} else {
		d->done += hop->arrives ? hop->len : 0;
		if (d->next == d->nr_hops)
			edu_finish_active(edu, DMA_TRANS_NOERROR);
		else if (d->dropped || edu->dead)
			edu_finish_active(edu, DMA_TRANS_ABORTED);
		else
			edu_start_hop(edu);
	}
	edu_start_next(edu);
}

static void edu_hop_lost(struct edu *edu)
{
	struct edu_desc *d = edu->active;

	dev_err(&edu->pdev->dev, "does not respond: given up until it is bound anew\n");
	pci_clear_master(edu->pdev);
	edu->dead = true;
	edu_finish_active(edu, edu_failure(&d->hops[d->next]));
	edu_abort_waiting(edu);
}

/*
 * See what has become of the hop, and whether there was an interrupt at all. The hop is over when
 * the device says so, and not because it is silent: one that is gone reads as all ones, or zeroes.
 */
static bool edu_look(struct edu *edu)
{
	unsigned long flags;
	bool over;
	u32 status;

	spin_lock_irqsave(&edu->lock, flags);
	status = readl(edu->regs + EDU_IRQ_STATUS);
	over = (status & EDU_IRQ_DMA) && status != U32_MAX;
	if (over)
		writel(EDU_IRQ_DMA, edu->regs + EDU_IRQ_ACK);
	if (over && edu->active)
		edu_hop_over(edu);
	else if (edu->active && time_after_eq(jiffies, edu->deadline))
		edu_hop_lost(edu);
	spin_unlock_irqrestore(&edu->lock, flags);
	return over;
}

/* The line may be shared: not every interrupt is ours. */
static irqreturn_t edu_irq(int irq, void *edu)
{
	return edu_look(edu) ? IRQ_HANDLED : IRQ_NONE;
}

/* An interrupt that was lost does no harm: the hop is found to be over, if late. */
static void edu_watch(struct timer_list *timer)
{
	edu_look(container_of(timer, struct edu, watchdog));
}

/* --- completion: tell the client --- */

static void edu_free_list(struct list_head *list)
{
	struct edu_desc *d, *next;

	list_for_each_entry_safe(d, next, list, node)
		kfree(d);
	INIT_LIST_HEAD(list);
}

static void edu_free_acked(struct edu *edu)
{
	struct edu_desc *d, *next;

	lockdep_assert_held(&edu->lock);
	list_for_each_entry_safe(d, next, &edu->called, node) {
		if (async_tx_test_ack(&d->tx)) {
			list_del(&d->node);
			kfree(d);
		}
	}
}

static void edu_call(struct edu_desc *d)
{
	const struct dmaengine_result result = {
		.result = d->result,
		.residue = d->len - d->done,
	};

	dma_descriptor_unmap(&d->tx);
	if (d->dropped)
		return;
	if (d->tx.callback_result)
		d->tx.callback_result(d->tx.callback_param, &result);
	else if (d->tx.callback)
		d->tx.callback(d->tx.callback_param);
}

static void edu_call_finished(struct tasklet_struct *tasklet)
{
	struct edu *edu = from_tasklet(edu, tasklet, tasklet);
	struct edu_desc *d;

	spin_lock_irq(&edu->lock);
	while ((d = list_first_entry_or_null(&edu->finished, struct edu_desc, node))) {
		list_del(&d->node);
		edu->calling = true;
		spin_unlock_irq(&edu->lock);

		edu_call(d);

		spin_lock_irq(&edu->lock);
		edu->calling = false;
		list_add_tail(&d->node, &edu->called);
	}
	edu_free_acked(edu);
	spin_unlock_irq(&edu->lock);
	wake_up_all(&edu->wait);
}

/* --- dmaengine: prepare, submit, issue --- */

static dma_cookie_t edu_submit(struct dma_async_tx_descriptor *tx)
{
	struct edu *edu = to_edu(tx->chan);
	struct edu_desc *d = to_edu_desc(tx);
	dma_cookie_t cookie = -ENODEV;
	unsigned long flags;

	spin_lock_irqsave(&edu->lock, flags);
	if (!edu->dead) {
		cookie = edu->chan.cookie + 1;
		if (cookie < DMA_MIN_COOKIE)
			cookie = DMA_MIN_COOKIE;
		edu->chan.cookie = cookie;
		tx->cookie = cookie;
		list_move_tail(&d->node, &edu->submitted);
	} else {
		list_move_tail(&d->node, &edu->called);
	}
	spin_unlock_irqrestore(&edu->lock, flags);
	return cookie;
}

/* Clients prepare in any context, so memory must be at hand; NULL tells them to come again. */
static struct edu_desc *edu_prepare(struct edu *edu, unsigned int max_hops, unsigned long flags)
{
	struct edu_desc *d;

	d = kzalloc(struct_size(d, hops, max_hops), GFP_NOWAIT | __GFP_NOWARN);
	if (!d)
		return NULL;
	dma_async_tx_descriptor_init(&d->tx, &edu->chan);
	d->tx.tx_submit = edu_submit;
	d->tx.flags = flags;
	d->tx.cookie = -EBUSY;
	return d;
}

static void edu_add_hop(struct edu_desc *d, dma_addr_t mem, u32 board, u32 len, bool up,
			bool arrives)
{
	d->hops[d->nr_hops++] = (struct edu_hop) {
		.mem = mem,
		.board = board,
		.len = len,
		.up = up,
		.arrives = arrives,
	};
	d->len += arrives ? len : 0;
}

/* @d is complete: from here on it is the client's. */
static struct dma_async_tx_descriptor *edu_hand_out(struct edu *edu, struct edu_desc *d)
{
	unsigned long flags;
	bool dead;

	spin_lock_irqsave(&edu->lock, flags);
	edu_free_acked(edu);
	dead = edu->dead;
	if (!dead)
		list_add_tail(&d->node, &edu->prepared);
	spin_unlock_irqrestore(&edu->lock, flags);

	if (dead) {
		kfree(d);
		return NULL;
	}
	return &d->tx;
}

/* What was mapped for the device is in its reach. With other addresses it would go elsewhere. */
static bool edu_reaches(dma_addr_t mem, size_t len)
{
	return len && len <= EDU_MAX_LEN && (u64)mem + len - 1 <= DMA_BIT_MASK(EDU_DMA_BITS);
}

static bool edu_is_on_board(phys_addr_t board, size_t len)
{
	return board >= EDU_BOARD && (u64)board + len <= EDU_BOARD + EDU_BOARD_SIZE;
}

static struct dma_async_tx_descriptor *
edu_prep_memcpy(struct dma_chan *chan, dma_addr_t dst, dma_addr_t src, size_t len,
		unsigned long flags)
{
	struct edu *edu = to_edu(chan);
	struct edu_desc *d;
	size_t done, n;

	if (!edu_reaches(dst, len) || !edu_reaches(src, len))
		return NULL;
	d = edu_prepare(edu, 2 * DIV_ROUND_UP(len, EDU_BOARD_SIZE), flags);
	if (!d)
		return NULL;

	for (done = 0; done < len; done += n) {
		n = min_t(size_t, len - done, EDU_BOARD_SIZE);
		edu_add_hop(d, src + done, EDU_BOARD, n, true, false);
		edu_add_hop(d, dst + done, EDU_BOARD, n, false, true);
	}
	return edu_hand_out(edu, d);
}

static struct dma_async_tx_descriptor *
edu_prep_slave_sg(struct dma_chan *chan, struct scatterlist *sgl, unsigned int sg_len,
		  enum dma_transfer_direction direction, unsigned long flags, void *context)
{
	bool up = direction == DMA_MEM_TO_DEV;
	struct edu *edu = to_edu(chan);
	struct scatterlist *sg;
	phys_addr_t board;
	struct edu_desc *d;
	unsigned int i;

	if (!is_slave_direction(direction) || !sg_len || sg_len > EDU_BOARD_SIZE)
		return NULL;
	d = edu_prepare(edu, sg_len, flags);
	if (!d)
		return NULL;

	board = up ? edu->config.dst_addr : edu->config.src_addr;
	for_each_sg(sgl, sg, sg_len, i) {
		if (!edu_reaches(sg_dma_address(sg), sg_dma_len(sg)) ||
		    !edu_is_on_board(board, sg_dma_len(sg))) {
			kfree(d);
			return NULL;
		}
		edu_add_hop(d, sg_dma_address(sg), board, sg_dma_len(sg), up, true);
		board += sg_dma_len(sg);
	}
	return edu_hand_out(edu, d);
}

/* Bursts and widths do not matter to this device. An address of 0 means: not used. */
static int edu_config(struct dma_chan *chan, struct dma_slave_config *config)
{
	if ((config->src_addr && !edu_is_on_board(config->src_addr, 1)) ||
	    (config->dst_addr && !edu_is_on_board(config->dst_addr, 1)))
		return -EINVAL;
	to_edu(chan)->config = *config;
	return 0;
}

static void edu_issue_pending(struct dma_chan *chan)
{
	struct edu *edu = to_edu(chan);
	unsigned long flags;

	spin_lock_irqsave(&edu->lock, flags);
	list_splice_tail_init(&edu->submitted, &edu->issued);
	edu_start_next(edu);
	spin_unlock_irqrestore(&edu->lock, flags);
}

/* --- dmaengine: status, terminate, synchronize --- */

static struct edu_desc *edu_find(struct edu *edu, dma_cookie_t cookie)
{
	struct edu_desc *d;

	if (edu->active && edu->active->tx.cookie == cookie)
		return edu->active->dropped ? NULL : edu->active;
	list_for_each_entry(d, &edu->issued, node)
		if (d->tx.cookie == cookie)
			return d;
	list_for_each_entry(d, &edu->submitted, node)
		if (d->tx.cookie == cookie)
			return d;
	return NULL;
}

/* Of those that failed only the last is remembered; their callbacks have told of each. */
static enum dma_status edu_tx_status(struct dma_chan *chan, dma_cookie_t cookie,
				     struct dma_tx_state *state)
{
	struct edu *edu = to_edu(chan);
	enum dma_status status;
	struct edu_desc *d;
	unsigned long flags;

	spin_lock_irqsave(&edu->lock, flags);
	d = edu_find(edu, cookie);
	if (d)
		status = DMA_IN_PROGRESS;
	else if (cookie == edu->failed)
		status = DMA_ERROR;
	else
		status = dma_async_is_complete(cookie, chan->completed_cookie, chan->cookie);
	if (!d && status == DMA_IN_PROGRESS)
		status = DMA_ERROR;	/* terminated, or dead */
	dma_set_tx_state(state, chan->completed_cookie, chan->cookie, d ? d->len - d->done : 0);
	spin_unlock_irqrestore(&edu->lock, flags);
	return status;
}

static int edu_terminate_all(struct dma_chan *chan)
{
	struct edu *edu = to_edu(chan);
	struct edu_desc *d;
	unsigned long flags;
	LIST_HEAD(dropped);

	spin_lock_irqsave(&edu->lock, flags);
	list_splice_tail_init(&edu->issued, &dropped);
	list_splice_tail_init(&edu->submitted, &dropped);
	if (edu->active)
		edu->active->dropped = true;
	spin_unlock_irqrestore(&edu->lock, flags);

	list_for_each_entry(d, &dropped, node)
		dma_descriptor_unmap(&d->tx);
	edu_free_list(&dropped);
	return 0;
}

/* Neither the device nor the tasklet has anything in hand that was terminated. */
static bool edu_is_quiet(struct edu *edu)
{
	unsigned long flags;
	bool quiet;

	spin_lock_irqsave(&edu->lock, flags);
	quiet = !(edu->active && edu->active->dropped) && list_empty(&edu->finished) &&
		!edu->calling;
	spin_unlock_irqrestore(&edu->lock, flags);
	return quiet;
}

static void edu_synchronize(struct dma_chan *chan)
{
	struct edu *edu = to_edu(chan);

	wait_event(edu->wait, edu_is_quiet(edu));
}

/* The channel's last client goes. What it has prepared and not submitted is still with us. */
static void edu_free_chan_resources(struct dma_chan *chan)
{
	struct edu *edu = to_edu(chan);

	edu_terminate_all(chan);
	edu_synchronize(chan);
	edu_free_list(&edu->prepared);
	edu_free_list(&edu->called);
	memset(&edu->config, 0, sizeof(edu->config));
}

/* Not ENODEV: dmaengine would take the device from its list, and once more when it is released. */
static int edu_alloc_chan_resources(struct dma_chan *chan)
{
	return READ_ONCE(to_edu(chan)->dead) ? -ENXIO : 0;
}

/* --- the device goes: first the driver lets go of it, then the last client of us --- */

static LLIST_HEAD(edu_retired);

static bool edu_refuse(struct dma_chan *chan, void *unused)
{
	return false;
}

static void edu_free(struct edu *edu)
{
	pci_dev_put(edu->pdev);
	kfree(edu);
}

/*
 * dmaengine still looks at a channel after it has released the device, under its mutex. So memory
 * is freed here, once that mutex has been free: a request that all channels refuse takes it.
 */
static void edu_reap(struct work_struct *unused)
{
	struct llist_node *retired = llist_del_all(&edu_retired);
	struct edu *edu, *next;
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	dma_request_channel(mask, edu_refuse, NULL);

	llist_for_each_entry_safe(edu, next, retired, retired) {
		put_device(&edu->chan.dev->device);
		edu_free(edu);
	}
}

static DECLARE_WORK(edu_reaper, edu_reap);

static void edu_release(struct dma_device *dma)
{
	struct edu *edu = container_of(dma, struct edu, dma);

	llist_add(&edu->retired, &edu_retired);
	schedule_work(&edu_reaper);
}

static bool edu_is_idle(struct edu *edu)
{
	unsigned long flags;
	bool idle;

	spin_lock_irqsave(&edu->lock, flags);
	idle = !edu->active;
	spin_unlock_irqrestore(&edu->lock, flags);
	return idle;
}

/*
 * Let the running hop end, and end all that waits behind it. Clients may hold the channel for as
 * long as they like: it is a shell that refuses everything and touches no device.
 */
static void edu_shut(struct edu *edu)
{
	spin_lock_irq(&edu->lock);
	edu->dead = true;
	spin_unlock_irq(&edu->lock);
	wait_event(edu->wait, edu_is_idle(edu));

	pci_free_irq(edu->pdev, 0, edu);
	timer_delete_sync(&edu->watchdog);

	spin_lock_irq(&edu->lock);
	edu_abort_waiting(edu);
	spin_unlock_irq(&edu->lock);
	tasklet_kill(&edu->tasklet);	/* runs it if it is due */
}

static void edu_remove(struct pci_dev *pdev)
{
	struct edu *edu = pci_get_drvdata(pdev);

	edu_shut(edu);
	pci_clear_master(pdev);
	pci_free_irq_vectors(pdev);

	/* While a client holds the channel the device stays listed: let nobody find it any more. */
	dma_cap_clear(DMA_MEMCPY, edu->dma.cap_mask);
	dma_cap_clear(DMA_SLAVE, edu->dma.cap_mask);
	dma_async_device_unregister(&edu->dma);
}

/* --- the device comes --- */

static void edu_dma_init(struct edu *edu)
{
	const u32 any_width = BIT(DMA_SLAVE_BUSWIDTH_1_BYTE) | BIT(DMA_SLAVE_BUSWIDTH_2_BYTES) |
			      BIT(DMA_SLAVE_BUSWIDTH_4_BYTES) | BIT(DMA_SLAVE_BUSWIDTH_8_BYTES);
	struct dma_device *dma = &edu->dma;

	dma->dev = &edu->pdev->dev;
	dma_cap_set(DMA_MEMCPY, dma->cap_mask);
	dma_cap_set(DMA_SLAVE, dma->cap_mask);
	dma_cap_set(DMA_PRIVATE, dma->cap_mask);
	dma->directions = BIT(DMA_MEM_TO_DEV) | BIT(DMA_DEV_TO_MEM);
	dma->src_addr_widths = any_width;
	dma->dst_addr_widths = any_width;
	dma->residue_granularity = DMA_RESIDUE_GRANULARITY_SEGMENT;

	dma->device_alloc_chan_resources = edu_alloc_chan_resources;
	dma->device_free_chan_resources = edu_free_chan_resources;
	dma->device_prep_dma_memcpy = edu_prep_memcpy;
	dma->device_prep_slave_sg = edu_prep_slave_sg;
	dma->device_config = edu_config;
	dma->device_issue_pending = edu_issue_pending;
	dma->device_tx_status = edu_tx_status;
	dma->device_terminate_all = edu_terminate_all;
	dma->device_synchronize = edu_synchronize;
	dma->device_release = edu_release;

	edu->chan.device = dma;
	edu->chan.cookie = DMA_MIN_COOKIE;
	edu->chan.completed_cookie = DMA_MIN_COOKIE;
	INIT_LIST_HEAD(&dma->channels);
	list_add_tail(&edu->chan.device_node, &dma->channels);
}

static struct edu *edu_create(struct pci_dev *pdev, void __iomem *regs)
{
	struct edu *edu = kzalloc(sizeof(*edu), GFP_KERNEL);

	if (!edu)
		return NULL;
	edu->pdev = pci_dev_get(pdev);
	edu->regs = regs;
	spin_lock_init(&edu->lock);
	INIT_LIST_HEAD(&edu->prepared);
	INIT_LIST_HEAD(&edu->submitted);
	INIT_LIST_HEAD(&edu->issued);
	INIT_LIST_HEAD(&edu->finished);
	INIT_LIST_HEAD(&edu->called);
	init_waitqueue_head(&edu->wait);
	tasklet_setup(&edu->tasklet, edu_call_finished);
	timer_setup(&edu->watchdog, edu_watch, 0);
	edu_dma_init(edu);
	return edu;
}

/*
 * Is it the device, and at rest? It may not be if its last driver died with its kernel (kexec), or
 * gave it up. It has no right to the bus yet, so such an old hop goes nowhere.
 */
static int edu_check(struct device *dev, void __iomem *regs)
{
	u32 id = readl(regs + EDU_ID);
	u32 command;

	if ((id & EDU_ID_MASK) != EDU_ID_VALUE)
		return dev_err_probe(dev, -ENODEV, "is no edu: identification %#x\n", id);
	if (readl_poll_timeout(regs + EDU_DMA_CMD, command, !(command & EDU_DMA_START), 10000,
			       EDU_HOP_LIMIT_MS * USEC_PER_MSEC))
		return dev_err_probe(dev, -EBUSY, "does not come to rest\n");
	writel(EDU_IRQ_DMA, regs + EDU_IRQ_ACK);
	return 0;
}

static int edu_dma_limits(struct device *dev)
{
	int err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(EDU_DMA_BITS));

	if (err)
		return dev_err_probe(dev, err, "no DMA with %u bits of address\n", EDU_DMA_BITS);
	/* Clients will be refused to map the memory that is beyond. */
	if (!device_iommu_mapped(dev) && dma_get_required_mask(dev) > DMA_BIT_MASK(EDU_DMA_BITS))
		dev_warn(dev, "reaches the first 256 MiB only: have less memory, or an IOMMU\n");
	dma_set_max_seg_size(dev, EDU_MAX_LEN);
	return 0;
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	void __iomem *regs;
	struct edu *edu;
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	regs = devm_ioremap_resource(dev, &pdev->resource[0]);
	if (IS_ERR(regs))
		return PTR_ERR(regs);
	err = edu_check(dev, regs);
	if (err)
		return err;
	err = edu_dma_limits(dev);
	if (err)
		return err;

	edu = edu_create(pdev, regs);
	if (!edu)
		return -ENOMEM;
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES);	/* MSI if possible */
	if (err < 0)
		goto free;
	err = pci_request_irq(pdev, 0, edu_irq, NULL, edu, "edudma");
	if (err)
		goto free_vectors;
	pci_set_master(pdev);
	err = dma_async_device_register(&edu->dma);
	if (err)
		goto clear_master;

	/*
	 * Unregistering frees chan.dev, yet the device stays listed while a client holds the
	 * channel, and those who walk the list look at chan.dev. So keep it.
	 */
	get_device(&edu->chan.dev->device);
	pci_set_drvdata(pdev, edu);
	return 0;

clear_master:
	pci_clear_master(pdev);
	pci_free_irq(pdev, 0, edu);
free_vectors:
	pci_free_irq_vectors(pdev);
free:
	edu_free(edu);
	return err;
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = "edudma",
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
};

static int __init edu_init(void)
{
	return pci_register_driver(&edu_driver);
}

static void __exit edu_exit(void)
{
	pci_unregister_driver(&edu_driver);
	flush_work(&edu_reaper);
}

module_init(edu_init);
module_exit(edu_exit);

MODULE_DESCRIPTION("dmaengine provider for QEMU's educational PCI device, edu");
MODULE_LICENSE("GPL");
