// SPDX-License-Identifier: GPL-2.0
/* Which of a program's tests to run, as its arguments say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selection.h"

struct name {
	const char *text;
	bool without;	/* leave the test out */
	bool met;	/* there is such a test */
};

static struct name *names;
static int count;
static bool chosen;	/* some tests are named: run no others */
static bool list;

static int usage(const char *program, const char *wrong)
{
	fprintf(stderr, "%s: %s\nUsage: %s [--list] [--without TEST]... [TEST]...\n", program,
		wrong, program);
	return -EINVAL;
}

int selection_read(int argc, char **argv)
{
	names = calloc(argc, sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (int i = 1; i < argc; i++) {
		struct name *name = names + count;

		if (!strcmp(argv[i], "--list")) {
			list = true;
			continue;
		}
		name->without = !strcmp(argv[i], "--without");
		if (name->without && ++i == argc)
			return usage(argv[0], "--without needs the name of a test");
		if (argv[i][0] == '-')
			return usage(argv[0], "unknown option");
		name->text = argv[i];
		chosen |= !name->without;
		count++;
	}
	return 0;
}

bool selection_lists(void)
{
	return list;
}

/* Is @name one of the names of this test? */
static bool matches(const char *name, const char *fixture, const char *variant, const char *test)
{
	char text[512];

	if (!strcmp(name, test))
		return true;
	snprintf(text, sizeof(text), "%s.%s", fixture, test);
	if (!strcmp(name, text))
		return true;
	snprintf(text, sizeof(text), "%s.%s.%s", fixture, variant, test);
	return !strcmp(name, text);
}

bool selection_has(const char *fixture, const char *variant, const char *test)
{
	bool in = !chosen;

	for (int i = 0; i < count; i++) {
		if (names[i].without || !matches(names[i].text, fixture, variant, test))
			continue;
		names[i].met = true;
		in = true;
	}
	for (int i = 0; i < count; i++) {
		if (!names[i].without || !matches(names[i].text, fixture, variant, test))
			continue;
		names[i].met = true;
		in = false;
	}
	return in;
}

int selection_check(void)
{
	int err = 0;

	for (int i = 0; i < count; i++) {
		if (names[i].met)
			continue;
		fprintf(stderr, "# there is no test '%s'\n", names[i].text);
		err = -ENOENT;
	}
	return err;
}
