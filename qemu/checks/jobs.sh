# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # mode and others are ../check's and load_target's
#
# What there is to be run for some targets. For ../check. A job is one of
#
#	TARGET			the target's tests
#	TARGET-counted		tests of what things cost, in a guest that counts instructions
#	TARGET-races		tests that race, with a thread for each of the guest's CPUs
#	TARGET-stray		a device that touches memory that nobody mapped for it, which
#				must be a complaint: the IOMMU is there and works
#	TARGET-known		tests that are known to fail, in a guest each that may hang
#	host			tests of our own scripts, and of the tool and the library
#				with a device that is not there
#
# Several run side by side, more than there are CPUs, for guests sleep a lot. Then come known
# failures, as many guests at once as there are CPUs, and last tests that race, by themselves:
# on a host that is busy with others CPUs hardly run at once.

# How many jobs at once?
places()
{
	if [[ $mode == brief ]]; then
		echo $(( $(nproc) * 2 ))	# where they are brief they sleep most
	else
		echo $(( $(nproc) < 2 ? 2 : $(nproc) * 3 / 2 ))
	fi
}

# For targets "$@", in the order to start them: those that may take longest first, so that
# the last end together.
jobs_beside_others()
{
	local name
	for name; do
		load_target "$name"
		echo "$check_timeout $name"
		[[ $counts == no ]] || echo "600 $name-counted"
		[[ $stray == no ]] || echo "120 $name-stray"
	done | sort -s -k 1,1rn | cut -d ' ' -f 2
	echo host
}

jobs_known()
{
	local name
	for name; do
		[[ ! $(known_on "$name") ]] || echo "$name-known"
	done
}

jobs_alone()
{
	local name
	for name; do
		load_target "$name"
		[[ $races == no ]] || echo "$name-races"
	done
}

# The seconds after which job $1 hangs: three times what it takes on a busy host
seconds_of()
{
	case $1 in
	host)
		echo 900 ;;
	*-counted)
		echo 1800 ;;
	*-races)
		echo 900 ;;
	*-stray)
		echo 360 ;;
	*-known)
		load_target "${1%-known}"
		echo $(( ($(known_on "$target" | wc -l) / $(nproc) + 1) * known_seconds )) ;;
	*)
		load_target "$1"
		echo $(( 3 * check_timeout )) ;;
	esac
}

# Job $1, whose closing line is the last but for messages
run_job()
{
	case $1 in
	host)
		ends_with_us timeout -k 5 "$(seconds_of host)" "$TOP/qemu/checks/host" ;;
	*-counted)
		run_counted "${1%-counted}" ;;
	*-races)
		ZCDMA_THREADS=multi in_guest "${1%-races}" "$(seconds_of "$1")" -- selftests -r ;;
	*-stray)
		run_stray "${1%-stray}" ;;
	*-known)
		run_known "${1%-known}" ;;
	*)
		run_suite "$1" ;;
	esac
}

# qemu/run on target $1 for $2 seconds
in_guest()
{
	local target=$1 seconds=$2 options=()
	shift 2
	load_target "$target"
	# Where instructions are counted an idle guest does not wait: while the host is busy with its
	# disk, minutes pass.
	[[ $disk == no || ${1-} == --count ]] || options=(--disk 512M)
	"$TOP/qemu/run" --target "$target" --timeout "$seconds" "${options[@]}" "$@"
}

# All tests of what things cost, or those that the target's file names
run_counted()
{
	local names=()
	load_target "$1"
	[[ $counts == yes ]] || read -ra names <<<"$counts"
	in_guest "$1" "$(seconds_of "$1-counted")" --count -- selftests -c "${names[@]}"
}

run_stray()
{
	local status=0 log=$logs/$1-stray.out
	in_guest "$1" "$(seconds_of "$1-stray")" -- /selftests/edu_stray >"$log" 2>&1 || status=$?
	cat "$log"
	if (( status == EX_COMPLAINT )) && grep -q "COMMAND's exit status was 0)" "$log" &&
		grep -q 'DMAR: \[DMA Write .* fault addr' "$log"; then
		echo 'ok 1 stray_access_is_a_complaint'
		print_sum 1 0 0
	else
		echo "not ok 1 stray_access_is_a_complaint: qemu/run ended with $status"
		print_sum 0 1 0
		return 1
	fi
}

# Where all are brief no CPUs race: that is a job of its own.
run_suite()
{
	local seconds
	seconds=$(seconds_of "$1")
	if [[ $mode == brief ]]; then
		ZCDMA_THREADS=single in_guest "$1" "$seconds" -- selftests -b
	else
		in_guest "$1" "$seconds" -- selftests
	fi
}
