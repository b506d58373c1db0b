#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The modules: loading, unloading, parameters.

cd "$(dirname "$0")" || exit
. ./tap.sh

# What /dev/zcdma's mode is, so that it has it again when the device comes again.
mode=$(stat -c %a /dev/zcdma)
channels=$(cat /sys/module/softdma/parameters/channels)

# reload MODULE PARAMETER...
reload()
{
	modprobe -r "$1" || complain "cannot unload $1" || return
	modprobe "$@" || complain "cannot load $*" || return
	chmod "$mode" /dev/zcdma
}

# How many channels of all engines are in use, as the kernel says. Drivers of devices
# may have some.
users()
{
	cat /sys/class/dma/*/in_use | awk '{ sum += $1 } END { print sum + 0 }'
}

users_are()
{
	[ "$(users)" -eq "$1" ] || complain "$(users) users of channels, not $1"
}

no_channel_is_taken_until_a_session_needs_it()
{
	modprobe -r zcdma || return
	others=$(users)
	modprobe zcdma && chmod "$mode" /dev/zcdma || return
	run 0 zcdma list || return
	users_are "$others" || return
	run 0 zcdma fill -q -l 64K "$dir/file" || return
	users_are "$others"
}

modules_come_and_go()
{
	rounds='1 2 3 4 5'
	! brief || rounds='1 2'
	for round in $rounds; do
		modprobe -r zcdma && modprobe -r softdma || complain "round $round" || return
		[ ! -e /dev/zcdma ] || complain '/dev/zcdma is still there' || return
		modprobe softdma channels="$channels" && modprobe zcdma || return
		chmod "$mode" /dev/zcdma
		run 0 zcdma fill -q -c softdma -l 1M "$dir/file-$round" || return
	done
}

# state_of CHANNEL: as the list has it.
state_of()
{
	zcdma list | awk -v c="$1" '$1 == c { print $5 }'
}

allow_names_the_only_channels_that_are_used()
{
	allowed=$(zcdma list | awk '$2 == "softdma" { print $1; exit }')
	other=$(zcdma list | awk -v a="$allowed" '$2 == "softdma" && $1 != a { print $1; exit }')
	reload zcdma allow="$allowed" || return
	status=0
	[ "$(state_of "$allowed")" = free ] || complain "$allowed is not free" || status=1
	[ "$(state_of "$other")" = denied ] || complain "$other is not denied" || status=1
	run 0 zcdma fill -l 1K -c "$allowed" "$dir/a" || status=1
	run 0 zcdma fill -l 1K "$dir/b" || status=1
	says "$out" "through $allowed " || status=1
	run 1 zcdma fill -l 1K -c "$other" "$dir/c" || status=1
	says "$err" 'Operation not permitted' || status=1
	reload zcdma || return
	[ $status -eq 0 ]
}

allow_takes_patterns()
{
	status=0
	reload zcdma allow='no-such,soft*' || return
	run 0 zcdma fill -l 1K -c softdma "$dir/a" || status=1
	reload zcdma allow='no-such*' || return
	run 1 zcdma fill -l 1K "$dir/b" || status=1
	says "$err" 'Operation not permitted' || status=1
	reload zcdma || return
	[ $status -eq 0 ]
}

software_engine_has_as_many_channels_as_wished()
{
	status=0
	for wished in 1 7 64; do
		reload softdma channels=$wished || return
		shown=$(zcdma list | awk '$2 == "softdma"' | wc -l)
		[ "$shown" -eq $wished ] || complain "$shown channels, not $wished" || status=1
	done
	reload softdma channels="$channels" || return
	[ $status -eq 0 ]
}

software_engine_refuses_bad_parameters()
{
	status=0
	modprobe -r softdma || return
	for bad in channels=0 channels=65 channels=-1 channels=x align=0 align=3 align=512 \
			max_segment=0 boundary=1000 callback_context=nonsense; do
		modprobe softdma $bad 2>/dev/null || continue
		complain "$bad was taken" || status=1
		modprobe -r softdma
	done
	modprobe softdma channels="$channels" || return
	run 0 zcdma fill -q -l 1K -c softdma "$dir/a" || return
	[ $status -eq 0 ]
}

tests='
	no_channel_is_taken_until_a_session_needs_it
	modules_come_and_go
	allow_names_the_only_channels_that_are_used
	allow_takes_patterns
'
of_software='
	software_engine_has_as_many_channels_as_wished
	software_engine_refuses_bad_parameters
'
run_tests
