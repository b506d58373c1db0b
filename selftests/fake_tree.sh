# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # dir is tap.sh's
#
# For tests of qemu/'s scripts on the host: a tree that has them, with targets whose machine is a
# script of the test's. After tap.sh.

# make_fake_tree TARGET...: in $tree. The test writes "machine" and "out/channel", by script().
make_fake_tree()
{
	tree=$dir/tree
	rm -rf "$tree"
	mkdir -p "$tree/out" "$tree/selftests" || return
	cp -r Makefile qemu "$tree" || return
	rm -r "$tree/qemu/targets"
	mkdir "$tree/qemu/targets"
	for target; do
		mkdir "$tree/out/$target"
		touch "$tree/out/$target/root.cpio"
		printf 'kernel=none\ncheck_timeout=301\nqemu=("%s" %s)\n' "$tree/machine" "$target" \
			>"$tree/qemu/targets/$target"
	done
	script qemu/setup ''
	script qemu/build ''
	script qemu/checks/host 'echo 1 passed, 0 failed, 0 skipped'
	: >"$tree/selftests/KNOWN"
	export ZCDMA_CACHE="$dir/cache" ZCDMA_ACCEL=tcg
}

# script PATH TEXT: in the tree
script()
{
	printf '#!/bin/sh\n%s\n' "$2" >"$tree/$1"
	chmod +x "$tree/$1"
}
