# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # results is ../bench's
#
# What is printed of $results, and the comparison with the baseline. For ../bench.

baseline=$TOP/qemu/benchmark/baseline

value()
{
	awk -v key="$1" '$1 == key { print $2; exit }' "${2-$results}"
}

json()
{
	awk '{ printf "%s\"%s\": %s", (NR > 1 ? ",\n " : "{"), $1, $2 } END { print "}" }' "$results"
}

# row KEY TEXT [GOAL]: a number, with what it is to be. What was not measured is left out.
row()
{
	local now
	now=$(value "$1")
	[[ ! $now ]] || printf '  %-58s %12s %12s\n' "$2" "${now/null/never}" "${3-}"
}

count_rows()
{
	echo "Guest instructions for an op of 4 KiB on $1$(printf '%*s' $(( 40 - ${#1} )) '')NOW         GOAL"
	row "$1.registered_batch32_ioctl" 'registered, batch of 32, ioctl' "${2:+<= 2000}"
	row "$1.registered_batch32_uring" 'registered, batch of 32, io_uring' "${2:+<= 2300}"
	row "$1.registered_rows" 'registered, each of 32 rows of one op'
	row "$1.registered_single" 'registered, single, waiting' "${2:+<= 4700}"
	row "$1.unregistered_single" 'unregistered, single, waiting' "${2:+<= 7500}"
	row "$1.unregistered_batch32" 'unregistered, batch of 32' "${2:+<= 5000}"
	row "$1.dmatest_4k" 'dmatest, in the kernel'
	row "$1.process_vm_writev_4k" 'process_vm_writev to oneself'
	row "$1.pipe_4k" 'pipe, write and read'
	row "$1.copy_file_range_4k" 'copy_file_range, in tmpfs'
	row "$1.memcpy_4k" 'memcpy'
	row "$1.null_ioctl_4k" 'an ioctl that does nothing'
}

iommu_rows()
{
	echo 'The same with an IOMMU in strict mode, on edu: the caller alone'
	row x86_64_iommu.registered_batch32_ioctl 'registered, batch of 32, ioctl'
	row x86_64_iommu.unregistered_batch32 'unregistered, batch of 32'
	row x86_64_iommu.registered_vs_unregistered 'unregistered : registered, batch of 32' '>= 2'
	row x86_64_iommu.registered_single 'registered, single, waiting'
	row x86_64_iommu.unregistered_single 'unregistered, single, waiting'
	row x86_64_iommu.registered_vs_unregistered_single \
		'unregistered : registered, single, with sleeping and waking'
}

time_rows()
{
	[[ $(value x86_64.overlap_ratio) ]] || return 0
	echo 'softdma on x86_64 with two CPUs, in real time'
	row x86_64.overlap_ratio 'compute while copying : copy, then compute' '<= 0.65'
	row zcu102.overlap_ratio 'the same on zcu102, whose engine takes no time in QEMU'
	row x86_64.fairness_jain "64 sessions, 2 channels: Jain's index of the equal ones" '>= 0.95'
	row x86_64.light_median_us 'an op of these, median, microseconds'
	row x86_64.light_99_percent_us '99 % of them take no longer than'
	row x86_64.two_windows_us 'two windows of the session with large ops take'
	row x86_64.within_two_windows 'share of the small ops that take no longer than these'
	row x86_64.bytes_per_session 'an idle session (1000 of them), bytes of the kernel'
	row x86_64.bytes_per_place 'an op in flight on registered memory, bytes'
	row x86_64.bytes_per_op 'an op in flight on other memory, bytes'
}

pays_rows()
{
	[[ $(value x86_64.unregistered_single_pays_from_bytes) ]] || return 0
	echo 'Offloading costs the CPU less than memcpy from this size on, bytes'
	row zcu102.registered_batch32_ioctl_pays_from_bytes 'zcu102, registered, batch of 32 (instructions)'
	row zcu102.unregistered_single_pays_from_bytes 'zcu102, unregistered, single (instructions)'
	row x86_64.registered_batch32_ioctl_pays_from_bytes "x86_64, registered, batch of 32 (the caller's time)"
	row x86_64.unregistered_single_pays_from_bytes "x86_64, unregistered, single (the caller's time)"
}

table()
{
	count_rows zcu102 goals
	count_rows x86_64
	iommu_rows
	time_rows
	pays_rows
}

# Ours, of the results: what others do changes with compilers and kernels.
our_counts()
{
	grep -E '^[^ ]*\.(un)?registered_(single|batch32[a-z_]*) ' "$results"
}

# Leaves what stands behind the counts.
update_baseline()
{
	{
		sed -n '/^#/p' "$baseline"
		our_counts | awk -v old="$baseline" '
			BEGIN { while ((getline line <old) > 0) { split(line, f, " "); more[f[1]] = f[3] } }
			{ print $1, $2 (more[$1] ? " " more[$1] : "") }'
	} >"$baseline.part"
	mv "$baseline.part" "$baseline"
	say "qemu/benchmark/baseline is what was counted now; say why in the commit"
}

# Fails when a count is 3 % over the baseline's, or what the baseline allows it, or missing.
compare()
{
	grep -v '^#' "$baseline" | awk -v results="$results" '
		BEGIN { while ((getline line <results) > 0) { split(line, f, " "); now[f[1]] = f[2] } }
		!($1 in now) { printf "%s: %s in the baseline, and now not counted\n", $1, $2; bad = 1; next }
		{ change = 100 * (now[$1] / $2 - 1); most = $3 ? $3 : 3 }
		change > most { printf "%s: %s, %+.1f %% over the baseline of %s\n", $1, now[$1], change, $2; bad = 1 }
		change < -most { printf "%s: %s, %+.1f %%: the baseline of %s is to be updated\n", $1, now[$1], change, $2 }
		END {
			print bad ? "FAILED: counts have grown" : "no count has grown by more than the baseline allows: 3 %, for a few more"
			exit bad
		}'
}
