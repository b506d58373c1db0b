# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh

# TAP for shell tests. A test is a function that fails; its name says what holds.
#
#   . ./tap.sh
#   tests='one_thing another_thing'
#   run_tests
#
# The script's arguments say which of them to run, as in selection.h:
#   SCRIPT [--list] [--without TEST]... [TEST]...

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

# await COMMAND...: until it succeeds. No longer than $patience seconds.
patience=20
await()
{
	for _ in $(seq $((patience * 20))); do
		! "$@" || return 0
		sleep 0.05
	done
	complain "did not come within $patience s: $*"
}

# rights_of FILE: for give_rights.
rights_of()
{
	stat -c '%g %a' "$1"
}

# give_rights "GROUP MODE" FILE
give_rights()
{
	chgrp "${1% *}" "$2" && chmod "${1#* }" "$2"
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

# leave_out CAPABILITY REASON: no test of this script can run. Say so of each, and end. To
# be called when the tests are named.
leave_out()
{
	leave_out="lacks $1: $2"
	run_tests
	exit
}

# All tests are of the software engine itself: leave them out where another target has them
# and nothing would be different. To be called when the tests are named.
software_engine_only()
{
	! lacks software || leave_out software 'another target has these tests'
}

# A line for qemu/guest/complaints. No host's log gets any.
guest_log()
{
	[ -z "$ZCDMA_TARGET" ] || echo "zcdma-test: $1" >/dev/kmsg
}

# kmsg_test TEST: tell a guest's log which test begins. Announcements of earlier ones end.
kmsg_test()
{
	guest_log "run: $1"
}

# kmsg_expect TEXT: the next line in the kernel's log that contains it is no complaint.
kmsg_expect()
{
	guest_log "expect: $1"
}

# kmsg_allow TEXT: the same until the test ends, whether it comes or not. For what a host
# decides that is late.
kmsg_allow()
{
	guest_log "allow: $1"
}

# kmsg_expected TEXT: it has come, and the announcement ends. If it did not that is a
# complaint of its own.
kmsg_expected()
{
	guest_log "expected: $1"
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
	if [ "$leave_out" ]; then
		skipped=$leave_out
	elif lacks programs && among "$1" ${of_programs-}; then
		skip programs 'another target has the same programs'
	elif lacks software && among "$1" ${of_software-}; then
		skip software 'another target has this test'
	else
		return 1
	fi
}

# select_tests ARGUMENT...: which tests are to be run, in $chosen, $without and $list
select_tests()
{
	chosen='' without='' list=''
	while [ $# -gt 0 ]; do
		case $1 in
		--list)
			list=yes ;;
		--without)
			without="$without $2"
			shift $(($# > 1)) ;;
		*)
			chosen="$chosen $1" ;;
		esac
		shift
	done
}

# check_selection NAME...: of the tests that there are. Is each test that the arguments name
# one of them?
check_selection()
{
	for name in $chosen $without; do
		among "$name" "$@" && continue
		echo "# there is no test '$name'" >&2
		return 1
	done
}

# Does test $1 belong to the selection?
selected()
{
	# shellcheck disable=SC2086 # lists
	{ [ -z "$chosen" ] || among "$1" $chosen; } && ! among "$1" $without
}

# Run test $1. Who needs something before each test, or looks at something after it, has an
# attempt() of its own.
attempt()
{
	"$1"
}

# Run those of $tests, $of_software and $of_programs that were selected, one by one, each with
# a fresh folder $work and an empty one, $dir, in it.
run_tests()
{
	# shellcheck disable=SC2086,SC2154 # lists, of whoever includes us
	set -- $tests ${of_software-} ${of_programs-}
	check_selection "$@" || return 2
	for test; do
		shift
		! selected "$test" || set -- "$@" "$test"
	done
	[ -z "$list" ] || { printf '%s\n' "$@"; return 0; }
	echo 'TAP version 13'
	if [ $# -eq 0 ]; then
		echo '1..0 # SKIP left out: all tests'
		return 0
	fi
	echo "1..$#"
	nr=0 failures=0
	for test; do
		nr=$((nr + 1))
		skipped=
		work=$(mktemp -d /tmp/zcdma-test.XXXXXX)
		dir=$work/dir
		mkdir "$dir"
		kmsg_test "$test"
		if left_out "$test" || attempt "$test"; then
			echo "ok $nr $test${skipped:+ # SKIP $skipped}"
		else
			echo "not ok $nr $test"
			failures=$((failures + 1))
		fi
		rm -rf "$work"
	done
	[ "$failures" -eq 0 ]
}

leave_out=
select_tests "$@"
