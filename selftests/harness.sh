#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What harness.h and tap.sh make of tests that pass, fail, skip and are left out.

cd "$(dirname "$0")" || exit
. ./tap.sh

# sample STATUS ARGUMENT...: run it; its results, without their numbers, are in $results
sample()
{
	status=$1
	shift
	run "$status" env -u ZCDMA_TARGET ./harness_sample "$@" || return
	results=$(echo "$out" | sed -n 's/^\(ok\|not ok\) [0-9]* /\1 /p; s/^1\.\./plan /p')
}

# is TEXT: the results are these.
is()
{
	[ "$results" = "$1" ] || complain "not '$1' but: $results"
}

all_tests_run_unless_some_are_named()
{
	sample 1 && says "$results" '^plan 8$' '^not ok sample.fails$' '^ok variants.two.differ$' \
		'^ok global.alone$' '^ok sample.skips # SKIP lacks edu: a sample$' \
		'^not ok sample.ends_by_a_signal$'
}

named_tests_run_and_no_others()
{
	sample 0 passes && is 'plan 1
ok sample.passes' || return
	sample 0 sample.passes alone && is 'plan 2
ok global.alone
ok sample.passes' || return
	sample 0 variants.two.differ && is 'plan 1
ok variants.two.differ' || return
	sample 0 variants.differ && is 'plan 2
ok variants.one.differ
ok variants.two.differ'
}

tests_can_be_left_out()
{
	sample 0 --without differ passes differ && is 'plan 1
ok sample.passes' || return
	sample 0 --without variants.one.differ differ && is 'plan 1
ok variants.two.differ' || return
	sample 0 --without passes passes && is 'plan 0 # SKIP left out: all tests'
}

names_of_no_test_are_an_error()
{
	sample 2 no_such && is '' && says "$err" "^# there is no test 'no_such'" || return
	sample 2 --without no_such && is '' || return
	sample 2 --without && is '' && sample 2 --no-such && is ''
}

list_has_the_names()
{
	sample 0 --list differ || return
	[ "$out" = 'variants.one.differ
variants.two.differ' ] || complain "$out"
}

skip_does_not_hide_a_failure()
{
	sample 1 fails_before_it_skips && is 'plan 1
not ok sample.fails_before_it_skips' || return
	export TEARDOWN_FAILS=yes
	sample 1 skips
	status=$?
	unset TEARDOWN_FAILS
	[ $status -eq 0 ] && is 'plan 1
not ok sample.skips'
}

each_test_of_a_program_that_is_left_out_has_a_result()
{
	had=$ZCDMA_LACKS
	export ZCDMA_LACKS="$had software"
	sample 0 sample.fails differ
	status=$?
	ZCDMA_LACKS=$had
	[ $status -eq 0 ] && is 'plan 3
ok sample.fails # SKIP lacks software: another target has these tests
ok variants.one.differ # SKIP lacks software: another target has these tests
ok variants.two.differ # SKIP lacks software: another target has these tests'
}

# A script that has the same tests
scripts_do_the_same()
{
	cat >"$dir/script" <<-END
		. $PWD/tap.sh
		passes() { :; }
		fails() { false; }
		skips() { skip edu 'a sample'; }
		tests='passes fails skips'
		leaving=\$LEAVING
		[ -z "\$leaving" ] || leave_out edu 'a sample'
		run_tests
	END
	try 1 && is 'plan 3
ok passes
not ok fails
ok skips # SKIP lacks edu: a sample' || return
	try 0 passes && is 'plan 1
ok passes' || return
	try 0 --without fails && is 'plan 2
ok passes
ok skips # SKIP lacks edu: a sample' || return
	try 2 no_such && is '' || return
	try 0 --without passes passes && is 'plan 0 # SKIP left out: all tests' || return
	LEAVING=yes try 0 && is 'plan 3
ok passes # SKIP lacks edu: a sample
ok fails # SKIP lacks edu: a sample
ok skips # SKIP lacks edu: a sample'
}

# try STATUS ARGUMENT...: as sample, of that script
try()
{
	status=$1
	shift
	run "$status" env -u ZCDMA_TARGET sh "$dir/script" "$@" || return
	results=$(echo "$out" | sed -n 's/^\(ok\|not ok\) [0-9]* /\1 /p; s/^1\.\./plan /p')
}

of_programs='
	all_tests_run_unless_some_are_named
	named_tests_run_and_no_others
	tests_can_be_left_out
	names_of_no_test_are_an_error
	list_has_the_names
	skip_does_not_hide_a_failure
	each_test_of_a_program_that_is_left_out_has_a_result
	scripts_do_the_same
'
tests=
run_tests
