/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's kselftest harness with a main() of our own, ZC_TEST_MAIN in place of
 * TEST_HARNESS_MAIN:
 *
 * - the arguments select tests, see selection.h;
 * - a test that is left out has a result of its own, "ok N NAME # SKIP REASON";
 * - a check that fails counts in a test that skips as well, before the skip and in the
 *   fixture's teardown.
 *
 * For the file of a program that has its tests, not for others.
 */
#ifndef ZCDMA_SELFTESTS_HARNESS_H
#define ZCDMA_SELFTESTS_HARNESS_H

#include "kselftest_harness.h"
#include "kmsg.h"
#include "selection.h"
#include "zcdma_util.h"

/* Leave the test: its result tells the reason, "lacks CAPABILITY: ...". */
#undef SKIP
#define SKIP(statement, ...) do { \
	snprintf(_metadata->results->reason, sizeof(_metadata->results->reason), __VA_ARGS__); \
	_metadata->skip = 1; \
	_metadata->trigger = 0; \
	statement; \
} while (0)

/* Why all tests of this program are left out, or NULL. */
static const char *zc_excuse;

/*
 * All tests of this program are of the software engine itself. They are left out where
 * another target has them and nothing would be different.
 */
#define ZC_SOFTWARE_ENGINE_ONLY() \
	static void __attribute__((constructor)) zc_leave_out_software(void) \
	{ \
		if (zc_lacks("software")) \
			zc_excuse = "lacks software: another target has these tests"; \
	}

/* All tests of this program are of threads that run at the same time indeed. */
#define ZC_THREADS_ONLY() \
	static void __attribute__((constructor)) zc_leave_out_turns(void) \
	{ \
		if (zc_lacks("threads")) \
			zc_excuse = "lacks threads: its CPUs take turns"; \
	}

/* All tests of this program are of what takes how long. */
#define ZC_COUNTED_ONLY() \
	static void __attribute__((constructor)) zc_leave_out_time(void) \
	{ \
		if (zc_lacks("counted")) \
			zc_excuse = "lacks counted: time is the host's"; \
	}

/* All tests of this program see in memory how far an op is. */
#define ZC_DIRECT_MEMORY_ONLY() \
	static void __attribute__((constructor)) zc_leave_out_bounced(void) \
	{ \
		if (zc_lacks("direct-memory")) \
			zc_excuse = "lacks direct-memory: a bounce buffer hides it"; \
	}

/* All tests of this program are of memory of a file system that a user serves. */
#define ZC_FUSE_ONLY() \
	static void __attribute__((constructor)) zc_leave_out_fuse(void) \
	{ \
		if (zc_lacks("fuse")) \
			zc_excuse = "lacks fuse: no file system is a user's"; \
	}

/* A test with its fixture and variant. */
struct zc_case {
	struct __fixture_metadata *fixture;
	struct __fixture_variant_metadata *variant;
	struct __test_metadata *test;
	char name[256];
};

static struct __fixture_variant_metadata zc_no_variant = { .name = "" };

/* Step to the next test of the program; the first if @c has none. False after the last. */
static bool zc_next_case(struct zc_case *c)
{
	if (c->test) {
		c->test = c->test->next;
	} else {
		c->fixture = __fixture_list;
		c->variant = c->fixture->variant ?: &zc_no_variant;
		c->test = c->fixture->tests;
	}
	while (!c->test) {
		c->variant = c->variant->next;
		if (!c->variant) {
			c->fixture = c->fixture->next;
			if (!c->fixture)
				return false;
			c->variant = c->fixture->variant ?: &zc_no_variant;
		}
		c->test = c->fixture->tests;
	}
	snprintf(c->name, sizeof(c->name), "%s%s%s.%s", c->fixture->name,
		 c->variant->name[0] ? "." : "", c->variant->name, c->test->name);
	return true;
}

/* The same for the tests that were selected. */
static bool zc_next_selected(struct zc_case *c)
{
	while (zc_next_case(c))
		if (selection_has(c->fixture->name, c->variant->name, c->test->name))
			return true;
	return false;
}

/* The child's part: the test with its fixture. The parent knows 255 as a skip. */
static void zc_be_test(struct zc_case *c)
{
	struct __test_metadata *t = c->test;

	setpgrp();
	t->fn(t, c->variant);
	_exit(!t->passed ? t->step : t->skip ? 255 : 0);
}

/* Run a test in a child of its own and print its result. Did it pass? */
static bool zc_run_case(struct zc_case *c, unsigned int number)
{
	struct __test_metadata *t = c->test;

	t->passed = 1;
	t->skip = 0;
	t->trigger = 0;
	t->step = 1;
	t->no_print = 0;
	t->results->reason[0] = 0;
	printf("#  RUN           %s ...\n", c->name);
	fflush(stdout);
	fflush(stderr);
	zc_kmsg_test(c->name);
	t->pid = fork();
	if (!t->pid)
		zc_be_test(c);
	if (t->pid > 0) {
		__wait_for_test(t);
	} else {
		printf("# cannot start a process: %m\n");
		t->passed = 0;
	}
	if (t->passed && t->skip)
		printf("ok %u %s # SKIP %s\n", number, c->name, t->results->reason);
	else
		printf("%s %u %s\n", t->passed ? "ok" : "not ok", number, c->name);
	return t->passed;
}

static void zc_list_tests(void)
{
	struct zc_case c = { 0 };

	while (zc_next_selected(&c))
		puts(c.name);
}

static int zc_run_tests(int argc, char **argv)
{
	unsigned int planned = 0, number = 0, failed = 0;
	struct zc_case c = { 0 };
	struct __test_results *results;

	(void)test_harness_run; /* not used, but static in the harness */
	if (selection_read(argc, argv))
		return 2;
	while (zc_next_selected(&c))
		planned++;
	if (selection_check())
		return 2;
	if (selection_lists()) {
		zc_list_tests();
		return 0;
	}
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED)
		return 1;
	printf("TAP version 13\n1..%u%s\n", planned, planned ? "" : " # SKIP left out: all tests");
	c = (struct zc_case){ 0 };
	while (zc_next_selected(&c)) {
		c.test->results = results;
		number++;
		if (zc_excuse)
			printf("ok %u %s # SKIP %s\n", number, c.name, zc_excuse);
		else if (!zc_run_case(&c, number))
			failed++;
	}
	printf("# %u of %u tests failed\n", failed, planned);
	return !!failed;
}

#undef TEST_HARNESS_MAIN
#define ZC_TEST_MAIN \
	static void __attribute__((constructor)) __constructor_order_last(void) \
	{ \
		if (!__constructor_order) \
			__constructor_order = _CONSTRUCTOR_ORDER_BACKWARD; \
	} \
	int main(int argc, char **argv) \
	{ \
		exit(zc_run_tests(argc, argv)); \
	}

#endif /* ZCDMA_SELFTESTS_HARNESS_H */
