// SPDX-License-Identifier: GPL-2.0
/* Tests of races: a delay that is swept until both outcomes were seen. */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sweep.h"
#include "zcdma_util.h"

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

void sweep_spin(__s64 ns)
{
	__u64 start = now_ns();

	while (ns > 0 && now_ns() - start < (__u64)ns)
		;
}

struct sweep sweep_start(const char *early, const char *late, unsigned int least)
{
	return (struct sweep){
		.names = { early, late },
		.each = SWEEP_EACH,
		.least = least,
		.range = { INT64_MAX, INT64_MIN },
		.enough = zc_now_ms() + SWEEP_ENOUGH,
		.end = zc_now_ms() + SWEEP_LIMIT * 1000,
	};
}

bool sweep_goes_on(const struct sweep *sweep)
{
	const unsigned int *seen = sweep->seen;
	__u64 now = zc_now_ms();

	if (seen[SWEEP_EARLY] < sweep->each || seen[SWEEP_LATE] < sweep->each)
		return now < sweep->end;
	return now < sweep->enough && seen[SWEEP_EARLY] + seen[SWEEP_LATE] < sweep->least;
}

/* By steps of any size: the delay stays near the edge, and on both sides of it. */
void sweep_saw(struct sweep *sweep, enum sweep_outcome outcome)
{
	__s64 step = zc_random_below(2000 + llabs(sweep->delay) / 4);

	sweep->seen[outcome]++;
	if (sweep->delay < sweep->range[0])
		sweep->range[0] = sweep->delay;
	if (sweep->delay > sweep->range[1])
		sweep->range[1] = sweep->delay;
	sweep->delay += outcome == SWEEP_EARLY ? step : -step;
	if (sweep->delay < sweep->floor)
		sweep->delay = sweep->floor;
}

bool sweep_saw_both(const struct sweep *sweep)
{
	const unsigned int *seen = sweep->seen;

	fprintf(stderr, "# %u %s, %u %s, with delays of %lld to %lld ns\n",
		seen[SWEEP_EARLY], sweep->names[SWEEP_EARLY],
		seen[SWEEP_LATE], sweep->names[SWEEP_LATE],
		(long long)sweep->range[0], (long long)sweep->range[1]);
	return seen[SWEEP_EARLY] && seen[SWEEP_LATE];
}

static void *compete(void *arg)
{
	struct rival *rival = arg;

	for (unsigned int round = 0; !rival->over; ) {
		if (rival->begun == round) {
			sched_yield();
			continue;
		}
		sweep_spin(rival->delay);
		rival->act(rival->arg);
		rival->ended = ++round;
	}
	return NULL;
}

/* The first CPU for the first actor, the second one for the second. */
static int take_cpus(pthread_t rival)
{
	cpu_set_t cpus;
	int err;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	err = pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	CPU_ZERO(&cpus);
	CPU_SET(1, &cpus);
	return -(err ?: pthread_setaffinity_np(rival, sizeof(cpus), &cpus));
}

int rival_start(struct rival *rival, void (*act)(void *arg), void *arg)
{
	int err;

	*rival = (struct rival){ .act = act, .arg = arg };
	err = -pthread_create(&rival->thread, NULL, compete, rival);
	return err ?: take_cpus(rival->thread);
}

void rival_go(struct rival *rival, __s64 delay)
{
	rival->delay = delay;
	rival->begun++;
	sweep_spin(-delay);
}

void rival_await(struct rival *rival)
{
	while (rival->ended != rival->begun)
		sched_yield();
}

void rival_stop(struct rival *rival)
{
	rival->over = true;
	pthread_join(rival->thread, NULL);
}
