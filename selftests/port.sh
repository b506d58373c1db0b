#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's port, read, write and stream, on the software engine.

cd "$(dirname "$0")" || exit
. ./tap.sh
software_engine_only

ports=/sys/module/zcdma/parameters/ports
parameters=/sys/module/softdma/parameters
driver=/sys/bus/platform/drivers/softdma
prefix=$(zcdma list | awk '$2 == "softdma" { sub(/chan.*/, "", $1); print $1; exit }')

declare_ports()
{
	echo "s-tx:tx=${prefix}chan0;s-rx:rx=${prefix}chan1;s-wide:tx=${prefix}chan2,width=4,data=1" \
		>$ports && echo "s-words:rx=${prefix}chan3,width=4" >$ports
}

forget_ports()
{
	echo '-s-tx;-s-rx;-s-wide;-s-words' >$ports
}

# engine SOURCE RATE: a new one, with empty FIFOs.
engine()
{
	echo "$1" >$parameters/source
	echo "$2" >$parameters/rate
	echo softdma.0 >$driver/unbind
	echo softdma.0 >$driver/bind
}

ports_are_listed()
{
	run 0 zcdma port list || return
	says "$out" '^PORT +PROVIDER +DEVICE +WAYS +WIDTH +STATE +OWNER$' \
		'^s-tx +softdma +softdma.0 +tx +1  free +-$' \
		'^s-wide +softdma +softdma.0 +tx +4  free +-$' || return
	run 0 zcdma port list --json || return
	says "$out" '"name": "s-rx".*"directions": \["rx"\].*"state": "free"' || return
	! printf '%s' "$out" | grep -qi 'reg\|addr' || complain "an address: $out"
}

what_is_written_is_read()
{
	engine N 0
	echo hello >"$dir/in"
	run 0 zcdma write -d 20000 s-tx "$dir/in" && says "$out" '^6 bytes to s-tx, ' || return
	run 0 zcdma read -d 20000 --json -n 6 s-rx && says "$out" '^hello$' &&
	says "$err" '"port": "s-rx", "bytes": 6, "seconds": ' || return
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
	printf 'ijkl' | zcdma write -q -d 20000 s-wide - || complain 'write failed' || return
	run 0 zcdma read -q -b 16 -n 48 -o "$dir/out" s-words || return
	printf 'a\0\0\0b\0\0\0c\0\0\0d\0\0\0e\0\0\0f\0\0\0g\0\0\0h\0\0\0i\0\0\0j\0\0\0k\0\0\0l\0\0\0' \
		>"$dir/want"
	cmp "$dir/want" "$dir/out" || complain 'not one letter to a word'
}

stream_goes_through_pipes()
{
	engine N 0
	zcdma stream -q -n 100000 -p 1000 -r 200000 s-rx - >"$dir/out" &
	seq 1 20000 | head -c 100000 | zcdma stream -q s-tx - || complain 'stream failed' || return
	wait
	seq 1 20000 | head -c 100000 | cmp - "$dir/out" || complain 'what came is not what went'
}

# A queued ring that sends loses nothing.
gaps_are_told()
{
	engine N 0
	seq 1 1000 >"$dir/in"
	run 0 zcdma stream s-tx "$dir/in" && says "$out" '^3893 bytes to s-tx, .* [0-9]+ gaps$' ||
		return
	run 0 zcdma stream --json s-tx "$dir/in" &&
	says "$out" '"ring": "queued", .*"underruns": [0-9]+, "periods_lost": 0'
}

stream_of_a_source_is_measured()
{
	engine Y 500000
	run 0 zcdma stream --json -n 300000 -r 200000 s-rx "$dir/out" || return
	says "$out" '"port": "s-rx", "ring": "cyclic", "bytes": 300000, .*"periods_lost": 0' || return
	run 0 zcdma stream --queued --json -n 100000 -r 400000 s-rx "$dir/out" || return
	says "$out" '"ring": "queued"'
}

losses_are_told()
{
	engine Y 8000000
	# Nobody reads the pipe for a while.
	zcdma stream --json -n 4000000 -r 65536 s-rx 2>"$dir/err" | { sleep 1; wc -c >"$dir/count"; }
	says "$(cat "$dir/count")" '4000000' &&
	says "$(cat "$dir/err")" '"overruns": [1-9].*"periods_lost": [1-9]'
}

# It sends numbers and does not wait for us: one that we are too late for is missing.
device_that_cannot_wait_is_read_without_a_gap()
{
	engine Y 200000
	run 0 zcdma read -q -d 20000 -n 200000 -b 16K -o "$dir/out" s-rx || return
	hexdump -v -e '1/4 "%u\n"' "$dir/out" |
		awk 'NR > 1 && $1 != last + 1 { bad++ } { last = $1 } END { exit bad > 0 || NR != 50000 }' ||
		complain 'numbers are missing'
}

# Interrupted or given up, what has come is written, and is not lost for the next one.
partial_results_count()
{
	engine N 0
	printf abc | zcdma write -q -d 20000 s-tx - || complain 'write failed' || return
	run 1 zcdma read -n 10 --deadline 300 s-rx && says "$out" '^abc$' &&
	says "$err" 'the device asked for nothing in time, after 3 bytes' || return
	for signal in INT TERM; do
		zcdma read -n 10 s-rx >"$dir/out" 2>"$dir/err" &
		printf abcd | zcdma write -q -d 20000 s-tx - || complain 'write failed' || return
		sleep 0.5
		kill -$signal $!
		wait $! && complain 'the rest did not come, and it says nothing' && return 1
		says "$(cat "$dir/out")" '^abcd$' && says "$(cat "$dir/err")" '^4 bytes from s-rx' ||
			return
	done
	zcdma read s-rx >"$dir/out" 2>"$dir/err" &
	printf efgh | zcdma write -q -d 20000 s-tx - || complain 'write failed' || return
	sleep 0.5
	kill -TERM $!
	wait $! || complain 'it was to be interrupted' || return
	says "$(cat "$dir/out")" '^efgh$'
}

# The device has room for 16 KiB.
what_is_not_taken_is_told()
{
	engine N 0
	head -c 20000 /dev/zero >"$dir/in"
	run 1 zcdma write --json --deadline 300 s-tx "$dir/in" &&
	says "$err" 'asked for nothing in time, after 16384 bytes' &&
	says "$out" '"bytes": 16384,' || return
	# The rest of the block has its turn when there is room again.
	zcdma write -q -d 20000 s-tx "$dir/in" &
	run 0 zcdma read -q -d 20000 -n 36384 -o "$dir/out" s-rx || return
	wait $! || complain 'write failed'
}

slow_is_not_late()
{
	engine N 10000
	head -c 8000 /dev/zero >"$dir/in"
	run 0 zcdma write --deadline 200 s-tx "$dir/in" && says "$out" '^8000 bytes to s-tx' || return
	engine Y 10000
	run 0 zcdma read --deadline 200 -n 8000 -o "$dir/out" s-rx && says "$out" '^8000 bytes from'
}

engine_that_goes_is_told()
{
	engine N 0
	printf abc | zcdma write -q -d 20000 s-tx - || complain 'write failed' || return
	zcdma read s-rx >"$dir/out" 2>"$dir/err" &
	sleep 0.5
	echo softdma.0 >$driver/unbind
	wait $!
	got=$?
	echo softdma.0 >$driver/bind
	[ $got -eq 1 ] || complain "status $got" || return
	says "$(cat "$dir/out")" '^abc$' &&
	says "$(cat "$dir/err")" 's-rx: its engine has gone, after 3 bytes'
}

errors_are_clear()
{
	engine N 0
	run 1 zcdma read s-nothing && says "$err" 's-nothing: no such port' || return
	run 1 zcdma read s-tx && says "$err" 's-tx: this port only sends' || return
	run 1 zcdma write s-rx - && says "$err" 's-rx: this port only receives' || return
	run 1 zcdma read -b 18 s-words && says "$err" 'no multiple of its 4-byte words' || return
	run 1 zcdma read -b 2G s-rx && says "$err" 'block: at most 1073741824 bytes' || return
	run 1 zcdma stream -p 18 s-words && says "$err" 'no multiple of its 4-byte words' || return
	run 1 zcdma stream -p 4 s-rx && says "$err" 'a period must have 16 to' || return
	run 1 zcdma stream -r 4096 s-rx && says "$err" 'a ring must have 2 to 4096 periods' || return
	run 1 zcdma read --deadline 300 s-rx && says "$err" 'the device asked for nothing in time' ||
		return
	printf abc >"$dir/in"
	zcdma read s-rx >/dev/null 2>&1 &
	sleep 0.5
	run 1 zcdma read s-rx && says "$err" "s-rx: busy: process $! \(zcdma\) has it"
	got=$?
	kill -TERM $!
	wait
	[ "$got" -eq 0 ] || return
	run 2 zcdma read && run 2 zcdma port && run 2 zcdma port nonsense &&
	run 2 zcdma write --bytes 3 s-tx - && run 2 zcdma read -n 0 s-rx &&
	run 2 zcdma read -b 0 s-rx && run 2 zcdma read --period 16 s-rx
}

# Ports that cannot be had, and data that they cannot take.
misfits_are_told()
{
	engine N 0
	echo "s-8:rx=${prefix}chan3,width=8;s-4:tx=${prefix}chan0,width=4;s-none:rx=${prefix}chan77" \
		>$ports || return
	run 1 zcdma read s-8 && says "$err" 's-8: its engine cannot do words of 8 bytes' &&
	run 1 zcdma read s-none && says "$err" 's-none: its engine is not there' || return
	printf abcdefg >"$dir/in"
	run 1 zcdma write s-4 "$dir/in" && says "$out" '^4 bytes to s-4' &&
	says "$err" 'the last 3 bytes make no word of 4 and were not sent' || return
	run 0 zcdma read -q -d 20000 -n 4 s-rx && says "$out" '^abcd$' || return
	# Its channel is that of another port, which sends more than there is room for.
	head -c 20000 /dev/zero | zcdma write -q -d 20000 s-tx - &
	sleep 0.5
	run 1 zcdma write s-4 "$dir/in" && says "$err" 's-4: busy: its channel is used otherwise'
	got=$?
	kill $!
	wait
	echo '-s-8;-s-4;-s-none' >$ports
	return $got
}

# ports_that WAY: those of the device tree.
ports_that()
{
	zcdma port list | awk -v p="$ZCDMA_PROVIDER" -v way="$1" '$2 == p && $4 == way { print $1 }'
}

# qemu/run sees that the lines come out of the serial port.
devices_are_read_and_written()
{
	lacks ports && skip ports 'its engine serves no device here' && return
	for port in $(ports_that tx); do
		line="zcdma-test: $(cut -d ' ' -f 1 /proc/uptime) to $port by the tool"
		echo "# to come out of a serial port: $line"
		echo "$line" | zcdma write -q -d 20000 "$port" - || complain 'write failed' || return
	done
	[ "$port" ] || complain 'there is none that sends' || return
	lacks receiving-port && return
	for port in $(ports_that rx); do
		for file in a b; do
			run 0 zcdma read -n 4096 -d 20000 -o "$dir/$file" "$port" &&
			says "$out" "^4096 bytes from $port, " || return
		done
		[ "$(wc -c <"$dir/b")" -eq 4096 ] && ! cmp -s "$dir/a" "$dir/b" ||
			complain 'it is the same each time' || return
		gave=yes
	done
	[ "$gave" ] || complain 'there is none that receives'
}

help_is_there()
{
	for command in port read write stream; do
		run 0 zcdma "$command" --help && says "$out" "^Usage: zcdma $command" || return
	done
}

tests='
	ports_are_listed
	what_is_written_is_read
	words_are_spread_and_gathered
	stream_goes_through_pipes
	gaps_are_told
	stream_of_a_source_is_measured
	device_that_cannot_wait_is_read_without_a_gap
	engine_that_goes_is_told
	devices_are_read_and_written
'
of_programs='
	losses_are_told
	partial_results_count
	what_is_not_taken_is_told
	slow_is_not_late
	errors_are_clear
	misfits_are_told
	help_is_there
'

declare_ports
trap 'engine N 0; forget_ports' EXIT
run_tests
