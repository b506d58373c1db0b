# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # $work is of tap.sh
#
# The kernel's own dmatest, for shell tests. Needs tap.sh.

: "${ZCDMA_PROVIDER:=softdma}"
parameters=/sys/module/dmatest/parameters

# The engine's channels that nobody has, by name.
channels()
{
	zcdma list | awk -v p="$ZCDMA_PROVIDER" '$2 == p && $5 == "free" { print $1 }'
}

# log2 of the alignment that the engine wants, for dmatest.
alignment()
{
	zcdma info --json "$(channels | head -n 1)" | awk -f json.awk | awk -F= '
		$1 == "copy_align" { for (n = $2; n > 1; n /= 2) log2++; print log2 + 0 }'
}

set_up()
{
	while [ $# -gt 0 ]; do
		echo "$2" >$parameters/"$1" || return
		shift 2
	done
}

# dmatest takes channels when told their names and keeps them until it goes. How
# many it got is in $taken.
take()
{
	taken=0
	for channel; do
		if echo "$channel" 2>/dev/null >$parameters/channel; then
			taken=$((taken + 1))
		else
			lacks all-channels || complain "dmatest does not get $channel" || return
		fi
	done
	[ $taken -gt 0 ] || complain "no channel of $ZCDMA_PROVIDER"
}

# Let it run with $1 threads; their summaries are in $work/summaries. Reading "wait"
# waits for threads that have begun: one that has not is found by its summary.
run_dmatest()
{
	mark="zcdma selftest: dmatest of process $$ at $(cut -d' ' -f1 /proc/uptime)"
	echo "$mark" >/dev/kmsg
	echo 1 >$parameters/run
	for wait in 1 2 3 4 5 6 7 8 9 10; do
		cat $parameters/wait >/dev/null
		dmesg | sed -n "/$mark/,\$p" | grep 'dmatest: .* summary' >"$work/summaries"
		[ "$(wc -l <"$work/summaries")" -lt "$1" ] || return 0
		sleep 0.$wait
	done
	complain "$(wc -l <"$work/summaries") summaries of $1 threads"
}

# dmatest_rate CHANNEL SIZE COUNT: copies per second of so many, in $iops. It compares
# nothing, and its clock runs while it maps, submits, waits and unmaps. Its memory is from
# kmalloc(): in one piece, of at most 4 MiB.
dmatest_rate()
{
	set_up test_buf_size $(($2 + 4096)) transfer_size "$2" noverify 1 norandom 1 timeout 60000 \
		iterations "$3" threads_per_chan 1 max_channels 1 || return
	take "$1" && run_dmatest 1 || return
	iops=$(sed -n "s/.*summary $3 tests, 0 failures \([0-9.]*\) iops.*/\1/p" "$work/summaries")
	[ "$iops" ] || complain "no result of dmatest: $(cat "$work/summaries")"
}

# with_dmatest COMMAND...: while it is loaded.
with_dmatest()
{
	modprobe dmatest || return
	"$@"
	status=$?
	modprobe -r dmatest || return
	return $status
}
