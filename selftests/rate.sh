#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# How fast copies of a MiB and more are, beside the kernel's own dmatest on the same
# channel in the same boot. Its memory is in one piece, and so is ours: what it reaches is
# what there is to be had. What small pages give is told as well; the engine then has
# hundreds of pieces to move instead of one.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./dmatest.sh

rounds=20
! brief || rounds=5
! lacks bulk || rounds=2
whole=huge
! lacks hugepages || whole=ring

# Bytes per second of dmatest with copies of $1 bytes, in $theirs.
by_dmatest()
{
	with_dmatest dmatest_rate "$channel" "$1" $rounds || return
	theirs=$(awk -v size="$1" -v iops="$iops" 'BEGIN { printf "%.0f", iops * size }')
}

# by_zcdma SIZE KIND: the same of zcdma, in $ours.
by_zcdma()
{
	run 0 ./copy_rate "$channel" "$1" $rounds "$2" && ours=$out
}

tells_of_small_pages()
{
	by_zcdma "$1" small && echo "# $1 bytes: in small pages $ours bytes/s"
}

# Both in turn. The host has other things to do as well: it may hold for one of some
# tries only.
keeps_up_with_dmatest()
{
	lacks long-mapping && skip long-mapping 'dmatest maps its memory in one piece' && return
	channel=$(channels | head -n 1)
	brief || tells_of_small_pages "$1" || return
	for try in 1 2 3 4 5 6 7 8 9 10; do
		by_dmatest "$1" && by_zcdma "$1" $whole || return
		echo "# $1 bytes, try $try: in one piece $ours, dmatest $theirs"
		awk -v ours="$ours" -v theirs="$theirs" 'BEGIN { exit ours < 0.95 * theirs }' && return
	done
	complain 'never 0.95 of what dmatest reaches'
}

copies_of_1_mib_are_as_fast_as_those_of_dmatest()
{
	keeps_up_with_dmatest 1048576
}

# More than 2 MiB would be hard to get in one piece.
copies_of_nearly_2_mib_are_as_fast_as_those_of_dmatest()
{
	keeps_up_with_dmatest 2088960
}

# Whatever 'speed' is lacking: both need the same of this host.
tests='
	copies_of_1_mib_are_as_fast_as_those_of_dmatest
	copies_of_nearly_2_mib_are_as_fast_as_those_of_dmatest
'
run_tests
