#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# On the host: what qemu/run says of a guest, and qemu/check of its results. The guests are
# scripts that print what the test has for them.

cd "$(dirname "$0")/.." || exit
. selftests/tap.sh
. selftests/fake_tree.sh
unset MAKEFLAGS MAKELEVEL

# The guest prints file "console", and what the job gives are the files of folder "job", or those of
# folder "known" where it is a test that is known to fail.
make_tree()
{
	make_fake_tree told || return
	mkdir "$tree/job" "$tree/known"
	script machine "for option; do
			case \$option in
			file,id=console,path=*) cat $tree/console >\"\${option#*path=}\" ;;
			esac
		done
		[ ! -e $tree/waits ] || exec sleep 60"
	# recv NONCE FOLDER, as qemu/run calls it
	script out/channel "job=job
		! tr '\\\\0' '\\\\n' <\$3/stage/job/argv | grep -qx -- -k || job=known
		cat >/dev/null
		[ ! -e $tree/\$job/status ] || cp $tree/\$job/status \"\$3/status\"
		cp $tree/\$job/stdout \"\$3/stdout\"
		cat $tree/\$job/stdout"
}

# guest STATUS STDOUT CONSOLE: such a guest; no STATUS is none.
guest()
{
	make_tree || return
	rm -f "$tree/job/status"
	[ -z "$1" ] || echo "$1" >"$tree/job/status"
	printf '%s' "${2:+$2
}" >"$tree/job/stdout"
	printf '%s' "${3:+$3
}" >"$tree/console"
}

# is_told WANTED PATTERN [OPTION...]: qemu/run ends with status WANTED and says PATTERN.
is_told()
{
	wanted=$1 pattern=$2
	shift 2
	run "$wanted" "$tree/qemu/run" --target told "$@" -- true || return
	[ -z "$pattern" ] || says "$err" "$pattern"
}

end='qemu-guest: end'

status_of_the_command_is_that_of_the_run()
{
	guest 0 'hello' "$end" && is_told 0 '' && says "$out" '^hello$' &&
	guest 7 '' "$end" && is_told 7 ''
}

complaint_outweighs_the_status()
{
	line='[    5.1] DMAR: [DMA Write NO_PASID] Request device [00:02.0] fault addr 0x1000'
	guest 0 '' "$line
$end" && is_told 123 'Request device' &&
	guest 5 '' "$line
$end" && is_told 123 "exit status was 5" &&
	guest 0 '' "[    4.9] zcdma-test: expect: Request device
$line
[    5.2] zcdma-test: expected: Request device
$end" && is_told 0 ''
}

panic_outweighs_all()
{
	guest 0 '' "[    5.1] Kernel panic - not syncing: Fatal exception
$end" && is_told 122 'Fatal exception' &&
	guest 0 '' "[    5.1] Kernel panic handling: none
$end" && is_told 0 ''
}

guest_that_was_not_set_up_tested_nothing()
{
	guest '' '' 'qemu-guest: broken set-up: no /root'"$(printf '\r')" && is_told 120 'no /root' &&
	guest '' '' '' && is_told 120 'did not start'
}

guest_without_a_result_is_lost()
{
	guest '' '' "$end" && is_told 124 'without a result'
}

modules_that_do_not_unload_are_told()
{
	guest 0 '' '[    5.1] something' && is_told 123 'did not unload'
}

time_that_runs_out_is_told()
{
	guest '' '' '[    5.1] something' || return
	: >"$tree/waits"
	is_told 121 'ran out' --timeout 2
}

lines_for_a_serial_port_must_come_out_of_it()
{
	told='# to come out of a serial port: zcdma-test: a 1'
	guest 0 "$told" "zcdma-test: a 1
$end" && is_told 0 '' &&
	guest 0 "$told" "zcdma-test: a 2
$end" && is_told 123 'serial port'
}

# check WANTED PATTERN: of target "told", of which "2 passed and 1 skipped" are expected
check()
{
	printf '%s full %s\n' host '1 0' told '2 1' told-known '0 1' >"$tree/qemu/expected"
	[ -s "$tree/selftests/KNOWN" ] || sed -i /told-known/d "$tree/qemu/expected"
	run "$1" "$tree/qemu/check" told || return
	says "$out" "$2"
}

results_must_be_those_expected()
{
	guest 0 '2 passed, 0 failed, 1 skipped' "$end" && check 0 '^3 passed, 0 failed, 1 skipped$' &&
	guest 0 '1 passed, 0 failed, 1 skipped' "$end" && check 1 'FAILED: 1 passed and 1 skipped, where' &&
	guest 0 '3 passed, 0 failed, 1 skipped' "$end" && check 1 'FAILED: 3 passed and 1 skipped, where' &&
	guest 0 '2 passed, 0 failed, 2 skipped' "$end" && check 1 'FAILED: 2 passed and 2 skipped, where'
}

status_must_fit_the_results()
{
	guest 1 '1 passed, 1 failed, 1 skipped' "$end" && check 1 '^2 passed, 1 failed, 1 skipped$' &&
	guest 1 '2 passed, 0 failed, 1 skipped' "$end" && check 1 'status 1 besides the tests' &&
	guest 0 '1 passed, 1 failed, 1 skipped' "$end" && check 1 'status 0 besides the tests' &&
	guest 0 'nothing' "$end" && check 1 'no result .status 0' &&
	guest 0 '2 passed, 0 failed, 1 skipped' "[    5.1] Oops
$end" && check 1 'status 123 besides the tests'
}

# comes_of_it HOW STATUS STDOUT: a test that is known to fail as HOW says comes out like that.
comes_of_it()
{
	guest 0 '2 passed, 0 failed, 1 skipped' "$end" || return
	echo "program fixture.test 14 $1 told" >"$tree/selftests/KNOWN"
	echo "$2" >"$tree/known/status"
	echo "$3" >"$tree/known/stdout"
}

test_that_is_known_to_fail_must()
{
	comes_of_it fails 1 'known: program fixture.test: fails' && check 0 '^3 passed, 0 failed, 2 skipped$' &&
	comes_of_it fails 0 'known: program fixture.test: passes' && check 1 'fixture.test passes, where' &&
	comes_of_it hangs 1 'known: program fixture.test: fails' && check 1 'fixture.test fails, where' &&
	comes_of_it fails 3 'known: program fixture.test: missing' && check 1 'fixture.test missing, where' &&
	comes_of_it fails 1 'nothing' && check 1 'fixture.test gave no result, where'
}

# ci WANTED PATTERN LINT CHECK: what .ci/run says of such a lint and such a check.
ci()
{
	make_fake_tree told || return
	mkdir -p "$tree/.ci" && cp .ci/run "$tree/.ci" || return
	printf 'lint:\n\t@%s\ncheck:\n\t@%s\n' "$3" "$4" >"$tree/Makefile"
	run "$1" "$tree/.ci/run" || return
	says "$(echo "$out" | tail -n 1)" "$2"
}

ci_passes_when_lint_and_check_do()
{
	sum='echo 2 passed, 0 failed, 1 skipped'
	ci 0 '^3 passed, 0 failed, 1 skipped$' true "$sum" &&
	ci 0 '^3 passed, 0 failed, 1 skipped$' true "sleep 1; $sum" &&
	ci 0 '^3 passed, 0 failed, 1 skipped$' 'sleep 1' "$sum" &&
	ci 1 '^2 passed, 1 failed, 1 skipped$' false "$sum" &&
	ci 1 '^3 passed, 1 failed, 1 skipped$' true "$sum; false" &&
	ci 1 '^3 passed, 1 failed, 1 skipped$' true "$sum; kill \\$\\$\\$\\$" &&
	ci 1 '^2 passed, 1 failed, 0 skipped$' true 'echo 1 passed, 1 failed, 0 skipped; false' &&
	ci 1 '^1 passed, 1 failed, 0 skipped$' true true
}

tests='
	status_of_the_command_is_that_of_the_run
	complaint_outweighs_the_status
	panic_outweighs_all
	guest_that_was_not_set_up_tested_nothing
	guest_without_a_result_is_lost
	modules_that_do_not_unload_are_told
	time_that_runs_out_is_told
	lines_for_a_serial_port_must_come_out_of_it
	results_must_be_those_expected
	status_must_fit_the_results
	test_that_is_known_to_fail_must
	ci_passes_when_lint_and_check_do
'
run_tests
