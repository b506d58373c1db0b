#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# edudma, the driver of QEMU's "edu" device: it moves what it is told, in the
# hands of dmatest and of zcdma, and all ends well when the device, the driver or
# the client goes while it does. The device takes 100 ms for all it does, so
# "meanwhile" is easy to meet.

cd "$(dirname "$0")" || exit
. ./tap.sh

driver=/sys/bus/pci/drivers/edudma
parameters=/sys/module/dmatest/parameters

# In PCI's command register
decoding=2 mastering=4

device=$(grep -lx 'PCI_ID=1234:11E8' /sys/bus/pci/devices/*/uevent | head -n 1)
device=${device%/uevent}
slot=${device##*/}

bind()
{
	echo "$slot" >$driver/bind || complain 'cannot bind the driver'
}

# It waits for the device to come to rest, and not for ten seconds, after which it gives up.
unbind()
{
	start=$(milliseconds)
	echo "$slot" >$driver/unbind || complain 'cannot unbind the driver' || return
	took=$(($(milliseconds) - start))
	[ $took -lt 8000 ] || complain "unbinding took $took ms"
}

milliseconds()
{
	awk '{ print int($1 * 1000) }' /proc/uptime
}

channel()
{
	zcdma list | awk '$2 == "edudma" { print $1 }'
}

# switch WHAT on|off: a right of the device's, in PCI's command register.
switch()
{
	command=$(od -An -tu1 -j4 -N1 "$device/config") || return
	case $2 in
	on) command=$((command | $1)) ;;
	off) command=$((command & ~$1)) ;;
	esac
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\$(printf %o "$command")" |
		dd of="$device/config" bs=1 seek=4 count=1 conv=notrunc 2>/dev/null
}

# copy BYTES [OPTION...]
copy()
{
	head -c "$1" /dev/urandom >"$dir/a"
	shift
	run 0 zcdma copy -f --verify -c edudma "$@" "$dir/a" "$dir/b" || return
	cmp "$dir/a" "$dir/b"
}

interrupts()
{
	awk '/edudma/ { print $2 + $3 }' /proc/interrupts
}

# once_under_way COMMAND...: when the device has made one of the hops that come now
once_under_way()
{
	before=$(interrupts)
	start=$(milliseconds)
	until [ "$(interrupts)" -gt "$before" ]; do
		[ $(($(milliseconds) - start)) -lt 5000 ] || complain 'nothing happens' || return
		usleep 20000
	done
	"$@"
}

# fails PATTERN COMMAND...: a copy during which COMMAND happens fails with a message
# that matches PATTERN.
fails()
{
	pattern=$1
	shift
	head -c 100000 /dev/urandom >"$dir/a"	# far more than it gets to
	{ once_under_way "$@" || : >"$work/failed"; } &
	run 1 zcdma copy -f -d 60000 -c edudma "$dir/a" "$dir/b"
	status=$?
	wait
	[ ! -e "$work/failed" ] || complain "it failed: $*" || return
	[ $status -eq 0 ] && says "$err" "$pattern"
}

set_up()
{
	while [ $# -gt 0 ]; do
		echo "$2" >$parameters/"$1" || return
		shift 2
	done
}

# start_dmatest NAME VALUE...: on our channel, with these parameters.
start_dmatest()
{
	mark_log
	modprobe dmatest || return
	set_up "$@" channel "$(channel)" run 1
}

# Wait until $1 threads of dmatest have finished. (Its "wait" does not: it returns at
# once if the threads have not begun yet.)
wait_for_dmatest()
{
	start=$(milliseconds)
	until [ "$(log | grep -c 'dmatest: .* summary')" -eq "$1" ]; do
		[ $(($(milliseconds) - start)) -lt 20000 ] || complain 'dmatest does not end' || return
		usleep 100000
	done
}

# What the kernel's log says since mark_log
mark_log()
{
	mark="zcdma selftest: edudma $$ $(milliseconds)"
	echo "$mark" >/dev/kmsg
}

log()
{
	dmesg | sed -n "/$mark/,\$p"
}

# ---- the channel ----

channel_is_there()
{
	run 0 zcdma list || return
	says "$out" "^dma[0-9]+chan0 +edudma +$slot +hardware +free +0 +copy,slave,terminate" || return
	[ "$(channel | wc -l)" -eq 1 ] || complain 'more than one channel' || return
	[ "$(cat "$device/dma_mask_bits")" -eq 28 ] || complain 'not 28 bits of address' || return
	run 0 zcdma info --json "$(channel)" || return
	says "$out" '"residue": *"segment"'
}

# ---- copies ----

# judge THREADS NAME VALUE...: does dmatest find fault?
judge()
{
	threads=$1
	shift
	start_dmatest "$@" threads_per_chan "$threads" || return
	wait_for_dmatest "$threads"
	modprobe -r dmatest || return
	good=$(log | grep -c 'dmatest: .* summary [1-9][0-9]* tests, 0 failures')
	[ "$good" -eq "$threads" ] || complain "$good of $threads threads: $(log)"
}

dmatest_finds_no_fault()
{
	judge 1 iterations 5
}

dmatest_that_polls_finds_no_fault()
{
	judge 1 iterations 2 test_buf_size 8192 polled 1
}

# Two threads queue for the one engine.
dmatest_finds_no_fault_in_what_is_queued()
{
	judge 2 iterations 3 test_buf_size 8192 timeout 10000
}

copy_of_any_size_is_equal()
{
	for size in 1 4094 4095 4096 4097 12289; do
		copy $size || return
	done
}

# The limit is far from what the device needs (some 4 s), and far from for ever.
copy_of_64_KiB_is_made_by_hardware()
{
	copy 65536 --deadline 20000 || return
	says "$out" '^copied 65536 bytes .* \(edudma\) .* moved by hardware, verified$'
}

# Each hop has its interrupt: two hops for a piece.
interrupt_is_by_message()
{
	says "$(cat /proc/interrupts)" 'MSI.* edudma$' || return
	before=$(interrupts)
	copy 4000 || return
	[ $(($(interrupts) - before)) -eq 2 ] || complain "$before interrupts, then $(interrupts)"
}

interrupt_by_line_does_as_well()
{
	unbind || return
	echo 0 >"$device/msi_bus"
	bind && copy 10000 && says "$(cat /proc/interrupts)" 'IO-APIC.* edudma$'
	status=$?
	unbind
	echo 1 >"$device/msi_bus"
	bind && [ $status -eq 0 ]
}

# ---- what may come between ----

# The hop that is running then cannot be stopped; the next copy must not notice.
deadline_ends_a_copy_and_not_the_engine()
{
	kmsg_allow 'hangs, stopping it'	# 100 ms are more than 500 where the host is busy
	head -c 4000 /dev/urandom >"$dir/a"
	mark_log
	start=$(milliseconds)
	run 1 zcdma copy -c edudma -d 50 "$dir/a" "$dir/b" || return
	says "$err" 'Connection timed out' || return
	took=$(($(milliseconds) - start))
	[ $took -ge 500 ] || ! log | grep -q 'hangs, stopping it' ||
		complain "the engine was stopped after $took ms" || return
	copy 5000
}

killed_client_leaves_a_working_channel()
{
	head -c 65536 /dev/urandom >"$dir/a"
	run 137 timeout -s KILL 0.25 zcdma copy -c edudma "$dir/a" "$dir/b" || return
	copy 5000
}

unbinding_ends_a_copy()
{
	fails 'No such device' unbind
	status=$?
	bind && [ $status -eq 0 ] && copy 5000
}

# dmatest does not know that drivers go: it keeps the channel, if nobody takes it away.
unbinding_under_a_client_that_stays_is_survived()
{
	modprobe dmatest && set_up channel "$(channel)" || return
	unbind
	status=$?
	[ -z "$(channel)" ] || complain 'the channel is still listed' || status=1
	bind && copy 5000 || status=1	# through a channel that is not the old one
	modprobe -r dmatest || status=1
	[ $status -eq 0 ] && copy 5000
}

binding_over_and_over_leaves_a_working_channel()
{
	status=0
	for _ in 1 2 3; do
		unbind || status=1
		bind || return
	done
	[ $status -eq 0 ] && copy 5000
}

# ---- errors ----

# Nothing is moved then, and the device does not say so: it thinks that it did.
loss_of_the_bus_is_an_error()
{
	fails 'Input/output error' switch $mastering off
	status=$?
	switch $mastering on
	[ $status -eq 0 ] && copy 5000
}

loss_of_the_device_is_an_error()
{
	mark_log
	kmsg_expect 'does not respond: given up'
	fails 'Input/output error' switch $decoding off
	status=$?
	kmsg_expected 'does not respond: given up'
	switch $decoding on
	[ $status -eq 0 ] || return
	says "$(log)" "edudma $slot: .*given up" || status=1
	run 1 zcdma copy -f -c edudma "$dir/a" "$dir/b" || status=1
	unbind || status=1
	bind && [ $status -eq 0 ] && copy 5000
}

# ---- in the end ----

channel_has_no_client_afterwards()
{
	[ "$(cat /sys/class/dma/"$(channel)"/in_use)" -eq 0 ]
}

driver_can_be_unloaded()
{
	modprobe -r edudma || return
	[ -z "$(channel)" ] || complain 'the channel is still there' || return
	[ -z "$was_loaded" ] || modprobe edudma
}

tests='
	channel_is_there
	dmatest_finds_no_fault
	dmatest_that_polls_finds_no_fault
	dmatest_finds_no_fault_in_what_is_queued
	copy_of_any_size_is_equal
	copy_of_64_KiB_is_made_by_hardware
	interrupt_is_by_message
	interrupt_by_line_does_as_well
	deadline_ends_a_copy_and_not_the_engine
	killed_client_leaves_a_working_channel
	unbinding_ends_a_copy
	unbinding_under_a_client_that_stays_is_survived
	binding_over_and_over_leaves_a_working_channel
	loss_of_the_bus_is_an_error
	loss_of_the_device_is_an_error
	channel_has_no_client_afterwards
	driver_can_be_unloaded
'
[ "$slot" ] || leave_out edu 'QEMU was given no -device edu'
was_loaded=
[ ! -e /sys/module/edudma ] || was_loaded=yes
modprobe edudma && run_tests
