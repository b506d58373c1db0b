# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # what is set here is used by the scripts
#
# Shared by the scripts of this folder: paths, messages, targets, staleness.

set -euo pipefail
shopt -s extglob

# What we read of others' output is English, and nothing that the caller has for make or compilers
# of his own decides about what is built here.
export LC_ALL=C.UTF-8
# Tools of root's, which users' PATH leaves out and who has sudo may run; and what we make may be
# read by the other users that tests have.
PATH=$PATH:/usr/sbin:/sbin
umask 022
unset LANGUAGE CDPATH MAKEFLAGS MFLAGS GNUMAKEFLAGS MAKELEVEL CC AR LD CFLAGS CPPFLAGS LDFLAGS KCFLAGS ARCH \
	CROSS_COMPILE SOFTDMA_TESTS

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Downloads and what is made of them once: of this user, shared by all checkouts, safe to delete.
# HOME may be unset, as it is for some services.
home=${HOME:-$(getent passwd "$EUID" | cut -d : -f 6 || true)}
CACHE=$(realpath -m "${ZCDMA_CACHE:-${home:-/nonexistent}/.cache/zcdma}")
export ZCDMA_CACHE=$CACHE	# the same for a script that changes its folder
layout=1		# of the cache's folders; changes with what is unpacked, or how
HAVE=$CACHE/have.$layout	# links to what is there, by names without a version; see fetch
OUT=$TOP/out		# all that is built, a folder per target; `make clean` deletes it

# Exit codes of qemu/run besides COMMAND's own (which stays below 120, or is
# 126, 127, 128 + signal). The other scripts use EX_SETUP only.
EX_SETUP=120		# broken set-up: nothing was tested
EX_TIMEOUT=121		# the time ran out
EX_PANIC=122		# the guest's kernel panicked
EX_COMPLAINT=123	# COMMAND ran, but the kernel's log holds a complaint
EX_LOST=124		# the guest ended without a result

[[ $CACHE$TOP != *[[:space:]:]* ]] ||
	{ echo "blanks or colons in $TOP or $CACHE: make cannot work there; see ZCDMA_CACHE" >&2; exit $EX_SETUP; }

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
	cpus_least=1		# of the machine, where instructions are counted
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
	share=			# and of combinations one of these six shares: 0 to 5
	elsewhere=		# what it lacks besides while other targets are checked as well
	ledger=yes		# softdma judges how its clients use memory, while tests run
	counts=no		# tests of what things cost are run there, counting instructions:
				# "yes" for all, or the names of programs
	stray=no		# edu_stray is run there, behind an IOMMU
	races=no		# tests that race are run there, CPUs with a thread each
	disk=no			# can have a disk (qemu/run --disk)
	check_timeout=900	# seconds that the selftests take, at most; later they hang
	unload_timeout=60	# seconds for unloading the modules after a job, at most
	config=			# build $kernel with this configuration, see debug-kernel
	# shellcheck source=/dev/null
	. "$TOP/qemu/targets/$target"

	# The kernel's folder, see fetch. Of one that we build, each configuration has its own.
	if [[ $config ]]; then
		kroot=$(have "$target-$(configuration)")
	else
		kroot=$(have "$kernel${suite:+-$suite}")
	fi
	obj=$OUT/$target			# see build
	kobj=$OUT/${kroot##*/}			# what is built for its kernel
	mobj=$OUT/$debian_arch			# what is built for its kind of machine
}

# From now on background jobs have a process group each. When the script ends, however it does,
# they end first, with all that they have started: by TERM, after which qemu/run ends its guest.
jobs_end_with_us()
{
	set -m
	trap end_jobs EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# TERM until nothing is left of them but zombies: of a shell with traps, a process that it has just
# begun loses a signal that comes before it has put the traps away.
end_jobs()
{
	local groups
	trap '' INT TERM HUP PIPE
	groups=$(jobs -p | paste -sd ,)
	while [[ $groups ]] && pkill -r D,R,S,T -g "$groups"; do
		sleep 0.1
	done
	wait
}

# What tests on this host need besides (see checks/host)
setup_host_tests()
{
	local needed=(patch)
	command -v busybox >/dev/null || needed+=(busybox-static)
	"$TOP/qemu/setup" "${needed[@]}"
}

# Run timeout(1), "$@", which has a process group of its own: it gets TERM when we are no more, and
# passes it on.
ends_with_us()
{
	setpriv --pdeathsig TERM "$@"
}

# Until one of the processes "$@", jobs of ours, has ended; $ended is its number. Not by "wait":
# it sleeps on when a signal comes just before it does.
await_any()
{
	while :; do
		for ended; do
			kill -0 "$ended" 2>/dev/null || return 0
		done
		sleep 0.3
	done
}

# The folder of what the cache has by name $1, or where the link to it would be.
have()
{
	readlink -e "$HAVE/$1" || echo "$HAVE/$1"
}

# A hash of all that decides about the kernel that we build for the loaded target, but for its
# sources
configuration()
{
	cat "$TOP/qemu/$config" "$TOP/qemu/debug-kernel" | sha256sum | cut -c 1-12
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
