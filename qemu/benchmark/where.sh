# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # what is set by load_target and ../bench
#
# Instructions that an op takes, counted by a plugin of QEMU's (../where.c). For ../bench,
# with a target loaded.

# Print ",$1=ADDRESS,$1bytes=BYTES" for the plugin: where function $2 of the tool begins.
place()
{
	local program=$mobj/userspace/zcdma address bytes
	address=$(nm "$program" | awk -v name="$2" '$3 == name { print $1 }')
	[[ $address ]] || die "the tool has no function $2"
	bytes=$(objdump -s -j .text --start-address="0x$address" \
		--stop-address="$(( 16#$address + 16 ))" "$program" |
		awk 'NF >= 6 && $1 ~ /^[0-9a-f]+$/ { print $2 $3 $4 $5 }')
	[[ ${#bytes} == 32 ]] || die "cannot read the tool's function $2"
	printf ',%s=%s,%sbytes=%s' "$1" "$address" "$1" "$bytes"
}

# Kernel symbols and counts, each "ADDRESS ...", both sorted, into a line per function.
# Addresses are of a length: to compare them as strings is enough (awk's numbers have
# no 64 bits).
by_function()
{
	LC_ALL=C sort -m <(grep -i '^[89a-f].* [tw] ' "$work/kallsyms" | tr -d '[]' |
			awk '{ print $1, "!", $3, $4 }' | LC_ALL=C sort -s -k 1,1) \
		<(LC_ALL=C sort "$work/where") |
	awk -v ops="$1" '
		function show() {
			if (sum)
				printf "%10.1f %8.2f  %s\n", sum / ops, calls / ops, name
			sum = calls = 0
		}
		BEGIN { name = "(user space)" }
		$2 == "!" {
			if ($1 != start)
				show()
			start = $1
			name = $3 ($4 ? " [" $4 "]" : "")
			next
		}
		$1 == start { calls = $2 }
		{ sum += $2; total += $2 }
		END { show(); printf "%10.1f %8s  all\n", total / ops, "" }' | sort -rn
}

# The bench of one way, with the plugin: $work/where has how often each instruction ran,
# $work/kallsyms the kernel's symbols, $work/result what the guest measured.
run_counting()
{
	local plugin=$OUT/where.so
	work=$obj/where
	rm -rf "$work"
	mkdir -p "$work"
	"$TOP/qemu/build" "$target"
	gcc -O2 -Wall -Wextra -shared -fPIC -fvisibility=hidden -o "$plugin" "$TOP/qemu/where.c"
	(cd "$work" && "$TOP/qemu/run" --count --target "$target" --get /tmp/kallsyms \
		--qemu "-plugin $plugin,out=$work/where$(place from path_rounds)$(place to bench_median)" \
		-- bench one "$path" "$size" "$1") >"$work/result"
}

where()
{
	local rounds=32
	run_counting $rounds
	awk '{ printf "%s, ops of %d bytes: %s instructions each by the clock of the guest\n", $1, $2, $3 }
		' "$work/result"
	echo '    INSNS    CALLS  FUNCTION'
	by_function $(( rounds * (size <= 2097152 ? 32 : size <= 67108864 ? 67108864 / size : 1) ))
}
