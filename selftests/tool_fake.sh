# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables of tap.sh, and for the tests

# The fake machine, for tool_util.sh: a new one for each test, in $work/machine. Of what the
# fake sees it complains, and each run of the tool must have entered it.

machine()
{
	export ZCDMA_FAKE="$1"
	device=$ZCDMA_FAKE/zcdma
	(
		umask 0
		mkdir "$ZCDMA_FAKE" && cd "$ZCDMA_FAKE" || exit
		: >zcdma
		: >softdma.0
		: >ports
		: >entered
		: >started
		: >complaints
		: >vmstat
		: >kmsg
		: >stat_refresh
		printf 'root:x:0:\nzcdma:x:990:alice\naudio:x:29:\n' >group
		for nr in 0 1 2 3; do
			echo "dma0chan$nr softdma.0 softdma 0x160f 0"
		done >channels
		truncate -s 1M state
	)
}

# In place of a script's own: what each machine is to have besides.
set_up()
{
	:
}

# In place of tap.sh's.
attempt()
{
	machine "$work/machine"
	chmod 755 "$work"
	set_up
	"$1"
	status=$?
	if [ -s "$ZCDMA_FAKE/complaints" ]; then
		sed 's/^/#   /' "$ZCDMA_FAKE/complaints"
		status=1
	fi
	missing=$(cat "$ZCDMA_FAKE/started" "$ZCDMA_FAKE/entered" | sort | uniq -u)
	[ -z "$missing" ] || complain "did not enter the fake: process $missing" || status=1
	return $status
}

knob()
{
	echo "$2" >"$ZCDMA_FAKE/$1"
}

no_faults()
{
	rm -f "$ZCDMA_FAKE"/hang "$ZCDMA_FAKE"/delay_us "$ZCDMA_FAKE"/fail_nth "$ZCDMA_FAKE"/pool
}

engine_leaves()
{
	rm "$ZCDMA_FAKE/softdma.0"
}

engine_returns()
{
	: >"$ZCDMA_FAKE/softdma.0"
}

engine()
{
	echo "$1" >"$ZCDMA_FAKE/source"
	echo "$2" >"$ZCDMA_FAKE/rate"
	truncate -s 0 "$ZCDMA_FAKE/state"
	truncate -s 1M "$ZCDMA_FAKE/state"
	engine_leaves
	sleep 0.01	# it is another one: it has another time
	engine_returns
}

ports()
{
	echo "$1" >>"$ZCDMA_FAKE/ports"
}

engine_name()
{
	echo dma0
}

# Whoever is no root is an ordinary user.
as_user()
{
	if [ "$(id -u)" -eq 0 ]; then
		ZCDMA_FAKE_USER=yes setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$*"
	else
		ZCDMA_FAKE_USER=yes sh -c "$*"
	fi
}

# For signalled(): is it the tool itself, and not yet the shell that starts it?
has_entered()
{
	grep -qx "$(cat "$work/pid")" "$ZCDMA_FAKE/entered"
}

# with ORDERS COMMAND...: with calls that fail, see fake/fake.h.
with()
{
	orders=$1
	shift
	ZCDMA_FAKE_INJECT="$orders" "$@"
}
