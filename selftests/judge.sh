#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The judge itself, on the host: which lines of a kernel's log are complaints
# (qemu/guest/complaints), and what a program's results are worth (qemu/guest/judge.awk).
# With each awk that there is; guests have that of busybox.

cd "$(dirname "$0")" || exit
. ./tap.sh
guest=../qemu/guest
# shellcheck source=../qemu/guest/complaints
. $guest/complaints

# Which awk to use: a name, or "busybox" for the one that is built into it.
use='awk'
awk()
{
	case $use in
	busybox) "$busybox" awk "$@" ;;
	*) command "$use" "$@" ;;
	esac
}

# checks/host has it installed.
busybox=$(command -v busybox)

# with_each_awk COMMAND...: with all that there are
with_each_awk()
{
	[ "$busybox" ] || complain 'no busybox here' || return
	for use in mawk gawk busybox; do
		[ "$use" = busybox ] || command -v "$use" >/dev/null || continue
		"$@" || complain "with $use" || return
	done
	use='awk'
}

# ---- complaints ----

# Lines as the kernel prints them (6.1 to 6.12), one of each kind that is on the list.
samples()
{
	cat <<'END'
[    5.123456] WARNING: CPU: 0 PID: 12 at kernel/dma/debug.c:973 check_unmap+0x4a/0x940
[    5.123456][  T12] WARNING: possible circular locking dependency detected
[    5.123456] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    5.123456] BUG: KASAN: slab-use-after-free in zcdma_release+0x12/0x20 [zcdma]
[    5.123456] BUG: sleeping function called from invalid context at mm/slab.h:420
[    5.123456] BUG: scheduling while atomic: session/123/0x00000002
[    5.123456] BUG: Bad page state in process data  pfn:12345
[    5.123456] BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!
[    5.123456] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [stress:123]
[    5.123456] NMI watchdog: Watchdog detected hard LOCKUP on cpu 0
[    5.123456] INFO: rcu_tasks detected stalls on tasks:
[    5.123456] DMAR: VT-d detected Invalidation Time-out Error: SID 0
[    5.123456] genirq: Flags mismatch irq 10. 00000000 (edudma) vs. 00000000 (rtc)
[    5.123456] Trying to free nonexistent resource <0000000010000000-0000000010000fff>
[    5.123456] BUG TCP request sock (Tainted: G           OE     ): Poison overwritten
[    5.123456] data: unhandled page fault (11) at 0x00000000, code 0x017
[    5.123456] BUG kmalloc-64 (Tainted: G           OE     ): Poison overwritten
[    5.123456] BUG zc_op (Not tainted): Objects remaining in zcdma_request on __kmem_cache_shutdown()
[    5.123456] kmem_cache_destroy zc_op: Slab cache still has objects when called from exit+0x1
[    5.123456] UBSAN: array-index-out-of-bounds in kmod/queue.c:12:3
[    5.123456] BUG: KFENCE: use-after-free read in test+0x1/0x2
[    5.123456] BUG: KCSAN: data-race in zcdma_pump / zcdma_settle
[    5.123456] INFO: task session:123 blocked for more than 120 seconds.
[    5.123456] INFO: possible recursive locking detected
[    5.123456] INFO: trying to register non-static key.
[    5.123456] rcu: INFO: rcu_preempt self-detected stall on CPU
[    5.123456] kernel BUG at mm/slub.c:435!
[    5.123456] refcount_t: underflow; use-after-free.
[    5.123456] list_add corruption. prev->next should be next (ffff888), but was ffff889.
[    5.123456] usercopy: Kernel memory exposure attempt detected from SLUB object
[    5.123456] ODEBUG: free active (active state 0) object type: timer_list hint: 0x0
[    5.123456] note: session[123] exited with preempt_count 1
[    5.123456] Oops: 0000 [#1] PREEMPT SMP KASAN PTI
[    5.123456] Internal error: Oops: 96000004 [#1] SMP
[    5.123456] Internal error: : 1028 [#1] SMP ARM
[    5.123456] 8<--- cut here ---
[    5.123456] Unable to handle kernel NULL pointer dereference at virtual address 00000008
[    5.123456] Unhandled fault: external abort on non-linefetch (0x1008) at 0xb6f2a000
[    5.123456] Unhandled prefetch abort: breakpoint debug exception (0x002) at 0xb6f2a000
[    5.123456] SError Interrupt on CPU0, code 0x00000000be000000 -- SError
[    5.123456] general protection fault, probably for non-canonical address 0xdead000000000122
[    5.123456] zcdma[123]: segfault at 0 ip 0000000000401234 sp 00007ffd12345678 error 4 in zcdma[401000+1000]
[    5.123456] traps: zcdma[123] trap invalid opcode ip:401234 sp:7ffd12345678 error:0 in zcdma[401000+1000]
[    5.123456] zcdma[123]: unhandled exception: DABT (lower EL), ESR 0x0000000092000047
[    5.123456] DMAR: DRHD: handling fault status reg 2
[    5.123456] DMAR: [DMA Write NO_PASID] Request device [00:02.0] fault addr 0x1000 [fault reason 0x05] PTE Write access is not set
[    5.123456] AMD-Vi: Event logged [IO_PAGE_FAULT device=00:02.0 domain=0x0001 address=0x1000 flags=0x0020]
[    5.123456] arm-smmu fd800000.smmu: Unhandled context fault: fsr=0x402, iova=0x00001000, fsynr=0x1, cbfrsynra=0x1, cb=0
[    5.123456] arm-smmu-v3 arm-smmu-v3.0.auto: event 0x10 received:
[    5.123456] DMA-API: softdma softdma.0: device driver frees DMA memory with wrong function
[    5.123456] DMA-API: exceeded 7 overlapping mappings of cacheline 0x0000000000000123
[    5.123456] softdma softdma.0: swiotlb buffer is full (sz: 65536 bytes), total 32768 (slots), used 32760 (slots)
[    5.123456] irq 24: nobody cared (try booting with the "irqpoll" option)
[    5.123456] Disabling IRQ #24
[    5.123456] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
[    5.123456] session: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL), nodemask=(null)
[    5.123456] Out of memory: Killed process 123 (footprint) total-vm:1024kB, anon-rss:512kB
[    5.123456] footprint invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[    5.123456] workqueue: zcdma_unpin_work [zcdma] hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND
[    5.123456] sysfs: cannot create duplicate filename '/devices/platform/softdma.0'
[    5.123456] kobject_add_internal failed for softdma.0 with -EEXIST, don't try to register things with the same name in the same directory.
[    5.123456] kobject: '(null)' (000000001234): is not initialized, yet kobject_put() is being called.
[    5.123456] kobject (000000001234): tried to init an initialized object, something is seriously wrong.
[    5.123456] debugfs: Directory 'softdma' with parent '/' already present!
** 1196 printk messages dropped **
[    5.123456] softdma_violation: 12 callbacks suppressed
[    5.123456] printk: session: 3 output lines suppressed due to ratelimiting
[    5.123456] softdma softdma.0: zcdma: dma0chan1 hangs, stopping it
[    5.123456] softdma softdma.0: refused 4096 bytes from 0x1000 to 0x2001: misaligned
[    5.123456] softdma softdma.0: violation: a line of the CPU's was moved
[    5.123456] edudma 0000:00:02.0: does not respond: given up until it is bound anew
[    5.123456] softdma softdma.0: zcdma: dma0chan1 cannot be stopped: the channel, its memory and the module are lost until the next boot
[    5.123456] softdma softdma.0: zcdma: dma0chan1 cannot be stopped: it keeps the memory of a stream
[    5.123456] softdma softdma.0: zcdma: memory is still mapped for this device, which is going
[    5.123456] softdma softdma.0: dmaengine refused 4 channels: -12
[    5.123456] softdma softdma.0: cannot work behind an IOMMU: a CPU moves the bytes
[    5.123456] dma-pl330 12690000.dma: Reset Channel-0 CS-20f FTC-20000
[    5.123456] zynqmp-dma ffa80000.dma: Channel 000000001234 could not be terminated
[    5.123456] irq event 24: bogus return value 7
[    5.123456] bad: scheduling from the idle thread!
[    5.123456] Attempt to kill tasklet from interrupt
[    5.123456] softirq: huh, entered softirq 6 TASKLET 00000000abcd with preempt_count 00000101, exited with 00000102?
[    5.123456] note: session[123] exited with irqs disabled
[    5.123456] Bad mode in Error handler detected on CPU0, code 0xbf000002
[    5.123456] Unexpected kernel BRK exception at EL1
[    5.123456] list_del corruption. prev->next should be ffff888, but was ffff889
[    5.123456] zcdma[123]: unhandled signal 11 code 1
[    5.123456] DMA-API: debugging out of memory - error
[    5.123456] DMA-API: softdma softdma.0: cpu touching an active dma mapped cacheline [cln=0x00001234]
[    5.123456] Trying to free already-free IRQ 24
[    5.123456] hung_task: blocked tasks
[    5.123456] __common_interrupt: 1.34 No irq handler for vector
[    5.123456] I/O error, dev vda, sector 1234 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2
[    5.123456] EXT4-fs error (device vda): ext4_lookup:1234: inode #12: comm ls: deleted inode referenced: 13
[    5.123456] zynqmp-dma ffa80000.dma: Channel 000000001234 has errors 10, restart it
[    5.123456] softdma softdma.0: dma_pool_destroy descriptors, 000000001234 busy
[    5.123456] percpu: allocation failed, size=8 align=8 atomic=0, alloc from reserved chunk failed
[    5.123456] session: vmalloc error: size 4096, page order 0, failed to allocate pages
[    5.123456] SLUB: Unable to allocate memory on node -1, gfp=0xcc0(GFP_KERNEL)
[    5.123456] page dumped because: nonzero mapcount
[    5.123456] Buffer I/O error on dev vda, logical block 1234, lost async page write
[    5.123456] EXT4-fs warning (device vda): ext4_end_bio:343: I/O error 10 writing to inode 12
[    5.123456] NOHZ tick-stop error: local softirq work is pending, handler #08!!!
[    5.123456] zcdma: unknown parameter 'alow' ignored
[    5.123456] Call Trace:
[    5.123456] Call trace:
[    5.123456] Backtrace:
qemu-guest: complaint: the kernel is tainted: 512
END
}

# Lines that tell of no fault, though they have the words, or are of users' doing.
harmless()
{
	cat <<'END'
[    0.000000] Command line: console=ttyS0,115200 oops=panic panic=-1 loglevel=5 intel_iommu=on
[    0.000000] DMAR: Host address width 39
[    0.000000] DMAR: DRHD base: 0x000000fed90000 flags: 0x0
[    0.000000] DMAR: IOMMU enabled
[    0.100000] DMAR-IR: Queued invalidation will be enabled to support x2apic and Intr-remapping.
[    0.000000] software IO TLB: mapped [mem 0x000000006c000000-0x000000007c000000] (256MB)
[    0.000000] rcu: Hierarchical RCU implementation.
[    0.000000] rcu: 	RCU restricting CPUs from NR_CPUS=8192 to nr_cpu_ids=2.
[    0.000000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15655)
[    0.000000] DMA-API: preallocated 65536 debug entries
[    0.000000] DMA-API: debugging enabled by kernel config
[    0.000000] arm-smmu fd800000.smmu: probing hardware configuration...
[    0.000000] ** This system shows unhashed kernel memory addresses   **
[    0.500000] hung_task_timeout_secs is 120
[    1.000000] Kernel panic handling: none
[    3.360730] softdma: loading out-of-tree module taints kernel.
[    3.360731] softdma: module verification failed: signature and/or required key missing - tainting kernel
[    3.400000] edudma 0000:00:02.0: reaches the first 256 MiB only: have less memory, or an IOMMU
[    3.500000] zcdma: cannot make a port of "tx"
[    4.000000] dmatest: Started 1 threads using dma0chan0
[    4.000000] dmatest: dma0chan0-copy0: summary 100 tests, 0 failures 1234.56 iops 78901 KB/s (0)
[   12.341000] selftests: 3: faults
[   13.657337] footprint (181): drop_caches: 3
[   14.000000] zcdma-test: run: faults.op_that_fails_is_told
qemu-guest: end
END
}

each_sample_is_a_complaint()
{
	samples | while IFS= read -r line; do
		caught=$(printf '%s\r\n' "$line" | complaints)
		[ "$caught" = "$line" ] || complain "not caught: $line" || exit 1
	done || return
	[ "$(samples | complaints | wc -l)" -eq "$(samples | wc -l)" ]
}

each_kind_of_complaint_is_caught()
{
	with_each_awk each_sample_is_a_complaint
}

nothing_harmless_is_a_complaint()
{
	quiet "$(harmless | complaints)"
	! harmless | complaints >/dev/null
}

harmless_lines_are_passed_over()
{
	with_each_awk nothing_harmless_is_a_complaint
}

# What zcdma itself says as a warning or worse: of each message the longest part without a "%"
own_warnings()
{
	awk '
		/(dev|pr)_(crit|err|warn)(_once|_ratelimited)?\(/ { want = 3 }
		want-- > 0 && match($0, /".+"/) {
			n = split(substr($0, RSTART + 1, RLENGTH - 2), parts, /%[a-z]*|\\[n"]/)
			longest = ""
			for (i = 1; i <= n; i++)
				if (length(parts[i]) > length(longest))
					longest = parts[i]
			print longest
			want = 0
		}' ../kmod/*.c ../kmod/port/*.c ../kmod/providers/*.c
}

own_warnings_are_complaints_or_known_to_be_harmless()
{
	own_warnings >"$work/own"
	[ -s "$work/own" ] || complain 'zcdma warns of nothing' || return
	while IFS= read -r line; do
		{ samples && harmless; } | grep -qF "$line" ||
			complain "neither sample nor harmless: $line" || return
	done <"$work/own"
}

# judged WANTED LINE...: the complaints among the LINEs are WANTED.
judged()
{
	wanted=$1
	shift
	found=$(printf '%s\n' "$@" | complaints)
	[ "$found" = "$wanted" ] || complain "'$found', not '$wanted'"
}

bug='[    2.000000] BUG: it is [a] test.'
expect='[    1.000000] zcdma-test: expect: it is [a] test.'
expected='[    3.000000] zcdma-test: expected: it is [a] test.'

announcements_are_honoured()
{
	judged '' "$expect" "$bug" "$expected" || return
	# before and after the announcement
	judged "$bug" "$bug" "$expect" "$bug" "$expected" &&
	judged "$bug" "$expect" "$bug" "$expected" "$bug" || return
	# another one meanwhile
	judged '[    2.000000] BUG: another' "$expect" "$bug" '[    2.000000] BUG: another' "$expected"
}

announced_complaints_are_none()
{
	with_each_awk announcements_are_honoured
}

# So many lines, and no more, whatever they are about
numbers_are_honoured()
{
	judged "$bug" "$expect" "$bug" "$bug" "$expected" || return
	two='[    1.000000] zcdma-test: expect 2: it is [a] test.'
	judged '' "$two" "$bug" "$bug" "$expected" &&
	judged "$bug" "$two" "$bug" "$bug" "$bug" "$expected" &&
	judged 'zcdma-test: did not come: it is [a] test.' "$two" "$bug" "$expected" &&
	judged '' "$expect" "$expect" "$bug" "$bug" "$expected" || return
	# One line does for two announcements that it fits.
	judged '' "$expect" '[    1.000000] zcdma-test: expect: BUG: it' "$bug" "$expected" \
		'[    3.000000] zcdma-test: expected: BUG: it'
}

line_too_many_is_a_complaint()
{
	with_each_awk numbers_are_honoured
}

announced_line_that_does_not_come_is_a_complaint()
{
	judged 'zcdma-test: did not come: it is [a] test.' "$expect" "$expected" || return
	# it comes too late
	judged "zcdma-test: did not come: it is [a] test.
$bug" "$expect" "$expected" "$bug"
}

announcement_without_an_end_is_a_complaint()
{
	never='zcdma-test: never ended: expect: it is [a] test.'
	judged "$never" "$expect" || return
	judged "$never" "$expect" "$bug" || return
	judged "$never" "$expect" "$bug" '[    3.000000] selftests: 4: session' || return
	judged "$never" "$expect" "$bug" '[    3.000000] zcdma-test: run: next.test'
}

# Until the next test, and whether it comes or not
allowed_line_may_come_or_not()
{
	allow='[    1.000000] zcdma-test: allow: it is [a] test.'
	judged '' "$allow" && judged '' "$allow" "$bug" || return
	judged "$bug" "$allow" "$bug" "$bug" || return
	judged "in next: $bug" "$allow" '[    1.500000] zcdma-test: run: next' "$bug" || return
	# What must come is not what may come.
	judged '' "$allow" "$expect" "$bug" "$expected" "$bug"
}

end_without_an_announcement_is_a_complaint()
{
	judged 'zcdma-test: was not announced: it is [a] test.' "$expected"
}

test_is_named_with_its_complaints()
{
	judged "in next.test: $bug" '[    1.000000] zcdma-test: run: next.test' "$bug"
}

# ---- results ----

# counts WANTED STATUS LINE...: a program that prints the LINEs and ends with STATUS counts as
# WANTED, "PASSED FAILED SKIPPED".
counts()
{
	wanted=$1 status=$2
	shift 2
	printf '%s\n' "$@" >"$work/log"
	[ $# -gt 0 ] || : >"$work/log"
	rm -f "$work/counts"
	awk -v name=sample -v status="$status" -v lacks='edu ports' -v without="$without" \
		-v excused="$work/excused" -v printed= -v counts="$work/counts" \
		-f $guest/judge.awk "$work/log" >"$work/said" || return
	found=$(cat "$work/counts")
	[ "$found" = "$wanted" ] && return
	complain "'$found', not '$wanted', with status $status: $*"
	sed 's/^/#     /' "$work/said"
	return 1
}

good_programs()
{
	counts '2 0 0' 0 1..2 'ok 1 a' 'ok 2 b' &&
	counts '2 0 0' 0 'TAP version 13' 1..2 '# x' 'ok 1 a' ' ok 3' 'ok 2 b' '# done' &&
	counts '1 1 0' 1 1..2 'ok 1 a' 'not ok 2 b' &&
	counts '1 1 0' 0 1..2 'ok 1 a' 'not ok 2 b'
}

results_are_counted()
{
	with_each_awk good_programs
}

skips_need_leave()
{
	counts '1 0 1' 0 1..2 'ok 1 a' 'ok 2 b # SKIP lacks edu: no such device' &&
	counts '0 0 1' 4 '1..0 # SKIP lacks ports: no such device' &&
	counts '1 1 0' 0 1..2 'ok 1 a' 'ok 2 b # SKIP lacks disk: none' &&
	counts '1 1 0' 0 1..2 'ok 1 a' 'ok 2 b # SKIP lacks ed: a part of a word' &&
	counts '1 1 0' 0 1..2 'ok 1 a' 'ok 2 b # SKIP no time today' &&
	counts '0 1 0' 4 '1..0 # SKIP lacks disk: none' &&
	counts '0 1 0' 4 '1..0 # SKIP' || return
	says "$(cat "$work/excused")" '^sample: ok 2 b # SKIP lacks edu: no such device$'
}

skips_without_leave_are_failures()
{
	with_each_awk skips_need_leave
}

# There is one failure, or two.
bad_programs()
{
	counts '0 1 0' 0 &&				# prints nothing
	counts '0 1 0' 0 '# something' &&
	counts '0 1 0' 1 &&
	counts '0 1 0' 0 1..0 &&			# plans nothing
	counts '2 1 0' 0 'ok 1 a' 'ok 2 b' &&		# has no plan
	counts '2 1 0' 0 1..2 'ok 1 a' 'ok 1 a' &&	# one twice
	counts '3 1 0' 0 1..2 'ok 1 a' 'ok 2 b' 'ok 2 b' &&
	counts '2 1 0' 0 1..2 'ok 1 a' 'ok 3 b' &&	# outside of the plan
	counts '2 2 0' 0 1..3 'ok 1 a' 'ok 0 b' &&
	counts '1 1 0' 0 1..2 'ok 1 a' &&		# one is left out
	counts '1 1 0' 0 1..1 'ok 1 a' 1..1 &&		# two plans
	counts '1 1 0' 0 1..2 'ok 1 a' 'not ok 2 b # TODO' &&
	counts '1 1 0' 0 1..2 'ok 1 a' 'ok 2 b # TODO later' &&
	counts '1 1 0' 0 1..2 'ok 1 a' 'ok 2 b # XFAIL' &&
	counts '1 2 0' 0 1..2 'ok 1 a' 'ok b' &&	# has no number
	counts '1 1 0' 0 1..1 'ok 1 a' 'Bail out!'
}

programs_that_do_not_keep_to_a_plan_are_failures()
{
	with_each_awk bad_programs
}

bad_endings()
{
	counts '1 1 0' 1 1..1 'ok 1 a' &&
	counts '1 1 0' 139 1..1 'ok 1 a' &&
	counts '1 1 0' 124 1..1 'ok 1 a' &&
	counts '1 2 0' 137 1..2 'ok 1 a' &&
	counts '1 1 0' 4 1..1 'ok 1 a'
}

exit_status_that_tells_of_a_failure_is_one()
{
	with_each_awk bad_endings
}

leaves_out_all()
{
	without='--without a'
	counts '0 0 0' 0 '1..0 # SKIP left out: all tests'
	status=$?
	without=
	[ $status -eq 0 ] && counts '0 1 0' 0 '1..0 # SKIP left out: all tests'
}

program_whose_tests_are_all_known_to_fail_is_left_out()
{
	with_each_awk leaves_out_all
}

# Of target "slow": all its jobs but one are missed, and none of another target.
job_that_does_not_come_is_a_failure()
{
	printf '%s full 1 0\n' host slow slow-counted slow-races slow-stray slow-known other other-races >"$work/expected"
	# shellcheck disable=SC2016 # for the inner shell
	missed=$(bash -c '. ../qemu/lib.sh && . ../qemu/checks/expected.sh || exit
		complain() { echo "$1"; }
		expected_file=$1 mode=full update="" summaries=()
		declare -A judged=([host]=yes [slow]=yes)
		expected_jobs slow' sh "$work/expected")
	[ "$missed" = "slow-counted
slow-races
slow-stray
slow-known" ] || complain "missed: $missed"
}

tests='
	each_kind_of_complaint_is_caught
	harmless_lines_are_passed_over
	own_warnings_are_complaints_or_known_to_be_harmless
	announced_complaints_are_none
	line_too_many_is_a_complaint
	announced_line_that_does_not_come_is_a_complaint
	announcement_without_an_end_is_a_complaint
	allowed_line_may_come_or_not
	end_without_an_announcement_is_a_complaint
	test_is_named_with_its_complaints
	results_are_counted
	skips_without_leave_are_failures
	programs_that_do_not_keep_to_a_plan_are_failures
	exit_status_that_tells_of_a_failure_is_one
	program_whose_tests_are_all_known_to_fail_is_left_out
	job_that_does_not_come_is_a_failure
'
run_tests
