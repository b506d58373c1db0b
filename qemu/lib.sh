# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # what is set here is used by the scripts
#
# Shared by the scripts of this folder: paths, messages, targets, staleness.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=$TOP/.cache	# downloads and what is unpacked from them; safe to delete
OUT=$TOP/out		# all that is built, a folder per target; `make clean` deletes it

# Exit codes of qemu/run besides COMMAND's own (which stays below 120, or is
# 126, 127, 128 + signal). The other scripts use EX_SETUP only.
EX_SETUP=120		# broken set-up: nothing was tested
EX_TIMEOUT=121		# the time ran out
EX_PANIC=122		# the guest's kernel panicked
EX_COMPLAINT=123	# COMMAND ran, but the kernel's log holds a complaint
EX_LOST=124		# the guest ended without a result

say()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die()
{
	say "$*"
	exit $EX_SETUP
}

targets()
{
	basename -a "$TOP"/qemu/targets/*
}

# What is checked when no target is named: those whose kernel needs no build of
# its own.
stock_targets()
{
	(cd "$TOP/qemu/targets" && grep -LE '^config=' -- *)
}

# Read the file of target $1. What a target may set, and what holds otherwise:
load_target()
{
	target=$1
	[[ $target != */* && -r $TOP/qemu/targets/$target ]] ||
		die "no target '$target'; there are: $(targets | xargs)"

	debian_arch=amd64	# Debian's name of the guest's architecture
	karch=x86		# the kernel's name of it
	cross=			# CROSS_COMPILE
	cc32=			# compiler for 32-bit callers of a 64-bit kernel
	callers32=no		# run their tests
	packages=		# what the host needs besides qemu/setup's list
	kernel=			# package whose dependency is the kernel image
	headers=		# the same for its headers
	suite=			# Debian suite they come from, if not the host's
	qemu=()			# program, machine and memory
	threads=multi		# of an emulated machine: one per CPU, or a single one for all
	cmdline=		# for the kernel
	serials=(console result)	# what each serial port of the machine is for
	result=ttyS1		# the guest's name of the result port
	dtb=			# device tree in the kernel package, if any
	fit_dtb=		# script in qemu/dtb/ that changes it, if any
	modules=()		# kernel modules to load before ours
	drivers=()		# the same, to be built from linux-source's drivers/dma
	carried=()		# kernel modules to have at hand only
	module_options=()	# each 'MODULE PARAMETER=VALUE...'
	provider=softdma	# the dmaengine driver under test
	lacks=			# capabilities tests cannot expect here
	brief=no		# fewer rounds of what another target runs in full
	elsewhere=		# what it lacks besides while other targets are checked as well
	fast=no			# while the host does nothing else, it keeps what is promised of speed
	disk=no			# can have a disk (qemu/run --disk)
	check_timeout=900	# seconds that the selftests may take, at most
	unload_timeout=10	# seconds for unloading the modules after a job
	config=			# build $kernel with this configuration, see debug-kernel
	# shellcheck source=/dev/null
	. "$TOP/qemu/targets/$target"

	kroot=$CACHE/$kernel${suite:+-$suite}	# see fetch
	[[ ! $config ]] || kroot=$CACHE/kernel-$target
	obj=$OUT/$target			# see build
	kobj=$OUT/${kroot##*/}			# what is built for its kernel
	mobj=$OUT/$debian_arch			# what is built for its kind of machine
}

# stale STAMP PATH...: is anything under the PATHs newer than STAMP? Folders
# count as well, so a deleted file is noticed.
stale()
{
	local stamp=$1
	shift
	[[ ! -e $stamp || -n $(find -L "$@" -newer "$stamp" -print -quit 2>&1) ]]
}

# Run "$@" quietly and with its whole output when it fails.
quietly()
{
	local log
	log=$(mktemp)
	"$@" >"$log" 2>&1 || { cat "$log" >&2; rm "$log"; return 1; }
	rm "$log"
}
