// SPDX-License-Identifier: GPL-2.0
/*
 * softdma's knobs: what the engine is, and what goes wrong in it.
 *
 * Module parameters say what the engine *is* and advertises. A client reads that when it takes a
 * channel, so they are frozen while the device is bound: write them, then unbind and bind.
 *
 * Files in debugfs (softdma/) say what goes *wrong*. They act at once, on all channels, and every
 * bind starts without faults. A fault strikes half way through a descriptor: the first half of
 * the bytes has been moved, the rest has not. So the client sees a residue that is neither nothing
 * nor all, and one that lets go of its pages too early has them written to when the hang ends.
 * A stall is no fault of the engine: its thread gets no CPU for a while, at each chunk of a slave
 * transfer, between its look at pause and terminate and the bytes. With loose_pause it goes on with
 * the chunk then, although the client was told meanwhile that the channel is paused: as with pl330,
 * whose tasklet starts the next descriptor if it was late. Paused once more, the channel is.
 * With late_calls a ring's callbacks come that many periods late.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "softdma.h"

#define SOFTDMA_MAX_CHANNELS	64
#define SOFTDMA_MAX_ALIGN	BIT(DMAENGINE_ALIGN_256_BYTES)
#define SOFTDMA_MIN_FIFO	64
#define SOFTDMA_MAX_FIFO	SZ_1M
#define SOFTDMA_MIN_RATE	1000

static struct softdma_traits wanted = {
	.channels = 4,
	.align = 1,
	.max_segment = UINT_MAX,
	.fifo = SZ_16K,
};

static char wanted_context[16] = "thread";
static const char * const softdma_contexts[] = {
	[SOFTDMA_THREAD] = "thread",
	[SOFTDMA_SOFTIRQ] = "softirq",
	[SOFTDMA_HARDIRQ] = "hardirq",
};

module_param_named(channels, wanted.channels, uint, 0644);
MODULE_PARM_DESC(channels, "Number of channels, 1 to 64 (default 4; read at bind)");
module_param_named(align, wanted.align, uint, 0644);
MODULE_PARM_DESC(align, "Required alignment in bytes, 1, 2, 4 ... 256 (default 1; read at bind)");
module_param_named(max_segment, wanted.max_segment, uint, 0644);
MODULE_PARM_DESC(max_segment, "Advertised longest segment in bytes (default: no limit; read at bind)");
module_param_named(boundary, wanted.boundary, uint, 0644);
MODULE_PARM_DESC(boundary, "Power of two that no transfer may cross, 0: none (default 0; read at bind)");
module_param_named(coarse_residue, wanted.coarse_residue, bool, 0644);
MODULE_PARM_DESC(coarse_residue, "Residue per whole descriptor only (default N; read at bind)");
module_param_named(unordered, wanted.unordered, bool, 0644);
MODULE_PARM_DESC(unordered, "Complete out of order, pairs swapped (default N; read at bind)");
module_param_named(no_memset, wanted.no_memset, bool, 0644);
MODULE_PARM_DESC(no_memset, "Cannot fill (default N; read at bind)");
module_param_named(no_terminate, wanted.no_terminate, bool, 0644);
MODULE_PARM_DESC(no_terminate, "No device_terminate_all (default N; read at bind)");
module_param_named(prep_sleeps, wanted.prep_sleeps, bool, 0644);
MODULE_PARM_DESC(prep_sleeps, "Preparing a descriptor sleeps (default N; read at bind)");
module_param_named(lock_until_submit, wanted.lock_until_submit, bool, 0644);
MODULE_PARM_DESC(lock_until_submit, "Hold a spinlock from prep to submit (default N; read at bind)");
module_param_named(no_result, wanted.no_result, bool, 0644);
MODULE_PARM_DESC(no_result, "Never report an error (default N; read at bind)");
module_param_named(fifo, wanted.fifo, uint, 0644);
MODULE_PARM_DESC(fifo, "Bytes in the FIFO of a slave, a power of two, 64 to 1048576 (default 16384; read at bind)");
module_param_named(rate, wanted.rate, uint, 0644);
MODULE_PARM_DESC(rate, "Bytes per second of a slave, 0: as fast as it goes (default 0; read at bind)");
module_param_named(source, wanted.source, bool, 0644);
MODULE_PARM_DESC(source, "Slaves send a sequence of 32-bit words by themselves and never wait (default N; read at bind)");
module_param_string(callback_context, wanted_context, sizeof(wanted_context), 0644);
MODULE_PARM_DESC(callback_context, "thread, softirq or hardirq (default thread; read at bind)");

static int softdma_traits_check(struct device *dev, const struct softdma_traits *t, int context)
{
	const char *wrong = NULL;

	if (!t->channels || t->channels > SOFTDMA_MAX_CHANNELS)
		wrong = "channels must be 1 to 64";
	else if (!is_power_of_2(t->align) || t->align > SOFTDMA_MAX_ALIGN)
		wrong = "align must be a power of two, 1 to 256";
	else if (!t->max_segment)
		wrong = "max_segment must not be 0";
	else if (t->boundary && !is_power_of_2(t->boundary))
		wrong = "boundary must be 0 or a power of two";
	else if (!is_power_of_2(t->fifo) || t->fifo < SOFTDMA_MIN_FIFO ||
		 t->fifo > SOFTDMA_MAX_FIFO)
		wrong = "fifo must be a power of two, 64 to 1048576";
	else if (t->rate && t->rate < SOFTDMA_MIN_RATE)
		wrong = "rate must be 0, or 1000 or more";
	else if (context < 0)
		wrong = "callback_context must be thread, softirq or hardirq";
	else if (context == SOFTDMA_HARDIRQ && t->lock_until_submit)
		/* That lock only keeps softirqs away: a prep in hardirq would spin for ever. */
		wrong = "lock_until_submit does not go with callback_context=hardirq";
	else if (t->prep_sleeps && !t->no_terminate)
		/*
		 * dmaengine lets clients prepare in callbacks. The one driver that sleeps there,
		 * idxd, can be told by what it lacks; an engine that cannot be told would only
		 * show that clients fail.
		 */
		wrong = "prep_sleeps wants no_terminate";

	if (!wrong)
		return 0;
	dev_err(dev, "%s\n", wrong);
	return -EINVAL;
}

int softdma_traits_read(struct device *dev, struct softdma_traits *traits)
{
	int context, err;

	kernel_param_lock(THIS_MODULE);
	*traits = wanted;
	context = sysfs_match_string(softdma_contexts, wanted_context);
	kernel_param_unlock(THIS_MODULE);

	err = softdma_traits_check(dev, traits, context);
	if (!err)
		traits->context = context;
	return err;
}

static int softdma_hang_get(void *data, u64 *val)
{
	struct softdma *s = data;

	*val = s->faults.hang;
	return 0;
}

static int softdma_hang_set(void *data, u64 val)
{
	struct softdma *s = data;
	unsigned int i;

	WRITE_ONCE(s->faults.hang, !!val);
	for (i = 0; i < s->traits.channels; i++)
		wake_up(&s->chans[i].wait);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(softdma_hang_fops, softdma_hang_get, softdma_hang_set, "%llu\n");

static int softdma_fail_result_get(void *data, u64 *val)
{
	struct softdma *s = data;

	*val = s->faults.fail_result;
	return 0;
}

static int softdma_fail_result_set(void *data, u64 val)
{
	struct softdma *s = data;

	if (val < DMA_TRANS_READ_FAILED || val > DMA_TRANS_ABORTED)
		return -EINVAL;
	WRITE_ONCE(s->faults.fail_result, val);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(softdma_fail_result_fops, softdma_fail_result_get,
			 softdma_fail_result_set, "%llu\n");

/* Debugfs that is absent or full costs the knobs, not the engine: no errors here. */
void softdma_faults_create(struct softdma *s)
{
	struct softdma_faults *f = &s->faults;

	f->fail_result = DMA_TRANS_WRITE_FAILED;
	f->max_len = U32_MAX;	/* residue is a u32: no engine can tell about more */
	f->pool = SOFTDMA_POOL;

	f->dir = debugfs_create_dir("softdma", NULL);
	debugfs_create_u32("delay_us", 0644, f->dir, &f->delay_us);
	debugfs_create_u32("stall_us", 0644, f->dir, &f->stall_us);
	debugfs_create_u32("loose_pause", 0644, f->dir, &f->loose_pause);
	debugfs_create_u32("late_calls", 0644, f->dir, &f->late_calls);
	debugfs_create_file_unsafe("hang", 0644, f->dir, s, &softdma_hang_fops);
	debugfs_create_atomic_t("fail_nth", 0644, f->dir, &f->fail_nth);
	debugfs_create_file_unsafe("fail_result", 0644, f->dir, s, &softdma_fail_result_fops);
	debugfs_create_u32("max_len", 0644, f->dir, &f->max_len);
	debugfs_create_u32("pool", 0644, f->dir, &f->pool);
	debugfs_create_atomic_t("violations", 0644, f->dir, &f->violations);
}

void softdma_faults_remove(struct softdma *s)
{
	debugfs_remove_recursive(s->faults.dir);
}

bool softdma_faults_armed(struct softdma_faults *f)
{
	return READ_ONCE(f->delay_us) || READ_ONCE(f->hang) || atomic_read(&f->fail_nth) > 0;
}

/* In the channel's thread, which can do nothing meanwhile. */
void softdma_faults_stall(struct softdma_faults *f)
{
	u32 us = READ_ONCE(f->stall_us);

	if (us)
		usleep_range(us, us + us / 10);
}

/* In the channel's thread, half way through @d. */
enum dmaengine_tx_result softdma_faults_strike(struct softdma_chan *sc, struct softdma_desc *d)
{
	struct softdma_faults *f = &sc->engine->faults;
	u64 delay_ns = (u64)READ_ONCE(f->delay_us) * NSEC_PER_USEC;
	bool fails = atomic_dec_if_positive(&f->fail_nth) == 0;

	if (delay_ns)
		wait_event_interruptible_hrtimeout(sc->wait, softdma_cut(d), ns_to_ktime(delay_ns));
	wait_event_idle(sc->wait, !READ_ONCE(f->hang) || softdma_cut(d));

	return fails ? READ_ONCE(f->fail_result) : DMA_TRANS_NOERROR;
}

/*
 * Would an engine like this one take the transfer? To ask for more than max_len is how clients
 * find the limit; what was advertised and is ignored is a client's bug, and is counted.
 */
bool softdma_accepts(struct softdma *s, dma_addr_t dst, dma_addr_t src, size_t len)
{
	u32 boundary = s->traits.boundary;
	u32 misaligned = (dst | src | len) & (s->traits.align - 1);
	bool crosses = boundary && ((dst & (boundary - 1)) + (u64)len > boundary ||
				    (src & (boundary - 1)) + (u64)len > boundary);

	if (len && !misaligned && !crosses)
		return len <= READ_ONCE(s->faults.max_len);

	atomic_inc(&s->faults.violations);
	dev_err_ratelimited(s->dma.dev, "refused %zu bytes from %pad to %pad: %s\n",
			    len, &src, &dst, !len ? "empty" : misaligned ? "misaligned" :
			    "crosses the boundary");
	return false;
}
