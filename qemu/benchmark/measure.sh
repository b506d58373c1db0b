# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # target is load_target's
#
# What is measured, as lines "KEY VALUE" in $results. For ../bench.

# From 64 B to 64 MiB
sweep_sizes=(64 256 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864)

put()
{
	printf '%s %s\n' "$1" "${2:-null}" >>"$results"
}

# Run the guest's bench "$@" on the loaded target
guest_bench()
{
	"$TOP/qemu/run" --target "$target" --timeout 600 -- bench "$@"
}

# Count it on the loaded target, by each way: lines "PATH SIZE INSTRUCTIONS ..."
count()
{
	"$TOP/qemu/run" --target "$target" --timeout 600 --count -- bench paths "$@"
}

# The keys of what others do have the size in their names, as ours have not.
put_counts()
{
	local name instructions
	while read -r name _ instructions _; do
		[[ $name == @(registered|unregistered)_* ]] || name+=_4k
		put "$target.$name" "$instructions"
	done < <(count 4096)
	grep -q "^$target\.registered_single " "$results" || die "no counts from $target"
}

# With an IOMMU in strict mode, by a device that takes 100 ms for each hop of an op: what
# the caller is on the CPU for, from the call to its return. That is all but the
# interrupts, which come while it sleeps and find nothing to unmap or unpin. A caller that
# waits for a single op takes some 6000 to fall asleep and to wake; in a batch the ops
# are nearly all that there is.
put_iommu_counts()
{
	local way cpu
	load_target x86_64-iommu
	for way in unregistered_batch32 registered_batch32_ioctl {un,}registered_single; do
		read -r _ _ _ cpu < <("$TOP/qemu/run" --target "$target" --timeout 600 --count \
			-- bench one "$way" 4096 8 edudma)
		put "x86_64_iommu.$way" "$cpu"
	done
	put x86_64_iommu.registered_vs_unregistered \
		"$(ratio x86_64_iommu.{unregistered_batch32,registered_batch32_ioctl})"
	put x86_64_iommu.registered_vs_unregistered_single \
		"$(ratio x86_64_iommu.{un,}registered_single)"
}

# Of two keys
ratio()
{
	awk -v a="$1" -v b="$2" '{ value[$1] = $2 } END { printf "%.3f\n", value[a] / value[b] }' \
		"$results"
}

measure_counts()
{
	local name
	for name in zcu102 x86_64; do
		load_target "$name"
		put_counts
	done
	put_iommu_counts
}

# What the guest prints is "NAME VALUE".
put_times()
{
	local name value
	load_target "$1"
	while read -r name value; do
		put "$target.$name" "$value"
	done < <(guest_bench "${@:2}")
	grep -q "^$target\.overlap_ratio " "$results" || die "no times from $target"
}

measure_times()
{
	put_times x86_64 timed
	put_times zcu102 overlap
}

# Lines "PATH SIZE COST NS", where the cost is the CPU's.
measure_sweeps()
{
	load_target zcu102
	count "${sweep_sizes[@]}" | awk '{ print $1, $2, $3, $3 }' >"$OUT/bench/sweep-zcu102.txt"
	load_target x86_64
	guest_bench paths "${sweep_sizes[@]}" | awk '{ print $1, $2, $4, $3 }' >"$OUT/bench/sweep-x86_64.txt"
	for target in zcu102 x86_64; do
		put_pays "$target" registered_batch32_ioctl
		put_pays "$target" unregistered_single
	done
}

# From which size on does way $2 cost the CPU less than memcpy() does, on target $1?
# Costs grow as powers of the size between two that were measured.
put_pays()
{
	put "$1.$2_pays_from_bytes" "$(awk -v way="$2" '
		$1 == way { cost[$2] = $3; size[n++] = $2 }
		$1 == "memcpy" { by_cpu[$2] = $3 }
		END {
			for (i = n; i-- && cost[size[i]] < by_cpu[size[i]]; )
				;
			if (i < 0) {
				print size[0]
			} else if (i == n - 1) {
				print "null"
			} else {
				a = log(cost[size[i]] / by_cpu[size[i]])
				b = log(by_cpu[size[i + 1]] / cost[size[i + 1]])
				ratio = size[i + 1] / size[i]
				printf "%.0f\n", size[i] * exp(log(ratio) * a / (a + b))
			}
		}' "$OUT/bench/sweep-$1.txt")"
}
