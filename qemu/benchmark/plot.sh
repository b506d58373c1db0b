# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Plots of the sweeps, for ../bench.

# Our own first, as in the table; last, what is not in each plot, so that the others look
# the same in all.
plot_order='registered_batch32_ioctl registered_batch32_uring registered_single
	unregistered_batch32 unregistered_single memcpy process_vm_writev pipe
	copy_file_range dmatest'
ours=5

# For each of them: gnuplot's own come around again after eight.
colours='#9400d3 #009e73 #0072b2 #d55e00 #e69f00 #000000 #7f7f7f #cc79a7 #56b4e9 #8c564b'

linetypes()
{
	local colour number=0
	for colour in $colours; do
		(( ++number ))
		echo "set linetype $number linecolor rgb '$colour' pointtype $number" \
			"dashtype $(( number > ours ? 2 : 1 ))"
	done
}

# blocks FILE COLUMN: for gnuplot, a block for each way: its name, then "SIZE VALUE".
# With "rate" for COLUMN, bytes per second.
blocks()
{
	local way
	for way in $plot_order; do
		awk -v way="$way" -v column="$2" '
			$1 != way { next }
			column == "rate" { value = $2 / $4 * 1e9 }
			column != "rate" { value = $column }
			value == "-" { next }
			{ text = text $2 " " value "\n" }
			END { if (text) printf "\"%s\"\n%s\n\n", way, text }' "$1"
	done
}

# A vertical line at each size from which offloading pays, of target $1
marks()
{
	local way from height=0.04
	for way in registered_batch32_ioctl unregistered_single; do
		from=$(value "$1.${way}_pays_from_bytes")
		[[ $from != null ]] || continue
		cat <<-END
			set arrow from $from, graph 0 to $from, graph 1 nohead dashtype 2
			set label "$way costs less than memcpy from $from bytes on" \\
				at $from, graph $height rotate by 0 offset 0.5, 0 font ",9"
		END
		height=0.09
	done
}

# plot NAME TARGET COLUMN TITLE UNIT
plot()
{
	local name=$OUT/bench/$1 data=$OUT/bench/$1.dat corner='left top' lines kind
	[[ $3 != rate ]] || corner='right bottom'
	blocks "$OUT/bench/sweep-$2.txt" "$3" >"$data"
	lines=$(grep -c '^"' "$data")
	for kind in svg 'pngcairo noenhanced'; do
		{
			cat <<-END
				set terminal $kind size 1000, 700 font "sans,11" background "white"
				set output "$name.${kind:0:3}"
				set title "$4" noenhanced
				set xlabel "bytes of an op"
				set ylabel "$5" noenhanced
				set logscale x 2
				set logscale y 10
				set format x "%.0b%B"
				set xtics 64, 4
				set grid
				set key $corner noenhanced
			END
			linetypes
			[[ $3 == rate ]] || marks "$2"
			echo "plot for [i=0:$lines-1] \"$data\" index i using 1:2 with linespoints title columnheader(1)"
		} | gnuplot || die "cannot plot $1"
	done
	rm "$data"
}

plots()
{
	plot cost-zcu102 zcu102 3 'What an op costs the CPU on zcu102' 'guest instructions'
	plot rate-zcu102 zcu102 rate 'Bytes moved for what the CPU spends on zcu102' \
		'bytes per 10^9 instructions'
	plot cost-x86_64 x86_64 3 "What an op costs the caller's CPU on x86_64, softdma" 'nanoseconds'
	plot rate-x86_64 x86_64 rate 'Rate on x86_64, softdma' 'bytes per second'
}
