#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The modules: loading, unloading, parameters.

cd "$(dirname "$0")" || exit
. ./tap.sh

# Whom /dev/zcdma is for, so that it is theirs again when the device comes again.
rights=$(rights_of /dev/zcdma)
channels=$(cat /sys/module/softdma/parameters/channels)

# reload MODULE PARAMETER...
reload()
{
	modprobe -r "$1" || complain "cannot unload $1" || return
	modprobe "$@" || complain "cannot load $*" || return
	give_rights "$rights" /dev/zcdma
}

# How many channels of all engines are in use, as the kernel says. Drivers of devices
# may have some.
users()
{
	cat /sys/class/dma/*/in_use | awk '{ sum += $1 } END { print sum + 0 }'
}

users_are_now()
{
	[ "$(users)" -eq "$1" ]
}

# A close() does not wait for the channel to be given back.
users_are()
{
	await users_are_now "$1" || complain "$(users) users of channels, not $1"
}

no_channel_is_taken_until_a_session_needs_it()
{
	modprobe -r zcdma || return
	others=$(users)
	modprobe zcdma && give_rights "$rights" /dev/zcdma || return
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
		give_rights "$rights" /dev/zcdma
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

# What root writes holds from then on, for whoever comes; who has a channel keeps it.
allow_can_be_changed_at_any_time()
{
	parameter=/sys/module/zcdma/parameters/allow
	allowed=$(cat $parameter)
	status=0
	echo 'no-such*' >$parameter || status=1
	says "$(cat $parameter)" '^no-such\*$' || status=1
	run 1 zcdma fill -l 1K -c softdma "$dir/a" || status=1
	says "$err" 'Operation not permitted' || status=1
	! zcdma list | awk 'NR > 1 { print $5 }' | grep -q free || complain 'one is free' || status=1
	echo ' softdma ' >$parameter || status=1
	says "$(cat $parameter)" '^softdma$' || status=1
	run 0 zcdma fill -l 1K -c softdma "$dir/b" || status=1
	echo "$allowed" >$parameter || status=1
	[ "$(cat $parameter)" = "$allowed" ] || complain 'it is not what it was' || status=1
	[ $status -eq 0 ]
}

# The channels of other engines: name, provider, device.
others()
{
	zcdma list | awk 'NR > 1 && $2 != "softdma" { print $1, $2, $3 }'
}

# Their numbers may shift when softdma goes and comes again.
names_of_channels_stay_when_another_provider_goes()
{
	lacks edu || modprobe edudma || return
	others >"$dir/before"
	[ -s "$dir/before" ] || lacks edu || complain 'softdma is the only engine' || return
	[ -s "$dir/before" ] || { skip edu 'softdma is the only engine here' && return; }
	modprobe -r softdma && others >"$dir/without" || return
	modprobe softdma channels="$channels" && others >"$dir/after" || return
	cmp "$dir/before" "$dir/without" && cmp "$dir/before" "$dir/after" || return
	lacks edu || modprobe -r edudma
}

# Who declares a port has allowed its channels. Copies are denied them all the same.
allow_is_not_asked_for_the_channels_of_ports()
{
	allowed=$(zcdma list | awk '$2 == "softdma" { print $1; exit }')
	other=$(zcdma list | awk -v a="$allowed" '$2 == "softdma" && $1 != a { print $1; exit }')
	reload zcdma allow="$allowed" || return
	status=0
	echo "m-denied:tx=$other" >/sys/module/zcdma/parameters/ports || status=1
	says "$(zcdma port list)" '^m-denied .* free ' || status=1
	printf abcd >"$dir/in"
	run 0 zcdma write -q m-denied "$dir/in" || status=1
	run 1 zcdma fill -l 1K -c "$other" "$dir/a" || status=1
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
			max_segment=0 boundary=1000 callback_context=nonsense \
			'lock_until_submit=Y locked_callbacks=Y' \
			'lock_until_submit=Y callback_context=hardirq' \
			'locked_callbacks=Y callback_context=hardirq'; do
		# shellcheck disable=SC2086 # several parameters
		modprobe softdma $bad 2>/dev/null || continue
		complain "$bad was taken" || status=1
		modprobe -r softdma
	done
	modprobe softdma channels="$channels" || return
	run 0 zcdma fill -q -l 1K -c softdma "$dir/a" || return
	[ $status -eq 0 ]
}

# Whoever is to use it as well gets it by a rule of udev's, after that.
device_is_roots_when_it_appears()
{
	modprobe -r zcdma && modprobe zcdma || complain 'cannot reload' || return
	found=$(stat -c %a /dev/zcdma)
	give_rights "$rights" /dev/zcdma
	[ "$found" = 600 ] || complain "its mode is $found"
}

# A rule of udev's, or who stands in for udev, has given it to a group.
device_is_for_its_group_only()
{
	group=$(stat -c %g /dev/zcdma)
	says "$(stat -c '%a %u %g' /dev/zcdma)" '^660 0 [1-9]' || return
	run 0 su user -c 'id -G' && says "$out" "(^| )$group( |\$)" || return
	run 0 su user -c 'zcdma list' || return
	run 0 su stranger -c 'id -G' && ! says "$out" "(^| )$group( |\$)" >/dev/null || return
	run 1 su stranger -c 'zcdma list' && says "$err" 'Permission denied'
}

# As it is without any options, those of /etc/modprobe.d among them.
load_zcdma_as_it_is()
{
	modprobe -r zcdma && insmod "$(modinfo -n zcdma)" || complain 'cannot load it' || return
	give_rights "$rights" /dev/zcdma
	says "$(cat /sys/module/zcdma/parameters/allow)" '^softdma,copy-only$'
}

# list_engines WHICH: channels of engines that serve devices ("slave") or do not ("copy"), all but
# those of softdma: CHANNEL STATE
list_engines()
{
	zcdma list | awk -v which="$1" 'NR > 1 && $2 != "softdma" {
		kind = $NF ~ /(^|,)(slave|cyclic)(,|$)/ ? "slave" : "copy"
		if (kind == which) print $1, $5 }'
}

# A channel that a UART or a sound card will want is no copier's unless root says so.
engine_that_serves_devices_is_not_allowed_by_default()
{
	lacks ports && lacks edu && skip ports 'its engine serves no device' && return
	lacks edu || modprobe edudma || return
	load_zcdma_as_it_is || return
	list_engines slave >"$work/list"
	awk '{ print "#   " $0 }' "$work/list"
	status=0
	grep -q ' denied$' "$work/list" || complain 'none is denied' || status=1
	! grep -v ' \(denied\|busy\)$' "$work/list" || complain 'some are allowed' || status=1
	run 1 zcdma fill -q -c "$(sed -n 's/ denied$//p' "$work/list" | head -n 1)" -l 4K "$dir/file" ||
		status=1
	says "$err" 'Operation not permitted' || status=1
	reload zcdma || return
	lacks edu || modprobe -r edudma || return
	[ $status -eq 0 ]
}

engine_that_copies_only_is_allowed_by_default()
{
	load_zcdma_as_it_is || return
	status=0
	run 0 zcdma fill -q -c softdma -l 4K "$dir/soft" || status=1
	for channel in $(list_engines copy | awk 'NR <= 2 { print $1 }'); do
		run 0 zcdma fill -q -c "$channel" -l 4K "$dir/$channel" || status=1
	done
	[ "$ZCDMA_PROVIDER" = softdma ] || ! lacks ports || [ "$channel" ] ||
		complain "there is none of $ZCDMA_PROVIDER" || status=1
	reload zcdma || return
	[ $status -eq 0 ]
}

tests='
	device_is_roots_when_it_appears
	device_is_for_its_group_only
	engine_that_serves_devices_is_not_allowed_by_default
	engine_that_copies_only_is_allowed_by_default
	no_channel_is_taken_until_a_session_needs_it
	modules_come_and_go
	allow_names_the_only_channels_that_are_used
	allow_takes_patterns
	allow_can_be_changed_at_any_time
	names_of_channels_stay_when_another_provider_goes
'
of_software='
	allow_is_not_asked_for_the_channels_of_ports
	software_engine_has_as_many_channels_as_wished
	software_engine_refuses_bad_parameters
'
run_tests
