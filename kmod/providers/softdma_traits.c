// SPDX-License-Identifier: GPL-2.0
/*
 * softdma's traits: what the engine is and advertises.
 *
 * They are module parameters. A client reads what an engine is when it takes a channel, so the
 * traits are frozen while the device is bound: write them, then unbind and bind.
 *
 *	channels	how many there are
 *	align		alignment that DMA addresses and lengths must have
 *	max_segment	the longest segment; of a ring, the longest period
 *	boundary	no transfer may cross a multiple of it
 *	coarse_residue	the residue is told per descriptor, not per byte
 *	no_memset	the engine copies but does not fill
 *	fifo, rate, source	the devices of the slave channels, see softdma_slave.c
 *	callback_context	where callbacks run: the channel's thread, a softirq or a hardirq
 *
 * What a client must not do is a violation: the engine says so in the log (not each of a flood),
 * counts it (softdma_faults.c shows how many there were) and goes on, or refuses.
 */
#include <linux/dmaengine.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "softdma.h"

#define SOFTDMA_MAX_CHANNELS	64
#define SOFTDMA_MAX_ALIGN	BIT(DMAENGINE_ALIGN_256_BYTES)
#define SOFTDMA_MIN_FIFO	64
#define SOFTDMA_MAX_FIFO	SZ_1M
#define SOFTDMA_MIN_RATE	1000
#define SOFTDMA_MAX_DELAY_MS	10000

struct softdma_traits softdma_wanted = {
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

module_param_named(channels, softdma_wanted.channels, uint, 0644);
MODULE_PARM_DESC(channels, "Number of channels, 1 to 64 (default 4; read at bind)");
module_param_named(align, softdma_wanted.align, uint, 0644);
MODULE_PARM_DESC(align, "Required alignment in bytes, 1, 2, 4 ... 256 (default 1; read at bind)");
module_param_named(max_segment, softdma_wanted.max_segment, uint, 0644);
MODULE_PARM_DESC(max_segment, "Advertised longest segment in bytes (default: no limit; read at bind)");
module_param_named(boundary, softdma_wanted.boundary, uint, 0644);
MODULE_PARM_DESC(boundary, "Power of two that no transfer may cross, 0: none (default 0; read at bind)");
module_param_named(coarse_residue, softdma_wanted.coarse_residue, bool, 0644);
MODULE_PARM_DESC(coarse_residue, "Residue per whole descriptor only (default N; read at bind)");
module_param_named(no_memset, softdma_wanted.no_memset, bool, 0644);
MODULE_PARM_DESC(no_memset, "Cannot fill (default N; read at bind)");
module_param_named(fifo, softdma_wanted.fifo, uint, 0644);
MODULE_PARM_DESC(fifo, "Bytes in the FIFO of a slave, a power of two, 64 to 1048576 (default 16384; read at bind)");
module_param_named(rate, softdma_wanted.rate, uint, 0644);
MODULE_PARM_DESC(rate, "Bytes per second of a slave, 0: as fast as it goes (default 0; read at bind)");
module_param_named(source, softdma_wanted.source, bool, 0644);
MODULE_PARM_DESC(source, "Slaves send a sequence of 32-bit words by themselves and never wait (default N; read at bind)");
module_param_string(callback_context, wanted_context, sizeof(wanted_context), 0644);
MODULE_PARM_DESC(callback_context, "thread, softirq or hardirq (default thread; read at bind)");

static const char *softdma_traits_wrong(const struct softdma_traits *t, int context)
{
	if (!t->channels || t->channels > SOFTDMA_MAX_CHANNELS)
		return "channels must be 1 to 64";
	if (!is_power_of_2(t->align) || t->align > SOFTDMA_MAX_ALIGN)
		return "align must be a power of two, 1 to 256";
	if (!t->max_segment)
		return "max_segment must not be 0";
	if (t->boundary && !is_power_of_2(t->boundary))
		return "boundary must be 0 or a power of two";
	if (!is_power_of_2(t->fifo) || t->fifo < SOFTDMA_MIN_FIFO || t->fifo > SOFTDMA_MAX_FIFO)
		return "fifo must be a power of two, 64 to 1048576";
	if (t->rate && t->rate < SOFTDMA_MIN_RATE)
		return "rate must be 0, or 1000 or more";
	if (t->remove_delay_ms > SOFTDMA_MAX_DELAY_MS)
		return "remove_delay_ms must be 10000 or less";
	if (context < 0)
		return "callback_context must be thread, softirq or hardirq";
	/* Those locks keep only softirqs away: a hardirq that takes one would spin for ever. */
	if (context == SOFTDMA_HARDIRQ && t->lock_until_submit)
		return "lock_until_submit does not go with callback_context=hardirq";
	if (context == SOFTDMA_HARDIRQ && t->locked_callbacks)
		return "locked_callbacks does not go with callback_context=hardirq";
	/* A callback that calls prep, which is to be told, would wait for who waits for it. */
	if (t->lock_until_submit && t->locked_callbacks)
		return "lock_until_submit does not go with locked_callbacks";
	return NULL;
}

int softdma_traits_read(struct device *dev, struct softdma_traits *traits)
{
	const char *wrong;
	int context;

	kernel_param_lock(THIS_MODULE);
	*traits = softdma_wanted;
	context = sysfs_match_string(softdma_contexts, wanted_context);
	kernel_param_unlock(THIS_MODULE);

	wrong = softdma_traits_wrong(traits, context);
	if (wrong) {
		dev_err(dev, "%s\n", wrong);
		return -EINVAL;
	}
	traits->context = context;
	return 0;
}

/* A client does what it must not do. In any context; a flood of them is not all printed. */
void softdma_violation(struct softdma *s, const char *fmt, ...)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 100);
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	atomic_inc(&s->violations);
	if (!__ratelimit(&limit))
		return;
	va_start(args, fmt);
	vaf.va = &args;
	dev_err(s->dma.dev, "violation: %pV\n", &vaf);
	va_end(args);
}

/*
 * Would an engine like this one take the transfer, which it moves in pieces of @segment bytes? To
 * ask for more than max_len is how clients find the limit; what was advertised and is ignored is a
 * client's bug, and is counted.
 */
bool softdma_accepts(struct softdma *s, dma_addr_t dst, dma_addr_t src, size_t len, size_t segment)
{
	u32 boundary = s->traits.boundary;
	u32 misaligned = (dst | src | len) & (s->traits.align - 1);
	bool crosses = boundary && ((dst & (boundary - 1)) + (u64)len > boundary ||
				    (src & (boundary - 1)) + (u64)len > boundary);
	bool too_long = segment > s->traits.max_segment;

	if (len && !misaligned && !crosses && !too_long)
		return len <= softdma_faults_max_len(&s->faults);

	softdma_violation(s, "refused %zu bytes from %pad to %pad: %s", len, &src, &dst,
			  !len ? "empty" : misaligned ? "misaligned" :
			  crosses ? "crosses the boundary" : "longer than max_segment");
	return false;
}
