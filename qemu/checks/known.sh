# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # logs is ../check's
#
# Tests that are known to fail: selftests/KNOWN, a line for each:
#
#	PROGRAM TEST ISSUE HOW [WHERE]
#
# HOW is what must come of it: it "fails", it "hangs" (or cannot be killed), or the kernel
# "complains", or it "fails+complains". WHERE is the only target where it is so; "counted", in a
# guest that counts instructions; or "host", see check-tool. For ../check. Each test is a skip as
# long as it fails like that, and a failure otherwise: when it passes, its line is to be taken out.

known_file=$TOP/selftests/KNOWN
known_seconds=90	# for each of them, at most, from power-on

# The tests to be tried on target $1: lines PROGRAM TEST ISSUE HOW [counted]
known_on()
{
	awk -v target="$1" '
		/^(#|$)/ || $5 == "host" { next }
		target == (NF < 5 || $5 == "counted" ? "x86_64" : $5) {
			print $1, $2, $3, $4, $5 == "counted" ? $5 : ""
		}' "$known_file"
}

# See that each line can be understood.
check_known()
{
	local wrong
	wrong=$(awk -v targets=" $(targets | xargs) counted host " '
		/^(#|$)/ { next }
		NF < 4 || NF > 5 || $3 !~ /^[0-9]+$/ || $4 !~ /^(fails|hangs|complains|fails\+complains)$/ ||
		(NF == 5 && !index(targets, " " $5 " "))' "$known_file")
	[[ ! $wrong ]] || die "selftests/KNOWN has lines that say nothing: $wrong"
}

# In guests of their own, as many of them at once as there are CPUs
run_known()
{
	local name=$1 dir=$logs/$1-known line i=0
	rm -rf "$dir"
	mkdir -p "$dir"
	while read -r line; do
		(( ++i <= $(nproc) )) || wait -n || true
		run_known_one "$name" "$dir/$i" "$line" &
	done < <(known_on "$name")
	wait
	for (( ; i; i-- )); do
		[[ -s $dir/$i.result ]] || echo "not ok test $i of $name gave no result" >"$dir/$i.result"
	done
	cat "$dir"/*.result
	awk '{ n[$1]++ } END { print n["ok"] + 0 " passed, " n["not"] + 0 " failed, " n["skip"] + 0 " skipped" }' \
		< <(sed 's/^ok .* # SKIP .*/skip/' "$dir"/*.result)
	! grep -q '^not ok' "$dir"/*.result
}

# The test of line $3 on target $1, with its log in $2.log and what came of it in $2.result
run_known_one()
{
	local name=$1 file=$2 program test issue how counted came status=0
	read -r program test issue how counted <<<"$3"
	in_guest "$name" "$known_seconds" ${counted:+--count} -- selftests ${counted:+-c} -k "$program" "$test" \
		>"$file.log" 2>&1 || status=$?
	came=$(sed -n "s/^known: $program $test: //p" "$file.log")
	case $status in
	"$EX_TIMEOUT")
		came=hangs ;;
	"$EX_COMPLAINT")
		# What a test leaves behind may be complained of, too: that is another matter.
		if [[ $came != @(missing|skipped) ]] && grep -qF "in $test: " "$file.log"; then
			[[ $came == fails ]] && came=fails+complains || came=complains
		fi ;;
	"$EX_PANIC"|"$EX_SETUP"|"$EX_LOST")
		came="gave no result (status $status)" ;;
	esac
	if [[ $came == "$how" ]]; then
		echo "ok $program $test # SKIP is known: issue $issue"
	else
		echo "not ok $program $test ${came:-gave no result}, where selftests/KNOWN says that it $how"
		sed 's/^/# /' "$file.log" | tail -n 30
	fi >"$file.result"
}
