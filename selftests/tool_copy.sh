#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's copy and fill: what they make, what they say, and that one that fails, whatever
# for, leaves the old file as it was and nothing else.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./tool_util.sh

copy_of_any_size_is_equal()
{
	long=16777216
	! few || long=2097153
	for size in 0 1 4095 4096 4097 65536 1000003 $long; do
		make_file "$dir/a" "$size"
		run 0 zcdma copy "$dir/a" "$dir/b-$size" || return
		cmp "$dir/a" "$dir/b-$size" || return
		says "$out" "^copied $size bytes .* moved by .*, not verified\$" || return
		quiet "$err" || return
	done
}

copy_tells_what_it_did()
{
	make_file "$dir/a" 1048576
	run 0 zcdma copy --verify -c "$ZCDMA_PROVIDER" "$dir/a" "$dir/b" || return
	says "$out" "^copied 1048576 bytes \(1\.0 MiB\) through dma[0-9]+chan[0-9]+ \($ZCDMA_PROVIDER\) in [0-9.]+ s, [0-9.]+ MB/s, moved by (the CPU|hardware|hardware and the CPU), verified\$"
}

copy_tells_it_as_json()
{
	make_file "$dir/a" 100000
	run 0 zcdma copy --json -c "$ZCDMA_PROVIDER" "$dir/a" "$dir/b" || return
	json "$out" || return
	says "$json" '^bytes=100000$' '^channel=dma[0-9]+chan[0-9]+$' \
		"^provider=$ZCDMA_PROVIDER\$" '^seconds=[0-9]' '^bytes_per_second=[0-9]' \
		'^moved_by\.0=(CPU|hardware)$' '^verified=false$' || return
	[ "$(echo "$out" | wc -l)" -eq 1 ] || complain 'more than one line' || return
	quiet "$err" || return
	run 0 zcdma copy -fvj "$dir/a" "$dir/b" && json "$out" && says "$json" '^verified=true$'
}

copy_can_be_quiet()
{
	make_file "$dir/a" 100000
	run 0 zcdma copy -q "$dir/a" "$dir/b" || return
	quiet "$out" &&
	quiet "$err" &&
	cmp "$dir/a" "$dir/b"
}

copy_goes_through_the_channel_named()
{
	make_file "$dir/a" 10000
	channel=$(zcdma list | awk 'END { print $1 }')
	device=$(zcdma list | awk 'END { print $3 }')
	run 0 zcdma copy -c "$channel" "$dir/a" "$dir/b" || return
	says "$out" "through $channel " || return
	run 0 zcdma copy --channel="$device" "$dir/a" "$dir/c" || return
	run 1 zcdma copy -c no-such-channel "$dir/a" "$dir/d" || return
	one_line '^zcdma: copy: no-such-channel: cannot attach: No such device; .*see zcdma list$' &&
	no_litter a b c
}

# The default limit, which is less than the file, but for a brief test, and one of a few
# pages.
copy_works_for_a_user_who_may_lock_little()
{
	long=9000001
	! few || long=1000001
	make_file "$dir/a" $long
	chmod 755 "$work"
	chmod 777 "$dir"
	if ! on_host; then
		run 0 as_user "ulimit -l && zcdma copy --verify $dir/a $dir/b" || return
		[ "$(echo "$out" | head -n 1)" = 8192 ] || complain "limit of $out KiB" || return
		cmp "$dir/a" "$dir/b" || return
	fi
	run 0 as_user "ulimit -l 64 && zcdma copy $dir/a $dir/c" || return
	cmp "$dir/a" "$dir/c" || return
	run 0 as_user "ulimit -l 8 && zcdma copy $dir/a $dir/e" || return
	cmp "$dir/a" "$dir/e" || return
	run 1 as_user "ulimit -l 0 && zcdma copy $dir/a $dir/d" || return
	says "$err" '^zcdma: copy: .*ulimit -l' || return
	[ ! -e "$dir/d" ] || complain 'it is there'
}

copy_leaves_an_old_target_unless_forced()
{
	make_file "$dir/a" 5000
	echo old >"$dir/b"
	run 1 zcdma copy "$dir/a" "$dir/b" || return
	one_line "^zcdma: copy: $dir/b: exists; give --force to replace it\$" || return
	holds "$dir/b" old || return
	run 0 zcdma copy --force "$dir/a" "$dir/b" || return
	cmp "$dir/a" "$dir/b" &&
	no_litter a b
}

# refused PATTERN ARGUMENT...: zcdma copy fails with one line that matches.
refused()
{
	pattern=$1
	shift
	run 1 zcdma copy "$@" || return
	one_line "$pattern"
}

copy_refuses_files_that_it_cannot_read_or_write()
{
	make_file "$dir/a" 5000
	mkdir "$dir/d"
	mkfifo "$dir/fifo"
	refused "^zcdma: copy: $dir/none: No such file" "$dir/none" "$dir/b" &&
	refused "^zcdma: copy: $dir/d: .*directory" "$dir/d" "$dir/b" &&
	refused "^zcdma: copy: $dir/d: is a directory" "$dir/a" "$dir/d" &&
	refused "^zcdma: copy: $dir/d: is a directory" -f "$dir/a" "$dir/d" &&
	refused "^zcdma: copy: $dir/none/b: .*No such file" "$dir/a" "$dir/none/b" &&
	refused "^zcdma: copy: $dir/a/b: .*Not a directory" "$dir/a" "$dir/a/b" &&
	refused "^zcdma: copy: $dir/b/: does not name a file" "$dir/a" "$dir/b/" &&
	refused '^zcdma: copy: /dev/null: is not a regular file' /dev/null "$dir/b" &&
	refused '^zcdma: copy: /dev/null: is not a regular file' -f "$dir/a" /dev/null &&
	refused "^zcdma: copy: $dir/fifo: is not a regular file" "$dir/fifo" "$dir/b" &&
	refused '^zcdma: copy: /proc/version: does not tell its length' /proc/version "$dir/b" &&
	refused '^zcdma: copy: ' "$dir/a" '' &&
	refused '^zcdma: copy: ' '' "$dir/b" &&
	no_litter a d fifo
}

copy_refuses_to_copy_a_file_onto_itself()
{
	make_file "$dir/a" 5000
	cp "$dir/a" "$work/a"
	ln "$dir/a" "$dir/hard"
	ln -s a "$dir/soft"
	for name in a hard soft; do
		refused 'is the same file as' "$dir/a" "$dir/$name" &&
		refused 'is the same file as' -f "$dir/a" "$dir/$name" &&
		refused 'is the same file as' -f "$dir/$name" "$dir/a" || return
	done
	cmp "$dir/a" "$work/a" &&
	no_litter a hard soft
}

copy_refuses_what_a_user_may_not()
{
	make_file "$dir/secret" 5000
	chmod 755 "$work"
	chmod 000 "$dir/secret"
	make_file "$dir/a" 5000
	mkdir "$dir/closed"
	chmod 555 "$dir/closed"
	run 1 as_user zcdma copy "$dir/secret" /tmp/b || return
	one_line "^zcdma: copy: $dir/secret: .*Permission denied" || return
	run 1 as_user zcdma copy "$dir/a" "$dir/closed/b" || return
	one_line "^zcdma: copy: $dir/closed/b: .*Permission denied" || return
	no_litter secret a closed
}

# If the target is a symbolic link, the file that it points to is meant.
copy_follows_a_link_to_its_target()
{
	make_file "$dir/a" 5000
	echo old >"$dir/b"
	ln -s b "$dir/link"
	ln -s none "$dir/dangling"
	refused 'exists; give --force' "$dir/a" "$dir/link" && holds "$dir/b" old || return
	run 0 zcdma copy -f "$dir/a" "$dir/link" || return
	[ -L "$dir/link" ] || complain 'the link is no link any more' || return
	cmp "$dir/a" "$dir/b" || return
	refused 'is a link to nowhere; remove it first' "$dir/a" "$dir/dangling" &&
	no_litter a b link dangling
}

# Permissions of the source less the umask.
copy_has_the_permissions_of_its_source()
{
	make_file "$dir/a" 100
	for modes in 644:022:644 666:022:644 777:027:750 600:000:600 444:000:444; do
		source=${modes%%:*} wanted=${modes##*:} mask=${modes#*:}
		chmod "$source" "$dir/a"
		(umask "${mask%:*}" && run 0 zcdma copy -f "$dir/a" "$dir/b") || return
		mode=$(stat -c %a "$dir/b")
		[ "$mode" = "$wanted" ] || complain "$mode, not $wanted" || return
	done
	(umask 026 && run 0 zcdma fill -l 1 "$dir/f") || return
	[ "$(stat -c %a "$dir/f")" = 640 ] || complain "fill: $(stat -c %a "$dir/f"), not 640"
}

# ---- signals ----

# A copy over an old file that takes long.
long_copy()
{
	truncate -s 64000000 "$dir/a"
	echo old >"$dir/b"
	knob delay_us 300000
}

interrupted()
{
	signalled copy_has_begun "$1" $((128 + $2)) zcdma copy -f -c softdma "$dir/a" "$dir/b" || return
	one_line '^zcdma: interrupted; the target is as it was before$' || return
	holds "$dir/b" old &&
	no_litter a b
}

copy_that_is_interrupted_leaves_the_old_file()
{
	long_copy
	status=0
	# shellcheck disable=SC3045 # all shells that we run have it
	ulimit -c 0
	interrupted INT 2 && interrupted TERM 15 && interrupted HUP 1 && interrupted QUIT 3 || status=1
	no_faults
	return $status
}

copy_that_is_killed_leaves_the_old_file()
{
	long_copy
	signalled copy_has_begun KILL 137 zcdma copy -f -c softdma "$dir/a" "$dir/b"
	status=$?
	no_faults
	holds "$dir/b" old || return
	[ $status -eq 0 ] || return
	copy_has_begun || complain 'man says that it leaves a file'
}

# ^Z and fg.
copy_goes_on_when_it_was_stopped()
{
	make_file "$dir/a" 400000
	knob delay_us 20000
	signalled copy_has_begun 'STOP CONT' 0 zcdma copy -q -c softdma "$dir/a" "$dir/b"
	status=$?
	no_faults
	[ $status -eq 0 ] && cmp "$dir/a" "$dir/b" && no_litter a b
}

# ---- an engine in trouble ----

# fails_with PATTERN: the copy fails for the engine's sake, the old file stays.
fails_with()
{
	echo old >"$dir/b"
	status=0
	run 1 zcdma copy -f -d 800 -c softdma "$dir/a" "$dir/b" || status=1
	no_faults
	[ $status -eq 0 ] || return
	one_line "$1" || return
	holds "$dir/b" old &&
	no_litter a b
}

copy_with_an_engine_that_hangs_ends_at_the_deadline()
{
	make_file "$dir/a" 1000000
	kmsg_expect 'hangs, stopping it'
	# Where the ops behind it were far apart.
	kmsg_allow 'hangs, stopping it'
	kmsg_allow 'hangs, stopping it'
	knob hang 1 || return
	start=$(date +%s)
	fails_with '^zcdma: copy: .*Connection timed out; .*--deadline' || return
	kmsg_expected 'hangs, stopping it'
	[ $(($(date +%s) - start)) -le 20 ] || complain 'it took too long'
}

copy_with_an_engine_that_fails_is_a_failure()
{
	make_file "$dir/a" 1000000
	knob fail_nth 1 || return
	fails_with '^zcdma: copy: .*(Input/output error|I/O error); .*dmesg'
}

copy_with_an_engine_that_leaves_is_a_failure()
{
	make_file "$dir/a" 1000000
	echo old >"$dir/b"
	knob hang 1 || return
	(sleep 0.5; engine_leaves) &
	run 1 zcdma copy -f -c softdma "$dir/a" "$dir/b"
	status=$?
	wait
	engine_returns
	no_faults
	[ $status -eq 0 ] || return
	says "$err" '^zcdma: copy: .*No such device' || return
	holds "$dir/b" old &&
	no_litter a b
}

# ---- fill ----

fill_makes_a_file_of_bytes()
{
	for size in 0 1 4097 3000001; do
		run 0 zcdma fill -l $size -b 0x41 "$dir/f-$size" || return
		says "$out" "^filled $size bytes " || return
		[ "$(stat -c %s "$dir/f-$size")" -eq $size ] || complain 'wrong size' || return
		[ "$(tr -d A <"$dir/f-$size" | wc -c)" -eq 0 ] || complain 'wrong bytes' || return
	done
	run 0 zcdma fill --verify --length 64K "$dir/zeros" || return
	says "$out" ', verified$' || return
	head -c 65536 /dev/zero | cmp - "$dir/zeros" || return
	run 0 zcdma fill --json -l 1M -b 7 "$dir/json" || return
	json "$out" || return
	says "$json" '^bytes=1048576$' '^byte=7$'
}

fill_takes_sizes_and_bytes_as_the_manual_says()
{
	for size in 3=3 3K=3072 1M=1048576 0x10=16; do
		run 0 zcdma fill -qf -l "${size%=*}" "$dir/f" || return
		[ "$(stat -c %s "$dir/f")" -eq "${size#*=}" ] || complain "$size" || return
	done
	for byte in 65 0x41 0101; do
		run 0 zcdma fill -qf -l 1 -b $byte "$dir/f" && holds "$dir/f" A || return
	done
}

fill_leaves_an_old_file_unless_forced()
{
	echo old >"$dir/f"
	run 1 zcdma fill -l 10 "$dir/f" || return
	one_line 'exists; give --force' || return
	holds "$dir/f" old || return
	run 0 zcdma fill -f -l 10 "$dir/f" || return
	[ "$(stat -c %s "$dir/f")" -eq 10 ] || complain 'wrong size' || return
	no_litter f
}

# A file system with 1 MiB of room.
copy_onto_a_full_disk_leaves_the_old_file()
{
	make_file "$work/a" 3000000
	mount -t tmpfs -o size=1m none "$dir" || return
	echo old >"$dir/b"
	status=0
	run 1 zcdma copy -f "$work/a" "$dir/b" || status=1
	says "$err" "^zcdma: copy: $dir/b: No space left on device" || status=1
	holds "$dir/b" old || status=1
	no_litter b || status=1
	run 1 zcdma copy "$work/a" "$dir/c" || status=1
	no_litter b || status=1
	umount "$dir"
	[ $status -eq 0 ]
}

# Its blocks are huge pages: what is mapped at a time is as many of those.
copy_takes_a_file_of_huge_pages()
{
	mkdir "$dir/huge" && mount -t hugetlbfs none "$dir/huge" || complain 'no hugetlbfs' || return
	truncate -s 8M "$dir/huge/file"
	run 0 zcdma copy -q "$dir/huge/file" "$dir/copy"
	status=$?
	umount "$dir/huge"
	[ "$status" -eq 0 ] || return
	[ "$(wc -c <"$dir/copy")" -eq 8388608 ] || complain 'not as long'
}

tests='
	copy_of_any_size_is_equal
	copy_tells_what_it_did
	copy_goes_through_the_channel_named
	copy_works_for_a_user_who_may_lock_little
	fill_makes_a_file_of_bytes
'
of_programs='
	copy_tells_it_as_json
	copy_can_be_quiet
	copy_leaves_an_old_target_unless_forced
	copy_refuses_files_that_it_cannot_read_or_write
	copy_refuses_to_copy_a_file_onto_itself
	copy_refuses_what_a_user_may_not
	copy_follows_a_link_to_its_target
	copy_has_the_permissions_of_its_source
	copy_that_is_interrupted_leaves_the_old_file
	copy_that_is_killed_leaves_the_old_file
	copy_goes_on_when_it_was_stopped
	copy_with_an_engine_that_hangs_ends_at_the_deadline
	copy_with_an_engine_that_fails_is_a_failure
	copy_with_an_engine_that_leaves_is_a_failure
	fill_takes_sizes_and_bytes_as_the_manual_says
	fill_leaves_an_old_file_unless_forced
'
guest_only 'copy_onto_a_full_disk_leaves_the_old_file copy_takes_a_file_of_huge_pages'
run_tests
