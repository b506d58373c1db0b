// SPDX-License-Identifier: GPL-2.0
/* The software engine's faults and oddities. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "softdma.h"
#include "zcdma_util.h"

#define KNOBS		"/sys/kernel/debug/softdma/"
#define PARAMETERS	"/sys/module/softdma/parameters/"
#define DRIVER		"/sys/bus/platform/drivers/softdma/"
#define DEVICE		"softdma.0"
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const char * const parameters[] = {
	"channels", "align", "max_segment", "boundary", "coarse_residue", "unordered",
	"no_memset", "memset_words", "no_terminate", "prep_sleeps", "lock_until_submit",
	"no_result", "callback_context",
	"fifo", "rate", "source",
	"no_synchronize", "terminate_fails", "terminate_calls", "release_runs_on",
	"locked_callbacks", "min_len",
	"remove_delay_ms", "ledger", "ledger_merges", "ledger_incoherent",
};

/* What they were when the program began. */
static char found[COUNT(parameters)][32];

static const struct {
	const char *name;
	unsigned long none;
} knobs[] = {
	{ "hang", 0 }, { "delay_us", 0 }, { "stall_us", 0 }, { "loose_pause", 0 },
	{ "late_calls", 0 }, { "late_us", 0 }, { "null_us", 0 }, { "null_nth", 0 },
	{ "stop_nth", 0 },
	{ "hang_nth", 0 }, { "hang_prep", 0 }, { "absent", 0 }, { "short_nth", 0 },
	{ "fail_nth", 0 }, { "fail_result", 2 }, { "max_len", 4294967295UL }, { "pool", 256 },
};

static pid_t creator;

static void read_parameter(const char *name, char value[32])
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	f = fopen(path, "re");
	value[0] = 0;
	if (!f)
		return;
	if (fgets(value, 32, f))
		value[strcspn(value, "\n")] = 0;
	fclose(f);
}

static int write_parameter(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return zc_write_file(path, value);
}

int softdma_open(const char *knob)
{
	char path[128];

	snprintf(path, sizeof(path), KNOBS "%s", knob);
	return open(path, O_WRONLY | O_CLOEXEC);
}

int softdma_set(const char *knob, unsigned long value)
{
	char path[128], text[24];

	snprintf(path, sizeof(path), KNOBS "%s", knob);
	snprintf(text, sizeof(text), "%lu", value);
	return zc_write_file(path, text);
}

unsigned long softdma_get(const char *knob)
{
	unsigned long value = ~0UL;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), KNOBS "%s", knob);
	f = fopen(path, "re");
	if (!f)
		return value;
	if (fscanf(f, "%lu", &value) != 1)
		value = ~0UL;
	fclose(f);
	return value;
}

bool softdma_gets_descriptor(void)
{
	__u64 end = zc_now_ms() + 20000;

	while (!softdma_get("descriptors")) {
		if (zc_now_ms() > end)
			return false;
		zc_sleep_ms(1);
	}
	return true;
}

/* Is there a process of this name, or any, that sleeps in this function of the kernel, or any? */
static bool sleeps_somewhere(const char *wanted, const char *function)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool does = false;

	while (proc && !does && (entry = readdir(proc))) {
		char path[64], name[64] = "", where[64];
		FILE *f;

		if (!isdigit(entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/comm", entry->d_name);
		f = wanted ? fopen(path, "re") : NULL;
		if (f && fgets(name, sizeof(name), f))
			name[strcspn(name, "\n")] = 0;
		if (f)
			fclose(f);
		if (wanted && strcmp(name, wanted))
			continue;
		zc_wchan(atoi(entry->d_name), where);
		does = where[0] && (!*function || !strcmp(where, function));
	}
	if (proc)
		closedir(proc);
	return does;
}

static bool sleeps_within(const char *wanted, const char *function)
{
	__u64 end = zc_now_ms() + 20000;

	while (!sleeps_somewhere(wanted, function)) {
		if (zc_now_ms() > end) {
			fprintf(stderr, "# %s does not sleep in %s\n", wanted ?: "anybody",
				*function ? function : "any");
			return false;
		}
		zc_sleep_ms(1);
	}
	return true;
}

bool softdma_thread_is_in(unsigned int channel, const char *function)
{
	char name[24];

	snprintf(name, sizeof(name), "softdma/%u", channel);
	return sleeps_within(name, function);
}

bool softdma_is_in_prep(void)
{
	return sleeps_within(NULL, "softdma_faults_hang_prep");
}

bool softdma_is_bound(void)
{
	return !access(DRIVER DEVICE, F_OK);
}

int softdma_unbind(void)
{
	return zc_write_file(DRIVER "unbind", DEVICE);
}

int softdma_bind(void)
{
	return zc_write_file(DRIVER "bind", DEVICE);
}

/*
 * zcdma goes by a list of drivers for what it cannot ask them. With such a trait the engine is not
 * as it is there.
 */
static int tell_zcdma(void)
{
	char sleeps[32], mute[32], facts[64];

	read_parameter("prep_sleeps", sleeps);
	read_parameter("no_result", mute);
	snprintf(facts, sizeof(facts), "%s%s\n", strcmp(sleeps, "Y") ? "" : "softdma=sleeps,",
		 strcmp(mute, "Y") ? "" : "softdma=silent,");
	return zc_write_file("/sys/module/zcdma/parameters/drivers", facts);
}

static int rebind(void)
{
	int err = softdma_is_bound() ? softdma_unbind() : 0;

	return err ?: tell_zcdma() ?: softdma_bind();
}

/* The first of "align=8 unordered=Y", and step over it. */
static bool next_parameter(const char **wanted, char name[32], char value[32])
{
	int used;

	if (sscanf(*wanted, " %31[a-z_]=%31s%n", name, value, &used) != 2)
		return false;
	*wanted += used;
	return true;
}

int softdma_rebuild(const char *wanted)
{
	char name[32], value[32];
	int err = 0;

	while (!err && next_parameter(&wanted, name, value))
		err = write_parameter(name, value);
	return err ?: rebind();
}

/* What @wanted says of parameter @i, or else what was found. */
static void value_wanted(const char *wanted, size_t i, char value[32])
{
	char name[32], one[32];

	strcpy(value, found[i]);
	while (next_parameter(&wanted, name, one)) {
		if (!strcmp(name, parameters[i]))
			strcpy(value, one);
	}
}

int softdma_become(const char *wanted)
{
	bool changed = !softdma_is_bound();
	int err = 0;

	for (size_t i = 0; i < COUNT(parameters); i++) {
		char now[32], value[32];

		read_parameter(parameters[i], now);
		value_wanted(wanted, i, value);
		/* One that this kernel does not have is off. */
		if (!strcmp(now, value) || (!now[0] && !strcmp(value, "N")))
			continue;
		err = err ?: write_parameter(parameters[i], value);
		changed = true;
	}
	if (changed)
		err = err ?: rebind();
	for (size_t i = 0; i < COUNT(knobs); i++)
		err = err ?: softdma_set(knobs[i].name, knobs[i].none);
	return err;
}

int softdma_reset(void)
{
	return softdma_become("");
}

/* Tests are children, and some are killed: the program itself remembers and puts back. */
static void __attribute__((constructor)) remember(void)
{
	creator = getpid();
	for (size_t i = 0; i < COUNT(parameters); i++)
		read_parameter(parameters[i], found[i]);
}

static void __attribute__((destructor)) put_back(void)
{
	if (getpid() == creator && !geteuid())
		softdma_reset();
}
