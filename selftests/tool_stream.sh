#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's stream, at the software engine.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./tool_util.sh

set_up()
{
	prefix=$(engine_name)
	ports "s-tx:tx=${prefix}chan0;s-rx:rx=${prefix}chan1;s-both:tx=${prefix}chan2,rx=${prefix}chan3"
	ports "s-words:rx=${prefix}chan3,width=4"
}

stream_goes_through_pipes()
{
	engine N 0
	zcdma stream -q -n 100000 -p 1000 -r 200000 s-rx - >"$dir/out" &
	reader=$!
	seq 1 20000 | head -c 100000 | zcdma stream -q s-tx - || complain 'stream failed' || return
	wait $reader || complain "the reader's status is $?" || return
	seq 1 20000 | head -c 100000 | cmp - "$dir/out" || complain 'what came is not what went'
}

# A queued ring that sends loses nothing.
gaps_are_told()
{
	engine N 0
	seq 1 1000 >"$dir/in"
	run 0 zcdma stream s-tx "$dir/in" && says "$out" '^3893 bytes to s-tx, .* [0-9]+ gaps$' ||
		return
	run 0 zcdma stream --json s-tx "$dir/in" && json "$out" &&
	says "$json" '^port=s-tx$' '^ring=queued$' '^bytes=3893$' '^seconds=[0-9]' \
		'^bytes_per_second=[0-9]' '^underruns=[0-9]+$' '^periods_lost=0$'
}

stream_of_a_source_is_measured()
{
	engine Y 50000
	run 0 zcdma stream --json -n 150000 -r 200000 s-rx "$dir/out" && json "$out" || return
	says "$json" '^port=s-rx$' '^ring=cyclic$' '^bytes=150000$' '^overruns=0$' '^periods_lost=0$' || return
	run 0 zcdma stream --queued --json -n 50000 -r 400000 s-rx "$dir/out2" || return
	says "$out" '"ring": "queued"' || return
	od -v -A n -t u4 -w4 "$dir/out" |
		awk '$1 != NR - 1 { exit 1 }' || complain 'it is not what the source sends'
}

losses_are_told()
{
	engine Y 8000000
	# Nobody reads the pipe for a while.
	{ zcdma stream --json -n 4000000 -r 65536 s-rx 2>"$dir/err" || : >"$work/failed"; } |
		{ sleep 1; wc -c >"$dir/count"; }
	[ ! -e "$work/failed" ] || complain 'it failed' || return
	says "$(cat "$dir/count")" '4000000' && json "$(cat "$dir/err")" &&
	says "$json" '^overruns=[1-9]' '^periods_lost=[1-9]'
}

errors_are_clear()
{
	engine N 0
	run 1 zcdma stream s-nothing && says "$err" 's-nothing: no such port' &&
	run 1 zcdma stream --tx s-rx && says "$err" 's-rx: this port only receives' &&
	run 1 zcdma stream --rx s-tx && says "$err" 's-tx: this port only sends' &&
	run 1 zcdma stream s-both && says "$err" 's-both sends and receives: say --tx or --rx' &&
	run 1 zcdma stream -p 18 s-words && says "$err" 'no multiple of its 4-byte words' &&
	run 1 zcdma stream -p 4 s-rx && says "$err" 'a period must have 16 to 1048576' &&
	run 1 zcdma stream -r 4096 s-rx && says "$err" 'a ring must have 2 to 4096 periods' &&
	run 1 zcdma stream -r 65M -p 64K s-rx && says "$err" 'at most 67108864 bytes'
}

# A port that goes both ways, by either kind of ring.
both_ways_go_by_either_ring()
{
	engine N 0
	seq 1 1000 | head -c 3200 >"$dir/in"
	run 0 zcdma stream -t -j s-both "$dir/in" && says "$out" '"ring": "queued"' || return
	run 0 zcdma stream -x -n 3200 -p 16 -r 4096 -j s-both "$dir/out" && says "$out" '"ring": "cyclic"' || return
	cmp "$dir/in" "$dir/out" || return
	run 0 zcdma stream --tx --queued s-both "$dir/in" && says "$out" '^3200 bytes to s-both' || return
	run 0 zcdma stream --rx --queued -n 3200 -p 16 -r 4096 s-both "$dir/out2" &&
	says "$out" '^3200 bytes from s-both, .* [0-9]+ periods lost$' && cmp "$dir/in" "$dir/out2"
}

# ---- with the fake only ----

trouble_is_told()
{
	head -c 1000 /dev/zero >"$dir/in"
	run 1 with STREAM_SETUP:EOPNOTSUPP zcdma stream -c s-rx && one_line 's-rx: its engine has no cyclic transfers; try --queued' &&
	run 1 with STREAM_SETUP:ENOMEM zcdma stream s-rx && one_line 's-rx: no memory for a ring of 262144 bytes; see ulimit -l' &&
	run 1 with STREAM_SETUP:EIO zcdma stream s-rx && one_line 's-rx: Input/output error' &&
	run 1 with ATTACH_PORT:EBUSY zcdma stream s-rx && one_line 's-rx: busy: its channel is used otherwise' &&
	run 1 with WRITE:EIO@1 zcdma stream s-tx "$dir/in" && says "$err" 's-tx: the engine failed, after 0 bytes' &&
	run 1 with READ:EIO@1 zcdma stream -n 10 s-rx && says "$err" 's-rx: the engine failed, after 0 bytes' &&
	run 1 with READ:ENODEV@1 zcdma stream -n 10 s-rx && says "$err" 's-rx: its engine has gone' &&
	run 1 with STREAM_CONTROL:ETIMEDOUT zcdma stream s-tx "$dir/in" && says "$err" 's-tx: the device asked for nothing in time' &&
	run 1 zcdma stream -d 200 -n 10 s-rx && says "$err" 's-rx: the device asked for nothing in time, after 0 bytes'
}

losses_do_not_end_it()
{
	engine Y 0
	run 0 with READ:EPIPE@2,READ:EPIPE@4 zcdma stream -j -n 100000 -p 1K s-rx "$dir/out" && json "$out" &&
	says "$json" '^bytes=100000$' '^overruns=2$' || return
	engine N 0
	head -c 5000 /dev/zero >"$dir/in"
	run 0 with WRITE:EPIPE@1 zcdma stream --cyclic -j s-tx "$dir/in" && json "$out" &&
	says "$json" '^bytes=5000$' '^underruns=1$' '^ring=cyclic$'
}

files_in_trouble_are_told()
{
	engine Y 0
	run 1 with write:ENOSPC@2 zcdma stream -n 100000 s-rx "$dir/out" && says "$err" "$dir/out: No space left" || return
	zcdma stream -n 100000 s-rx >/dev/full 2>"$dir/err"
	[ $? -eq 1 ] || complain 'status is not 1' || return
	says "$(cat "$dir/err")" 'standard output: No space left on device'
}

interruptions_are_got_over()
{
	seq 1 2000 >"$dir/in"
	run 0 with read:EINTR@1,read:SHORT@2,WRITE:EINTR@1,POLL:EINTR@1 zcdma stream -q s-tx "$dir/in" || return
	run 0 with write:EINTR@1,write:SHORT@2 zcdma stream -q -p 16 -r 65536 -n 8880 s-rx "$dir/out" || return
	head -c 8880 "$dir/in" | cmp - "$dir/out"
}

receiver_ends_by_a_signal()
{
	engine Y 100000
	for signal in INT TERM; do
		rm -f "$dir/out"
		signalled catches_signals $signal 0 zcdma stream s-rx "$dir/out" || return
		says "$out" '^[0-9]+ bytes from s-rx, ' || return
		[ "$(wc -c <"$dir/out")" -eq "${out%% *}" ] || complain "not so many: $(wc -c <"$dir/out")" || return
	done
}

stream_goes_on_when_it_was_stopped()
{
	engine Y 100000
	signalled catches_signals 'STOP CONT' 0 zcdma stream -q -n 100000 -r 1M s-rx "$dir/out" || return
	od -v -A n -t u4 -w4 "$dir/out" | awk '$1 != NR - 1 { exit 1 }' || complain 'numbers are missing'
}

meter_is_shown_on_a_terminal()
{
	engine Y 200000
	script -qec "zcdma stream -n 120000 -p 1K -r 64K s-rx $dir/out" "$work/typescript" >/dev/null </dev/null || return
	tr '\r' '\n' <"$work/typescript" | tr '\033' '\n' | grep -q '^[0-9.]* [KM]iB  [0-9.]* MB/s  0 periods lost' ||
		complain 'no meter'
}

# ---- what is known to be wrong ----

stream_leaves_an_old_file()
{
	echo firmware >"$dir/firmware.bin"
	engine Y 0
	zcdma stream -q -n 100 s-rx "$dir/firmware.bin" >/dev/null 2>&1
	holds "$dir/firmware.bin" firmware
}

sender_that_is_interrupted_is_no_success()
{
	head -c 1000000 /dev/zero >"$dir/in"
	signalled waits_for_the_device TERM 143 zcdma stream s-tx "$dir/in" || return
	signalled waits_for_the_device INT 130 zcdma stream s-tx "$dir/in"
}

# The ring has taken more than the device.
bytes_told_are_those_that_the_device_took()
{
	head -c 1000000 /dev/zero >"$dir/in"
	zcdma stream s-tx "$dir/in" >"$dir/out" 2>&1 &
	sender=$!
	echo $sender >"$work/pid"
	await waits_for_the_device
	awaited=$?
	kill -TERM $sender
	wait $sender
	[ $awaited -eq 0 ] && says "$(cat "$dir/out")" '^16384 bytes to s-tx'
}

number_of_bytes_is_not_for_a_sender()
{
	printf abc >"$dir/in"
	run 2 zcdma stream -n 2 s-tx "$dir/in"
}

failure_is_explained()
{
	signalled waits_for_the_device INT 130 zcdma stream -n 1000 s-rx "$dir/out" && says "$err" '^zcdma: stream: '
}

names_are_valid_json()
{
	ports "a\"b:rx=${prefix}chan1"
	engine Y 0
	run 0 zcdma stream -j -n 100 'a"b' "$dir/out" && json "$out" && says "$json" '^port=a\\"b$'
}

zero_is_no_size_of_a_ring()
{
	engine Y 0
	run 2 zcdma stream -n 10 --ring 0 s-rx "$dir/out" && run 2 zcdma stream -n 10 --period 0 s-rx "$dir/out"
}

# The device is silent then, in the middle of a period.
stream_ends_after_as_many_bytes_as_wanted()
{
	engine N 0
	seq 1 20000 | head -c 8000 >"$dir/in"
	timeout 10 zcdma stream -q -n 8000 s-rx - >"$dir/out" &
	reader=$!
	zcdma write -q s-tx "$dir/in" || complain 'write failed' || return
	wait $reader || complain "status $? after $(wc -c <"$dir/out") bytes" || return
	cmp "$dir/in" "$dir/out"
}

tests='
	stream_goes_through_pipes
	gaps_are_told
	stream_of_a_source_is_measured
'
of_programs='
	losses_are_told
	errors_are_clear
'
host_only '
	both_ways_go_by_either_ring
	trouble_is_told
	losses_do_not_end_it
	files_in_trouble_are_told
	interruptions_are_got_over
	receiver_ends_by_a_signal
	stream_goes_on_when_it_was_stopped
	meter_is_shown_on_a_terminal
	stream_leaves_an_old_file
	sender_that_is_interrupted_is_no_success
	bytes_told_are_those_that_the_device_took
	number_of_bytes_is_not_for_a_sender
	failure_is_explained
	names_are_valid_json
	zero_is_no_size_of_a_ring
'
guest_only stream_ends_after_as_many_bytes_as_wanted
if ! on_host; then
	software_engine_only
	set_up
	trap 'engine N 0; ports "-s-tx;-s-rx;-s-both;-s-words"' EXIT
fi
run_tests
