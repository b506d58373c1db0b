// SPDX-License-Identifier: GPL-2.0
/* The software engine's faults and oddities. */
#include <errno.h>
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
	"no_memset", "no_terminate", "prep_sleeps", "lock_until_submit", "no_result",
	"callback_context",
	"fifo", "rate", "source",
};

/* What they were when the program began. */
static char found[COUNT(parameters)][32];

static const struct {
	const char *name;
	unsigned long none;
} knobs[] = {
	{ "hang", 0 }, { "delay_us", 0 }, { "stall_us", 0 }, { "loose_pause", 0 },
	{ "late_calls", 0 },
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

static bool is_bound(void)
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

static int rebind(void)
{
	int err = is_bound() ? softdma_unbind() : 0;

	return err ?: softdma_bind();
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
	bool changed = !is_bound();
	int err = 0;

	for (size_t i = 0; i < COUNT(parameters); i++) {
		char now[32], value[32];

		read_parameter(parameters[i], now);
		value_wanted(wanted, i, value);
		if (!strcmp(now, value))
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
