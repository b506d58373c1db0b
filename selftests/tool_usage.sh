#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool's form: --help, --version, wrong usage, exit codes, output that nobody takes.

cd "$(dirname "$0")" || exit
. ./tap.sh
. ./tool_util.sh

verbs='list info copy fill port read write stream bench'

version_is_printed()
{
	run 0 zcdma --version || return
	says "$out" '^zcdma [0-9]+\.[0-9]+\.[0-9]+$' && quiet "$err" || return
	version=$out
	run 0 zcdma -V || return
	[ "$out" = "$version" ] || complain '-V is not --version'
}

help_is_printed_for_each_command()
{
	run 0 zcdma --help || return
	for verb in $verbs; do
		says "$out" "^  $verb +[a-z]" || return
	done
	quiet "$err" || return
	for verb in $verbs; do
		run 0 zcdma "$verb" --help || return
		says "$out" "^Usage: zcdma $verb" && quiet "$err" || return
		all=$out
		run 0 zcdma "$verb" -h || return
		[ "$out" = "$all" ] || complain "$verb: -h is not --help" || return
	done
}

# An option is as good in its short form: here they are only looked for.
help_names_each_short_option_with_its_long_one()
{
	for verb in $verbs; do
		zcdma "$verb" --help | sed -n 's/^  -\(.\), --\([a-z]*\).*/\1 \2/p' >"$work/options"
		[ -s "$work/options" ] || complain "$verb: no options" || return
		while read -r short long; do
			zcdma "$verb" "-$short" -- too many arguments </dev/null >"$work/short" 2>&1
			! grep -q 'invalid option' "$work/short" || complain "$verb: -$short is none" || return
			zcdma "$verb" "--$long" -- too many arguments </dev/null >"$work/long" 2>&1
			! grep -q 'unrecognized option' "$work/long" || complain "$verb: --$long is none" || return
		done <"$work/options"
	done
}

command_is_needed()
{
	run 2 zcdma && says "$err" '^Usage: zcdma' && quiet "$out" || return
	run 2 zcdma nonsense && one_line '^zcdma: nonsense: no such command; see zcdma --help$' || return
	run 2 zcdma --nonsense && one_line '^zcdma: --nonsense: no such command'
}

unknown_options_are_refused()
{
	for verb in $verbs; do
		run 2 zcdma "$verb" --nonsense && says "$err" "^zcdma: $verb: .*nonsense" &&
		quiet "$out" || return
	done
}

arguments_are_checked()
{
	usage list superfluous &&
	usage info one two &&
	usage copy &&
	usage copy "$dir/a" &&
	usage copy "$dir/a" "$dir/b" "$dir/c" &&
	usage copy -d nonsense "$dir/a" "$dir/b" &&
	usage copy -d -1 "$dir/a" "$dir/b" &&
	usage copy -d 0 "$dir/a" "$dir/b" &&
	usage copy -c '' "$dir/a" "$dir/b" &&
	usage copy -c "$(printf '%064d' 1)" "$dir/a" "$dir/b" &&
	usage fill "$dir/a" &&
	usage fill -l 1K &&
	usage fill -l 1K "$dir/a" "$dir/b" &&
	usage fill -l nonsense "$dir/a" &&
	usage fill -l '' "$dir/a" &&
	usage fill -l 1KX "$dir/a" &&
	usage fill -l ' 1' "$dir/a" &&
	usage fill -l -1 "$dir/a" &&
	usage fill -l 99999999999999999999 "$dir/a" &&
	usage fill -l 9999999999T "$dir/a" &&
	usage fill -l 1K -b 256 "$dir/a" &&
	usage fill -l 1K -b -1 "$dir/a" &&
	usage fill -l 1K -b x "$dir/a" &&
	no_litter ''
}

arguments_of_bench_are_checked()
{
	usage bench -s nonsense &&
	usage bench -s 0 &&
	usage bench -s , &&
	usage bench -n 0 &&
	usage bench -n 65537 &&
	usage bench -t 0 &&
	usage bench -t nonsense &&
	usage bench -p nonsense &&
	usage bench -p , &&
	usage bench -o -f &&
	usage bench -m -p all &&
	usage bench -f -s 4K &&
	usage bench -f -n 3 &&
	usage bench -m -t 1 &&
	usage bench superfluous
}

arguments_of_ports_are_checked()
{
	usage port &&
	usage port nonsense &&
	usage port list superfluous &&
	usage read &&
	usage read a b &&
	usage read -n 0 a &&
	usage read -n nonsense a &&
	usage read -b 0 a &&
	usage read -d 0 a &&
	usage read -d 600001 a &&
	usage write &&
	usage write a b c &&
	usage write -b nonsense a &&
	usage stream &&
	usage stream a b c &&
	usage stream -p nonsense a &&
	usage stream -r nonsense a &&
	run 2 zcdma write --bytes 3 a - && run 2 zcdma read --period 16 a && run 2 zcdma copy --channel
}

# full VERB...: standard output is a disk without room.
full()
{
	"$@" >/dev/full 2>"$work/err"
	got=$?
	[ $got -eq 1 ] || complain "$*: status $got" || return
	says "$(cat "$work/err")" 'standard output: No space left on device'
}

output_that_cannot_be_written_is_a_failure()
{
	ports 's-rx:rx=dma0chan0'
	make_file "$dir/a" 1000
	full zcdma list &&
	full zcdma list --json &&
	full zcdma info &&
	full zcdma info --json dma0chan0 &&
	full zcdma port list &&
	full zcdma copy "$dir/a" "$dir/b" &&
	full zcdma fill -l 1 "$dir/c" &&
	full zcdma bench -n 1 -s 4K -j &&
	full zcdma --help &&
	full zcdma --version
}

broken_pipe_ends_it()
{
	for command in list info --help; do
		(zcdma "$command"; echo $? >"$work/status") 2>"$work/err" | :
		case $(cat "$work/status") in
		0|1|141) ;;	# it may have been faster than the pipe's end
		*) complain "$command: status $(cat "$work/status")" || return ;;
		esac
	done
}

# ---- what is known to be wrong ----

unknown_option_is_followed_by_where_help_is()
{
	for verb in $verbs; do
		usage "$verb" --nonsense || return
	done
}

help_is_a_command()
{
	run 0 zcdma help copy && says "$out" '^Usage: zcdma copy'
}

sizes_are_taken_as_people_write_them()
{
	for size in 16k=16384 16KiB=16384 1m=1048576 1.5M=1572864 010=10; do
		run 0 zcdma fill -f -l "${size%=*}" "$dir/a" || return
		[ "$(stat -c %s "$dir/a")" -eq "${size#*=}" ] || complain "$size" || return
	done
}

wrong_size_is_told_what_a_size_is()
{
	usage fill -l 5x "$dir/a" && says "$err" '[KMGT]'
}

wrong_command_is_told_what_was_meant()
{
	run 2 zcdma coyp a b && says "$err" 'copy'
}

# Those of --help in the manual's OPTIONS.
manual_has_each_option()
{
	sed -n '/^\.SH OPTIONS/,/^\.SH OUTPUT/p' ../userspace/man/zcdma.1 | sed 's/\\//g' >"$work/manual"
	for verb in $verbs; do
		for option in $(zcdma "$verb" --help | sed -n 's/^  -., --\([a-z]*\).*/\1/p'); do
			grep -q "^\\.BR .*--$option" "$work/manual" ||
				complain "$verb: --$option is not in the manual" || return
		done
	done
}

manual_tells_the_json_of_each_command()
{
	for name in owner_name periods_lost; do
		grep -q "\"$name\"" ../userspace/man/zcdma.1 || complain "not in the manual: $name" || return
	done
}

tests=
of_programs=
host_only '
	version_is_printed
	help_is_printed_for_each_command
	help_names_each_short_option_with_its_long_one
	command_is_needed
	unknown_options_are_refused
	arguments_are_checked
	arguments_of_bench_are_checked
	arguments_of_ports_are_checked
	output_that_cannot_be_written_is_a_failure
	broken_pipe_ends_it
	unknown_option_is_followed_by_where_help_is
	help_is_a_command
	sizes_are_taken_as_people_write_them
	wrong_size_is_told_what_a_size_is
	wrong_command_is_told_what_was_meant
	manual_has_each_option
	manual_tells_the_json_of_each_command
'
run_tests
