/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of races. Two actors meet, again and again, and the second one acts after a delay.
 * The delay is swept, up when the second one came early and down when it came late, until
 * both outcomes were seen often enough: a race of which only one outcome was seen has not
 * been tested, and the test fails.
 *
 *	struct sweep sweep = sweep_start("cancelled", "done", 300);
 *
 *	while (sweep_goes_on(&sweep)) {
 *		... the second actor acts after sweep.delay ns ...
 *		sweep_saw(&sweep, was_cancelled ? SWEEP_EARLY : SWEEP_LATE);
 *	}
 *	EXPECT_TRUE(sweep_saw_both(&sweep));
 */
#ifndef ZCDMA_SELFTESTS_SWEEP_H
#define ZCDMA_SELFTESTS_SWEEP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <linux/types.h>

/* After so many seconds a sweep ends, whatever was seen. */
#define SWEEP_LIMIT	20

/* After so many ms it ends when each outcome was seen often enough. */
#define SWEEP_ENOUGH	3000

/* Each outcome is wanted so often, if there is time; see @each. */
#define SWEEP_EACH	10

enum sweep_outcome {
	SWEEP_EARLY,		/* the second actor came first: a longer delay is next */
	SWEEP_LATE,		/* a shorter one is next */
};

/**
 * struct sweep - a race that is run until it has ended both ways
 * @names: what the outcomes are called.
 * @delay: of the second actor in the round to come, in ns. Below 0 the first one is to be
 *	delayed instead, as rival_go() does.
 * @floor: the shortest delay, 0 at first.
 * @each: how often each outcome is wanted.
 * @least: as many rounds at least, if there is time.
 * @seen: how often each outcome was seen.
 * @range: shortest and longest delay so far.
 * @enough: ms of the clock at which it ends when each outcome was seen often enough.
 * @end: ms of the clock at which it ends.
 *
 * @delay, @floor, @each, @enough and @end may be changed after sweep_start().
 */
struct sweep {
	const char *names[2];
	__s64 delay;
	__s64 floor;
	unsigned int each;
	unsigned int least;
	unsigned int seen[2];
	__s64 range[2];
	__u64 enough;
	__u64 end;
};

struct sweep sweep_start(const char *early, const char *late, unsigned int least);
bool sweep_goes_on(const struct sweep *sweep);
void sweep_saw(struct sweep *sweep, enum sweep_outcome outcome);

/* Prints how often each was seen, and with which delays. */
bool sweep_saw_both(const struct sweep *sweep);

/* Spend @ns on the CPU; none if below 0. */
void sweep_spin(__s64 ns);

/**
 * struct rival - the second actor, a thread on another CPU than the first
 * @thread: its own.
 * @act: what it does in each round.
 * @arg: for @act.
 * @delay: of the round, in ns.
 * @begun: rounds that the first actor has begun.
 * @ended: rounds of which the second one has done its part.
 * @over: no round will come.
 */
struct rival {
	pthread_t thread;
	void (*act)(void *arg);
	void *arg;
	__s64 delay;
	atomic_uint begun;
	atomic_uint ended;
	atomic_bool over;
};

/* The caller is the first actor. 0 or -errno. */
int rival_start(struct rival *rival, void (*act)(void *arg), void *arg);

/*
 * Begin a round: the rival acts in @delay ns, and the caller is to act at once. If that is
 * below 0 the rival acts at once, and the caller has waited. For @floor of such a sweep:
 */
#define RIVAL_FIRST	(-5000000)
void rival_go(struct rival *rival, __s64 delay);

/* Wait until it has acted. */
void rival_await(struct rival *rival);
void rival_stop(struct rival *rival);

#endif /* ZCDMA_SELFTESTS_SWEEP_H */
