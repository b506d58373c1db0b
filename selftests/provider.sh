#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own dmatest as judge of the engine under test: on all its channels
# at once, random sizes and offsets. Run before the other tests and after them:
# zcdma must leave channels as it found them.

cd "$(dirname "$0")" || exit
. ./tap.sh

: "${ZCDMA_PROVIDER:=softdma}"
parameters=/sys/module/dmatest/parameters

# The engine's channels that nobody has, by name.
channels()
{
	zcdma list | awk -v p="$ZCDMA_PROVIDER" '$2 == p && $5 == "free" { print $1 }'
}

# log2 of the alignment that the engine wants, for dmatest.
alignment()
{
	json=$(zcdma list --json | awk -f json.awk)
	index=$(echo "$json" | sed -n "s/^\([0-9]*\)\.provider=$ZCDMA_PROVIDER\$/\1/p" | head -n 1)
	echo "$json" | awk -F= -v key="$index.copy_align" '
		$1 == key { for (n = $2; n > 1; n /= 2) log2++; print log2 + 0 }'
}

set_up()
{
	while [ $# -gt 0 ]; do
		echo "$2" >$parameters/"$1" || return
		shift 2
	done
}

# dmatest takes channels when told their names and keeps them until it goes. How
# many it got is in $taken.
take()
{
	taken=0
	for channel; do
		if echo "$channel" 2>/dev/null >$parameters/channel; then
			taken=$((taken + 1))
		else
			lacks all-channels || complain "dmatest does not get $channel" || return
		fi
	done
	[ $taken -gt 0 ] || complain "no channel of $ZCDMA_PROVIDER"
}

# with_dmatest COMMAND...: while it is loaded.
with_dmatest()
{
	modprobe dmatest || return
	"$@"
	status=$?
	modprobe -r dmatest || return
	return $status
}

# on_all_channels KIND ITERATIONS: let dmatest copy (0) or fill (1).
on_all_channels()
{
	set_up test_buf_size 65536 timeout 20000 max_channels 0 threads_per_chan 2 \
		alignment "$(alignment)" dmatest "$1" iterations "$2" || return
	# shellcheck disable=SC2046 # names
	take $(channels) || return
	echo 1 >$parameters/run
	cat $parameters/wait >/dev/null
}

# judge KIND ITERATIONS: do so and look at the summaries of all threads.
judge()
{
	mark="zcdma selftest: dmatest $1 of process $$ at $(cut -d' ' -f1 /proc/uptime)"
	echo "$mark" >/dev/kmsg
	with_dmatest on_all_channels "$1" "$2" || return
	dmesg | sed -n "/$mark/,\$p" | grep 'dmatest: .* summary' >"$work/summaries"
	threads=$(wc -l <"$work/summaries")
	echo "# $threads threads on $taken channels"
	awk '$0 !~ / [1-9][0-9]* tests, 0 failures/ { print "#   " $0; bad = 1 } END { exit bad }' \
		"$work/summaries" || return
	[ "$threads" -eq $((2 * taken)) ] || complain "$threads summaries, not $((2 * taken))"
}

dmatest_copies_on_all_channels_at_once()
{
	judge 0 100
}

dmatest_fills_on_all_channels_at_once()
{
	lacks memset && skip memset 'the engine cannot fill' && return
	judge 1 100
}

taken_channel_is_busy()
{
	channel=$(channels | head -n 1)
	set_up iterations 1 && take "$channel" || return
	run 0 zcdma list || return
	says "$out" "^$channel .* busy " || return
	run 1 zcdma fill -c "$channel" -l 1K "$dir/file" || return
	says "$err" '[Bb]usy'
}

# While dmatest has a channel it is not zcdma's, and zcdma says so.
channel_of_another_user_is_busy()
{
	with_dmatest taken_channel_is_busy
}

# Used or not: with the session the channel is given back.
channels_are_as_they_were_afterwards()
{
	cat /sys/class/dma/*/in_use >"$work/before"
	zcdma list >"$work/list-before"
	run 0 zcdma fill -q -c "$ZCDMA_PROVIDER" -l 64K "$dir/file" || return
	zcdma list | cmp - "$work/list-before" || return
	cat /sys/class/dma/*/in_use | cmp - "$work/before" || return
	[ -n "$(channels)" ] || complain 'none is free'
}

tests='
	dmatest_copies_on_all_channels_at_once
	dmatest_fills_on_all_channels_at_once
	channel_of_another_user_is_busy
	channels_are_as_they_were_afterwards
'
run_tests
