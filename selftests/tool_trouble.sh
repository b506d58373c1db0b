#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's copy and fill in trouble that only the fake can make: each call that fails, EINTR,
# full disks, files that change meanwhile. Host only.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./tool_util.sh

# fails ORDERS PATTERN OPTION...: a copy over an old file, with calls that fail.
fails()
{
	trouble=$1 pattern=$2
	shift 2
	[ -e "$dir/a" ] || make_file "$dir/a" 1000000
	echo old >"$dir/b"
	run 1 with "$trouble" zcdma copy -f "$@" "$dir/a" "$dir/b" || return
	one_line "^zcdma: copy: $pattern" || return
	holds "$dir/b" old &&
	no_litter a b
}

# works ORDERS [SIZE]: a copy gets over it.
works()
{
	make_file "$dir/a" "${2:-1000000}"
	run 0 with "$1" zcdma copy -fv "$dir/a" "$dir/b" || return
	quiet "$err" && cmp "$dir/a" "$dir/b" && no_litter a b
}

full_disk_is_found_before_the_copy()
{
	fails fallocate:ENOSPC "$dir/b: No space left on device; room for 976.6 KiB is needed beside it$"
}

file_too_large_is_a_failure()
{
	make_file "$dir/a" 1000000
	run 1 sh -c "ulimit -f 100 && zcdma copy $dir/a $dir/b" || return
	one_line "^zcdma: copy: $dir/b: File too large" && no_litter a
}

files_that_fail_leave_the_old_one()
{
	fails fsync:EIO "$dir/b: Input/output error$" &&
	fails fsync:ENOSPC "$dir/b: No space left on device$" &&
	fails fchmod:EPERM "$dir/b: Operation not permitted$" &&
	fails rename:EIO "$dir/b: Input/output error$" &&
	fails mmap:ENODEV "$dir/b: cannot be mapped: No such device$" &&
	fails mmap:ENOMEM@2 "$dir/a: cannot be mapped: Cannot allocate memory$" &&
	fails pread:EIO "$dir/b: cannot be read back: Input/output error$" -v &&
	fails pread:EOF "$dir/b: cannot be read back: it became shorter$" -v &&
	fails pread:EIO@2 "$dir/a: Input/output error$" -v
}

engine_that_fails_leaves_the_old_file()
{
	fails op:EIO@2 "$dir/a: moving it by dma0chan0: Input/output error; the engine reported" &&
	fails op:ENODEV@3 "$dir/a: moving it by dma0chan0: No such device; the engine went away" &&
	fails op:ETIMEDOUT@1 "$dir/a: moving it by dma0chan0: Connection timed out; the engine" &&
	fails SUBMIT:EFAULT@2 "$dir/a: moving it by dma0chan0: Bad address; its pages" &&
	fails SUBMIT:ENODEV@2 "$dir/a: moving it by dma0chan0: No such device; the engine" &&
	fails SUBMIT:ENOMEM "$dir/a: moving it by dma0chan0: Cannot allocate memory; .*ulimit -l" &&
	fails READ:EIO@1 "$dir/a: moving it by dma0chan0: Input/output error"
}

# The queue is full or memory is short while pieces are under way: they are awaited.
copy_gets_over_a_short_queue()
{
	works SUBMIT:EAGAIN@2 && works SUBMIT:EAGAIN@5,SUBMIT:EAGAIN@7 &&
	works SUBMIT:ENOMEM@2 && works SUBMIT:ENOMEM@1 && works SUBMIT:ENOMEM@5,SUBMIT:ENOMEM@6
}

# Memory is checked page by page and byte by byte: verify reads it all, in whatever parts.
copy_gets_over_short_reads()
{
	works pread:SHORT && works pread:SHORT@2
}

completions_come_in_any_order()
{
	knob reverse 1
	knob delay_us 1000
	works '' 3000000
}

wrong_bytes_are_found_by_verify()
{
	make_file "$dir/a" 100000
	for order in op:SHORT@1 op:SHORT@3; do
		run 1 with $order zcdma copy -v "$dir/a" "$dir/b" || return
		one_line "^zcdma: copy: $dir/b: differs from $dir/a within the [0-9]+ bytes at [0-9]+; is it in use" &&
		no_litter a || return
	done
	run 1 with op:SHORT@1 zcdma fill -v -b 7 -l 9000 "$dir/f" || return
	one_line "^zcdma: fill: $dir/f: is not all 0x07 within" && no_litter a
}

source_that_becomes_shorter_is_a_failure()
{
	make_file "$dir/a" 400000
	knob delay_us 100000
	( while ! copy_has_begun; do sleep 0.02; done; sleep 0.2; truncate -s 1000 "$dir/a" ) &
	run 1 zcdma copy "$dir/a" "$dir/b"
	status=$?
	wait
	[ $status -eq 0 ] && one_line "^zcdma: copy: $dir/a: became shorter while it was copied" &&
	no_litter a
}

# It is not overwritten, not even without --force given in time.
target_that_appears_meanwhile_stays()
{
	make_file "$dir/a" 400000
	knob delay_us 100000
	( while ! copy_has_begun; do sleep 0.02; done; echo new >"$dir/b" ) &
	run 1 zcdma copy "$dir/a" "$dir/b"
	status=$?
	wait
	[ $status -eq 0 ] && one_line "^zcdma: copy: $dir/b: appeared meanwhile; give --force" &&
	holds "$dir/b" new && no_litter a b
}

# A file system that does not know RENAME_NOREPLACE.
target_is_made_where_rename_replaces_always()
{
	make_file "$dir/a" 1000
	run 0 with rename:EINVAL zcdma copy "$dir/a" "$dir/b" || return
	cmp "$dir/a" "$dir/b" && no_litter a b
}

# What nohup had ignored stays ignored.
ignored_signal_stays_ignored()
{
	make_file "$dir/a" 400000
	knob delay_us 20000
	trap '' HUP
	signalled copy_has_begun HUP 0 zcdma copy -q "$dir/a" "$dir/b"
	status=$?
	trap - HUP
	[ $status -eq 0 ] && cmp "$dir/a" "$dir/b"
}

progress_is_shown_on_a_terminal()
{
	make_file "$dir/a" 1300000
	knob delay_us 5000
	script -qec "zcdma copy $dir/a $dir/b" "$work/typescript" >/dev/null </dev/null || complain failed || return
	tr '\r' '\n' <"$work/typescript" | tr '\033' '\n' >"$work/lines"
	grep -q '^moving \[#* *\] .*  [0-9.]* MiB of 1\.2 MiB  [0-9.]* MB/s' "$work/lines" || complain 'no bar' || return
	script -qec "zcdma copy -q $dir/a $dir/c" "$work/typescript" >/dev/null </dev/null || complain failed || return
	! grep -q 'moving' "$work/typescript" || complain '--quiet has a bar' || return
	run 0 zcdma copy "$dir/a" "$dir/d" && quiet "$err"
}

engine_goes_on_soon()
{
	(sleep 1; knob pool 256) &
}

# One piece, which SUBMIT waits for, and which the engine has not begun.
copy_of_one_piece_goes_on_when_it_was_stopped()
{
	make_file "$dir/a" 10000
	knob pool 0
	signalled 'copy_has_begun && sleeps && engine_goes_on_soon' 'STOP CONT' 0 \
		zcdma copy -q "$dir/a" "$dir/b" &&
	cmp "$dir/a" "$dir/b"
}

# ---- what is known to be wrong ----

copy_goes_on_after_eintr()
{
	works READ:EINTR@1 && works SUBMIT:EINTR@4
}

verify_compares_each_byte()
{
	make_file "$dir/a" 100000
	run 1 with op:SHORT@1,pread:EOF@2+ zcdma copy -v "$dir/a" "$dir/b" && no_litter a
}

copy_syncs_the_folder_of_its_target()
{
	make_file "$dir/a" 1000
	run 1 with fsync:EIO@2 zcdma copy "$dir/a" "$dir/b"
}

copy_keeps_holes()
{
	truncate -s 10000000 "$dir/a"
	echo end >>"$dir/a"
	run 0 zcdma copy "$dir/a" "$dir/b" && cmp "$dir/a" "$dir/b" || return
	[ "$(du -k "$dir/b" | cut -f 1)" -lt 1000 ] || complain "$(du -k "$dir/b")"
}

# Its message kills it, before it has cleaned up.
copy_that_nobody_hears_leaves_nothing()
{
	make_file "$dir/a" 100000
	mkfifo "$work/fifo"
	{ : <"$work/fifo"; } &
	with op:EIO@1 zcdma copy "$dir/a" "$dir/b" 2>"$work/fifo" | :
	wait
	with op:EIO@1 zcdma copy "$dir/a" "$dir/b" 2>&1 >/dev/null | :
	no_litter a
}

copy_ended_by_any_signal_leaves_nothing()
{
	long=4000000
	truncate -s $long "$dir/a"
	knob delay_us 300000
	for signal in ALRM:142 USR1:138 XCPU:152 PIPE:141; do
		signalled copy_has_begun "${signal%:*}" "${signal#*:}" zcdma copy "$dir/a" "$dir/b" &&
		no_litter a || return
	done
}

# Its output goes to a pipe that is full, when the copy has its name already.
interrupted_when_it_was_done_it_tells_the_truth()
{
	make_file "$dir/a" 1000
	mkfifo "$work/fifo"
	exec 8<>"$work/fifo"
	dd if=/dev/zero of="$work/fifo" bs=4096 count=16 2>/dev/null
	# shellcheck disable=SC2016 # for the inner shell
	signalled '[ -e "$dir/b" ]' TERM 143 sh -c "exec zcdma copy $dir/a $dir/b >$work/fifo"
	exec 8<&-
	[ -e "$dir/b" ] || complain 'it is not there' || return
	case $err in
	*'as it was before'*) complain "the target is new, but: $err" ;;
	esac
}

file_too_large_is_not_called_missing_room()
{
	make_file "$dir/a" 1000000
	run 1 sh -c "ulimit -f 100 && zcdma copy $dir/a $dir/b" || return
	case $err in
	*room*) complain "$err" ;;
	esac
}

file_that_cannot_be_mapped_says_what_to_do()
{
	make_file "$dir/a" 1000
	run 1 with mmap:ENODEV@2 zcdma copy "$dir/a" "$dir/b" && says "$err" 'cannot be mapped.*; '
}

tests=
of_programs=
host_only '
	full_disk_is_found_before_the_copy
	file_too_large_is_a_failure
	files_that_fail_leave_the_old_one
	engine_that_fails_leaves_the_old_file
	copy_gets_over_a_short_queue
	copy_gets_over_short_reads
	completions_come_in_any_order
	wrong_bytes_are_found_by_verify
	source_that_becomes_shorter_is_a_failure
	target_that_appears_meanwhile_stays
	target_is_made_where_rename_replaces_always
	ignored_signal_stays_ignored
	progress_is_shown_on_a_terminal
	copy_of_one_piece_goes_on_when_it_was_stopped
	copy_goes_on_after_eintr
	verify_compares_each_byte
	copy_syncs_the_folder_of_its_target
	copy_keeps_holes
	copy_that_nobody_hears_leaves_nothing
	copy_ended_by_any_signal_leaves_nothing
	interrupted_when_it_was_done_it_tells_the_truth
	file_too_large_is_not_called_missing_room
	file_that_cannot_be_mapped_says_what_to_do
'
run_tests
