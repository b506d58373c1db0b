/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages that a test makes the kernel print. A complaint in the kernel's log fails the
 * test, and the run, unless it was announced: see qemu/guest/complaints.
 */
#ifndef ZCDMA_SELFTESTS_KMSG_H
#define ZCDMA_SELFTESTS_KMSG_H

#include <stdbool.h>

/* What zcdma says when it stops an engine that does not go on. */
#define ZC_KMSG_HANGS	"hangs, stopping it"
#define ZC_KMSG_STRAY	"cannot be stopped: it keeps the memory of a stream"

/* Tell a guest's log which test begins. Announcements of earlier ones end. */
void zc_kmsg_test(const char *name);

/* The next line that contains @text, a fixed one, is no complaint. */
void zc_kmsg_expect(const char *text);

/* The same of the next @count lines. */
void zc_kmsg_expect_several(const char *text, unsigned int count);

/* A line that contains @text may come until the test ends. */
void zc_kmsg_allow(const char *text);

/*
 * They have come: the announcement ends. Waits a little for a line that is late. With fewer
 * since zc_kmsg_expect() than announced this is false, and a complaint of its own.
 */
bool zc_kmsg_expected(const char *text);

#endif /* ZCDMA_SELFTESTS_KMSG_H */
