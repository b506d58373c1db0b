/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What softdma is: module parameters, read at bind.
 *
 * softdma_traits.c has the parameters of every build: sizes, limits and abilities. softdma_quirks.c
 * has those that make the engine as awkward as some real ones are. They are there for tests of
 * clients, and a build with SOFTDMA_TESTS=n leaves them out.
 */
#ifndef SOFTDMA_TRAITS_H
#define SOFTDMA_TRAITS_H

#include <linux/types.h>

struct device;
struct softdma;
struct softdma_chan;

enum softdma_context {
	SOFTDMA_THREAD,
	SOFTDMA_SOFTIRQ,
	SOFTDMA_HARDIRQ,
};

struct softdma_traits {
	unsigned int channels;
	unsigned int align;		/* bytes, a power of two */
	unsigned int max_segment;	/* bytes */
	unsigned int boundary;		/* bytes, a power of two; 0: none */
	bool coarse_residue;
	bool no_memset;
	unsigned int fifo;		/* bytes, a power of two */
	unsigned int rate;		/* bytes/s of a slave transfer; 0: as fast as it goes */
	bool source;			/* what slaves send comes by itself and does not wait */
	enum softdma_context context;

	/* Without SOFTDMA_TESTS these are 0. */
	bool unordered;
	bool no_terminate;
	bool no_synchronize;
	bool no_result;
	bool memset_words;
	bool terminate_fails;
	bool terminate_calls;
	bool release_runs_on;
	bool prep_sleeps;
	bool lock_until_submit;
	bool locked_callbacks;
	bool ledger;
	bool ledger_merges;
	bool ledger_incoherent;
	unsigned int min_len;		/* bytes, of copies and fills */
	unsigned int remove_delay_ms;
};

/* What the next bind will read. */
extern struct softdma_traits softdma_wanted;

int softdma_traits_read(struct device *dev, struct softdma_traits *traits);
bool softdma_accepts(struct softdma *s, dma_addr_t dst, dma_addr_t src, size_t len, size_t segment);

__printf(2, 3)
void softdma_violation(struct softdma *s, const char *fmt, ...);

#ifdef SOFTDMA_TESTS
void softdma_prep_begin(struct softdma_chan *sc);
void softdma_prep_end(struct softdma_chan *sc);
void softdma_callback_begin(struct softdma_chan *sc);
void softdma_callback_end(struct softdma_chan *sc);
void softdma_callback_wait(struct softdma_chan *sc, const char *who);
bool softdma_run_on(struct softdma_chan *sc);
void softdma_remove_delay(struct softdma *s);
#else
static inline void softdma_prep_begin(struct softdma_chan *sc) { }
static inline void softdma_prep_end(struct softdma_chan *sc) { }
static inline void softdma_callback_begin(struct softdma_chan *sc) { }
static inline void softdma_callback_end(struct softdma_chan *sc) { }
static inline void softdma_callback_wait(struct softdma_chan *sc, const char *who) { }
static inline bool softdma_run_on(struct softdma_chan *sc) { return false; }
static inline void softdma_remove_delay(struct softdma *s) { }
#endif

#endif
