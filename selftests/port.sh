#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's read and write at real devices: the ports of the device tree.

cd "$(dirname "$0")" || exit
. ./tap.sh

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

# Their engine is denied to copies, not to them.
devices_are_used_though_copies_may_not_have_their_engine()
{
	lacks ports && skip ports 'its engine serves no device here' && return
	parameter=/sys/module/zcdma/parameters/allow
	allowed=$(cat $parameter)
	echo 'no-such*' >$parameter || return
	status=0
	run 1 zcdma fill -l 4K -c "$ZCDMA_PROVIDER" "$dir/file" || status=1
	says "$err" 'Operation not permitted' || status=1
	for port in $(ports_that tx); do
		line="zcdma-test: $(cut -d ' ' -f 1 /proc/uptime) to $port while copies are denied"
		echo "# to come out of a serial port: $line"
		echo "$line" | zcdma write -q -d 20000 "$port" - || complain 'write failed' || status=1
	done
	[ "$port" ] || complain 'there is none that sends' || status=1
	echo "$allowed" >$parameter || status=1
	[ $status -eq 0 ]
}

tests='
	devices_are_read_and_written
	devices_are_used_though_copies_may_not_have_their_engine
'
run_tests
