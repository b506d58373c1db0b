#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's port add, rights, remove, save and load.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./tool_util.sh

ports_file=/etc/zcdma/ports

# As the module shows it
declared()
{
	zcdma port save - | grep '^d-'
}

# is_declared LINE...: these of the ports whose names begin with d-, and no others.
is_declared()
{
	[ "$(declared)" = "$(printf '%s\n' "$@")" ] || complain "declared: $(declared)"
}

set_up()
{
	prefix=$(engine_name)
	out_port="d-out:tx=${prefix}chan0,width=1,data=1,burst=1,reg=0x0,mode=0600"
	in_port="d-in:rx=${prefix}chan1,width=4,data=1,burst=8,reg=0x3f201000,group=1234,mode=0640"
}

add_both()
{
	run 0 zcdma port add d-out --tx "${prefix}chan0" && quiet "$out$err" &&
	run 0 zcdma port add --rx "${prefix}chan1" --width 4 --data 1 --burst 8 --reg 0x3f201000 \
		--group 1234 --mode 640 d-in && quiet "$out$err"
}

remove_both()
{
	run 0 zcdma port remove d-out d-in && quiet "$out$err"
}

ports_are_added_and_removed()
{
	add_both || return
	run 1 zcdma port remove d-out d-nothing && one_line 'd-nothing: no such port; see zcdma port list$' &&
	run 1 zcdma port remove d-nothing d-in && is_declared '' && add_both || return
	is_declared "$out_port" "$in_port" || return
	run 0 zcdma port list &&
	says "$out" '^d-out +softdma +softdma.0 +tx +1  free ' '^d-in +softdma +softdma.0 +rx +4  free ' || return
	remove_both || return
	is_declared ''
}

what_was_saved_is_loaded()
{
	add_both || return
	run 0 zcdma port save "$dir/ports" && says "$out" "^[0-9]+ ports to $dir/ports\$" || return
	says "$(cat "$dir/ports")" "^# zcdma port save: " "^$out_port\$" "^$in_port\$" || return
	[ "$(stat -c %a "$dir/ports")" = 600 ] || complain 'others may read addresses' || return
	run 0 zcdma port load "$dir/ports" &&
	says "$out" '^d-out: was there already$' '^d-in: was there already$' && quiet "$err" || return
	remove_both || return
	run 0 zcdma port load "$dir/ports" && says "$out" '^d-out: added$' '^d-in: added$' || return
	is_declared "$out_port" "$in_port" || return
	run 0 zcdma port remove d-in && run 0 zcdma port load --json "$dir/ports" && json "$out" || return
	says "$json" "^file=$dir/ports\$" '^added\.0=d-in$' '^present\.[0-9]+=d-out$' || return
	run 0 zcdma port save --json "$dir/again" && json "$out" &&
	says "$json" "^file=$dir/again\$" '^ports=[0-9]+$' || return
	cmp "$dir/ports" "$dir/again" && no_litter ports again || return
	remove_both
}

saved_ports_have_a_place_of_their_own()
{
	add_both &&
	run 0 zcdma port save && says "$out" " to $ports_file\$" &&
	remove_both &&
	run 0 zcdma port load && says "$out" '^d-out: added$' '^d-in: added$' &&
	remove_both &&
	run 0 zcdma port save -q && quiet "$out$err" &&
	run 0 zcdma port load -q && quiet "$out$err" && is_declared ''
}

# A file as people write it.
files_have_comments_and_names_of_groups()
{
	cat >"$dir/ports" <<-END
		# Ours
		  $out_port   # a loop
		# d-not:tx=${prefix}chan2

		d-#2:rx=${prefix}chan3,mode=0660,group=zcdma
		d-out:mode=0666
	END
	printf 'd-last:rx=%schan1\r\n\t\r\nd-last:group=' "$prefix" >>"$dir/ports"
	group=$(sed -n 's/^zcdma:[^:]*:\([0-9]*\):.*/\1/p' "${ZCDMA_FAKE-/etc}/group")
	run 0 zcdma port load "$dir/ports" &&
	says "$out" '^d-out: added$' '^d-#2: added$' '^d-last: added$' || return
	is_declared "d-out:tx=${prefix}chan0,width=1,data=1,burst=1,reg=0x0,mode=0666" \
		"d-#2:rx=${prefix}chan3,width=1,data=1,burst=1,reg=0x0,group=$group,mode=0660" \
		"d-last:rx=${prefix}chan1,width=1,data=1,burst=1,reg=0x0,mode=0600" || return
	run 0 zcdma port load "$dir/ports" && says "$out" '^d-out: was' '^d-#2: was' '^d-last: was' || return
	echo "d-in:rx=${prefix}chan1" >"$dir/in"
	run 0 zcdma port load - <"$dir/in" || return	# run has an empty input
	zcdma port load - <"$dir/in" >"$dir/out" || complain 'not from standard input' || return
	says "$(cat "$dir/out")" '^d-in: added$' || return
	run 0 zcdma port remove d-out 'd-#2' d-last d-in
}

rights_of_a_port_are_changed()
{
	add_both &&
	run 0 zcdma port rights d-in --group '' --mode 0666 && quiet "$out$err" &&
	says "$(declared)" '^d-in:.*,reg=0x3f201000,mode=0666$' &&
	run 0 zcdma port rights --group zcdma d-out &&
	says "$(declared)" '^d-out:.*,reg=0x0,group=[0-9]+,mode=0600$' &&
	run 0 zcdma port rights --group 010 d-out &&
	says "$(declared)" '^d-out:.*,reg=0x0,group=10,mode=0600$' &&
	run 1 zcdma port rights d-nothing --mode 0660 &&
	one_line '^zcdma: port rights: d-nothing: no such port; see zcdma port list$' || return
	zcdma port save - | grep '^d-' >"$dir/ports"
	echo 'd-in:mode=0600' >"$dir/rights"
	run 0 zcdma port load "$dir/rights" && says "$out" '^d-in: has these rights now$' &&
	run 0 zcdma port load "$dir/rights" && says "$out" '^d-in: was there already$' || return
	# It is another one now: which of them is right?
	run 1 zcdma port load "$dir/ports" &&
	one_line "^zcdma: port load: $dir/ports:2: d-in: was declared otherwise; to replace it: zcdma port remove d-in\$" &&
	remove_both
}

port_that_somebody_has_stays()
{
	add_both || return
	zcdma read d-in >/dev/null 2>&1 &
	reader=$!
	await port_is_busy d-in
	bad=$?
	run 1 zcdma port remove d-in d-out &&
	one_line "^zcdma: port remove: d-in: busy: process $reader \\(zcdma\\) has it\$" || bad=1
	is_declared "$in_port" || bad=1
	kill -TERM $reader
	wait $reader
	run 0 zcdma port remove d-in && return $bad
}

port_is_busy()
{
	zcdma port list | grep -q "^$1 .* busy "
}

ports_are_for_root_to_declare()
{
	chmod 755 "$work"
	for verb in 'add d-x --tx a' 'rights d-x --mode 0666' 'remove d-x' 'save -' "load $work/empty"; do
		: >"$work/empty"
		# shellcheck disable=SC2086 # words
		run 1 as_user zcdma port $verb &&
		one_line "^zcdma: port ${verb%% *}: /sys/module/zcdma/parameters/ports: Permission denied; only root declares ports" || return
	done
}

# What cannot be declared is told before the module is asked.
declarations_are_checked()
{
	# A name is to be one, and not the start of something else.
	for name in '' ' ' 'a b' a:b 'a;b' '-a' '#a' 'a"b' 'a\b' "$(printf 'd-\033x')" "$(printf 'd-\nd-x:tx=a')" \
			"$(printf '%064d' 1)" "$(printf 'd-\303\274')"; do
		usage port add --tx a -- "$name" && says "$err" 'have 1 to 63 letters' || return
		run 1 zcdma port remove -- "$name" && says "$err" 'no such port' || return
	done
	for channel in '' 'a b' a,b 'a;b' "$(printf 'a\nb')" "$(printf '%064d' 1)" 'a,reg=1'; do
		usage port add d-x --rx "$channel" && says "$err" 'no name of a channel' || return
	done
	for bad in '--width 0' '--width 3' '--width 32' '--width x' '--width -1' '--data 0' '--data 17' \
			'--data 2' '--burst 0' '--burst 65537' '--reg x' '--reg -1' '--mode 0888' \
			'--mode 0777' '--mode 1660' '--mode x' '--mode 66666666666666666' '--group d-none' \
			'--group -1' '--group 4294967295' '--group 99999999999999999999' '--tx a' \
			'--nonsense' 'superfluous'; do
		# shellcheck disable=SC2086 # two words
		run 2 zcdma port add d-x --tx a $bad && quiet "$out" || return
		says "$err" "^zcdma: port add: .*${bad%% *}" || return
	done
	usage port add && usage port add d-x && usage port add d-x --mode 0660 &&
	usage port rights && usage port rights d-x && run 2 zcdma port rights d-x --tx a &&
	usage port remove && usage port save a b && usage port load a b && usage port save -j - &&
	run 2 zcdma port load --force "$dir/a" && usage port -j add d-x --tx a &&
	is_declared ''
}

# wrong TEXT PATTERN: a file of one good line and this, as line 2, is not loaded at all.
wrong()
{
	printf 'd-out:tx=%schan0\n%b\n' "$prefix" "$1" >"$dir/ports"
	run 1 zcdma port load "$dir/ports" || return
	one_line "^zcdma: port load: $dir/ports:2: $2" || complain "of line: $1"
}

files_that_are_wrong_are_not_loaded()
{
	wrong d-x 'd-x: a port needs a channel: tx, rx or both$' &&
	wrong d-x: ': is not KEY=VALUE$' &&
	wrong d-x:tx 'tx: is not KEY=VALUE$' &&
	wrong d-x:width=4 'd-x: a port needs a channel' &&
	wrong d-x:tx= 'tx=: is no name of a channel; see zcdma list$' &&
	wrong 'd-x:tx=a b' 'tx=a b: is no name of a channel' &&
	wrong 'd-x: tx=a' ' tx=a: no such key; there are tx, rx, width, data, burst, reg, group and mode$' &&
	wrong d-x:tx=a,widht=4 'widht=4: no such key; ' &&
	wrong d-x:tx=a,width=3 'width=3: must be 1, 2, 4, 8 or 16$' &&
	wrong d-x:tx=a,data=2 'd-x: data: must be at most the width$' &&
	wrong d-x:tx=a,tx=b 'tx=b: is there twice$' &&
	wrong d-x:tx=a,group=d-none 'group=d-none: no such group in /etc/group; its number does as well$' &&
	wrong d-x:tx=a,mode=0999 'mode=0999: must be octal' &&
	wrong d-x:tx=a, ': is not KEY=VALUE$' &&
	wrong 'd-x:tx=a;d-y:tx=b' 'd-x:tx=a;d-y:tx=b: each port has a line of its own, without ;$' &&
	wrong -d-out '-d-out: a file takes no port away; see zcdma port remove$' &&
	wrong :tx=a ': names have 1 to 63' &&
	wrong d-out:rx=a 'd-out: line 1 declares this port already$' &&
	wrong 'd-x:tx=a\0033' 'there is a character that is not printable ASCII$' &&
	wrong 'd-x:tx=a\0000b' 'there is a zero byte; is it a file of ports\?$' &&
	wrong "$(printf '%05000d' 1)" '0+: names have 1 to 63' || return
	head -c 100000 /dev/urandom >"$dir/noise"
	run 1 zcdma port load "$dir/noise" && one_line "^zcdma: port load: $dir/noise:[0-9]+: " || return
	run 1 zcdma port load "$dir/none" &&
	one_line "^zcdma: port load: $dir/none: No such file or directory; zcdma port save makes one\$" &&
	run 1 zcdma port load "$dir" && one_line "^zcdma: port load: $dir: Is a directory\$" &&
	is_declared ''
}

# The new file has no room beside the old one.
full_disk_leaves_the_old_file()
{
	mkdir "$dir/disk" && mount -t tmpfs -o size=4k none "$dir/disk" || return
	run 0 zcdma port save "$dir/disk/ports" && cp "$dir/disk/ports" "$dir/before" &&
	run 0 zcdma port add d-out --tx "${prefix}chan0" &&
	run 1 zcdma port save "$dir/disk/ports" &&
	one_line "^zcdma: port save: $dir/disk/ports: No space left on device; room for .* is needed" &&
	cmp "$dir/before" "$dir/disk/ports" && [ "$(ls -A "$dir/disk")" = ports ]
	status=$?
	umount "$dir/disk"
	run 0 zcdma port remove d-out && return $status
}

# Who may have a port, is asked as with a file; who may open the device is another question.
port_is_for_members_of_its_group()
{
	for step in 'user 0660 yes' 'user 0640 yes' 'user 0620 no' 'user 0600 no' 'stranger 0660 no' \
			'zcdma 0660 yes' '1000 0660 yes' '1001 0660 no' '1001 0664 yes'; do
		# shellcheck disable=SC2086 # words
		set -- $step
		run 0 zcdma port add d-in --rx "${prefix}chan1" --group "$1" --mode "$2" || return
		if [ "$3" = yes ]; then
			run 1 su user -c 'zcdma read -d 200 -n 1 d-in' && says "$err" 'asked for nothing in time'
		else
			run 1 su user -c 'zcdma read -d 200 -n 1 d-in' &&
			one_line '^zcdma: read: d-in: Permission denied; as root: zcdma port rights d-in --group GROUP --mode 0660$'
		fi || complain "group $1, mode $2" || return
		run 0 zcdma port remove d-in || return
	done
}

added_ports_carry_data()
{
	engine N 0
	run 0 zcdma port add d-out --tx "${prefix}chan0" && run 0 zcdma port add d-in --rx "${prefix}chan1" ||
		return
	echo hello | zcdma write -q -d 20000 d-out - || complain 'write failed' || return
	run 0 zcdma read -q -d 20000 -n 6 d-in && says "$out" '^hello$' && remove_both
}

channel_that_is_not_there_is_told()
{
	run 0 zcdma port add d-x --tx "${prefix}chan77" &&
	one_line '^zcdma: port add: d-x: declared, but a channel of it is not there now; see zcdma list$' &&
	run 1 zcdma port add d-x --tx "${prefix}chan0" &&
	one_line '^zcdma: port add: d-x: there is a port of this name already, see zcdma port list$' &&
	run 0 zcdma port remove d-x
}

# ---- with the fake only ----

# refuses ERROR PATTERN VERB...: what the kernel says is told, and nothing is declared.
refuses()
{
	error=$1 pattern=$2
	shift 2
	run 1 with "DECLARE:$error" zcdma port "$@" && one_line "^zcdma: port $1: $pattern"
}

what_the_kernel_refuses_is_told()
{
	echo "$out_port" >"$dir/ports"
	for verb in "add d-x --tx ${prefix}chan0" "load $dir/ports" 'rights d-x --mode 0660'; do
		# shellcheck disable=SC2086 # words
		refuses EPERM '.*: Operation not permitted; that takes CAP_SYS_RAWIO, and no lockdown' $verb &&
		refuses ENOMEM '.*: Cannot allocate memory$' $verb || return
	done
	# shellcheck disable=SC2154 # tool_fake.sh's
	refuses EINVAL "$dir/ports:1: d-out: the module does not take \"$out_port\": Invalid argument" load "$dir/ports" &&
	refuses EPERM 'd-x: Operation not permitted; that takes CAP_SYS_RAWIO' remove d-x &&
	refuses EIO 'd-x: Input/output error$' remove d-x && is_declared '' || return
	# What came before the one that is refused is told, and stays.
	echo "$in_port" >>"$dir/ports"
	run 1 with DECLARE:EPERM@2 zcdma port load "$dir/ports" && says "$out" '^d-out: added$' &&
	says "$err" "^zcdma: port load: $dir/ports:2: d-in: Operation not permitted" &&
	is_declared "$out_port" || return
	run 0 zcdma port remove d-out || return
	run 1 with DECLARE:EPERM@2 zcdma port load --json "$dir/ports" && json "$out" &&
	says "$json" '^added\.0=d-out$' && [ "$(printf '%s\n' "$json" | grep -c '=d-')" = 1 ]
}

# The list that is there cannot be read: neither a part of it is saved, nor anything declared.
list_that_cannot_be_read_is_told()
{
	add_both && run 0 zcdma port save "$dir/ports" && cp "$dir/ports" "$dir/before" || return
	for verb in save load; do
		run 1 with read:EFBIG zcdma port $verb "$dir/ports" &&
		one_line "^zcdma: port $verb: /sys/module/zcdma/parameters/ports: File too large; there are more ports than the kernel can show in a page\$" &&
		run 1 with read:EIO zcdma port $verb "$dir/ports" &&
		one_line "^zcdma: port $verb: /sys/module/zcdma/parameters/ports: Input/output error\$" || return
	done
	run 0 with read:EINTR@1,read:SHORT@2 zcdma port save "$dir/ports" &&
	cmp "$dir/before" "$dir/ports" && no_litter ports before
}

module_that_is_not_there_is_told()
{
	rm "$device"
	for verb in 'add d-x --tx a' 'remove d-x' "save $dir/ports" 'save -'; do
		# shellcheck disable=SC2086 # words
		run 1 zcdma port $verb && one_line '/parameters/ports: No such file or directory; load the module: modprobe zcdma$' ||
			return
	done
	no_litter ''
}

# save_fails ORDERS PATTERN: over a file that was saved before, which stays.
save_fails()
{
	run 1 with "$1" zcdma port save "$dir/ports" && one_line "^zcdma: port save: $dir/ports: $2" &&
	cmp "$dir/before" "$dir/ports" && no_litter ports before
}

saving_in_trouble_leaves_the_old_file()
{
	run 0 zcdma port add d-out --tx "${prefix}chan0" && run 0 zcdma port save "$dir/ports" &&
	cp "$dir/ports" "$dir/before" && run 0 zcdma port add d-in --rx "${prefix}chan1" || return
	save_fails fallocate:ENOSPC 'No space left on device' &&
	save_fails write:ENOSPC 'No space left on device$' &&
	save_fails write:ENOSPC@2 'No space left on device$' &&
	save_fails write:SHORT@1,write:EIO@2 'Input/output error$' &&
	save_fails fsync:EIO 'Input/output error$' &&
	save_fails fchmod:EPERM 'Operation not permitted$' &&
	save_fails rename:EIO 'Input/output error$' &&
	save_fails mkostemp:ENOSPC 'cannot create a file beside it: No space left on device$' || return
	zcdma port save - >/dev/full 2>"$work/full"
	[ $? -eq 1 ] || complain 'status is not 1' || return
	says "$(cat "$work/full")" 'standard output: No space left on device' || return
	run 0 with write:SHORT,write:EINTR@3 zcdma port save "$dir/ports" &&
	says "$(cat "$dir/ports")" '^d-out:' '^d-in:'
}

# What is somebody's work is replaced if he says so only.
save_replaces_only_what_was_saved()
{
	echo '# my own' >"$dir/mine"
	: >"$dir/empty"
	mkfifo "$dir/fifo"
	mkdir "$dir/folder"
	run 1 zcdma port save "$dir/mine" && one_line "$dir/mine: exists; give --force to replace it\$" &&
	holds "$dir/mine" '# my own' &&
	run 1 zcdma port save "$dir/fifo" && one_line "$dir/fifo: is not a regular file" &&
	run 1 zcdma port save -f "$dir/folder" && one_line "$dir/folder: is a directory" &&
	run 1 zcdma port save "$dir/none/ports" && one_line "$dir/none/ports: cannot create a file beside it: No such file" &&
	run 0 zcdma port save "$dir/empty" && run 0 zcdma port save "$dir/empty" &&
	run 0 zcdma port save --force "$dir/mine" && run 0 zcdma port save "$dir/mine" || return
	ln -s mine "$dir/link"
	run 0 zcdma port add d-out --tx "${prefix}chan0" && run 0 zcdma port save "$dir/link" || return
	[ -L "$dir/link" ] || complain 'the link was replaced' || return
	says "$(cat "$dir/mine")" '^d-out:' && no_litter mine empty fifo folder link
}

folder_is_made_for_the_file_of_its_own()
{
	run 1 with mkdir:EPERM zcdma port save && one_line '^zcdma: port save: /etc/zcdma: Operation not permitted$' &&
	run 0 zcdma port save && [ "$(stat -c %a "$ZCDMA_FAKE/etc")" = 755 ] ||
		complain 'no folder that all may look into' || return
	run 1 with rename:EIO zcdma port save && one_line '/etc/zcdma/ports: Input/output error' || return
	[ "$(ls -A "$ZCDMA_FAKE/etc")" = ports ] || complain "there is $(ls -A "$ZCDMA_FAKE/etc")"
}

# A port that the module has and that load would not take: the file would be worth nothing.
what_cannot_be_loaded_is_not_saved()
{
	ports "a\"b:rx=${prefix}chan1"
	run 1 zcdma port save "$dir/ports" &&
	one_line "^zcdma: port save: /sys/module/zcdma/parameters/ports:1: a\"b: names have" && no_litter ''
}

ports_of_the_device_tree_have_rights_alone()
{
	echo "rng:rx=${prefix}chan2,width=4" >"$ZCDMA_FAKE/tree"
	run 0 zcdma port save -q "$dir/none" && ! grep '^[^#]' "$dir/none" || return
	run 1 zcdma port remove rng && one_line 'rng: of the device tree: it stays; see zcdma port rights$' &&
	run 1 zcdma port add rng --rx "${prefix}chan2" && one_line 'rng: there is a port of this name already' &&
	run 0 zcdma port rights rng --group audio --mode 0640 && run 0 zcdma port save "$dir/ports" &&
	says "$(cat "$dir/ports")" '^rng:group=29,mode=0640$' &&
	run 0 zcdma port load "$dir/ports" && says "$out" '^rng: was there already$' || return
	printf 'd-out:tx=a\nrng:rx=%schan2,width=4\n' "$prefix" >"$dir/again"
	run 1 zcdma port load "$dir/again" && is_declared '' &&
	one_line "^zcdma: port load: $dir/again:2: rng: the device tree has a port of this name\$" &&
	run 0 zcdma port rights rng --group '' --mode 0600 &&
	run 0 zcdma port load --json "$dir/ports" && json "$out" && says "$json" '^rights\.0=rng$'
}

help_tells_of_each_verb()
{
	run 0 zcdma port --help || return
	for verb in list add rights remove save load; do
		says "$out" "^  $verb +[a-z]" || return
	done
	for verb in list add rights remove save load; do
		run 0 zcdma port "$verb" --help && says "$out" "^Usage: zcdma port $verb " && quiet "$err" || return
		all=$out
		run 0 zcdma port "$verb" -h || return
		[ "$out" = "$all" ] || complain "$verb: -h is not --help" || return
		for option in $(printf '%s\n' "$all" | sed -n 's/^  -\(.\), --\([a-z]*\).*/-\1 --\2/p'); do
			zcdma port "$verb" "$option" >"$work/option" 2>&1
			! grep -q 'invalid option\|unrecognized' "$work/option" || complain "$verb: $option is none" || return
		done
	done
}

# offers WORDS TYPED...: what bash completes the last of TYPED to.
offers()
{
	wanted=$1
	shift
	# shellcheck disable=SC2016 # for bash
	got=$(bash -c '. ../userspace/completion/zcdma
		COMP_WORDS=(zcdma "$@")
		COMP_CWORD=$#
		compopt() { :; }
		_zcdma
		echo "${COMPREPLY[@]}"' bash "$@") || complain "completion of $*" || return
	[ "$got" = "$wanted" ] || complain "of $*: $got"
}

shell_completes_them()
{
	add_both || return
	offers 'list add rights remove save load' port '' &&
	offers 'remove' port rem &&
	offers '--tx --rx --width --data --burst --reg --group --mode --help' port add d-x -- &&
	offers '--group --mode --help' port rights -- && offers '--help' port remove -- &&
	offers '--force --quiet --json --help' port save -- && offers '--quiet --json --help' port load -- &&
	offers '--json --help' port list -- &&
	offers 'dma0chan3' port add d-x --tx dma0chan3 && offers '1 2 4 8 16' port add d-x --width '' &&
	offers 'd-out d-in' port remove '' && offers 'd-in' port remove d-out d-i && offers 'd-in' port rights d-i &&
	offers '' port add '' && offers '' port rights d-in '' &&
	offers "$dir" port load "$dir" && says "$(getent group root)" root && offers root port add d-x --group roo
}

tests='
	ports_are_added_and_removed
	what_was_saved_is_loaded
	added_ports_carry_data
'
of_programs='
	saved_ports_have_a_place_of_their_own
	files_have_comments_and_names_of_groups
	rights_of_a_port_are_changed
	port_that_somebody_has_stays
	ports_are_for_root_to_declare
	declarations_are_checked
	files_that_are_wrong_are_not_loaded
	channel_that_is_not_there_is_told
'
guest_only full_disk_leaves_the_old_file port_is_for_members_of_its_group
host_only '
	what_the_kernel_refuses_is_told
	list_that_cannot_be_read_is_told
	module_that_is_not_there_is_told
	saving_in_trouble_leaves_the_old_file
	save_replaces_only_what_was_saved
	folder_is_made_for_the_file_of_its_own
	what_cannot_be_loaded_is_not_saved
	ports_of_the_device_tree_have_rights_alone
	help_tells_of_each_verb
	shell_completes_them
'
if ! on_host; then
	# What a test that has failed leaves is none of the next one's.
	attempt()
	{
		"$1" && return
		zcdma port list | awk '/^d-/ { print $1 }' | xargs zcdma port remove
		return 1
	}
	software_engine_only
	set_up
	trap 'engine N 0' EXIT
fi
run_tests
