#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Find out what a kernel has by compiling snippets against its headers; Kbuild calls it:
# conftest.sh HEADER CONFTEST.C DEPENDENCIES COMPILER OPTION...
# HEADER gets a line "#define HAVE_..." for each snippet of CONFTEST.C that compiles,
# DEPENDENCIES the headers that decided about it.

set -eu
header=$1 source=$2 dependencies=$3
shift 3

# Of another type or without a declaration does not count, whatever this kernel's options are.
compile()
{
	"$@" -Werror=implicit-function-declaration -Werror=incompatible-pointer-types \
		-Werror=int-conversion -fsyntax-only "$source"
}

# What is wrong with the compiler, its options or all headers must not look like a kernel
# that has nothing.
compile "$@" "-Wp,-MMD,$dependencies"
if compile "$@" -DHAVE_NOTHING -include /nonexistent.h 2>/dev/null; then
	echo "conftest.sh: $1 does not fail where it must" >&2
	exit 1
fi

rm -f "$header".*.part
probes=$(sed -n 's/^#ifdef \(HAVE_[A-Z0-9_]*\).*/\1/p' "$source")
for probe in $probes; do
	if compile "$@" "-D$probe" 2>/dev/null; then
		echo "#define $probe"
	else
		echo "/* $probe is not defined. */"
	fi >"$header.$probe.part" &
done
wait
for probe in $probes; do
	cat "$header.$probe.part"
done >"$header.part"
rm "$header".*.part
mv "$header.part" "$header"
