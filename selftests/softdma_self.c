// SPDX-License-Identifier: GPL-2.0
/*
 * softdma as the judge of its clients: each trait and each fault does what it says, and each kind
 * of violation is found. A client in the kernel (modules/softdma_client.c) provokes them.
 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "kmsg.h"
#include "softdma.h"
#include "zcdma_util.h"

#define CLIENT	"/sys/module/softdma_client/parameters/run"

/* What the client said last, " WORD=RESULT WORD=RESULT". */
static char said[512];

/* Let the client do these words. 0 or -errno. */
static int client(const char *words)
{
	int err = zc_write_file(CLIENT, words);
	FILE *f = fopen(CLIENT, "re");

	said[0] = 0;
	if (!f || !fgets(said, sizeof(said), f))
		err = err ?: -EIO;
	if (f)
		fclose(f);
	return err;
}

/* The result of the @nth @word of those, from 0 on. */
static long said_of(const char *word, int nth)
{
	char key[40];
	const char *at = said;

	snprintf(key, sizeof(key), " %s=", word);
	while ((at = strstr(at, key))) {
		at += strlen(key);
		if (!nth--)
			return strtol(at, NULL, 10);
	}
	return -9999;
}

#define EXPECT_SAID_NTH(value, word, nth)	EXPECT_EQ(value, said_of(word, nth))

#define EXPECT_SAID(value, word)	EXPECT_SAID_NTH(value, word, 0)

/* The engine may be late to find something. */
static unsigned long violations_reach(unsigned long count)
{
	for (int ms = 0; softdma_get("violations") < count && ms < 5000; ms += 10)
		zc_sleep_ms(10);
	return softdma_get("violations");
}

/* The descriptor that is to hang does so, half way. It may be late as well. */
static bool nth_hangs(void)
{
	for (int ms = 0; softdma_get("hang_nth") && ms < 5000; ms += 10)
		zc_sleep_ms(10);
	return !softdma_get("hang_nth");
}

/* So may a callback, or a ring: @word says @count or more at last. */
static bool says_at_last(const char *word, long count)
{
	for (int ms = 0; ms < 5000; ms += 10) {
		if (client(word) || said_of(word, 0) >= count)
			break;
		zc_sleep_ms(10);
	}
	return said_of(word, 0) >= count;
}

/* The words are a violation, one, that is told with @text. */
#define EXPECT_VIOLATION(text, words) do { \
	unsigned long before = softdma_get("violations"); \
	const char *message = text; \
	zc_kmsg_expect(message); \
	EXPECT_EQ(0, client(words)); \
	EXPECT_EQ(before + 1, violations_reach(before + 1)) \
		TH_LOG("%s", said); \
	EXPECT_TRUE(zc_kmsg_expected(message)); \
} while (0)

/* The words are no violation. */
#define EXPECT_LEGAL(words) do { \
	unsigned long before = softdma_get("violations"); \
	EXPECT_EQ(0, client(words)); \
	EXPECT_EQ(before, softdma_get("violations")) \
		TH_LOG("%s", said); \
} while (0)

/*
 * What a client does meanwhile is done within a millisecond, but a guest may be left without its
 * CPU for some tenths of a second. And what is over by then, in words of the client.
 */
#define LONG_US		1500000
#define AFTER_MS	"2000"

/* Mistakes in the use of the DMA API are found by some kernels as well. */
#define NO_MISUSE	"lacks dma-misuse: this kernel's own checks of the DMA API complain"

#define MAPPED	"take len:4096 at:0 skip:0 dir:3 more:0 src map dst map "
#define UNMAPPED	"src unmap dst unmap "
#define COPY	"prep submit issue "

FIXTURE(client) {};

FIXTURE_SETUP(client)
{
	ASSERT_EQ(0, softdma_reset());
	ASSERT_EQ(0, system("modprobe softdma_client"));
}

FIXTURE_TEARDOWN(client)
{
	softdma_set("hang", 0);
	EXPECT_EQ(0, client("release"));
	EXPECT_EQ(0, system("rmmod softdma_client"));
	EXPECT_EQ(0, softdma_reset());
}

/* ---- an engine without traits and faults ---- */

TEST_F(client, that_does_all_right_violates_nothing)
{
	EXPECT_LEGAL("fill:7 " MAPPED COPY
		     "wait src unmap dst unmap same calls result residue context");
	EXPECT_SAID(0, "wait");
	EXPECT_SAID(4096, "same");
	EXPECT_SAID(1, "calls");
	EXPECT_SAID(0, "result");
	EXPECT_SAID(0, "residue");
	EXPECT_SAID(1, "context");
}

/* ---- traits ---- */

TEST_F(client, calls_from_a_locked_callback_are_violations)
{
	ASSERT_EQ(0, softdma_become("locked_callbacks=Y"));
	EXPECT_LEGAL(MAPPED COPY "wait");
	EXPECT_VIOLATION("violation: prep from a callback", "in_callback:1 " COPY "wait");
	EXPECT_LEGAL("submit issue wait");
	ASSERT_EQ(0, softdma_set("delay_us", LONG_US));
	EXPECT_VIOLATION("violation: submit from a callback",
			 COPY "in_callback:2 prep sleep:" AFTER_MS);
	EXPECT_LEGAL("issue wait calls src unmap dst unmap");
	EXPECT_SAID(0, "wait");
	EXPECT_SAID(5, "calls");
}

TEST_F(client, issue_from_a_locked_callback_is_a_violation)
{
	ASSERT_EQ(0, softdma_become("locked_callbacks=Y callback_context=softirq"));
	ASSERT_EQ(0, softdma_set("delay_us", LONG_US));
	EXPECT_VIOLATION("violation: issue_pending from a callback",
			 MAPPED "in_callback:3 " COPY "prep submit wait src unmap dst unmap");
	EXPECT_SAID(0, "wait");
}

TEST_F(client, prep_sleeps_where_it_may)
{
	ASSERT_EQ(0, softdma_become("prep_sleeps=Y"));
	EXPECT_LEGAL(MAPPED "prep prep_us submit prep prep_us submit prep prep_us submit");
	for (int i = 0; i < 3; i++)
		EXPECT_LE(100, said_of("prep_us", i));
	EXPECT_VIOLATION("violation: prep, which sleeps, in atomic context", "prep:1 submit");
	EXPECT_LEGAL("issue wait src unmap dst unmap");
	EXPECT_SAID(0, "wait");
}

TEST_F(client, terminate_can_fail)
{
	ASSERT_EQ(0, softdma_become("terminate_fails=Y"));
	ASSERT_EQ(0, softdma_set("delay_us", LONG_US));
	EXPECT_LEGAL("fill:9 " MAPPED COPY "terminate wait calls src unmap dst unmap same");
	EXPECT_SAID(-16, "terminate");
	EXPECT_SAID(0, "wait");
	EXPECT_SAID(1, "calls");
	EXPECT_SAID(4096, "same");
}

TEST_F(client, terminate_can_say_that_all_is_done)
{
	ASSERT_EQ(0, softdma_become("terminate_calls=Y"));
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_LEGAL("fill:9 " MAPPED COPY COPY "sleep:2000 terminate synchronize calls");
	EXPECT_SAID(0, "terminate");
	EXPECT_SAID(2, "calls");
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_LEGAL("sleep:50 calls src unmap dst unmap same");
	EXPECT_SAID(2, "calls");
	EXPECT_GT(4096, said_of("same", 0));
}

TEST_F(client, terminate_stops_and_nobody_is_called)
{
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_LEGAL("fill:10 " MAPPED COPY "sleep:2000 terminate synchronize");
	EXPECT_SAID(0, "terminate");
	ASSERT_EQ(0, softdma_set("hang", 0));
	EXPECT_LEGAL("sleep:50 calls src unmap dst unmap same");
	EXPECT_SAID(0, "calls");
	EXPECT_SAID(2048, "same");
}

/* The memory stays the client's: it only looks. */
TEST_F(client, released_engine_runs_on)
{
	ASSERT_EQ(0, softdma_become("release_runs_on=Y ledger=N"));
	ASSERT_EQ(0, softdma_set("delay_us", LONG_US));
	EXPECT_LEGAL("fill:11 " MAPPED COPY COPY "release same");
	EXPECT_GT(4096, said_of("same", 0));
	EXPECT_LEGAL("sleep:" AFTER_MS " sleep:" AFTER_MS " calls take src unmap dst unmap same");
	EXPECT_SAID(4096, "same");
	EXPECT_SAID(0, "calls");
	ASSERT_EQ(0, softdma_set("delay_us", 0));
	EXPECT_LEGAL("fill:12 " MAPPED COPY "wait src unmap dst unmap same");
	EXPECT_SAID(0, "wait");
	EXPECT_SAID(4096, "same");
}

TEST_F(client, engine_that_runs_on_can_be_taken_again_and_removed)
{
	ASSERT_EQ(0, softdma_become("release_runs_on=Y channels=1 ledger=N"));
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_LEGAL(MAPPED COPY COPY "release take " COPY "release");
	EXPECT_EQ(0, softdma_unbind());
	EXPECT_EQ(0, softdma_bind());
	EXPECT_LEGAL("take src unmap dst unmap");
	EXPECT_LEGAL("fill:13 " MAPPED COPY "wait src unmap dst unmap same");
	EXPECT_SAID(4096, "same");
}

TEST_F(client, released_engine_stops_otherwise)
{
	ASSERT_EQ(0, softdma_become("ledger=N"));
	ASSERT_EQ(0, softdma_set("delay_us", LONG_US));
	EXPECT_LEGAL("fill:14 " MAPPED COPY "sleep:700 release sleep:" AFTER_MS);
	EXPECT_LEGAL("take src unmap dst unmap same");
	EXPECT_SAID(2048, "same");
}

TEST_F(client, gets_no_descriptor_below_the_shortest_length)
{
	ASSERT_EQ(0, softdma_become("min_len=128"));
	EXPECT_LEGAL(MAPPED "len:127 prep");
	EXPECT_SAID(0, "prep");
	EXPECT_LEGAL("len:128 " COPY "wait len:4096 src unmap dst unmap");
	EXPECT_SAID(1, "prep");
	EXPECT_SAID(0, "wait");
}

/* The second in place of the first, which hangs half way then. */
TEST_F(client, gets_pairs_in_the_wrong_order)
{
	static const struct {
		const char *traits;
		int first, second;
	} engines[] = { { "unordered=N", 2048, 1024 }, { "unordered=Y", 1024, 2048 } };

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		ASSERT_EQ(0, softdma_become(engines[i].traits));
		EXPECT_LEGAL("fill:0 " MAPPED COPY "wait " UNMAPPED);
		ASSERT_EQ(0, softdma_set("hang_nth", 2));
		EXPECT_LEGAL("fill:16 " MAPPED "len:2048 prep submit at:2048 prep submit issue");
		EXPECT_TRUE(nth_hangs());
		EXPECT_LEGAL("calls terminate synchronize at:0 len:4096 " UNMAPPED);
		EXPECT_SAID(1, "calls");
		EXPECT_LEGAL("len:2048 same at:2048 same release");
		EXPECT_SAID_NTH(engines[i].first, "same", 0);
		EXPECT_SAID_NTH(engines[i].second, "same", 1);
	}
}

TEST_F(client, hears_of_no_error)
{
	ASSERT_EQ(0, softdma_become("no_result=Y"));
	ASSERT_EQ(0, softdma_set("fail_nth", 1));
	EXPECT_LEGAL("fill:17 " MAPPED COPY "wait result residue src unmap dst unmap same");
	EXPECT_SAID(0, "result");
	EXPECT_SAID(0, "residue");
	EXPECT_SAID(2048, "same");
}

TEST_F(client, nth_terminate_fails)
{
	EXPECT_EQ(0, client(MAPPED));
	ASSERT_EQ(0, softdma_set("hang", 1));
	ASSERT_EQ(0, softdma_set("stop_nth", 2));
	EXPECT_LEGAL(COPY "terminate synchronize " COPY "terminate calls");
	EXPECT_SAID_NTH(0, "terminate", 0);
	EXPECT_SAID_NTH(-16, "terminate", 1);
	EXPECT_EQ(0, softdma_get("stop_nth"));
	EXPECT_LEGAL("terminate synchronize calls src unmap dst unmap");
	EXPECT_SAID(0, "terminate");
	EXPECT_SAID(0, "calls");
}

TEST_F(client, cannot_terminate)
{
	ASSERT_EQ(0, softdma_become("no_terminate=Y"));
	ASSERT_EQ(0, softdma_set("delay_us", LONG_US));
	EXPECT_LEGAL("fill:18 " MAPPED COPY "terminate can_synchronize wait calls");
	EXPECT_GT(0, said_of("terminate", 0));
	EXPECT_SAID(0, "can_synchronize");
	EXPECT_SAID(1, "calls");
	EXPECT_LEGAL("src unmap dst unmap same");
	EXPECT_SAID(4096, "same");
}

TEST_F(client, fills)
{
	EXPECT_LEGAL(MAPPED "prep_fill:0xa5 submit issue wait " UNMAPPED "byte:0 byte:4095");
	EXPECT_SAID(1, "prep_fill");
	EXPECT_SAID_NTH(0xa5, "byte", 0);
	EXPECT_SAID_NTH(0xa5, "byte", 1);
}

TEST_F(client, fills_with_words)
{
	ASSERT_EQ(0, softdma_become("memset_words=Y"));
	EXPECT_LEGAL(MAPPED "prep_fill:0x64636261 submit issue wait " UNMAPPED);
	EXPECT_LEGAL("byte:0 byte:1 byte:2 byte:3 byte:4 byte:4095");
	for (int i = 0; i < 4; i++)
		EXPECT_SAID_NTH(0x61 + i, "byte", i);
	EXPECT_SAID_NTH(0x61, "byte", 4);
	EXPECT_SAID_NTH(0x64, "byte", 5);
}

TEST_F(client, cannot_fill)
{
	ASSERT_EQ(0, softdma_become("no_memset=Y"));
	EXPECT_LEGAL(MAPPED "prep_fill:7 src unmap dst unmap");
	EXPECT_SAID(0, "prep_fill");
}

/* Of softirqs: who sleeps between prep and submit, or preps again, is stopped by the kernel. */
TEST_F(client, has_a_lock_from_prep_to_submit)
{
	EXPECT_LEGAL(MAPPED "prep is_locked submit is_locked issue wait");
	EXPECT_SAID_NTH(0, "is_locked", 0);
	EXPECT_SAID_NTH(0, "is_locked", 1);
	EXPECT_LEGAL("src unmap dst unmap release");
	ASSERT_EQ(0, softdma_become("lock_until_submit=Y"));
	EXPECT_LEGAL(MAPPED "prep is_locked submit is_locked issue wait");
	EXPECT_SAID_NTH(1, "is_locked", 0);
	EXPECT_SAID_NTH(0, "is_locked", 1);
	EXPECT_SAID(0, "wait");
	EXPECT_LEGAL("src unmap dst unmap");
}

TEST_F(client, is_called_in_the_context_that_was_chosen)
{
	static const char * const contexts[] = {
		NULL, "callback_context=thread", "callback_context=softirq",
		"callback_context=hardirq",
	};

	for (int i = 1; i < 4; i++) {
		ASSERT_EQ(0, softdma_become(contexts[i]));
		EXPECT_LEGAL(MAPPED COPY "wait context src unmap dst unmap release");
		EXPECT_SAID(0, "wait");
		EXPECT_SAID(i, "context");
	}
}

/* A transfer ends by itself meanwhile; without the delay it would have been cut off. */
TEST_F(client, removal_can_take_its_time)
{
	ASSERT_EQ(0, softdma_become("remove_delay_ms=" AFTER_MS " ledger=N"));
	ASSERT_EQ(0, softdma_set("delay_us", LONG_US));
	EXPECT_LEGAL(MAPPED COPY);
	EXPECT_EQ(0, softdma_unbind());
	EXPECT_EQ(0, client("wait result src unmap dst unmap release"));
	EXPECT_SAID(0, "result");
	ASSERT_EQ(0, softdma_become("remove_delay_ms=0 ledger=N"));
	ASSERT_EQ(0, softdma_set("delay_us", LONG_US));
	EXPECT_LEGAL(MAPPED COPY);
	EXPECT_EQ(0, softdma_unbind());
	EXPECT_EQ(0, client("wait result src unmap dst unmap release"));
	EXPECT_SAID(3, "result");
}

/* ---- faults ---- */

TEST_F(client, nth_prep_finds_no_descriptor)
{
	EXPECT_EQ(0, client(MAPPED));
	ASSERT_EQ(0, softdma_set("null_nth", 2));
	EXPECT_LEGAL("prep submit prep " COPY "wait src unmap dst unmap");
	EXPECT_SAID_NTH(1, "prep", 0);
	EXPECT_SAID_NTH(0, "prep", 1);
	EXPECT_SAID_NTH(1, "prep", 2);
}

TEST_F(client, prep_finds_no_descriptor_for_a_while)
{
	EXPECT_EQ(0, client(MAPPED));
	ASSERT_EQ(0, softdma_set("null_us", UINT32_MAX));
	EXPECT_LEGAL("prep sleep:50 prep");
	EXPECT_SAID_NTH(0, "prep", 0);
	EXPECT_SAID_NTH(0, "prep", 1);
	ASSERT_EQ(0, softdma_set("null_us", 50000));
	EXPECT_LEGAL("sleep:100 " COPY "wait src unmap dst unmap");
	EXPECT_SAID(1, "prep");
}

TEST_F(client, nth_descriptor_hangs)
{
	EXPECT_EQ(0, client(MAPPED));
	ASSERT_EQ(0, softdma_set("hang_nth", 2));
	EXPECT_LEGAL(COPY COPY COPY "wait:" AFTER_MS);
	EXPECT_SAID(2, "wait");
	EXPECT_LEGAL("terminate synchronize calls");
	EXPECT_SAID(1, "calls");
	ASSERT_EQ(0, softdma_set("hang_nth", 1));
	EXPECT_LEGAL("take " COPY "wait:" AFTER_MS);
	EXPECT_SAID(1, "wait");
	ASSERT_EQ(0, softdma_set("hang_nth", 0));
	EXPECT_LEGAL("wait src unmap dst unmap");
	EXPECT_SAID(0, "wait");
}

TEST_F(client, nth_descriptor_ends_short)
{
	EXPECT_EQ(0, client("fill:15 " MAPPED));
	ASSERT_EQ(0, softdma_set("short_nth", 1));
	EXPECT_LEGAL(COPY "wait result residue src unmap dst unmap same");
	EXPECT_SAID(0, "result");
	EXPECT_SAID(2048, "residue");
	EXPECT_SAID(2048, "same");
}

TEST_F(client, nth_descriptor_fails)
{
	for (int result = 1; result <= 3; result++) {
		EXPECT_EQ(0, client("fill:0 " MAPPED COPY "wait"));
		ASSERT_EQ(0, softdma_set("fail_result", result));
		ASSERT_EQ(0, softdma_set("fail_nth", 2));
		EXPECT_LEGAL("fill:19 " COPY "wait result " COPY "wait result residue " COPY
			     "wait result src unmap dst unmap");
		EXPECT_SAID_NTH(0, "result", 0);
		EXPECT_SAID_NTH(result, "result", 1);
		EXPECT_SAID(2048, "residue");
		EXPECT_SAID_NTH(0, "result", 2);
	}
}

TEST_F(client, gets_as_many_descriptors_as_the_pool_has)
{
	ASSERT_EQ(0, softdma_set("pool", 2));
	EXPECT_LEGAL(MAPPED "prep submit prep submit prep issue wait");
	EXPECT_SAID_NTH(1, "prep", 0);
	EXPECT_SAID_NTH(1, "prep", 1);
	EXPECT_SAID_NTH(0, "prep", 2);
	EXPECT_SAID(0, "wait");
	EXPECT_LEGAL(COPY "wait src unmap dst unmap");
	EXPECT_SAID(1, "prep");
}

/* How clients find the limit: to ask for more is no violation. */
TEST_F(client, gets_no_descriptor_above_the_longest_length)
{
	ASSERT_EQ(0, softdma_set("max_len", 2048));
	EXPECT_LEGAL(MAPPED "len:2049 prep len:2048 " COPY "wait len:4096 src unmap dst unmap");
	EXPECT_SAID_NTH(0, "prep", 0);
	EXPECT_SAID_NTH(1, "prep", 1);
	EXPECT_SAID(0, "wait");
}

/* Of a ring that a device fills, with a period each quarter of a second. */
TEST_F(client, callbacks_of_a_ring_are_late)
{
	ASSERT_EQ(0, softdma_become("source=Y rate=4096"));
	for (int late = 0; late <= 2; late += 2) {
		long moved;

		ASSERT_EQ(0, softdma_set("late_calls", late));
		EXPECT_LEGAL("take len:65536 at:0 skip:0 dir:3 dst map prep_ring:64 submit issue");
		EXPECT_SAID(1, "prep_ring");
		EXPECT_TRUE(says_at_last("at_period", 3));
		EXPECT_LEGAL("pause at_period");
		moved = said_of("at_period", 0);
		EXPECT_TRUE(says_at_last("calls", moved - late));
		EXPECT_SAID(moved - late, "calls");
		EXPECT_LEGAL("terminate synchronize unmap release");
	}
}

TEST_F(client, callbacks_are_late)
{
	ASSERT_EQ(0, softdma_become("no_synchronize=Y"));
	EXPECT_EQ(0, client(MAPPED "can_synchronize"));
	EXPECT_SAID(0, "can_synchronize");
	ASSERT_EQ(0, softdma_set("late_us", LONG_US));
	EXPECT_LEGAL(COPY "sleep:500 calls terminate synchronize calls wait calls context");
	EXPECT_SAID_NTH(0, "calls", 0);
	EXPECT_SAID_NTH(0, "calls", 1);
	EXPECT_SAID(0, "wait");
	EXPECT_SAID_NTH(1, "calls", 2);
	EXPECT_SAID(0, "context");
	EXPECT_LEGAL(COPY "sleep:500 src unmap dst unmap release sleep:" AFTER_MS " calls");
	EXPECT_SAID(1, "calls");
}

TEST_F(client, that_synchronizes_waits_for_late_callbacks)
{
	EXPECT_EQ(0, client(MAPPED "can_synchronize"));
	EXPECT_SAID(1, "can_synchronize");
	ASSERT_EQ(0, softdma_set("late_us", 10000000));
	EXPECT_LEGAL(COPY "sleep:2000 calls terminate synchronize calls src unmap dst unmap");
	EXPECT_SAID_NTH(0, "calls", 0);
	EXPECT_SAID_NTH(1, "calls", 1);
}

TEST_F(client, descriptors_are_counted)
{
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	EXPECT_LEGAL(MAPPED COPY COPY COPY "wait src unmap dst unmap");
	EXPECT_EQ(3, softdma_get("descriptors"));
}

/* ---- what every engine forbids ---- */

TEST_F(client, misaligned_copy_is_a_violation)
{
	ASSERT_EQ(0, softdma_become("align=8"));
	EXPECT_VIOLATION("misaligned", MAPPED "at:4 prep");
	EXPECT_VIOLATION("misaligned", "at:0 more:-4 prep");
	EXPECT_LEGAL("at:0 more:0 src unmap dst unmap");
}

TEST_F(client, copy_that_crosses_the_boundary_is_a_violation)
{
	if (zc_lacks("long-mapping"))
		SKIP(return, "lacks long-mapping: a bounce buffer crosses no boundary");
	ASSERT_EQ(0, softdma_become("boundary=8192"));
	EXPECT_VIOLATION("crosses the boundary",
			 "take len:16384 at:0 skip:0 dir:3 more:0 src map dst map prep");
	EXPECT_LEGAL("src unmap dst unmap");
}

TEST_F(client, copy_longer_than_the_segment_limit_is_a_violation)
{
	ASSERT_EQ(0, softdma_become("max_segment=4096"));
	EXPECT_VIOLATION("longer than max_segment", MAPPED "more:1 prep");
	EXPECT_LEGAL("more:0 prep src unmap dst unmap");
	EXPECT_SAID(1, "prep");
}

/* ---- the ledger: whose is which line of what is mapped ---- */

FIXTURE(ledger) {};

FIXTURE_SETUP(ledger)
{
	ASSERT_EQ(0, softdma_become("ledger=Y ledger_incoherent=Y"));
	ASSERT_EQ(0, system("modprobe softdma_client"));
	EXPECT_EQ(0, client("take len:4096 at:0 skip:0 dir:3 more:0"));
}

FIXTURE_TEARDOWN(ledger)
{
	softdma_set("hang", 0);
	EXPECT_EQ(0, client("release"));
	EXPECT_EQ(0, system("rmmod softdma_client"));
	EXPECT_EQ(0, softdma_reset());
}

TEST_F(ledger, judges_a_client_that_does_all_right)
{
	EXPECT_LEGAL("fill:20 src map dst map " COPY "wait same src unmap dst unmap");
	EXPECT_SAID(4096, "same");
	EXPECT_LEGAL("fill:21 skip:1 src map to_device dst map to_device " COPY
		     "wait dst to_cpu same unmap src unmap");
	EXPECT_SAID(4096, "same");
	EXPECT_LEGAL("fill:22 skip:0 at:100 len:5000 src map dst map " COPY
		     "wait same src unmap is_coherent");
	EXPECT_SAID(5000, "same");
	if (said_of("is_coherent", 0))
		EXPECT_LEGAL("dst unmap");
	else
		EXPECT_VIOLATION("only a part is mapped", "dst unmap");
}

TEST_F(ledger, finds_reading_of_what_was_not_handed_over)
{
	EXPECT_VIOLATION("violation: the engine reads",
			 "dst map skip:1 src map " COPY "wait result skip:0 unmap dst unmap");
	EXPECT_SAID(0, "result");
}

TEST_F(ledger, finds_writing_to_what_was_not_handed_over)
{
	EXPECT_VIOLATION("violation: the engine writes to",
			 "src map skip:1 dst map " COPY "wait result skip:0 unmap src unmap");
	EXPECT_SAID(0, "result");
}

TEST_F(ledger, finds_writing_to_what_was_handed_over_to_be_read)
{
	EXPECT_VIOLATION("violation: the engine writes to what was handed over to be read",
			 "src map dst skip:1 dir:0 map dir:1 to_device " COPY
			 "wait result dir:2 to_cpu dir:0 unmap skip:0 dir:3 src unmap");
	EXPECT_SAID(0, "result");
	EXPECT_LEGAL("src map dst skip:1 dir:0 map dir:1 to_device dir:0 to_device " COPY
		     "wait dir:2 to_cpu dir:0 unmap skip:0 dir:3 src unmap");
}

TEST_F(ledger, finds_one_line_of_many_that_was_not_handed_over)
{
	EXPECT_VIOLATION("violation: the engine writes to",
			 "len:16384 src map skip:1 dst map len:16320 to_device len:16384 " COPY
			 "wait to_cpu unmap src unmap");
}

TEST_F(ledger, finds_a_line_taken_back_too_early)
{
	EXPECT_VIOLATION("violation: the engine writes to",
			 "src map dst skip:1 map to_device to_cpu " COPY
			 "wait skip:0 unmap src unmap");
}

/* The engine touches nothing, and says that it failed. */
TEST_F(ledger, finds_moving_of_what_is_not_mapped)
{
	EXPECT_VIOLATION("violation: the engine is to move",
			 "src map dst map more:4096 " COPY "wait result more:0");
	EXPECT_SAID(1, "result");
	EXPECT_VIOLATION("violation: the engine is to move",
			 "fill:23 dst unmap " COPY "wait result same src unmap");
	EXPECT_SAID(2, "result");
	EXPECT_SAID(0, "same");
}

TEST_F(ledger, finds_moving_against_the_direction)
{
	EXPECT_VIOLATION("the engine reads what is mapped to be written",
			 "dst map dir:2 src map " COPY "wait unmap dir:3 dst unmap");
	EXPECT_VIOLATION("the engine writes to what is mapped to be read",
			 "src map dir:1 dst map " COPY "wait unmap dir:3 src unmap");
	EXPECT_LEGAL("dir:0 src map dst map " COPY "wait src unmap dst unmap dir:3");
}

TEST_F(ledger, finds_unmapping_under_the_engine)
{
	ASSERT_EQ(0, softdma_set("hang", 1));
	EXPECT_VIOLATION("a descriptor in flight may move it",
			 "src map dst map " COPY "sleep:20 dst unmap");
	EXPECT_LEGAL("terminate synchronize src unmap");
}

/* A terminated descriptor is at rest when its thread has moved what it was about to move. */
TEST_F(ledger, finds_unmapping_before_synchronize)
{
	ASSERT_EQ(0, softdma_set("stall_us", 3000000));
	ASSERT_EQ(0, softdma_set("descriptors", 0));
	EXPECT_LEGAL("src map dst map " COPY);
	ASSERT_TRUE(softdma_gets_descriptor());
	EXPECT_VIOLATION("a descriptor in flight may move it", "sleep:50 terminate src unmap");
	EXPECT_VIOLATION("violation: the engine is to move", "synchronize dst unmap");
}

TEST_F(ledger, finds_unmapping_without_synchronizing)
{
	EXPECT_VIOLATION("unmapped, but the engine's bytes were not taken back",
			 "src map dst map " COPY "wait skip:1 unmap src unmap");
}

/* It takes back what the CPU may have written to. The engine's bytes it may take. */
TEST_F(ledger, finds_unmapping_that_takes_back_what_is_the_cpus)
{
	EXPECT_VIOLATION("unmapped and taken back by the CPU, which has it already",
			 "skip:1 dst map skip:0 unmap");
	EXPECT_VIOLATION("unmapped and taken back by the CPU, which has it already",
			 "src map skip:1 dst map to_device " COPY
			 "wait to_cpu skip:0 unmap src unmap");
	EXPECT_LEGAL("src map skip:1 dst map to_device " COPY "wait skip:0 unmap src unmap");
	EXPECT_LEGAL("dst map to_cpu unmap");
}

/* What the CPU wrote, and the engine does not, would not be there afterwards. */
TEST_F(ledger, finds_handing_over_of_what_is_for_both_without_its_bytes)
{
	EXPECT_VIOLATION("handed over without its bytes, but mapped for both directions",
			 "dst skip:1 dir:0 map dir:2 to_device dir:0 unmap");
	EXPECT_LEGAL("dst map to_device dir:2 to_cpu dir:0 unmap dir:3 skip:0");
}

TEST_F(ledger, finds_taking_back_a_target_as_a_source)
{
	EXPECT_VIOLATION("taken back as what was read, but the engine has written to it",
			 "src map dst dir:0 map " COPY "wait dir:1 to_cpu");
	EXPECT_LEGAL("dir:0 unmap dir:3 src unmap");
}

TEST_F(ledger, finds_handing_over_without_taking_back)
{
	EXPECT_VIOLATION("handed over again, but the engine's bytes",
			 "src map dst map " COPY "wait to_device unmap src unmap");
}

TEST_F(ledger, finds_taking_back_what_is_the_cpus)
{
	EXPECT_VIOLATION("synchronized for the CPU, which has it already",
			 "skip:1 dst map to_cpu unmap");
}

TEST_F(ledger, counts_how_often_a_line_was_handed_over)
{
	EXPECT_LEGAL("skip:1 src map to_device dst map to_device to_device " COPY
		     "wait to_cpu " COPY "wait to_cpu");
	EXPECT_VIOLATION("synchronized for the CPU, which has it already", "to_cpu");
	EXPECT_VIOLATION("violation: the engine writes to", COPY "wait skip:0 unmap src unmap");
}

/* Of two operations that have the same lines, one has ended and the other is not submitted yet. */
TEST_F(ledger, knows_a_source_that_was_not_read_yet)
{
	EXPECT_LEGAL("dst map src skip:1 dir:0 map to_device");
	EXPECT_LEGAL("dir:1 to_device dir:2 to_cpu " COPY "wait");
	EXPECT_VIOLATION("violation: the engine reads",
			 "dir:0 to_device dir:2 to_cpu " COPY "wait");
	EXPECT_LEGAL("skip:0 dir:0 unmap dir:3 dst unmap");
}

/* Of somebody else's bytes in that line a machine whose caches are not coherent makes old ones. */
TEST_F(ledger, finds_a_line_that_is_not_wholly_mapped)
{
	EXPECT_LEGAL("is_coherent dst len:100");
	if (said_of("is_coherent", 0))
		EXPECT_LEGAL("map to_cpu unmap");
	else
		EXPECT_VIOLATION("only a part is mapped", "map to_cpu skip:1 unmap");
}

TEST_F(ledger, finds_synchronizing_of_what_is_not_mapped)
{
	if (zc_lacks("dma-misuse"))
		SKIP(return, NO_MISUSE);
	EXPECT_VIOLATION("synchronized, but not mapped", "dst map unmap to_cpu");
	EXPECT_VIOLATION("synchronized, but not mapped", "map len:4097 to_device len:4096 unmap");
}

TEST_F(ledger, finds_synchronizing_in_another_direction)
{
	if (zc_lacks("dma-misuse"))
		SKIP(return, NO_MISUSE);
	EXPECT_VIOLATION("synchronized, but mapped in another direction",
			 "dst map dir:1 to_device dir:3 unmap");
}

TEST_F(ledger, merges_pages_that_lie_apart)
{
	EXPECT_EQ(0, client("release"));
	ASSERT_EQ(0, softdma_become("ledger=Y ledger_merges=Y"));
	EXPECT_EQ(0, client("take"));
	EXPECT_LEGAL("fill:24 len:16384 src map dst scatter " COPY
		     "wait list_to_cpu list_to_device gather src unmap");
	EXPECT_SAID(1, "scatter");
	EXPECT_SAID(0, "wait");
	EXPECT_VIOLATION("dma_sync_single_*() over pages that lie apart",
			 "dst scatter to_cpu skip:1 gather");
	EXPECT_LEGAL("skip:0 scatter len:4096 to_device at:4096 to_device at:8192 to_cpu gather");
	EXPECT_EQ(0, client("release"));
	ASSERT_EQ(0, softdma_become("ledger=Y ledger_merges=N"));
	EXPECT_LEGAL("take scatter gather");
	EXPECT_SAID(4, "scatter");
}

TEST_F(ledger, merges_within_the_limits)
{
	EXPECT_EQ(0, client("release"));
	ASSERT_EQ(0, softdma_become("ledger=Y ledger_merges=Y max_segment=8192"));
	EXPECT_LEGAL("take dst scatter gather release");
	EXPECT_SAID(2, "scatter");
	ASSERT_EQ(0, softdma_become("ledger=Y ledger_merges=Y boundary=4096"));
	EXPECT_LEGAL("take dst scatter gather release");
	EXPECT_SAID(4, "scatter");
}

TEST_F(ledger, finds_an_entry_longer_than_the_segment_limit)
{
	if (zc_lacks("dma-misuse"))
		SKIP(return, NO_MISUSE);
	EXPECT_EQ(0, client("release"));
	ASSERT_EQ(0, softdma_become("ledger=Y max_segment=2048"));
	EXPECT_VIOLATION("more than a segment may have", "take dst scatter gather");
}

TEST_F(ledger, finds_mapping_of_no_bytes)
{
	EXPECT_VIOLATION("a mapping of no bytes", "dst len:0 map len:4096");
	EXPECT_GT(0, said_of("map", 0));
}

TEST_F(ledger, finds_unmapping_in_another_way_than_mapping)
{
	if (zc_lacks("dma-misuse"))
		SKIP(return, NO_MISUSE);
	EXPECT_VIOLATION("unmapped with another length", "dst map len:2048 unmap len:4096");
	EXPECT_VIOLATION("unmapped in another direction", "dst map dir:1 unmap dir:3");
	EXPECT_VIOLATION("unmapped, but not mapped by the same call", "dst unmap");
	EXPECT_VIOLATION("unmapped, but not mapped by the same call", "dst scatter unmap");
	EXPECT_LEGAL("gather");
}

TEST_F(ledger, does_not_judge_coherent_memory)
{
	EXPECT_LEGAL("src alloc dst map " COPY "wait result " COPY "wait unmap src free");
	EXPECT_SAID(0, "result");
}

TEST_F(ledger, finds_mappings_that_are_left)
{
	if (zc_lacks("dma-misuse"))
		SKIP(return, NO_MISUSE);
	EXPECT_EQ(0, client("src map dst map release"));
	zc_kmsg_expect("violation: 2 mappings are left");
	EXPECT_EQ(0, softdma_unbind());
	EXPECT_TRUE(zc_kmsg_expected("violation: 2 mappings are left"));
	EXPECT_EQ(0, softdma_bind());
}

ZC_SOFTWARE_ENGINE_ONLY();
ZC_TEST_MAIN
