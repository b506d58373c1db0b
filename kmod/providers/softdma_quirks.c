// SPDX-License-Identifier: GPL-2.0
/*
 * softdma's quirks: traits that make it as awkward for its clients as some real engines are.
 *
 * Module parameters, read at bind as the other traits are (softdma_traits.c).
 *
 *	unordered	completes out of order, pairs swapped
 *	no_result	an error is not reported, as most drivers do not
 *	memset_words	a fill takes its value as a word of 32 bits, the low byte first, as wide as
 *			what it fills with: tegra186-gpc
 *	no_terminate	no device_terminate_all: ioat, idxd, plx, mv_xor
 *	no_synchronize	no device_synchronize: shdma. With the fault late_us callbacks come after
 *			terminate then
 *	terminate_fails	device_terminate_all says -EBUSY and stops nothing: tegra186-gpc, hidma
 *	terminate_calls	device_terminate_all calls back for each copy and fill that it drops, and
 *			says that they are done: hidma, txx9dmac
 *	release_runs_on	a released channel moves all of what was issued (copies and fills), and
 *			calls nobody any more: idxd, altera-msgdma, mv_xor, fsl_raid. Removing
 *			the device stops it
 *	prep_sleeps	prep sleeps: idxd, ptdma, ae4dma. Called where it must not, it is a
 *			violation and does not sleep
 *	lock_until_submit	a spinlock is held from prep to submit: ioat, plx
 *	locked_callbacks	callbacks run under a lock that prep, submit or issue_pending take:
 *			ae4dma, ptdma, fsldma, txx9dmac. To call one of these from a callback would
 *			deadlock: it is a violation, and is let through. A client that holds a lock
 *			around these calls, and takes it in its callback, does deadlock
 *	min_len		prep finds no descriptor for a copy or fill that is shorter: mv_xor
 *	remove_delay_ms	so long after removal began (the unbind notifiers have run) the engine still
 *			works, as one does whose driver has other things to do first. Meanwhile
 *			a channel that is requested is a violation: its client was not kept away
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include "softdma.h"

module_param_named(unordered, softdma_wanted.unordered, bool, 0644);
MODULE_PARM_DESC(unordered, "Complete out of order, pairs swapped (default N; read at bind)");
module_param_named(no_result, softdma_wanted.no_result, bool, 0644);
MODULE_PARM_DESC(no_result, "Never report an error (default N; read at bind)");
module_param_named(memset_words, softdma_wanted.memset_words, bool, 0644);
MODULE_PARM_DESC(memset_words, "Fill with the value as a word of 32 bits (default N; read at bind)");
module_param_named(no_terminate, softdma_wanted.no_terminate, bool, 0644);
MODULE_PARM_DESC(no_terminate, "No device_terminate_all (default N; read at bind)");
module_param_named(no_synchronize, softdma_wanted.no_synchronize, bool, 0644);
MODULE_PARM_DESC(no_synchronize, "No device_synchronize (default N; read at bind)");
module_param_named(terminate_fails, softdma_wanted.terminate_fails, bool, 0644);
MODULE_PARM_DESC(terminate_fails, "device_terminate_all fails and stops nothing (default N; read at bind)");
module_param_named(terminate_calls, softdma_wanted.terminate_calls, bool, 0644);
MODULE_PARM_DESC(terminate_calls, "device_terminate_all says that what it drops is done (default N; read at bind)");
module_param_named(release_runs_on, softdma_wanted.release_runs_on, bool, 0644);
MODULE_PARM_DESC(release_runs_on, "A released channel goes on until all is moved (default N; read at bind)");
module_param_named(prep_sleeps, softdma_wanted.prep_sleeps, bool, 0644);
MODULE_PARM_DESC(prep_sleeps, "Preparing a descriptor sleeps (default N; read at bind)");
module_param_named(lock_until_submit, softdma_wanted.lock_until_submit, bool, 0644);
MODULE_PARM_DESC(lock_until_submit, "Hold a spinlock from prep to submit (default N; read at bind)");
module_param_named(locked_callbacks, softdma_wanted.locked_callbacks, bool, 0644);
MODULE_PARM_DESC(locked_callbacks, "Callbacks run under a lock that prep, submit and issue_pending take (default N; read at bind)");
module_param_named(min_len, softdma_wanted.min_len, uint, 0644);
MODULE_PARM_DESC(min_len, "Shortest copy or fill in bytes (default 0: any; read at bind)");
module_param_named(remove_delay_ms, softdma_wanted.remove_delay_ms, uint, 0644);
MODULE_PARM_DESC(remove_delay_ms, "Work on for so long when the device is removed, up to 10000 (default 0; read at bind)");

/* --- prep --- */

/* Kernels without CONFIG_PREEMPT_COUNT do not know of spinlocks. */
static bool softdma_may_sleep(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_COUNT) && !preemptible())
		return false;
	return !in_interrupt() && !irqs_disabled() && !rcu_preempt_depth();
}

/* No checker can follow a lock that is taken in one call and released in another: none is told. */
void softdma_prep_begin(struct softdma_chan *sc)
{
	const struct softdma_traits *t = &sc->engine->traits;

	if (t->prep_sleeps) {
		if (softdma_may_sleep()) {
			usleep_range(100, 200);
			softdma_faults_hang_prep(&sc->engine->faults);
		} else {
			softdma_violation(sc->engine, "prep, which sleeps, in atomic context");
		}
	}
	softdma_callback_wait(sc, "prep");
	if (t->lock_until_submit) {
		spin_lock_bh(&sc->prep_lock);
		__release(&sc->prep_lock);
	}
}

void softdma_prep_end(struct softdma_chan *sc)
{
	if (sc->engine->traits.lock_until_submit) {
		__acquire(&sc->prep_lock);
		spin_unlock_bh(&sc->prep_lock);
	}
}

/* --- callbacks --- */

void softdma_callback_begin(struct softdma_chan *sc)
{
	if (!sc->engine->traits.locked_callbacks)
		return;
	spin_lock_bh(&sc->callback_lock);
	WRITE_ONCE(sc->callback_owner, current);
	__release(&sc->callback_lock);
}

void softdma_callback_end(struct softdma_chan *sc)
{
	if (!sc->engine->traits.locked_callbacks)
		return;
	__acquire(&sc->callback_lock);
	WRITE_ONCE(sc->callback_owner, NULL);
	spin_unlock_bh(&sc->callback_lock);
}

/*
 * @who takes the lock that callbacks run under. The owner cannot be us by accident: while a
 * callback runs no softirq comes on top of it, and clients do not call from hardirqs.
 */
void softdma_callback_wait(struct softdma_chan *sc, const char *who)
{
	unsigned long flags;

	if (!sc->engine->traits.locked_callbacks)
		return;
	if (READ_ONCE(sc->callback_owner) == current) {
		softdma_violation(sc->engine, "%s from a callback, under the lock that it takes",
				  who);
		return;
	}
	spin_lock_irqsave(&sc->callback_lock, flags);
	spin_unlock_irqrestore(&sc->callback_lock, flags);
}

/* --- release and removal --- */

static bool softdma_has_end(const struct softdma_desc *d)
{
	return d->kind == SOFTDMA_COPY || d->kind == SOFTDMA_FILL;
}

/*
 * Nobody waits any more for what was issued, and the engine goes on with it. False: there is
 * nothing to go on with, or what waits for a device. With the lock held.
 */
static bool softdma_disown(struct softdma_chan *sc)
{
	struct softdma_desc *d;

	if ((!sc->active || sc->active->killed) && list_empty(&sc->issued))
		return false;
	if (sc->active && !softdma_has_end(sc->active))
		return false;
	list_for_each_entry(d, &sc->issued, node)
		if (!softdma_has_end(d))
			return false;

	if (sc->active)
		sc->active->released = true;
	list_for_each_entry(d, &sc->issued, node)
		d->released = true;
	return true;
}

/*
 * The client has gone, the engine runs on. Descriptors that the client has prepared and not
 * submitted are lost until the pool is destroyed.
 */
bool softdma_run_on(struct softdma_chan *sc)
{
	struct softdma_desc *d, *next;
	LIST_HEAD(dropped);
	bool runs_on;

	if (!sc->engine->traits.release_runs_on || !sc->thread)
		return false;
	spin_lock_irq(&sc->lock);
	runs_on = softdma_disown(sc);
	if (runs_on)
		list_splice_tail_init(&sc->submitted, &dropped);
	spin_unlock_irq(&sc->lock);
	if (!runs_on)
		return false;

	softdma_drop(sc, &dropped);
	spin_lock_irq(&sc->lock);
	list_for_each_entry_safe(d, next, &sc->unacked, node) {
		list_move(&d->node, &sc->free);
		sc->used--;
	}
	WRITE_ONCE(sc->paused, false);
	spin_unlock_irq(&sc->lock);
	wake_up(&sc->wait);
	softdma_quiesce(sc);	/* a callback may run just now */
	return true;
}

void softdma_remove_delay(struct softdma *s)
{
	if (!s->traits.remove_delay_ms)
		return;
	WRITE_ONCE(s->leaving, true);
	msleep(s->traits.remove_delay_ms);
}
