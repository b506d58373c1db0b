# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh

# TAP for shell tests. A test is a function that fails; its name says what holds.
#
#   . ./tap.sh
#   tests='one_thing another_thing'
#   run_tests

# What a check that failed has to say. Always false, so that a test can end with it.
complain()
{
	echo "#   $*"
	return 1
}

# run STATUS COMMAND...: run COMMAND; its output is in $out, its errors in $err. (A
# process takes an emulated machine tens of milliseconds, and busybox starts none for awk.)
# shellcheck disable=SC2034 # they are for the tests
run()
{
	wanted=$1
	shift
	out=$("$@" 2>"$work/err" </dev/null)
	got=$?
	err=
	[ ! -s "$work/err" ] || err=$(awk 1 "$work/err")
	[ "$got" -eq "$wanted" ] && return
	complain "status $got, not $wanted: $*"
	echo "$out" | sed 's/^/#     /' - "$work/err"
	return 1
}

# says TEXT PATTERN...: TEXT has, for each of the extended regular expressions, a line that
# matches.
says()
{
	text=$1
	shift
	missing=$(awk '
		BEGIN { for (n = ARGC - 1; ARGC > 1; ARGC--) want[ARGC - 1] = ARGV[ARGC - 1] }
		{ for (i in want) if ($0 ~ want[i]) delete want[i] }
		END { for (i = 1; i <= n; i++) if (i in want) print "\047" want[i] "\047" }' "$@" <<-END
	$text
	END
	)
	[ -z "$missing" ] || complain "no line matches $missing in: $text"
}

# quiet TEXT: nothing was said.
quiet()
{
	[ -z "$1" ] || complain "unexpected: $1"
}

# lacks CAPABILITY: the target is declared not to have it.
lacks()
{
	case " $ZCDMA_LACKS " in
	*" $1 "*) return 0 ;;
	*) return 1 ;;
	esac
}

# Another target does it all, this one less of it.
brief()
{
	[ "$ZCDMA_BRIEF" = yes ]
}

# skip CAPABILITY REASON: to be called by a test that cannot run.
skip()
{
	skipped="lacks $1: $2"
}

# All tests are of the software engine itself: leave them out where another target has them
# and nothing would be different.
software_engine_only()
{
	lacks software || return 0
	echo '1..0 # SKIP lacks software: another target has these tests'
	exit 4
}

# among WORD WORDS...: is it one of them?
among()
{
	word=$1
	shift
	for other; do
		[ "$other" != "$word" ] || return 0
	done
	return 1
}

# Is test $1 of programs alone, whatever the kernel and the engine, or of the software engine
# alone, and does another target have it?
left_out()
{
	# shellcheck disable=SC2086 # lists
	if lacks programs && among "$1" ${of_programs-}; then
		skip programs 'another target has the same programs'
	elif lacks software && among "$1" ${of_software-}; then
		skip software 'another target has this test'
	else
		return 1
	fi
}

# Run $tests, $of_software and $of_programs one by one, each with a fresh folder $work and an
# empty one, $dir, in it.
run_tests()
{
	echo 'TAP version 13'
	# shellcheck disable=SC2086,SC2154 # lists, of whoever includes us
	set -- $tests ${of_software-} ${of_programs-}
	echo "1..$#"
	nr=0 failures=0
	for test; do
		nr=$((nr + 1))
		skipped=
		work=$(mktemp -d /tmp/zcdma-test.XXXXXX)
		dir=$work/dir
		mkdir "$dir"
		if left_out "$test" || "$test"; then
			echo "ok $nr $test${skipped:+ # SKIP $skipped}"
		else
			echo "not ok $nr $test"
			failures=$((failures + 1))
		fi
		rm -rf "$work"
	done
	[ "$failures" -eq 0 ]
}
