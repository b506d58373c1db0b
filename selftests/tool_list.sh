#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's list and info, and what it says when something is missing on the machine.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./tool_util.sh

list_shows_each_channel()
{
	run 0 zcdma list || return
	says "$out" '^CHANNEL +PROVIDER +DEVICE +BY +STATE +SESSIONS +CAPABILITIES$' \
		"^dma[0-9]+chan[0-9]+ +$ZCDMA_PROVIDER +[^ ]+ +(CPU|hardware) +free +0 +.*copy" ||
		return
	shown=$(echo "$out" | awk -v p="$ZCDMA_PROVIDER" '$2 == p' | wc -l)
	[ "$shown" -ge 1 ] || complain 'no channel' || return
	on_host || there=$(find /sys/class/dma/ -type l -exec readlink {} \; | grep -c "/$ZCDMA_PROVIDER\\.")
	! on_host || there=4
	[ "$ZCDMA_PROVIDER" != softdma ] || [ "$shown" -eq "$there" ] ||
		complain "$shown channels shown, $there in /sys"
}

list_is_valid_json()
{
	run 0 zcdma list --json || return
	json "$out" || return
	says "$json" '^0\.name=dma[0-9]+chan[0-9]+$' '^[0-9]+\.caps\.[0-9]+=copy$' \
		"^[0-9]+\.provider=$ZCDMA_PROVIDER\$" '^0\.device=.' '^[0-9]+\.state=free$' \
		'^[0-9]+\.sessions=0$' '^0\.moved_by=(CPU|hardware)$' '^0\.copy_align=[0-9]+$' \
		'^0\.fill_align=[0-9]+$' \
		'^0\.max_segment=[0-9]+$' '^0\.residue=(descriptor|segment|burst)$' \
		'^0\.numa_node=-?[0-9]+$' || return
	table=$(zcdma list | tail -n +2 | wc -l)
	objects=$(echo "$json" | grep -c '^[0-9]*\.name=')
	[ "$table" -eq "$objects" ] || complain "$table lines, $objects objects"
}

list_works_for_an_ordinary_user()
{
	run 0 as_user zcdma list || return
	says "$out" "$ZCDMA_PROVIDER"
}

info_tells_limits()
{
	run 0 zcdma info || return
	says "$out" '^[a-z ]*: .*[0-9]' || return
	run 0 zcdma info --json || return
	json "$out" || return
	says "$json" '^version=[0-9.]+$' '^max_len=[1-9][0-9]+$' '^max_queue_depth=[1-9]' \
		'^default_queue_depth=[1-9]' '^max_deadline_ms=[1-9]' \
		'^default_deadline_ms=[1-9]' '^opcodes\.[0-9]=copy$' '^opcodes\.[0-9]=fill$' \
		'^opcodes\.[0-9]=send$' '^opcodes\.[0-9]=recv$' '^opcodes\.[0-9]=copy-2d$' \
		'^features\.[0-9]=copy-2d$' '^features\.[0-9]=copy-fill$' \
		'^features\.[0-9]=buffers$' '^features\.[0-9]=channels$' '^features\.[0-9]=barrier$' \
		'^features\.[0-9]=ports$' '^features\.[0-9]=streams$' '^features\.[0-9]=send-recv$' \
		"^channels=$(zcdma list | tail -n +2 | wc -l)\$"
}

info_tells_of_a_channel()
{
	channel=$(zcdma list | awk 'NR == 2 { print $1 }')
	run 0 zcdma info "$channel" || return
	says "$out" "^name: +$channel" '^device: ' '^provider: ' '^state: +free' '^sessions: +0' \
		'^capabilities: .*copy' '^moved by: ' '^copy alignment: +[0-9]' \
		'^fill alignment: +[0-9]' '^longest segment: +[0-9]' '^residue: ' '^NUMA node: ' ||
		return
	run 0 zcdma info --json "$channel" || return
	json "$out" || return
	says "$json" "^name=$channel\$" || return
	run 1 zcdma info no-such-channel || return
	says "$err" '^zcdma: info: no-such-channel: no such channel; zcdma list shows them$' &&
	quiet "$out"
}

missing_engine_is_named()
{
	[ "$ZCDMA_PROVIDER" = softdma ] || { other_engines_stay; return; }
	make_file "$dir/a" 5000
	engine_leaves || return
	status=0
	run 1 zcdma copy "$dir/a" "$dir/b" || status=1
	says "$err" '^zcdma: copy: no DMA channel found; .*modprobe softdma' || status=1
	run 0 zcdma list || status=1
	quiet "$out" || status=1
	says "$err" 'modprobe softdma' || status=1
	run 0 zcdma list --json || status=1
	json "$out" || status=1
	quiet "$json" || status=1
	engine_returns
	no_litter a || status=1
	[ $status -eq 0 ]
}

# Where there is hardware, the software engine is not missed.
other_engines_stay()
{
	engine_leaves || return
	run 0 zcdma list
	status=$?
	engine_returns
	[ $status -eq 0 ] || return
	says "$out" "$ZCDMA_PROVIDER"
}

missing_permission_is_named()
{
	mode=$(stat -c %a "$device")
	make_file "$dir/a" 5000
	chmod 755 "$work"
	chmod 777 "$dir"
	chmod 000 "$device"
	run 1 as_user zcdma copy "$dir/a" "$dir/b"
	status=$?
	chmod "$mode" "$device"
	[ $status -eq 0 ] || return
	says "$err" '^zcdma: copy: /dev/zcdma: Permission denied; see zcdma\(4\), or as root: groupadd -f --system zcdma .* usermod -aG zcdma [^ ]+ \(from' &&
	no_litter a
}

# In words that root can type: the stranger then is none any more.
missing_group_is_named()
{
	run 1 su stranger -c 'zcdma list' || return
	says "$err" 'Permission denied; see zcdma\(4\), or as root: usermod -aG zcdma stranger \(from' &&
	quiet "$out"
}

# The line that the message has, and root types: the channel is to be had then.
missing_allow_is_named()
{
	parameter=/sys/module/zcdma/parameters/allow
	allowed=$(cat $parameter)
	status=0
	for list in no-such ''; do
		for name in softdma ''; do
			echo "$list" >$parameter
			run 1 zcdma fill -f -l 4K ${name:+-c "$name"} "$dir/a" || status=1
			says "$err" 'Operation not permitted; see zcdma\(4\), or as root: echo ' || status=1
			as_told=${err#*as root: }
			says "$as_told" "^echo '${list:+$list,}[a-z0-9-]+' > $parameter\$" || status=1
			sh -c "$as_told" || status=1
			run 0 zcdma fill -q -f -l 4K ${name:+-c "$name"} "$dir/a" || status=1
		done
	done
	echo "$allowed" >$parameter
	[ $status -eq 0 ]
}

# Of the module itself: the fake's device is a file that goes.
missing_module_is_named()
{
	rights=$(rights_of "$device")
	make_file "$dir/a" 5000
	on_host || modprobe -r zcdma || return
	! on_host || rm "$device"
	run 1 zcdma copy "$dir/a" "$dir/b"
	status=$?
	on_host || modprobe zcdma || return
	on_host || give_rights "$rights" "$device" || return
	[ $status -eq 0 ] || return
	says "$err" '^zcdma: copy: /dev/zcdma: No such file or directory; .*modprobe zcdma' &&
	no_litter a
}

# ---- with the fake only ----

# Each state, who moves it, capabilities and one that has no name yet.
list_has_a_word_for_everything()
{
	cat >"$ZCDMA_FAKE/channels" <<-END
		dma0chan0 e.0 idxd 0x80000000000101 0
		dma0chan1 e.0 idxd 0x1301 1
		dma0chan2 e.0 idxd 0xc06 2
		dma0chan3 e.0 idxd 0x800 3
		dma0chan4 e.0 idxd 0x0 4
		dma0chan5 e.0 idxd 0x0 77
	END
	run 0 zcdma list || return
	says "$out" '^dma0chan0 .* hardware +free +0  copy,bit55$' \
		'^dma0chan1 .* hardware +shared +0  copy,terminate,coherent$' \
		'^dma0chan2 .* CPU +exclusive +0  fill,slave,pause,unordered$' \
		'^dma0chan3 .* CPU +busy +0  unordered$' '^dma0chan4 .* CPU +denied +0  -$' \
		'^dma0chan5 .* CPU +unknown ' || return
	run 0 zcdma list -j && json "$out" &&
	says "$json" '^0\.caps\.1=bit55$' '^4\.state=denied$' '^5\.state=unknown$'
}

device_that_fails_is_told()
{
	run 1 with GET_INFO:ENOTTY zcdma list && one_line "/dev/zcdma: Inappropriate ioctl .*not zcdma's device" &&
	run 1 with open:ENODEV zcdma list && one_line '/dev/zcdma: No such device; .*modprobe zcdma' &&
	run 1 with open:EMFILE zcdma info && one_line '^zcdma: info: /dev/zcdma: Too many open files$' &&
	run 1 with QUERY_CHANNEL:EIO zcdma info dma0chan0 && one_line '^zcdma: info: dma0chan0: Input/output error$' &&
	run 1 with GET_INFO:EIO@2 zcdma info && one_line '^zcdma: info: /dev/zcdma: Input/output error$' &&
	run 1 with QUERY_CHANNEL:EIO@2 zcdma list && says "$err" '^zcdma: list: /dev/zcdma: Input/output error$' &&
	run 1 with QUERY_PORT:EIO zcdma port list && one_line '^zcdma: port: /dev/zcdma: Input/output error$'
}

channel_that_cannot_be_had_is_told()
{
	make_file "$dir/a" 100
	for error in 'EBUSY:somebody else has it' 'EPERM:as root: echo .softdma,copy-only,dma0chan0. > /sys/module/zcdma/parameters/allow$' 'EINVAL:--deadline' \
		'ENODEV:no such channel'; do
		run 1 with "ATTACH:${error%%:*}" zcdma copy -c dma0chan0 "$dir/a" "$dir/b" &&
		one_line "^zcdma: copy: dma0chan0: cannot attach: .*; .*${error#*:}" || return
	done
	run 1 zcdma copy -d 600001 "$dir/a" "$dir/b" &&
	one_line '^zcdma: copy: any channel: cannot attach: Invalid argument; is --deadline longer' &&
	no_litter a
}

# Without a name: hardware before software, free before shared.
best_channel_is_taken()
{
	cat >"$ZCDMA_FAKE/channels" <<-END
		dma0chan0 softdma.0 softdma 0x160f 0
		dma1chan0 e.0 idxd 0x1701 1
		dma1chan1 e.0 idxd 0x1701 0
		dma2chan0 f.0 other 0x1704 0
	END
	make_file "$dir/a" 100
	run 0 zcdma copy "$dir/a" "$dir/b" && says "$out" 'through dma1chan1 \(idxd\)' || return
	sed -i 's/0x1701 0/0x1701 3/' "$ZCDMA_FAKE/channels"
	run 0 zcdma copy -f "$dir/a" "$dir/b" && says "$out" 'through dma1chan0 \(idxd\)' || return
	sed -i '/idxd/d' "$ZCDMA_FAKE/channels"
	run 0 zcdma copy -f "$dir/a" "$dir/b" && says "$out" 'through dma0chan0 \(softdma\)'
}

# ---- what is known to be wrong ----

info_takes_what_channel_takes()
{
	run 0 zcdma info softdma && says "$out" 'dma0chan0'
}

table_fits_long_names()
{
	echo dma0chan0 fe800000.dma-controller xilinx-zynqmp-dma 0x1 0 >"$ZCDMA_FAKE/channels"
	run 0 zcdma list || return
	header=$(echo "$out" | head -n 1) row=$(echo "$out" | tail -n 1)
	header=${header%%STATE*} row=${row%%free*}
	[ ${#row} -eq ${#header} ] || complain 'columns are not below their headings'
}

tests='
	list_shows_each_channel
	list_is_valid_json
	info_tells_limits
	info_tells_of_a_channel
	missing_engine_is_named
	missing_module_is_named
'
of_programs='
	list_works_for_an_ordinary_user
	missing_permission_is_named
'
# What the fake has neither of: another user, and the parameter's effect.
if ! on_host; then
	tests="$tests missing_allow_is_named"
	of_programs="$of_programs missing_group_is_named"
fi
host_only '
	list_has_a_word_for_everything
	device_that_fails_is_told
	channel_that_cannot_be_had_is_told
	best_channel_is_taken
	info_takes_what_channel_takes
	table_fits_long_names
'
run_tests
