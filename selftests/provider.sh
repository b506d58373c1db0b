#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own dmatest as judge of the engine under test: on all its channels
# at once, random sizes and offsets. Run before the other tests and after them:
# zcdma must leave channels as it found them.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./dmatest.sh

# A slow engine has 22 channels, and moves some 10 MB a second.
size=65536 iterations=100
! brief || iterations=5
! lacks bulk || size=4096 iterations=5

# on_all_channels KIND ITERATIONS: let dmatest copy (0) or fill (1).
on_all_channels()
{
	set_up test_buf_size $size timeout 20000 max_channels 0 threads_per_chan 2 \
		alignment "$(alignment)" dmatest "$1" iterations "$2" || return
	# shellcheck disable=SC2046 # names
	take $(channels) || return
	run_dmatest $((2 * taken))
}

# judge KIND ITERATIONS: do so and look at the summaries of all threads.
judge()
{
	with_dmatest on_all_channels "$1" "$2" || return
	echo "# $((2 * taken)) threads on $taken channels"
	awk '$0 !~ / [1-9][0-9]* tests, 0 failures/ { print "#   " $0; bad = 1 } END { exit bad }' \
		"$work/summaries"
}

dmatest_copies_on_all_channels_at_once()
{
	judge 0 $iterations
}

dmatest_fills_on_all_channels_at_once()
{
	lacks memset && skip memset 'the engine cannot fill' && return
	judge 1 $iterations
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

# engine NAME=VALUE...: the software engine is one with these parameters.
engine()
{
	for parameter; do
		echo "${parameter#*=}" >/sys/module/softdma/parameters/"${parameter%%=*}" || return
	done
	echo softdma.0 >/sys/bus/platform/drivers/softdma/unbind || return
	echo softdma.0 >/sys/bus/platform/drivers/softdma/bind
}

# Of what violates nothing there is no message, so the engine is asked.
judge_by_ledger()
{
	engine ledger=Y ledger_merges=Y align=8 boundary=65536 max_segment=65536 || return
	ZCDMA_PROVIDER=softdma
	judge 0 $iterations && judge 1 $iterations || return
	violations=$(cat /sys/kernel/debug/softdma/violations)
	[ "$violations" -eq 0 ] || complain "$violations violations"
}

dmatest_does_all_right_says_the_ledger()
{
	was=$(cat /sys/module/softdma/parameters/ledger)
	(judge_by_ledger)
	status=$?
	engine ledger="$was" ledger_merges=N align=1 boundary=0 max_segment=4294967295 || return
	return $status
}

# Providers whose channels share descriptors do not clear our callbacks in them.
dmatest_copies_after_a_device_was_sent_to()
{
	ports=$(zcdma port list | awk '$4 ~ /tx/ { print $1 }')
	[ "$ports" ] || lacks ports || complain 'no port that sends' || return
	[ "$ports" ] || { skip ports 'its engine serves no device here' && return; }
	for port in $ports; do
		seq 1 200 | zcdma write -q "$port" - || return
	done
	judge 0 2
}

# While dmatest has a channel it is not zcdma's, and zcdma says so.
channel_of_another_user_is_busy()
{
	with_dmatest taken_channel_is_busy
}

channels_now()
{
	cat /sys/class/dma/*/in_use && zcdma list
}

channels_are_as_before()
{
	channels_now | cmp - "$work/before"
}

# Used or not: with the session the channel is given back, as soon as its engine is idle. The end
# of a program does not wait for that, which takes an engine less than a tenth of a second, and a
# host that is busy with others some more.
channels_are_as_they_were_afterwards()
{
	channels_now >"$work/before"
	run 0 zcdma fill -q -c "$ZCDMA_PROVIDER" -l 64K "$dir/file" || return
	patience=3
	await channels_are_as_before || return
	[ -n "$(channels)" ] || complain 'none is free'
}

tests='
	dmatest_copies_on_all_channels_at_once
	dmatest_fills_on_all_channels_at_once
	dmatest_copies_after_a_device_was_sent_to
	channel_of_another_user_is_busy
	channels_are_as_they_were_afterwards
'
of_software=dmatest_does_all_right_says_the_ledger
run_tests
