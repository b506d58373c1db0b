#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What an op costs, beside the kernel's own dmatest on the same engine in the same boot, and what
# is gained by computing while a copy runs: in counted instructions, which each run has the same.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./dmatest.sh

# cost_by_dmatest SIZE COUNT: instructions of one copy of dmatest, of so many, in $theirs
cost_by_dmatest()
{
	with_dmatest dmatest_rate "$(channels | head -n 1)" "$1" "$2" || return
	theirs=$(awk -v iops="$iops" 'BEGIN { printf "%.0f", 1e9 / iops }')
}

# cost SIZE PATH: of one op of zcdma by that way, in $ours
cost()
{
	run 0 zcdma bench -c "$ZCDMA_PROVIDER" -n 15 -s "$1" -p "$2" --json || return
	ours=$(echo "$out" | awk -f json.awk | sed -n 's/^results\.0\.ns_per_op=//p')
	[ "$ours" ] || complain "no result of bench: $out"
}

# costs SIZE PATH MOST: at most MOST times as much as dmatest's copy of the same size
costs()
{
	cost "$1" "$2" || return
	echo "# $1 bytes, $2: $ours instructions, dmatest $theirs"
	awk -v ours="$ours" -v theirs="$theirs" -v most="$3" 'BEGIN { exit !(ours <= most * theirs) }' ||
		complain "more than $3 of what dmatest takes"
}

# Dmatest maps its memory for each copy and waits for it. softdma's copies cost instructions as
# well, and its thread has to be woken; others move without the CPU, whose caches may have to be
# cleaned.
case $ZCDMA_PROVIDER in
softdma)
	short='0.46 0.57 0.74 1.49 1.76'
	long='0.85 1.15'
	longest='1.00 1.02'
	;;
bcm2835-dma)	# its descriptors are lists, which the driver allocates, asleep: a worker hands over
	short='0.74 0.88 1.25 2.82 3.26'
	long='0.92 1.21'
	longest='1.08 1.13'
	;;
*)
	short='0.43 0.54 0.99 1.29 1.80'
	long='0.86 1.13'
	longest='1.12 1.14'
	;;
esac

ops_of_4_kib_cost_a_bounded_multiple_of_those_of_dmatest()
{
	# shellcheck disable=SC2086 # a list
	set -- $short
	cost_by_dmatest 4096 2000 &&
	costs 4096 registered_batch32_ioctl "$1" &&
	costs 4096 registered_batch32_uring "$2" &&
	costs 4096 unregistered_batch32 "$3" &&
	costs 4096 registered_single "$4" &&
	costs 4096 unregistered_single "$5"
}

ops_of_64_kib_cost_a_bounded_multiple_of_those_of_dmatest()
{
	# shellcheck disable=SC2086 # a list
	set -- $long
	cost_by_dmatest 65536 1000 &&
	costs 65536 registered_batch32_ioctl "$1" &&
	costs 65536 unregistered_batch32 "$2"
}

ops_of_1_mib_cost_a_bounded_multiple_of_those_of_dmatest()
{
	lacks long-mapping && skip long-mapping 'dmatest maps its memory in one piece' && return
	# shellcheck disable=SC2086 # a list
	set -- $longest
	cost_by_dmatest 1048576 200 &&
	costs 1048576 registered_batch32_ioctl "$1" &&
	costs 1048576 registered_single "$2"
}

# number NAME: of the last bench
number()
{
	echo "$out" | awk -f json.awk | sed -n "s/^results\.0\.$1=//p"
}

# within NAME LEAST MOST
within()
{
	echo "# $1: $(number "$1")"
	number "$1" | awk -v least="$2" -v most="$3" '{ ok = $1 >= least && $1 <= most } END { exit !ok }' ||
		complain "$1 is '$(number "$1")', not from $2 to $3"
}

slowed_down()
{
	echo "$1" >/sys/kernel/debug/softdma/delay_us || return
	shift
	"$@"
	status=$?
	echo 0 >/sys/kernel/debug/softdma/delay_us
	return $status
}

# The engine waits for 2 ms, and moves for far less: half the time would be ideal.
overlap()
{
	run 0 zcdma bench -c softdma --overlap -n 3 -s 4K --json &&
	within copy_seconds 0.002 0.0025 &&
	within compute_seconds 0.0019 0.0026 &&
	within overlap_ratio 0.45 0.65
}

computing_while_a_copy_runs_takes_at_most_two_thirds_of_the_time()
{
	slowed_down 2000 overlap
}

# 63 sessions do one small op after the other, one has many of a MiB.
fairness()
{
	run 0 zcdma bench -c softdma --fairness -t 1 --json &&
	within jain 0.95 1 &&
	within light_ops 1000 1000000 &&
	within within_two_windows 0.99 1
}

equal_sessions_do_the_same_beside_one_with_long_ops()
{
	slowed_down 200 fairness
}

tests='
	ops_of_4_kib_cost_a_bounded_multiple_of_those_of_dmatest
	ops_of_64_kib_cost_a_bounded_multiple_of_those_of_dmatest
	ops_of_1_mib_cost_a_bounded_multiple_of_those_of_dmatest
'
of_software='
	computing_while_a_copy_runs_takes_at_most_two_thirds_of_the_time
	equal_sessions_do_the_same_beside_one_with_long_ops
'
! lacks counted || leave_out counted "time is the host's"
! lacks bulk || leave_out bulk 'this engine takes long'
run_tests
