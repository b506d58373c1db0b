/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which of a program's tests to run, as its arguments say:
 *
 *	PROGRAM [--list] [--without NAME]... [NAME]...
 *
 * A test's full name is FIXTURE.TEST, or FIXTURE.VARIANT.TEST where there are variants.
 * A NAME is a full name, FIXTURE.TEST for all variants, or TEST alone.
 */
#ifndef ZCDMA_SELFTESTS_SELECTION_H
#define ZCDMA_SELFTESTS_SELECTION_H

#include <stdbool.h>

/* Read the arguments: 0, or -EINVAL after saying what is wrong with them. */
int selection_read(int argc, char **argv);

/* Does --list ask for the names alone? */
bool selection_lists(void);

/* Does this test belong to the selection? @variant is "" where there are none. */
bool selection_has(const char *fixture, const char *variant, const char *test);

/*
 * To be called when selection_has() was asked of each test: 0, or -ENOENT after saying
 * which names match no test.
 */
int selection_check(void);

#endif /* ZCDMA_SELFTESTS_SELECTION_H */
