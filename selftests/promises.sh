#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Does PROMISES hold, do mutants apply and name tests that there are, and would promises.awk tell if
# not? On the host. The last line is "N passed, N failed, N skipped": of the promises, of the
# mutants, and of the tests of promises.awk.

cd "$(dirname "$0")/.." || exit
work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT

check()
{
	for patch in "${2-.}"/selftests/mutants/*.patch; do
		sed -n "s|^Test:|${patch##*/}|p" "$patch"
	done >"$work/mutants"
	awk -v top="${2-.}" -v mutants="$work/mutants" -f selftests/promises.awk "$1"
}

passed=0 failed=0

# Of PROMISES with sed script $2 nothing is right any more where it says $1.
must_be_wrong()
{
	wrong_after "$1" "$2" PROMISES
}

# The same where that was done to file $3 of the tests.
wrong_after()
{
	sed "$2" "selftests/$3" >"$work/top/selftests/$3"
	if cmp -s "selftests/$3" "$work/top/selftests/$3"; then
		echo "# FAILED promises.sh: sed '$2' changes nothing"
	elif check "$work/top/selftests/PROMISES" "$work/top" >"$work/out"; then
		echo "# FAILED promises.awk: nothing is wrong after sed '$2' of $3"
	elif ! grep -q "$1" "$work/out"; then
		echo "# FAILED promises.awk: does not say '$1' after sed '$2' of $3"
	else
		passed=$((passed + 1))
		failed=$((failed - 1))
	fi
	failed=$((failed + 1))
	cp "selftests/$3" "$work/top/selftests/$3"
}

mkdir "$work/top" && cp -r selftests qemu "$work/top" &&
	ln -s "$PWD/kmod" "$PWD/userspace" "$work/top" || exit
must_be_wrong 'does not say "ENOTTY no such thing' 's/ENOTTY no such command/ENOTTY no such thing/'
must_be_wrong 'knows no zcdma_got_info' 's/^header zcdma_get_info:/header zcdma_got_info:/'
must_be_wrong 'no source is called haeder' 's/^header /haeder /'
must_be_wrong 'abi has no test verb.takes' 's/verb.takes_its_exact_size/verb.takes/'
must_be_wrong 'no program abu' 's/abi unknown_commands/abu unknown_commands/'
must_be_wrong 'a promise without a test' '/^\tuntested:/d'
must_be_wrong 'not untested: REASON' 's/(issue 1.)$/some day/'
must_be_wrong 'is named twice' '/unknown_commands_get_ENOTTY/p'
must_be_wrong 'quoted in line' '/ENOTTY no such command/{p;a\
	abi unknown_commands_get_ENOTTY
}'
wrong_after 'module.sh has no test allow_names' '/^\tallow_names_the_only_channels/d' module.sh
wrong_after 'module.sh has no test allow_is_not_asked' 's/^of_software=/others=/' module.sh
wrong_after 'provider.sh is in no list' 's/^\(TEST_PROGS := .*\)provider.sh/\1/' Makefile
wrong_after 'abi is in no list' '/^\tabi /d' Makefile
wrong_after 'op-read-twice.patch: changes has no test op.on_registered_memory.changes' 's/changed_during.*/changes/' mutants/op-read-twice.patch

# As qemu/mutants does it
all_mutants_apply()
{
	for patch in selftests/mutants/*.patch; do
		patch -p1 --fuzz=0 --dry-run -s -f <"$patch" >"$work/patch" 2>&1 && continue
		echo "# FAILED $patch does not apply"
		cat "$work/patch"
		return 1
	done
}

# The sentences of the headers and the manual of which nothing is quoted
rest()
{
	awk -v rest=1 -f selftests/promises.awk selftests/PROMISES | grep -E '^(header|man|library): '
}

rest_is_as_it_was_read()
{
	found=$(rest | cksum)
	[ "rest $found" = "$(grep '^rest ' selftests/PROMISES)" ] && return
	echo "# FAILED PROMISES: other sentences than before have no quote there: see there; now it is rest $found"
	return 1
}

for test in all_mutants_apply rest_is_as_it_was_read; do
	if $test; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done

check selftests/PROMISES | tee "$work/out"
sum=$(tail -n 1 "$work/out")
# The words of the sum: 1 passed, 3 failed, 5 skipped.
# shellcheck disable=SC2086
set -- $sum
echo "$(($1 + passed)) passed, $(($3 + failed)) failed, $5 skipped"
[ $(($3 + failed)) -eq 0 ]
