# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The closing line of whatever runs tests: "N passed, N failed, N skipped".

# Print the three numbers of the last such line of file $1; fail if there is none.
sum_in()
{
	sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$1" | tail -n 1 |
		grep .
}

# Print that line.
print_sum()
{
	echo "$1 passed, $2 failed, $3 skipped"
}
