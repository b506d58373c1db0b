/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What goes wrong in softdma: files in debugfs, see softdma_faults.c. A build with SOFTDMA_TESTS=n
 * has no faults.
 */
#ifndef SOFTDMA_FAULTS_H
#define SOFTDMA_FAULTS_H

#include <linux/atomic.h>
#include <linux/dmaengine.h>
#include <linux/list.h>
#include <linux/workqueue.h>

struct dentry;
struct softdma;
struct softdma_chan;
struct softdma_desc;

#ifdef SOFTDMA_TESTS

/* Take effect at once, forgotten at unbind. */
struct softdma_faults {
	u32 delay_us;
	u32 stall_us;
	u32 loose_pause;
	u32 late_calls;
	u32 late_us;
	u32 hang;
	u32 hang_prep;
	u32 fail_result;
	u32 max_len;
	u32 pool;
	u64 null_until;		/* ns */
	unsigned int unhung;	/* how often those that hang were let go */
	atomic_t fail_nth;
	atomic_t hang_nth;
	atomic_t null_nth;
	atomic_t short_nth;
	atomic_t stop_nth;
	atomic_t descriptors;
	struct dentry *dir;
};

/* Callbacks that are late: guarded by the channel's lock. */
struct softdma_late {
	struct list_head calls;
	struct delayed_work work;
};

void softdma_faults_create(struct softdma *s);
void softdma_faults_remove(struct softdma *s);
bool softdma_faults_armed(struct softdma_faults *f);
void softdma_faults_stall(struct softdma_faults *f);
void softdma_faults_hang_prep(struct softdma_faults *f);
enum dmaengine_tx_result softdma_faults_strike(struct softdma_chan *sc, struct softdma_desc *d);
bool softdma_faults_no_descriptor(struct softdma_chan *sc);
bool softdma_faults_no_stop(struct softdma_faults *f);
u32 softdma_faults_max_len(struct softdma_faults *f);
bool softdma_faults_loose_pause(struct softdma_faults *f);
bool softdma_faults_withhold(struct softdma_faults *f, u32 *untold);
void softdma_faults_count(struct softdma_faults *f);

void softdma_late_init(struct softdma_chan *sc);
bool softdma_late(struct softdma_chan *sc);
void softdma_late_flush(struct softdma_chan *sc);
void softdma_late_drop(struct softdma_chan *sc);

#else

struct softdma_faults { };
struct softdma_late { };

static inline void softdma_faults_create(struct softdma *s) { }
static inline void softdma_faults_remove(struct softdma *s) { }
static inline bool softdma_faults_armed(struct softdma_faults *f) { return false; }
static inline void softdma_faults_stall(struct softdma_faults *f) { }
static inline enum dmaengine_tx_result
softdma_faults_strike(struct softdma_chan *sc, struct softdma_desc *d)
{
	return DMA_TRANS_NOERROR;
}

static inline bool softdma_faults_no_descriptor(struct softdma_chan *sc) { return false; }
static inline bool softdma_faults_no_stop(struct softdma_faults *f) { return false; }
static inline u32 softdma_faults_max_len(struct softdma_faults *f) { return U32_MAX; }
static inline bool softdma_faults_loose_pause(struct softdma_faults *f) { return false; }
static inline bool softdma_faults_withhold(struct softdma_faults *f, u32 *untold) { return false; }
static inline void softdma_faults_count(struct softdma_faults *f) { }

static inline void softdma_late_init(struct softdma_chan *sc) { }
static inline bool softdma_late(struct softdma_chan *sc) { return false; }
static inline void softdma_late_flush(struct softdma_chan *sc) { }
static inline void softdma_late_drop(struct softdma_chan *sc) { }

#endif

#endif
