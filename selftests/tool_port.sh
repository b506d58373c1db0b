#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's port list, read and write, at the software engine.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./tool_util.sh

set_up()
{
	prefix=$(engine_name)
	ports "s-tx:tx=${prefix}chan0;s-rx:rx=${prefix}chan1;s-wide:tx=${prefix}chan2,width=4,data=1"
	ports "s-words:rx=${prefix}chan3,width=4"
}

# port_is_busy PORT
port_is_busy()
{
	zcdma port list | grep -q "^$1 .* busy "
}

ports_are_listed()
{
	run 0 zcdma port list || return
	says "$out" '^PORT +PROVIDER +DEVICE +WAYS +WIDTH +STATE +OWNER$' \
		'^s-tx +softdma +softdma.0 +tx +1  free +-$' \
		'^s-wide +softdma +softdma.0 +tx +4  free +-$' || return
	run 0 zcdma port list --json && json "$out" || return
	which=$(echo "$json" | sed -n 's/\.name=s-wide$//p')
	says "$json" "^$which\\.device=softdma\\.0\$" "^$which\\.provider=softdma\$" \
		"^$which\\.directions\\.0=tx\$" "^$which\\.width=4\$" "^$which\\.data=1\$" \
		"^$which\\.state=free\$" "^$which\\.owner=0\$" "^$which\\.owner_name=\$" '=s-rx$' || return
	! printf '%s' "$out" | grep -qi 'reg\|addr' || complain "an address: $out"
}

what_is_written_is_read()
{
	engine N 0
	echo hello >"$dir/in"
	run 0 zcdma write -d 20000 s-tx "$dir/in" && says "$out" '^6 bytes to s-tx, [0-9.]+ MB/s$' || return
	run 0 zcdma read -d 20000 --json -n 6 s-rx && says "$out" '^hello$' &&
	json "$err" && says "$json" '^port=s-rx$' '^bytes=6$' '^seconds=[0-9]' '^bytes_per_second=[0-9]' ||
		return
	seq 1 20000 >"$dir/in"
	zcdma read -q -d 20000 -n "$(wc -c <"$dir/in")" -b 1000 -o "$dir/out" s-rx &
	zcdma write -q -d 20000 s-tx - <"$dir/in" || complain 'write failed' || return
	wait $! || complain 'read failed' || return
	cmp "$dir/in" "$dir/out" || complain 'what was read is not what was written'
}

words_are_spread_and_gathered()
{
	engine N 0
	printf 'abcdefgh' | zcdma write -q -d 20000 s-wide - || complain 'write failed' || return
	printf 'ijkl' | zcdma write -q -d 20000 s-wide || complain 'write failed' || return
	run 0 zcdma read -q -b 16 -n 48 -o "$dir/out" s-words || return
	printf 'a\0\0\0b\0\0\0c\0\0\0d\0\0\0e\0\0\0f\0\0\0g\0\0\0h\0\0\0i\0\0\0j\0\0\0k\0\0\0l\0\0\0' \
		>"$dir/want"
	cmp "$dir/want" "$dir/out" || complain 'not one letter to a word'
}

# It sends numbers and does not wait for us: one that we are too late for is missing.
device_that_cannot_wait_is_read_without_a_gap()
{
	engine Y 20000
	run 0 zcdma read -q -d 20000 -n 40000 -b 4K -o "$dir/out" s-rx || return
	od -v -A n -t u4 -w4 "$dir/out" |
		awk 'NR > 1 && $1 != last + 1 { bad++ } { last = $1 } END { exit bad > 0 || NR != 10000 }' ||
		complain 'numbers are missing'
}

# Interrupted or given up, what has come is written, and is not lost for the next one.
partial_results_count()
{
	engine N 0
	printf abc | zcdma write -q -d 20000 s-tx - || complain 'write failed' || return
	run 1 zcdma read -n 10 --deadline 2000 s-rx && says "$out" '^abc$' &&
	says "$err" 'the device asked for nothing in time, after 3 bytes' || return
	for signal in INT TERM; do
		printf abcd | zcdma write -q -d 20000 s-tx - || complain 'write failed' || return
		signalled waits_for_the_device $signal 1 zcdma read -n 10 s-rx &&
		says "$out" '^abcd$' && says "$err" '^4 bytes from s-rx' || return
	done
	printf efgh | zcdma write -q -d 20000 s-tx - || complain 'write failed' || return
	signalled waits_for_the_device TERM 0 zcdma read s-rx &&
	says "$out" '^efgh$'
}

# The device has room for 16 KiB.
what_is_not_taken_is_told()
{
	engine N 0
	head -c 20000 /dev/zero >"$dir/in"
	run 1 zcdma write --json --deadline 2000 s-tx "$dir/in" &&
	says "$err" 'asked for nothing in time, after 16384 bytes' &&
	json "$out" && says "$json" '^bytes=16384$' || return
	# The rest of the block has its turn when there is room again.
	zcdma write -q -d 20000 s-tx "$dir/in" &
	run 0 zcdma read -q -d 20000 -n 36384 -o "$dir/out" s-rx || return
	wait $! || complain 'write failed'
}

slow_is_not_late()
{
	engine N 10000
	# As much as the device has room for, and more than it takes until the deadline.
	head -c 16000 /dev/zero >"$dir/in"
	run 0 zcdma write --deadline 1000 s-tx "$dir/in" && says "$out" '^16000 bytes to s-tx' || return
	engine Y 10000
	run 0 zcdma read --deadline 1000 -n 16000 -o "$dir/out" s-rx && says "$out" '^16000 bytes from'
}

engine_that_goes_is_told()
{
	engine N 0
	printf abc | zcdma write -q -d 20000 s-tx - || complain 'write failed' || return
	zcdma read s-rx >"$dir/out" 2>"$dir/err" &
	reader=$!
	echo $reader >"$work/pid"
	await waits_for_the_device
	awaited=$?
	engine_leaves
	wait $reader
	got=$?
	engine_returns
	[ $awaited -eq 0 ] || return
	[ $got -eq 1 ] || complain "status $got" || return
	says "$(cat "$dir/out")" '^abc$' &&
	says "$(cat "$dir/err")" 's-rx: its engine has gone, after 3 bytes'
}

errors_are_clear()
{
	engine N 0
	run 1 zcdma read s-nothing && says "$err" 's-nothing: no such port; see zcdma port list' || return
	run 1 zcdma read s-tx && says "$err" 's-tx: this port only sends' || return
	run 1 zcdma write s-rx - && says "$err" 's-rx: this port only receives' || return
	run 1 zcdma read -b 18 s-words && says "$err" 'no multiple of its 4-byte words' || return
	run 1 zcdma read -b 2G s-rx && says "$err" 'block: at most 1073741824 bytes' || return
	run 1 zcdma write s-tx "$dir/none" && says "$err" "$dir/none: No such file" || return
	run 1 zcdma read -n 1 -o "$dir/none/x" s-rx && says "$err" "$dir/none/x: No such file" || return
	run 1 zcdma read --deadline 300 s-rx && says "$err" 'the device asked for nothing in time' ||
		return
	zcdma read s-rx >/dev/null 2>&1 &
	reader=$!
	await port_is_busy s-rx
	bad=$?
	run 1 zcdma read s-rx && says "$err" "s-rx: busy: process $reader \(zcdma\) has it" || bad=1
	run 0 zcdma port list && says "$out" "^s-rx .* busy +$reader \\(zcdma\\)\$" || bad=1
	kill -TERM $reader
	wait $reader
	return $bad
}

# Ports that cannot be had, and data that they cannot take.
misfits_are_told()
{
	engine N 0
	ports "s-8:rx=${prefix}chan3,width=8;s-4:tx=${prefix}chan0,width=4;s-none:rx=${prefix}chan77" ||
		return
	run 1 zcdma read s-8 && says "$err" 's-8: its engine cannot do words of 8 bytes' &&
	run 1 zcdma read s-none && says "$err" 's-none: its engine is not there' || return
	run 0 zcdma port list && says "$out" '^s-none +- +- +rx +1  absent +-$' || return
	printf abcdefg >"$dir/in"
	run 1 zcdma write s-4 "$dir/in" && says "$out" '^4 bytes to s-4' &&
	says "$err" 'the last 3 bytes make no word of 4 and were not sent' || return
	run 0 zcdma read -q -d 20000 -n 4 s-rx && says "$out" '^abcd$' || return
	# Its channel is that of another port, which sends more than there is room for.
	head -c 20000 /dev/zero >"$dir/much"
	zcdma write -q -d 60000 s-tx "$dir/much" &
	writer=$!
	await port_is_busy s-tx
	bad=$?
	run 1 zcdma write s-4 "$dir/in" && says "$err" 's-4: busy: its channel is used otherwise' || bad=1
	kill $writer
	wait $writer
	ports '-s-8;-s-4;-s-none'
	return $bad
}

# ---- with the fake only ----

# Errors of each call, and of the ops themselves.
trouble_is_told()
{
	head -c 1000 /dev/zero >"$dir/in"
	run 1 with ATTACH_PORT:EPERM zcdma read s-rx && says "$err" 's-rx: Operation not permitted$' &&
	run 1 with ATTACH_PORT:EIO zcdma read s-rx && one_line 's-rx: Input/output error$' &&
	run 1 with QUERY_PORT:EIO zcdma read s-rx && one_line 's-rx: Input/output error$' &&
	run 1 with SUBMIT:ENOMEM zcdma read s-rx && says "$err" 's-rx: no memory for blocks of 65536 bytes; see ulimit -l' &&
	run 1 with SUBMIT:EOPNOTSUPP zcdma write s-tx "$dir/in" && says "$err" 's-tx: its engine cannot be stopped' &&
	run 1 with SUBMIT:EFAULT zcdma write s-tx "$dir/in" && says "$err" 's-tx: Bad address' &&
	run 1 with op:EIO@1 zcdma write s-tx "$dir/in" && says "$err" 's-tx: the engine failed, after [0-9]+ bytes' &&
	run 1 with READ:EIO@1 zcdma read -n 1000 s-rx && says "$err" 's-rx: the engine failed, after 0 bytes' &&
	run 1 with open:ENOENT zcdma read s-rx && one_line '/dev/zcdma: No such file .*modprobe zcdma'
}

files_in_trouble_are_told()
{
	engine Y 0
	run 1 with write:ENOSPC@1 zcdma read -n 1000 -o "$dir/out" s-rx && says "$err" "$dir/out: No space left" || return
	zcdma read -n 1000 s-rx >/dev/full 2>"$dir/err"
	[ $? -eq 1 ] || complain 'status is not 1' || return
	says "$(cat "$dir/err")" 'standard output: No space left on device' || return
	engine N 0
	head -c 1000 /dev/zero >"$dir/in"
	run 1 with read:EIO@1 zcdma write s-tx "$dir/in" && says "$err" "$dir/in: Input/output error" || return
	run 1 zcdma write s-tx "$dir" && says "$err" "$dir: Is a directory"
}

# Calls that a signal ends, or that do only half, are made again.
interruptions_are_got_over()
{
	seq 1 2000 >"$dir/in"
	for order in read:EINTR@1 read:SHORT@1 POLL:EINTR@1 READ:EINTR@1; do
		run 0 with $order zcdma write -q s-tx "$dir/in" || return
		run 0 with write:EINTR@1,write:SHORT@2,READ:EINTR@1,POLL:EINTR@1 zcdma read -q -n "$(wc -c <"$dir/in")" -o "$dir/out" s-rx || return
		cmp "$dir/in" "$dir/out" || return
	done
}

read_goes_on_when_it_was_stopped()
{
	engine Y 100000
	signalled catches_signals 'STOP CONT' 0 zcdma read -q -n 100000 -o "$dir/out" s-rx || return
	[ "$(wc -c <"$dir/out")" -eq 100000 ] || complain 'too little'
}

engine_that_does_not_tell_is_believed()
{
	knob coarse_residue 1
	printf abc | zcdma write -q s-tx - || return
	run 1 zcdma read -n 10 --deadline 200 s-rx && says "$err" 'asked for nothing in time, after 0 bytes'
}

standard_input_ends_it()
{
	run 0 zcdma write s-tx && says "$out" '^0 bytes to s-tx' && quiet "$err" || return
	: | zcdma write -q s-tx - || complain 'empty input' || return
	printf ab | zcdma write -q s-tx /dev/stdin || complain '/dev/stdin' || return
	run 0 zcdma read -q -n 2 -o - s-rx && says "$out" '^ab$'
}

# ---- what is known to be wrong ----

write_that_is_interrupted_is_no_success()
{
	head -c 100000 /dev/zero >"$dir/in"
	signalled waits_for_the_device TERM 143 zcdma write s-tx "$dir/in" && says "$err$out" '16384 bytes' || return
	signalled waits_for_the_device INT 130 zcdma write s-tx "$dir/in"
}

read_that_is_interrupted_is_no_success()
{
	signalled waits_for_the_device INT 130 zcdma read -n 10 s-rx
}

read_leaves_an_old_file_unless_forced()
{
	echo old >"$dir/old"
	engine Y 0
	run 1 zcdma read -n 4 -o "$dir/old" s-rx && holds "$dir/old" old
}

names_are_valid_json()
{
	ports "a\"b:rx=${prefix}chan1"
	run 0 with 'op:EIO@1' true
	run 1 zcdma read -j -d 100 -n 1 'a"b' || return
	says "$err" '^[{]' && json "$(echo "$err" | grep '^{')" && says "$json" '^port=a\\"b$'
}

# A process may call itself anything, and the kernel cuts its name at 15 bytes.
owners_name_is_valid_json()
{
	printf 'a\346\225\260\346\215\256\351\207\207\351\233\206\347\250' >"$ZCDMA_FAKE/owner"
	run 0 zcdma port list -j && json "$out" || return
	printf '%s' "$out" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1 || complain 'it is not UTF-8'
}

owners_name_does_not_reach_the_terminal_raw()
{
	printf 'e\033]0;x\007\nb' >"$ZCDMA_FAKE/owner"
	run 0 zcdma port list || return
	! printf '%s' "$out" | grep -q "$(printf '\033')" || complain 'an escape sequence' || return
	[ "$(printf '%s\n' "$out" | wc -l)" -eq 5 ] || complain 'a line of its own'
}

# Who reads has enough, and goes.
reader_that_goes_ends_it_quietly()
{
	engine Y 0
	(zcdma read s-rx 2>"$work/err"; echo $? >"$work/status") | head -c 3 >/dev/null
	quiet "$(cat "$work/err")"
}

error_of_close_is_told()
{
	engine Y 0
	run 1 with close:EDQUOT zcdma read -n 4 -o "$dir/out" s-rx && says "$err" "$dir/out: Disk quota exceeded"
}

length_that_wraps_is_refused()
{
	ports "s-d:rx=${prefix}chan1,width=4,data=1"
	engine Y 0
	run 2 zcdma read -n 4194304T s-d
}

# A header by one process, what it announces by the next.
payload_is_read_after_its_header()
{
	engine N 0
	head -c 1000 /dev/urandom >"$dir/payload"
	{ printf 'HEAD1000'; cat "$dir/payload"; } | zcdma write -q s-tx - &
	run 0 timeout 10 zcdma read -q -n 8 s-rx && says "$out" '^HEAD1000$' || return
	run 0 timeout 10 zcdma read -q -n 1000 -o "$dir/out" s-rx || return
	wait $! || complain 'write failed' || return
	cmp "$dir/payload" "$dir/out" || complain 'not the payload'
}

tests='
	ports_are_listed
	what_is_written_is_read
	words_are_spread_and_gathered
	device_that_cannot_wait_is_read_without_a_gap
	engine_that_goes_is_told
'
of_programs='
	partial_results_count
	what_is_not_taken_is_told
	slow_is_not_late
	errors_are_clear
	misfits_are_told
'
host_only '
	trouble_is_told
	files_in_trouble_are_told
	interruptions_are_got_over
	read_goes_on_when_it_was_stopped
	engine_that_does_not_tell_is_believed
	standard_input_ends_it
	write_that_is_interrupted_is_no_success
	read_that_is_interrupted_is_no_success
	read_leaves_an_old_file_unless_forced
	names_are_valid_json
	owners_name_is_valid_json
	owners_name_does_not_reach_the_terminal_raw
	reader_that_goes_ends_it_quietly
	error_of_close_is_told
	length_that_wraps_is_refused
'
guest_only payload_is_read_after_its_header
if ! on_host; then
	software_engine_only
	set_up
	trap 'engine N 0; ports "-s-tx;-s-rx;-s-wide;-s-words"' EXIT
fi
run_tests
