# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables of tap.sh, and for the tests

# What the tests of the tool share. They run in a guest with the module and softdma, and on
# the host with the fake device of fake/, where $ZCDMA_FAKE_LIBRARY is set (see check-tool):
# what differs between the two machines is here.

: "${ZCDMA_PROVIDER:=softdma}"

# ---- checks ----

# json TEXT: its scalars as PATH=VALUE, a line each, in $json.
json()
{
	json=$(printf '%s' "$1" | awk -f json.awk 2>"$work/json") ||
		complain "$(cat "$work/json")"
}

# make_file NAME BYTES: of random data.
make_file()
{
	head -c "$2" /dev/urandom >"$1"
}

# Anything in $dir but what is named?
no_litter()
{
	find "$dir" -mindepth 1 -maxdepth 1 | while read -r file; do
		case " $* " in
		*" ${file##*/} "*) ;;
		*) complain "left behind: $file" || exit ;;
		esac
	done
}

# holds FILE TEXT: the file has this text, and a newline.
holds()
{
	[ "$(cat "$1")" = "$2" ] || complain "${1##*/} is not \"$2\" any more"
}

# usage ARGUMENT...: status 2, one reason on stderr, nothing on stdout.
usage()
{
	run 2 zcdma "$@" || return
	one_line 'see zcdma'
}

# one_line PATTERN: there was one line on stderr, which matches, and nothing on stdout.
one_line()
{
	says "$err" "$1" || return
	[ "$(printf '%s\n' "$err" | wc -l)" -eq 1 ] || complain "more than one line: $err" || return
	quiet "$out"
}

# signalled WHEN SIGNAL STATUS COMMAND...: SIGNAL comes to COMMAND when the shell command WHEN
# is true; it ends with STATUS. (It runs in the foreground: what a shell runs in the background
# ignores SIGINT.)
signalled()
{
	when=$1 signals=$2 status=$3
	shift 3
	rm -f "$work/pid"
	send_signals &
	sender=$!
	# shellcheck disable=SC2016 # for the inner shell
	run "$status" sh -c 'echo $$ >"$0.part"; mv "$0.part" "$0"; exec "$@"' "$work/pid" "$@"
	status=$?
	wait $sender || status=1
	return $status
}

# They are sent in any case, or it might not end. One that has ended cannot be stopped any more.
send_signals()
{
	sent=0
	await it_is_time || sent=1
	for signal in $signals; do
		kill -s "$signal" "$(cat "$work/pid")" 2>/dev/null || break
		[ "$signal" != STOP ] || await is_stopped || sent=1
	done
	return $sent
}

it_is_time()
{
	[ -s "$work/pid" ] && eval "$when"
}

# it_says PATTERN: in its status, as the kernel has it. Succeeds too when it is not there any more.
it_says()
{
	[ -e "/proc/$(cat "$work/pid")/status" ] || return 0
	grep -q "$1" "/proc/$(cat "$work/pid")/status" 2>/dev/null
}

# (A zombie will not stop.)
is_stopped()
{
	it_says '^State:[[:space:]]*[TZ]'
}

# Has it come to where it catches signals? TERM: a shell, which it is at first, catches some others.
catches_signals()
{
	it_says '^SigCgt:.*[4-7c-f][0-9a-f]\{3\}$'
}

# Does it sleep, at each of some looks? It waits for the engine then.
sleeps()
{
	for _ in 1 2 3 4 5 6; do
		it_says '^State:[[:space:]]*[SDZ]' || return
		sleep 0.05
	done
}

waits_for_the_device()
{
	catches_signals && sleeps
}

# A file of a copy that has begun, in $dir.
copy_has_begun()
{
	set -- "$dir"/.zcdma-*
	[ -e "$1" ]
}

# Few bytes are enough, or all that a slow engine moves in the time.
few()
{
	brief || lacks bulk
}

# ---- the machine ----

on_host()
{
	[ "${ZCDMA_FAKE_LIBRARY-}" ]
}

# host_only TEST..., guest_only TEST...: besides $tests, on one sort of machine.
host_only()
{
	! on_host || tests="$tests $*"
}

guest_only()
{
	on_host || of_programs="$of_programs $*"
}

if on_host; then
	. ./tool_fake.sh
	return 0
fi

device=/dev/zcdma
knobs=/sys/kernel/debug/softdma
driver=/sys/bus/platform/drivers/softdma
parameters=/sys/module/softdma/parameters

# knob NAME VALUE: a fault in the software engine.
knob()
{
	echo "$2" >"$knobs/$1" || complain "cannot set knob $1"
}

no_faults()
{
	knob hang 0 && knob delay_us 0 && knob fail_nth 0 && knob pool 256
}

engine_leaves()
{
	echo softdma.0 >"$driver/unbind"
}

engine_returns()
{
	echo softdma.0 >"$driver/bind"
}

usual_fifo=$(cat "$parameters/fifo")

# engine SOURCE RATE: a new one, with empty FIFOs. A source's has room for what comes while
# nobody gets a CPU.
engine()
{
	fifo=$usual_fifo
	[ "$1" = N ] || fifo=1048576
	echo "$fifo" >"$parameters/fifo"
	echo "$1" >"$parameters/source"
	echo "$2" >"$parameters/rate"
	engine_leaves
	engine_returns
}

# ports TEXT: as the module's parameter takes it.
ports()
{
	echo "$1" >/sys/module/zcdma/parameters/ports
}

# Channels of the software engine are called this, and chan0, chan1, ...
engine_name()
{
	zcdma list | awk '$2 == "softdma" { sub(/chan.*/, "", $1); print $1; exit }'
}

# As the ordinary user.
as_user()
{
	su user -c "$*"
}
