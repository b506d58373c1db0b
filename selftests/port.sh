#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's port, read, write and stream, on the software engine.

cd "$(dirname "$0")" || exit
. ./tap.sh

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
	says "$out" '^PORT +PROVIDER +DEVICE +WAYS +WIDTH +STATE +OWNER$' &&
	says "$out" '^s-tx +softdma +softdma.0 +tx +1  free +-$' &&
	says "$out" '^s-wide +softdma +softdma.0 +tx +4  free +-$' || return
	run 0 zcdma port list --json || return
	says "$out" '"name": "s-rx".*"directions": \["rx"\].*"state": "free"' || return
	! printf '%s' "$out" | grep -qi 'reg\|addr' || complain "an address: $out"
}

what_is_written_is_read()
{
	engine N 0
	echo hello >"$dir/in"
	run 0 zcdma write s-tx "$dir/in" && says "$out" '^6 bytes to s-tx, ' || return
	engine N 0
	seq 1 20000 >"$dir/in"
	zcdma read -q -n "$(wc -c <"$dir/in")" -p 1000 -r 900000 -o "$dir/out" s-rx &
	zcdma write -q s-tx - <"$dir/in" || complain 'write failed' || return
	# The reader takes whole periods.
	head -c 2000 /dev/zero | zcdma write -q s-tx - || return
	wait
	cmp "$dir/in" "$dir/out" || complain 'what was read is not what was written'
}

words_are_spread_and_gathered()
{
	engine N 0
	printf 'abcdefgh' | zcdma write -q s-wide - || complain 'write failed' || return
	printf 'ijkl' | zcdma write -q s-wide - || complain 'write failed' || return
	run 0 zcdma read -q -p 16 -n 48 -o "$dir/out" s-words || return
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
	says "$(cat "$dir/err")" '"overruns": [1-9].*"periods_lost": [1-9]' || return
	zcdma read -n 2000000 -r 65536 s-rx 2>"$dir/err" | { sleep 1; wc -c >"$dir/count"; }
	says "$(cat "$dir/err")" 'periods were lost, [1-9].* times: the output has gaps'
}

# The ring runs over while the last of it is put out.
losses_after_the_last_byte_are_none()
{
	engine Y 8000000
	{ zcdma read -n 131072 -p 65536 -r 1048576 -q s-rx 2>"$dir/err" && echo fine >"$dir/fine"; } |
		{ sleep 1; wc -c >"$dir/count"; }
	says "$(cat "$dir/count")" '131072' && says "$(cat "$dir/fine")" fine && quiet "$(cat "$dir/err")"
}

errors_are_clear()
{
	engine N 0
	run 1 zcdma read s-nothing && says "$err" 's-nothing: no such port' || return
	run 1 zcdma read s-tx && says "$err" 's-tx: this port only sends' || return
	run 1 zcdma write s-rx - && says "$err" 's-rx: this port only receives' || return
	run 1 zcdma read -p 18 s-words && says "$err" 'no multiple of its 4-byte words' || return
	run 1 zcdma read -p 4 s-rx && says "$err" 'a period must have 16 to' || return
	run 1 zcdma read -r 4096 s-rx && says "$err" 'a ring must have 2 to 4096 periods' || return
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
	run 2 zcdma write --bytes 3 s-tx - && run 2 zcdma read -n 0 s-rx
}

help_is_there()
{
	for command in port read write stream; do
		run 0 zcdma "$command" --help && says "$out" "^Usage: zcdma $command" || return
	done
}

tests='ports_are_listed what_is_written_is_read words_are_spread_and_gathered
stream_goes_through_pipes stream_of_a_source_is_measured losses_are_told losses_after_the_last_byte_are_none
errors_are_clear
help_is_there'

declare_ports
trap 'engine N 0; forget_ports' EXIT
run_tests
