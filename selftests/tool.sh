#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool: what it prints, how it exits, and that a copy that fails, whatever
# for, leaves the old file as it was and nothing else.

cd "$(dirname "$0")" || exit
. ./tap.sh

: "${ZCDMA_PROVIDER:=softdma}"
knobs=/sys/kernel/debug/softdma
driver=/sys/bus/platform/drivers/softdma

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

# knob NAME VALUE: a fault in the software engine.
knob()
{
	echo "$2" >$knobs/"$1" || complain "cannot set knob $1"
}

no_faults()
{
	knob hang 0 && knob delay_us 0 && knob fail_nth 0 && knob pool 256
}

# As the ordinary user.
as_user()
{
	su user -c "$*"
}

# Few bytes are enough, or all that a slow engine moves in the time.
few()
{
	brief || lacks bulk
}

# ---- what every tool has ----

version_is_printed()
{
	run 0 zcdma --version || return
	says "$out" '[0-9]+\.[0-9]+\.[0-9]+'
	quiet "$err"
}

help_is_printed_for_each_command()
{
	run 0 zcdma --help || return
	for command in list info copy fill bench; do
		says "$out" "$command" || return
		run 0 zcdma $command --help || return
		says "$out" "zcdma $command" || return
		quiet "$err" || return
		run 0 zcdma --help || return
	done
}

# usage ARGUMENT...: status 2, one reason on stderr, nothing on stdout.
usage()
{
	run 2 zcdma "$@" || return
	says "$err" 'zcdma' || return
	quiet "$out"
}

wrong_usage_is_status_2()
{
	usage &&
	usage nonsense &&
	usage --nonsense &&
	usage list --nonsense &&
	usage list superfluous &&
	usage info one two &&
	usage copy &&
	usage copy "$dir/a" &&
	usage copy "$dir/a" "$dir/b" "$dir/c" &&
	usage copy --channel &&
	usage copy -d nonsense "$dir/a" "$dir/b" &&
	usage copy -d -1 "$dir/a" "$dir/b" &&
	usage fill "$dir/a" &&
	usage fill -l 1K &&
	usage fill -l nonsense "$dir/a" &&
	usage fill -l -1 "$dir/a" &&
	usage fill -l 99999999999999999999 "$dir/a" &&
	usage fill -l 1K -b 256 "$dir/a" &&
	usage fill -l 1K -b -1 "$dir/a" &&
	usage fill -l 1K -b x "$dir/a" &&
	usage bench -s nonsense &&
	usage bench -s 0 &&
	usage bench -n 0 &&
	usage bench -p nonsense &&
	usage bench -p , &&
	usage bench -o -f &&
	usage bench -m -p all &&
	usage bench -f -s 4K &&
	usage bench -f -n 3 &&
	usage bench -m -t 1 &&
	usage bench superfluous &&
	no_litter
}

output_that_cannot_be_written_is_a_failure()
{
	zcdma list >/dev/full 2>"$work/err"
	[ $? -eq 1 ] || complain 'list: status is not 1' || return
	zcdma list --json >/dev/full 2>"$work/err"
	[ $? -eq 1 ] || complain 'list --json: status is not 1' || return
	says "$(cat "$work/err")" 'No space left'
}

# ---- list, info ----

list_shows_each_channel()
{
	run 0 zcdma list || return
	says "$out" '^CHANNEL +PROVIDER +DEVICE +BY +STATE +SESSIONS +CAPABILITIES$' \
		"^dma[0-9]+chan[0-9]+ +$ZCDMA_PROVIDER +[^ ]+ +(CPU|hardware) +free +0 +.*copy" ||
		return
	shown=$(echo "$out" | awk -v p="$ZCDMA_PROVIDER" '$2 == p' | wc -l)
	there=$(find /sys/class/dma/ -type l -exec readlink {} \; | grep -c "/$ZCDMA_PROVIDER\\.")
	[ "$shown" -ge 1 ] || complain 'no channel' || return
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
	says "$json" '^max_len=[1-9][0-9]+$' '^max_queue_depth=[1-9]' \
		'^default_deadline_ms=[1-9]' '^opcodes\.[0-9]=copy$' '^opcodes\.[0-9]=fill$' \
		'^opcodes\.[0-9]=send$' '^features\.[0-9]=send-recv$' \
		"^channels=$(zcdma list | tail -n +2 | wc -l)\$"
}

info_tells_of_a_channel()
{
	channel=$(zcdma list | awk 'NR == 2 { print $1 }')
	run 0 zcdma info "$channel" || return
	says "$out" "$channel" || return
	run 0 zcdma info --json "$channel" || return
	json "$out" || return
	says "$json" "^name=$channel\$" || return
	run 1 zcdma info no-such-channel || return
	says "$err" '^zcdma: info: no-such-channel' &&
	quiet "$out"
}

# ---- copy ----

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
		'^moved_by\.0=(CPU|hardware)$' '^verified=false$' &&
	quiet "$err"
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
	says "$err" '^zcdma: copy: .*no-such-channel' &&
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
	run 0 as_user "ulimit -l && zcdma copy --verify $dir/a $dir/b" || return
	[ "$(echo "$out" | head -n 1)" = 8192 ] || complain "limit of $out KiB" || return
	cmp "$dir/a" "$dir/b" || return
	run 0 as_user "ulimit -l 64 && zcdma copy $dir/a $dir/c" || return
	cmp "$dir/a" "$dir/c" || return
	run 1 as_user "ulimit -l 0 && zcdma copy $dir/a $dir/d" || return
	says "$err" '^zcdma: copy: ' &&
	no_litter a b c
}

copy_leaves_an_old_target_unless_forced()
{
	make_file "$dir/a" 5000
	echo old >"$dir/b"
	run 1 zcdma copy "$dir/a" "$dir/b" || return
	says "$err" "^zcdma: copy: $dir/b: exists; give --force to replace it\$" || return
	[ "$(cat "$dir/b")" = old ] || complain 'the old file has changed' || return
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
	says "$err" "$pattern" || return
	[ "$(printf '%s\n' "$err" | wc -l)" -eq 1 ] || complain "more than one line: $err" || return
	quiet "$out"
}

copy_refuses_files_that_it_cannot_read_or_write()
{
	make_file "$dir/a" 5000
	mkdir "$dir/d"
	refused "^zcdma: copy: $dir/none: No such file" "$dir/none" "$dir/b" &&
	refused "^zcdma: copy: $dir/d: .*directory" "$dir/d" "$dir/b" &&
	refused "^zcdma: copy: $dir/d: is a directory" "$dir/a" "$dir/d" &&
	refused "^zcdma: copy: $dir/d: is a directory" -f "$dir/a" "$dir/d" &&
	refused "^zcdma: copy: $dir/none/b: .*No such file" "$dir/a" "$dir/none/b" &&
	refused "^zcdma: copy: $dir/a/b: .*Not a directory" "$dir/a" "$dir/a/b" &&
	refused '^zcdma: copy: ' /dev/null "$dir/b" &&
	refused '^zcdma: copy: ' "$dir/a" '' &&
	no_litter a d
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
	chmod 755 "$work" "$dir"
	chmod 600 "$dir/secret"
	make_file "$dir/a" 5000
	run 1 as_user zcdma copy "$dir/secret" /tmp/b || return
	says "$err" "^zcdma: copy: $dir/secret: .*Permission denied" || return
	run 1 as_user zcdma copy "$dir/a" "$dir/b" || return
	says "$err" "^zcdma: copy: $dir/b: .*Permission denied" || return
	[ ! -e /tmp/b ] || complain '/tmp/b was made' || return
	no_litter secret a
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
	[ "$(cat "$dir/b")" = old ] || complain 'the old file has changed' || status=1
	no_litter b || status=1
	run 1 zcdma copy "$work/a" "$dir/c" || status=1
	no_litter b || status=1
	umount "$dir"
	[ $status -eq 0 ]
}

# end_half_way SIGNAL: to the tool, when its file is there and the engine has begun.
end_half_way()
{
	for _ in $(seq 100); do
		set -- "$1" "$dir"/.zcdma-*
		[ ! -e "$2" ] || break
		sleep 0.1
	done
	sleep 0.4
	killall -s "$1" zcdma
}

# ended_by SIGNAL NUMBER: a copy over an old file, half way.
ended_by()
{
	echo old >"$dir/b"
	end_half_way "$1" &
	run $((128 + $2)) zcdma copy -f -c softdma "$dir/a" "$dir/b"
	status=$?
	wait
	return $status
}

interrupted()
{
	ended_by "$@" || return
	says "$err" '^zcdma: .*interrupted' || return
	[ "$(cat "$dir/b")" = old ] || complain 'the old file has changed' || return
	no_litter a b
}

copy_that_is_interrupted_leaves_the_old_file()
{
	truncate -s 64000000 "$dir/a"
	knob delay_us 300000 || return
	status=0
	interrupted INT 2 && interrupted TERM 15 && interrupted HUP 1 || status=1
	no_faults
	[ $status -eq 0 ]
}

copy_that_is_killed_leaves_the_old_file()
{
	truncate -s 64000000 "$dir/a"
	knob delay_us 300000 || return
	ended_by KILL 9
	status=$?
	no_faults
	[ "$(cat "$dir/b")" = old ] || complain 'the old file has changed' || return
	[ $status -eq 0 ]
}

# fails_with PATTERN: the copy fails for the engine's sake, the old file stays.
fails_with()
{
	echo old >"$dir/b"
	status=0
	run 1 zcdma copy -f -d 800 -c softdma "$dir/a" "$dir/b" || status=1
	no_faults
	[ $status -eq 0 ] || return
	says "$err" "$1" || return
	[ "$(cat "$dir/b")" = old ] || complain 'the old file has changed' || return
	no_litter a b
}

copy_with_an_engine_that_hangs_ends_at_the_deadline()
{
	make_file "$dir/a" 1000000
	knob hang 1 || return
	start=$(date +%s)
	fails_with '^zcdma: copy: .*Connection timed out' || return
	[ $(($(date +%s) - start)) -le 8 ] || complain 'it took too long'
}

copy_with_an_engine_that_fails_is_a_failure()
{
	make_file "$dir/a" 1000000
	knob fail_nth 1 || return
	fails_with '^zcdma: copy: .*(Input/output error|I/O error)'
}

copy_with_an_engine_that_leaves_is_a_failure()
{
	make_file "$dir/a" 1000000
	knob hang 1 || return
	(sleep 1; echo softdma.0 >$driver/unbind) &
	echo old >"$dir/b"
	run 1 zcdma copy -f -c softdma "$dir/a" "$dir/b"
	status=$?
	wait
	echo softdma.0 >$driver/bind
	[ $status -eq 0 ] || return
	says "$err" '^zcdma: copy: .*No such device' || return
	[ "$(cat "$dir/b")" = old ] || complain 'the old file has changed' || return
	no_litter a b
}

# ---- what is missing on the machine ----

missing_engine_is_named()
{
	[ "$ZCDMA_PROVIDER" = softdma ] || { other_engines_stay; return; }
	make_file "$dir/a" 5000
	echo softdma.0 >$driver/unbind || return
	status=0
	run 1 zcdma copy "$dir/a" "$dir/b" || status=1
	says "$err" '^zcdma: copy: no DMA channel found; .*modprobe softdma' || status=1
	run 0 zcdma list || status=1
	quiet "$out" || status=1
	says "$err" 'modprobe softdma' || status=1
	run 0 zcdma list --json || status=1
	json "$out" || status=1
	quiet "$json" || status=1
	echo softdma.0 >$driver/bind
	no_litter a || status=1
	[ $status -eq 0 ]
}

# Where there is hardware, the software engine is not missed.
other_engines_stay()
{
	echo softdma.0 >$driver/unbind || return
	run 0 zcdma list
	status=$?
	echo softdma.0 >$driver/bind
	[ $status -eq 0 ] || return
	says "$out" "$ZCDMA_PROVIDER"
}

missing_permission_is_named()
{
	mode=$(stat -c %a /dev/zcdma)
	make_file "$dir/a" 5000
	chmod 755 "$work"
	chmod 777 "$dir"
	chmod 600 /dev/zcdma
	run 1 as_user zcdma copy "$dir/a" "$dir/b"
	status=$?
	chmod "$mode" /dev/zcdma
	[ $status -eq 0 ] || return
	says "$err" '^zcdma: copy: /dev/zcdma: Permission denied' &&
	no_litter a
}

missing_module_is_named()
{
	mode=$(stat -c %a /dev/zcdma)
	make_file "$dir/a" 5000
	modprobe -r zcdma || return
	run 1 zcdma copy "$dir/a" "$dir/b"
	status=$?
	modprobe zcdma || return
	chmod "$mode" /dev/zcdma
	[ $status -eq 0 ] || return
	says "$err" '^zcdma: copy: /dev/zcdma: No such file or directory; .*modprobe zcdma' &&
	no_litter a
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

fill_leaves_an_old_file_unless_forced()
{
	echo old >"$dir/f"
	run 1 zcdma fill -l 10 "$dir/f" || return
	says "$err" 'exists; give --force' || return
	[ "$(cat "$dir/f")" = old ] || complain 'the old file has changed' || return
	run 0 zcdma fill -f -l 10 "$dir/f" || return
	[ "$(stat -c %s "$dir/f")" -eq 10 ] || complain 'wrong size' || return
	no_litter f
}

# ---- bench ----

bench_prints_a_table()
{
	run 0 zcdma bench -c "$ZCDMA_PROVIDER" -n 3 -s 4K,1M || return
	says "$out" "^dma[0-9]+chan[0-9]+ \($ZCDMA_PROVIDER\), moved by " \
		'^ *SIZE +ROUNDS +ZCDMA MB/s +MEMCPY MB/s +RATIO' \
		'^ *4\.0 KiB +3 +[0-9.]+ +[0-9.]+ +[0-9.]+ ' \
		'^ *1\.0 MiB +3 +[0-9.]+ +[0-9.]+ +[0-9.]+ '
}

bench_prints_json()
{
	run 0 zcdma bench -t 0.2 -s 64K --json || return
	json "$out" || return
	says "$json" '^results\.0\.size=65536$' '^results\.0\.rounds=[1-9]' \
		'^results\.0\.zcdma_bytes_per_second=[1-9]' \
		'^results\.0\.memcpy_bytes_per_second=[1-9]' '^results\.0\.ratio=[0-9]'
}

# Each way by itself, of which each checks what arrived.
bench_measures_each_path()
{
	run 0 zcdma bench -c "$ZCDMA_PROVIDER" -n 3 -s 64,4K -p all --json || return
	json "$out" || return
	set --
	for path in registered_batch32_ioctl registered_batch32_uring registered_single \
		unregistered_single unregistered_batch32 memcpy process_vm_writev pipe \
		copy_file_range null_ioctl; do
		set -- "$@" "^results\.[0-9]+\.path=$path\$"
	done
	says "$json" "$@" || return
	# Of long ops there are fewer in a round.
	set -- 16M '16\.0 MiB +12'
	! few || set -- 64K '64\.0 KiB +96'
	run 0 zcdma bench -n 3 -s "4K,$1" -p memcpy,unregistered_single || return
	says "$out" '^memcpy +4\.0 KiB +96 +[0-9.]+ +[0-9.]+ +[0-9.]+$' \
		"^unregistered, single, waiting +$2 +[0-9.]+"
}

# number NAME: of $json
number()
{
	echo "$json" | sed -n "s/^results\.0\.$1=//p"
}

# between NAME LEAST MOST
between()
{
	number "$1" | awk -v least="$2" -v most="$3" '{ ok = $1 >= least && $1 <= most } END { exit !ok }' ||
		complain "$1 is $(number "$1"), not between $2 and $3"
}

# overlap SIZES: how much it saves depends on the engine, but it is the same work both times.
overlap()
{
	rounds=9
	! brief || rounds=3
	run 0 zcdma bench -c "$ZCDMA_PROVIDER" --overlap -n $rounds -s "$1" --json || return
	json "$out" || return
	between rounds $rounds $rounds &&
	between overlap_ratio 0.1 3 &&
	between copy_seconds 0.0000001 10 || return
	number in_turn_seconds | awk -v copy="$(number copy_seconds)" \
		-v compute="$(number compute_seconds)" '{ exit $1 < 0.5 * (copy + compute) }' ||
		complain 'both took less than the one and the other'
}

# A busy host may disturb it now and then, but not each time.
bench_computes_while_a_copy_runs()
{
	set -- 64K,256K 262144 '' '1\.0 MiB'
	! lacks bulk || set -- 16K,64K 65536 64K '64\.0 KiB'
	overlap "$1" || overlap "$1" || overlap "$1" || return
	says "$json" "^results\.1\.size=$2\$" || return
	run 0 zcdma bench -c "$ZCDMA_PROVIDER" -o -n 3 ${3:+-s "$3"} || return
	says "$out" '^ *SIZE +ROUNDS +COPY us +COMPUTE us +IN TURN us +TOGETHER us +RATIO$' \
		"^ *$4 +3 +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+\$"
}

# The number is the engine's and the machine's; that it is one is the tool's. With a slow
# engine it would take half a minute.
bench_tells_of_fairness()
{
	channel=$ZCDMA_PROVIDER
	! lacks bulk || channel=softdma
	run 0 zcdma bench -c "$channel" --fairness -t 1 --json || return
	json "$out" || return
	between sessions 64 64 &&
	between channels 1 2 &&
	between jain 0.0158 1 &&
	between light_ops 63 100000000 &&
	# On a busy host a MiB may take longer.
	{ brief || between heavy_alone_bytes_per_second 1 1000000000000; } || return
	number light_99_percent_seconds | awk -v median="$(number light_median_seconds)" \
		'{ exit !(median > 0 && $1 >= median) }' || complain 'of 99 % it is no more than of half' || return
	! brief || return 0
	run 0 zcdma bench -c "$channel" -f -t 0.5 || return
	says "$out" '^64 sessions on [12] channels?: 63 with single ops of 4 KiB, one with 64 of 1 MiB$' \
		"^Jain's index .*: [01]\.[0-9]+ " '^two windows of the large ones: [0-9.]+ us; '
}

# Each session is more than a few pointers, and less than two pages.
bench_tells_of_memory()
{
	run 0 zcdma bench -c "$ZCDMA_PROVIDER" --memory --json || return
	json "$out" || return
	between sessions 1000 1000 &&
	between bytes_per_session 200 8192 &&
	between bytes_per_place 50 4096 || return
	says "$json" '^results\.0\.bytes_per_op=(null|[0-9]+)$' || return
	brief || run 0 zcdma bench -c "$ZCDMA_PROVIDER" -m || return
	brief || says "$out" '^1000 idle sessions: [0-9]+ bytes each$' || return
	run 1 sh -c "ulimit -n 500 && zcdma bench -m" || return
	says "$err" '^zcdma: bench: 1064 files: more than ulimit -Hn allows$'
}

tests='
	list_shows_each_channel
	list_is_valid_json
	info_tells_limits
	info_tells_of_a_channel
	copy_of_any_size_is_equal
	copy_tells_what_it_did
	copy_goes_through_the_channel_named
	copy_works_for_a_user_who_may_lock_little
	missing_engine_is_named
	missing_module_is_named
	fill_makes_a_file_of_bytes
	bench_prints_a_table
'
of_programs='
	version_is_printed
	help_is_printed_for_each_command
	wrong_usage_is_status_2
	output_that_cannot_be_written_is_a_failure
	list_works_for_an_ordinary_user
	copy_tells_it_as_json
	copy_can_be_quiet
	copy_leaves_an_old_target_unless_forced
	copy_refuses_files_that_it_cannot_read_or_write
	copy_refuses_to_copy_a_file_onto_itself
	copy_refuses_what_a_user_may_not
	copy_onto_a_full_disk_leaves_the_old_file
	copy_that_is_interrupted_leaves_the_old_file
	copy_that_is_killed_leaves_the_old_file
	copy_with_an_engine_that_hangs_ends_at_the_deadline
	copy_with_an_engine_that_fails_is_a_failure
	copy_with_an_engine_that_leaves_is_a_failure
	missing_permission_is_named
	fill_leaves_an_old_file_unless_forced
	bench_prints_json
	bench_measures_each_path
	bench_computes_while_a_copy_runs
	bench_tells_of_fairness
	bench_tells_of_memory
'
run_tests
