// SPDX-License-Identifier: GPL-2.0
/* Tests that pass, fail and skip, for harness.sh: what does harness.h make of them? */
#include "harness.h"

FIXTURE(sample) {
};

FIXTURE_SETUP(sample)
{
}

FIXTURE_TEARDOWN(sample)
{
	EXPECT_TRUE(!getenv("TEARDOWN_FAILS"));
}

TEST_F(sample, passes)
{
	EXPECT_EQ(1, 1);
}

TEST_F(sample, fails)
{
	EXPECT_EQ(1, 2);
}

TEST_F(sample, skips)
{
	SKIP(return, "lacks edu: a sample");
}

TEST_F(sample, fails_before_it_skips)
{
	EXPECT_EQ(1, 2);
	SKIP(return, "lacks edu: a sample");
}

TEST_F(sample, ends_by_a_signal)
{
	abort();
}

FIXTURE(variants) {
};

FIXTURE_VARIANT(variants) {
	int number;
};

FIXTURE_VARIANT_ADD(variants, one) {
	.number = 1,
};

FIXTURE_VARIANT_ADD(variants, two) {
	.number = 2,
};

FIXTURE_SETUP(variants)
{
}

FIXTURE_TEARDOWN(variants)
{
}

TEST_F(variants, differ)
{
	EXPECT_LE(1, variant->number);
}

TEST(alone)
{
	EXPECT_EQ(1, 1);
}

ZC_SOFTWARE_ENGINE_ONLY()
ZC_TEST_MAIN
