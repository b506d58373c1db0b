# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # for ../check, whose variables these are
#
# How many results a job must have: qemu/expected, a line for each job and mode:
#
#	JOB MODE PASSED SKIPPED
#
# MODE is "full" where targets were named and "brief" where none was. Without such numbers
# tests could vanish, or be excused, and nobody would notice. They are exact: if more passed than
# is said here, as many could vanish afterwards.

expected_file=$TOP/qemu/expected
declare -A counted=()	# what came, by "JOB MODE"

# Job $1 has $2 passed and $3 skipped results: is that as expected?
expected()
{
	local job=$1 p=$2 s=$3 want_p='' want_s=''
	counted["$job $mode"]="$p $s"
	[[ ! $update ]] || return 0
	read -r want_p want_s < <(awk -v job="$job" -v mode="$mode" \
		'$1 == job && $2 == mode { print $3, $4 }' "$expected_file") || true
	if [[ ! $want_p ]]; then
		complain "$job" "qemu/expected does not say how many results it must have ($mode)"
	elif (( p != want_p || s != want_s )); then
		complain "$job" "$p passed and $s skipped, where $want_p and $want_s are expected" \
			"(if that is right: qemu/check --update-expected)"
	fi
}

# Is line "JOB MODE ..." of the file about a job of this mode and of targets "$@"?
concerns()
{
	local job=$1 its_mode=$2 name=${1%-@(counted|races|stray|known)}
	shift 2
	[[ $its_mode == "$mode" && ( $job == host || " $* " == *" $name "* ) ]]
}

# Has each job that must have results for targets "$@" come?
expected_jobs()
{
	local job its_mode summary
	[[ ! $update ]] || return 0
	while read -r job its_mode _; do
		if concerns "$job" "$its_mode" "$@" && [[ ! ${judged[$job]-} ]]; then
			summary="$job: was not run, though qemu/expected has results of it"
			complain "$job" 'it did not come'
			summaries+=("$summary")
		fi
	done < <(grep -v '^#' "$expected_file")
}

# Only jobs of which nothing failed are in $counted. What is no job any more goes.
update_expected()
{
	local key job its_mode numbers part=$OUT/expected
	{
		grep '^#' "$expected_file" || true
		{
			while read -r job its_mode numbers; do
				[[ ! ${counted["$job $its_mode"]-} ]] || continue
				! concerns "$job" "$its_mode" "${names[@]}" || [[ ${judged[$job]-} ]] || continue
				echo "$job $its_mode $numbers"
			done < <(grep -v '^#' "$expected_file")
			for key in "${!counted[@]}"; do
				echo "$key ${counted[$key]}"
			done
		} | LC_ALL=C sort
	} >"$part"
	mv "$part" "$expected_file"
	say 'qemu/expected is written; say in the commit why it changes'
}
