// SPDX-License-Identifier: GPL-2.0
/* A progress bar on stderr, if that is a terminal. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "progress.h"

#define BAR_WIDTH	30
#define REDRAW_SECONDS	0.1

static struct {
	const char *what;
	uint64_t total;
	bool wanted;
	atomic_bool shown;
	double started;
	double drawn;
} progress;

void progress_start(const char *what, uint64_t total, bool quiet)
{
	progress_clear();
	progress.what = what;
	progress.total = total;
	progress.wanted = !quiet && isatty(STDERR_FILENO);
	progress.started = seconds(CLOCK_MONOTONIC);
	progress.drawn = 0;
}

static void draw(uint64_t done, double elapsed)
{
	static const char full[BAR_WIDTH + 1] = "##############################";
	double part = progress.total ? (double)done / progress.total : 1;
	char have[32], want[32];

	progress.shown = true;
	fprintf(stderr, "\r%s [%-*.*s] %3.0f %%", progress.what, BAR_WIDTH,
		(int)(part * BAR_WIDTH), full, part * 100);
	fprintf(stderr, "  %s of %s  %.1f MB/s\033[K", human_size(done, have),
		human_size(progress.total, want), elapsed > 0 ? done / elapsed / 1e6 : 0);
}

void progress_update(uint64_t done)
{
	double now;

	if (!progress.wanted)
		return;
	now = seconds(CLOCK_MONOTONIC);
	if (now - progress.drawn < REDRAW_SECONDS)
		return;
	progress.drawn = now;
	draw(done, now - progress.started);
}

void progress_clear(void)
{
	if (atomic_exchange(&progress.shown, false))
		say_from_handler("\r\033[K");
}
