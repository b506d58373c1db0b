// SPDX-License-Identifier: GPL-2.0
/*
 * softdma's faults: what goes wrong in the engine when a test says so.
 *
 * Files in debugfs (softdma/). They act at once, on all channels, and every bind starts without
 * faults.
 *
 *	delay_us	each descriptor takes so much longer
 *	hang		descriptors hang until 0 is written
 *	absent		the last channel goes, without its device, when 1 is written, as idxd's do.
 *			It comes back when 0 is, or the device goes
 *	hang_prep	prep does not return until 0 is written; with the trait prep_sleeps
 *	hang_nth	the nth descriptor from now hangs until something is written to hang or
 *			hang_nth
 *	fail_nth	the nth descriptor from now fails, with the result fail_result
 *	short_nth	the nth descriptor from now ends early, with success and a residue: a short
 *			packet
 *	stop_nth	the nth terminate from now fails, and stops nothing
 *	stall_us	the thread gets no CPU for so long, at each chunk
 *	loose_pause	a chunk that was about to be moved is moved though the channel was paused
 *	late_calls	a ring's callbacks come that many periods late
 *	late_us		callbacks come so late, from a worker, even if the channel was terminated
 *			meanwhile; not after its release. device_synchronize, if there is one (see
 *			the trait no_synchronize), waits for them
 *	max_len		prep refuses longer transfers
 *	pool		descriptors that a channel has, up to 256
 *	null_us		prep finds no descriptor for so long from now on
 *	null_nth	the nth prep from now finds no descriptor
 *	violations	what clients did that they must not do; 0 may be written
 *	descriptors	how many the engine has begun with; 0 may be written
 *
 * delay_us, hang, hang_nth, fail_nth and short_nth strike half way through a descriptor: the first
 * half of the bytes has been moved, the rest has not. So the client sees a residue that is neither
 * nothing nor all, and one that lets go of its pages too early has them written to when the hang
 * ends. A stall is no fault of the engine: its thread waits between its look at pause and terminate
 * and the bytes. Of a copy or a fill it moves that chunk though it was terminated meanwhile, which
 * device_synchronize waits for. With loose_pause a slave transfer goes on with the chunk, although
 * the client was told meanwhile that the channel is paused: as with pl330, whose tasklet starts the
 * next descriptor if it was late. Paused once more, the channel is.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/slab.h>

#include "../compat.h"
#include "softdma.h"

/* A callback that is late. */
struct softdma_late_call {
	struct list_head node;
	u64 due;		/* ns */
	dma_async_tx_callback callback;
	dma_async_tx_callback_result callback_result;
	void *param;
	struct dmaengine_result result;
};

/* --- the files --- */

static void softdma_unhang(struct softdma *s)
{
	unsigned int i;

	WRITE_ONCE(s->faults.unhung, s->faults.unhung + 1);
	for (i = 0; i < s->traits.channels; i++)
		wake_up(&s->chans[i].wait);
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

	WRITE_ONCE(s->faults.hang, !!val);
	softdma_unhang(s);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(softdma_hang_fops, softdma_hang_get, softdma_hang_set, "%llu\n");

static int softdma_hang_nth_get(void *data, u64 *val)
{
	struct softdma *s = data;

	*val = atomic_read(&s->faults.hang_nth);
	return 0;
}

static int softdma_hang_nth_set(void *data, u64 val)
{
	struct softdma *s = data;

	if (val > INT_MAX)
		return -EINVAL;
	atomic_set(&s->faults.hang_nth, val);
	softdma_unhang(s);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(softdma_hang_nth_fops, softdma_hang_nth_get, softdma_hang_nth_set,
			 "%llu\n");

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

/* What is left of it, rounded up. */
static int softdma_null_us_get(void *data, u64 *val)
{
	struct softdma *s = data;
	u64 until = READ_ONCE(s->faults.null_until), now = ktime_get_ns();

	*val = until > now ? div_u64(until - now + NSEC_PER_USEC - 1, NSEC_PER_USEC) : 0;
	return 0;
}

static int softdma_null_us_set(void *data, u64 val)
{
	struct softdma *s = data;

	if (val > U32_MAX)
		return -EINVAL;
	WRITE_ONCE(s->faults.null_until, val ? ktime_get_ns() + val * NSEC_PER_USEC : 0);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(softdma_null_us_fops, softdma_null_us_get, softdma_null_us_set, "%llu\n");

static bool softdma_is_another(struct dma_chan *chan, void *unused)
{
	return false;
}

/* Whoever has found the channel in dmaengine's list is through with it: see softdma_reap(). */
static void softdma_wait_for_finders(void)
{
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	dma_request_channel(mask, softdma_is_another, NULL);
}

static int softdma_absent_get(void *data, u64 *val)
{
	struct softdma *s = data;

	*val = s->absent;
	return 0;
}

static int softdma_absent_set(void *data, u64 val)
{
	struct softdma *s = data;
	struct softdma_chan *sc = &s->chans[s->traits.channels - 1];
	struct device *dev = &sc->chan.dev->device;
	int err;

	if (val && !test_and_set_bit(0, &s->absent)) {
		dma_async_device_channel_unregister(&s->dma, &sc->chan);
		list_del_rcu(&sc->chan.device_node);
		softdma_wait_for_finders();
		put_device(dev);
		softdma_chan_kill(sc);
	} else if (!val && test_and_clear_bit(0, &s->absent)) {
		sc->dead = false;
		list_add_tail(&sc->chan.device_node, &s->dma.channels);
		err = compat_dma_channel_register(&s->dma, &sc->chan);
		if (err)
			return err;
		get_device(&sc->chan.dev->device);
	}
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(softdma_absent_fops, softdma_absent_get, softdma_absent_set, "%llu\n");

/* Debugfs that is absent or full costs the faults, not the engine: no errors here. */
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
	debugfs_create_u32("late_us", 0644, f->dir, &f->late_us);
	debugfs_create_file("absent", 0644, f->dir, s, &softdma_absent_fops);
	debugfs_create_u32("hang_prep", 0644, f->dir, &f->hang_prep);
	debugfs_create_file_unsafe("hang", 0644, f->dir, s, &softdma_hang_fops);
	debugfs_create_file_unsafe("hang_nth", 0644, f->dir, s, &softdma_hang_nth_fops);
	debugfs_create_atomic_t("fail_nth", 0644, f->dir, &f->fail_nth);
	debugfs_create_file_unsafe("fail_result", 0644, f->dir, s, &softdma_fail_result_fops);
	debugfs_create_atomic_t("short_nth", 0644, f->dir, &f->short_nth);
	debugfs_create_u32("max_len", 0644, f->dir, &f->max_len);
	debugfs_create_u32("pool", 0644, f->dir, &f->pool);
	debugfs_create_file_unsafe("null_us", 0644, f->dir, s, &softdma_null_us_fops);
	debugfs_create_atomic_t("stop_nth", 0644, f->dir, &f->stop_nth);
	debugfs_create_atomic_t("null_nth", 0644, f->dir, &f->null_nth);
	debugfs_create_atomic_t("violations", 0644, f->dir, &s->violations);
	debugfs_create_atomic_t("descriptors", 0644, f->dir, &f->descriptors);
}

void softdma_faults_remove(struct softdma *s)
{
	debugfs_remove_recursive(s->faults.dir);
	softdma_absent_set(s, 0);
}

/* --- at the descriptors --- */

bool softdma_faults_armed(struct softdma_faults *f)
{
	return READ_ONCE(f->delay_us) || READ_ONCE(f->hang) || atomic_read(&f->hang_nth) > 0 ||
	       atomic_read(&f->fail_nth) > 0 || atomic_read(&f->short_nth) > 0;
}

/* In the channel's thread, which can do nothing meanwhile. */
void softdma_faults_stall(struct softdma_faults *f)
{
	u32 us = READ_ONCE(f->stall_us);

	if (us)
		usleep_range(us, us + us / 10);
}

/* In prep, where it may sleep. */
void softdma_faults_hang_prep(struct softdma_faults *f)
{
	while (READ_ONCE(f->hang_prep))
		usleep_range(1000, 2000);
}

/* Count down to the one that is meant. */
static bool softdma_is_nth(atomic_t *nth)
{
	return atomic_dec_if_positive(nth) == 0;
}

/* In the channel's thread, half way through @d. */
enum dmaengine_tx_result softdma_faults_strike(struct softdma_chan *sc, struct softdma_desc *d)
{
	struct softdma_faults *f = &sc->engine->faults;
	u64 delay_ns = (u64)READ_ONCE(f->delay_us) * NSEC_PER_USEC;
	unsigned int unhung = READ_ONCE(f->unhung);
	bool fails = softdma_is_nth(&f->fail_nth);
	bool hangs = softdma_is_nth(&f->hang_nth);

	d->ends_short = softdma_is_nth(&f->short_nth);
	if (delay_ns)
		wait_event_interruptible_hrtimeout(sc->wait, softdma_cut(d), ns_to_ktime(delay_ns));
	wait_event_idle(sc->wait, !READ_ONCE(f->hang) || softdma_cut(d));
	if (hangs)
		wait_event_idle(sc->wait, READ_ONCE(f->unhung) != unhung || softdma_cut(d));

	return fails ? READ_ONCE(f->fail_result) : DMA_TRANS_NOERROR;
}

/* Does prep find none just now? With the channel's lock held. */
bool softdma_faults_no_descriptor(struct softdma_chan *sc)
{
	struct softdma_faults *f = &sc->engine->faults;
	u64 until = READ_ONCE(f->null_until);

	return sc->used >= READ_ONCE(f->pool) || softdma_is_nth(&f->null_nth) ||
	       (until && ktime_get_ns() < until);
}

bool softdma_faults_no_stop(struct softdma_faults *f)
{
	return softdma_is_nth(&f->stop_nth);
}

u32 softdma_faults_max_len(struct softdma_faults *f)
{
	return READ_ONCE(f->max_len);
}

bool softdma_faults_loose_pause(struct softdma_faults *f)
{
	return READ_ONCE(f->loose_pause);
}

/* Is a ring's callback not to come yet? @untold of them have not come. */
bool softdma_faults_withhold(struct softdma_faults *f, u32 *untold)
{
	if (*untold >= READ_ONCE(f->late_calls))
		return false;
	++*untold;
	return true;
}

void softdma_faults_count(struct softdma_faults *f)
{
	atomic_inc(&f->descriptors);
}

/* --- late callbacks --- */

static void softdma_late_call(struct softdma_chan *sc, struct softdma_late_call *late)
{
	softdma_callback_begin(sc);
	if (late->callback_result)
		late->callback_result(late->param, &late->result);
	else
		late->callback(late->param);
	softdma_callback_end(sc);
	kfree(late);
}

/* The first, if it is due by @now. What is left keeps the work going. */
static struct softdma_late_call *softdma_late_next(struct softdma_chan *sc, u64 now)
{
	struct softdma_late_call *late;
	u64 wait = 0;

	spin_lock_irq(&sc->lock);
	late = list_first_entry_or_null(&sc->late.calls, struct softdma_late_call, node);
	if (late && late->due > now) {
		wait = late->due - now;
		late = NULL;
	}
	if (late)
		list_del(&late->node);
	spin_unlock_irq(&sc->lock);

	if (wait)
		mod_delayed_work(system_wq, &sc->late.work, nsecs_to_jiffies(wait) + 1);
	return late;
}

static void softdma_late_work(struct work_struct *work)
{
	struct softdma_chan *sc = container_of(to_delayed_work(work), struct softdma_chan,
					       late.work);
	struct softdma_late_call *late;

	while ((late = softdma_late_next(sc, ktime_get_ns())))
		softdma_late_call(sc, late);
}

void softdma_late_init(struct softdma_chan *sc)
{
	INIT_LIST_HEAD(&sc->late.calls);
	INIT_DELAYED_WORK(&sc->late.work, softdma_late_work);
}

/* In the channel's thread. Will the callback that is due come later? */
bool softdma_late(struct softdma_chan *sc)
{
	u64 late_ns = (u64)READ_ONCE(sc->engine->faults.late_us) * NSEC_PER_USEC;
	struct softdma_late_call *late;

	if (!late_ns)
		return false;
	late = kmalloc(sizeof(*late), GFP_KERNEL);
	if (!late)
		return false;
	late->due = ktime_get_ns() + late_ns;
	late->callback = sc->callback;
	late->callback_result = sc->callback_result;
	late->param = sc->callback_param;
	late->result = sc->result;
	spin_lock_irq(&sc->lock);
	list_add_tail(&late->node, &sc->late.calls);
	spin_unlock_irq(&sc->lock);
	/* Nothing to be done where it is queued already: the work waits for the next by itself. */
	queue_delayed_work(system_wq, &sc->late.work, nsecs_to_jiffies(late_ns) + 1);
	return true;
}

/* Let those come at once that have not come yet, and wait for them. */
void softdma_late_flush(struct softdma_chan *sc)
{
	struct softdma_late_call *late;

	spin_lock_irq(&sc->lock);
	list_for_each_entry(late, &sc->late.calls, node)
		late->due = 0;
	spin_unlock_irq(&sc->lock);
	mod_delayed_work(system_wq, &sc->late.work, 0);
	flush_delayed_work(&sc->late.work);
}

/* None comes any more. */
void softdma_late_drop(struct softdma_chan *sc)
{
	struct softdma_late_call *late, *next;

	cancel_delayed_work_sync(&sc->late.work);
	list_for_each_entry_safe(late, next, &sc->late.calls, node)
		kfree(late);
	INIT_LIST_HEAD(&sc->late.calls);
}
