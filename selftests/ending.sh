#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# On the host: whoever ends a run of the tests, or no longer reads what it prints, ends its
# guests. The scripts are those of the tree, in one with guests that only wait.

cd "$(dirname "$0")/.." || exit
. selftests/tap.sh
. selftests/fake_tree.sh
unset MAKEFLAGS MAKELEVEL

# A target "slow", whose guest never comes up, and a target "quick", whose guest ends as soon as
# nobody reads, unless it has as long as one of a test that is known to fail.
make_tree()
{
	make_fake_tree slow quick || return
	known_seconds=$(sed -n 's/^known_seconds=\([0-9]*\).*/\1/p' "$tree/qemu/checks/known.sh")
	mkdir -p "$tree/.ci" "$tree/selftests/mutants" "$tree/guests" || return
	cp .ci/run "$tree/.ci"
	script machine "if [ \$1 = quick ] && ! tr '\\0' ' ' </proc/\$PPID/cmdline | grep -q ' $known_seconds '; then
			until [ -e $tree/unread ]; do sleep 0.1; done
			exit 0
		fi
		echo >$tree/guests/\$\$
		exec sleep 300"
	script out/channel 'exec cat'
	script .ci/lint "echo >$tree/guests/\$\$
		exec sleep 300"
	for target in slow quick; do
		printf 'Test: program fixture.test\nTarget: %s\nBreaks: all\n---\n' $target \
			>"$tree/selftests/mutants/$target.patch"
	done
}

# start FILE COMMAND...: in the tree, what it prints goes there; $pid is its process.
start()
{
	out=$1
	shift
	export ZCDMA_CACHE="$dir/cache" ZCDMA_ACCEL=tcg
	(cd "$tree" && exec env --default-signal=INT,PIPE setsid "$@") </dev/null >"$out" 2>&1 &
	pid=$!
}

# Of files that there are
number_of()
{
	[ -e "$1" ] && echo $# || echo 0
}

patience=60

# guests_are NUMBER: so many, or more, are there.
guests_are()
{
	[ "$(number_of "$tree"/guests/*)" -ge "$1" ]
}

guests_came()
{
	await guests_are "$1"
}

# The processes of the session that the command began, itself included
processes()
{
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v session="$pid" '
		{ number = $1; sub(/^.*\) /, "") }
		$4 == session && $1 != "Z" { print number }'
}

# Nor does any of them outlive us.
trap 'left=$(processes); [ -z "$left" ] || kill $left; rm -rf "$work"' EXIT
trap 'exit 143' INT TERM HUP
pid=none work=

none_is_left()
{
	left=$(processes)
	[ -z "$left" ]
}

# The command ends, and so does all that it has started. If not, it does now.
all_end()
{
	await none_is_left && return
	complain "these did not end: $(ps -o pid=,args= -p "$(echo "$left" | paste -sd ,)" 2>&1)"
	# shellcheck disable=SC2086 # numbers
	kill $left
	return 1
}

# ends_by SIGNAL COMMAND...: COMMAND does, and takes its guests with it.
ends_by()
{
	signal=$1
	shift
	make_tree && start "$work/out" "$@" && guests_came 1 || return
	kill -s "$signal" "$pid"
	all_end
}

# nobody_reads COMMAND...: its first line goes nowhere.
nobody_reads()
{
	make_tree || return
	mkfifo "$work/pipe"
	tail -f /dev/null - <"$work/pipe" >/dev/null &
	reader=$!
	start "$work/pipe" "$@"
	guests_came 1
	status=$?
	kill $reader
	wait $reader
	: >"$tree/unread"
	[ $status -eq 0 ] && all_end
}

check_that_is_terminated_ends_its_guests()
{
	ends_by TERM qemu/check slow
}

# Who presses ^C to no avail presses it again: an INT that comes to bash alone while a command in
# the foreground runs is lost when that command ends well.
check_that_is_interrupted_ends_its_guests()
{
	make_tree && start "$work/out" qemu/check slow && guests_came 1 || return
	for _ in 1 2 3; do
		kill -s INT "$pid" 2>/dev/null || break
		sleep 1
	done
	all_end
}

check_that_runs_known_failures_ends_its_guests()
{
	make_tree || return
	echo 'program fixture.test 14 fails quick' >"$tree/selftests/KNOWN"
	: >"$tree/unread"
	start "$work/out" qemu/check quick && guests_came 1 || return
	kill "$pid"
	all_end
}

make_check_that_is_terminated_ends_its_guests()
{
	ends_by TERM make check TARGET=slow
}

make_check_that_nobody_reads_ends_its_guests()
{
	nobody_reads make check TARGET='slow quick'
}

ci_that_is_terminated_ends_its_guests_and_lint()
{
	make_tree && start "$work/out" .ci/run && guests_came 2 || return
	kill "$pid"
	all_end
}

mutants_that_are_terminated_end_their_guests()
{
	ends_by TERM qemu/mutants slow
}

mutants_that_nobody_reads_end_their_guests()
{
	nobody_reads qemu/mutants slow quick
}

run_that_is_terminated_ends_its_guest()
{
	ends_by TERM qemu/run --target slow -- true
}

tests='
	run_that_is_terminated_ends_its_guest
	check_that_is_terminated_ends_its_guests
	check_that_is_interrupted_ends_its_guests
	check_that_runs_known_failures_ends_its_guests
	make_check_that_is_terminated_ends_its_guests
	make_check_that_nobody_reads_ends_its_guests
	ci_that_is_terminated_ends_its_guests_and_lint
	mutants_that_are_terminated_end_their_guests
	mutants_that_nobody_reads_end_their_guests
'
run_tests
