#!/usr/bin/awk -f
# SPDX-License-Identifier: GPL-2.0
#
# Does PROMISES hold? Each piece that it quotes must stand in its source, and each test that it
# names must be in the sources of the tests and among those that are run: its program in the
# Makefile or in qemu/check-tool, and a function of a script in one of the script's own lists.
#
#	awk -f selftests/promises.awk selftests/PROMISES	# from the top of the tree
#	awk -v mutants=FILE -f ...	so must the tests that mutants name: lines PATCH PROGRAM TEST
#	awk -v rest=1 -f ... 		print the sentences of the sources of which nothing is quoted
#
# Says what is wrong, and last how many promises are tested, wrong in some way, and untested.
# Exit status 1 if something is wrong.

BEGIN {
	if (!top)
		top = "."
	path["header"] = "kmod/include/uapi/linux/zcdma.h"
	path["man"] = "userspace/man/libzcdma.3"
	path["library"] = "userspace/lib/zcdma.h"
	for (where in path)
		text[where] = read_text(top "/" path[where])
	read_known(top "/selftests/KNOWN")
	read_lists(top "/selftests/Makefile", "^(programs|tool|TEST_PROGS) :=")
	read_lists(top "/qemu/check-tool", "^programs=[(]")
}

/^#/ || /^[ \t]*$/ {
	next
}

# What promises.sh compares with the sentences of which nothing is quoted
/^rest [0-9]+ [0-9]+$/ {
	next
}

# WHERE PLACE: "QUOTE"
/^[a-z]/ {
	end_record()
	record = FNR
	where = $1
	if (!match($0, /: ".*"$/)) {
		wrong("no WHERE PLACE: \"QUOTE\"")
		next
	}
	quote = substr($0, RSTART + 3, RLENGTH - 4)
	place = substr($0, length(where) + 2, RSTART - length(where) - 2)
	check_quote()
	promises++
	next
}

# Of the record: a test, or why there is none.
/^\t/ {
	if (!record)
		wrong("a test before the first promise")
	else if ($1 == "untested:")
		check_reason()
	else if (NF != 2)
		wrong("neither PROGRAM TEST nor untested: REASON (issue N)")
	else
		check_test($1, $2)
	next
}

{
	wrong("what is this?")
}

END {
	end_record()
	if (mutants)
		check_mutants(mutants)
	if (rest)
		print_rest()
	printf "# %d promises; %d names of tests, %d of them in KNOWN\n", promises, names, known_ones
	# That each promise has its test is one test.
	printf "%d passed, %d failed, %d skipped\n", !failed, failed, untested
	exit failed > 0
}

function wrong(what)
{
	wrong_in(FNR, what)
}

# At most one of each record counts.
function wrong_in(line, what)
{
	printf "%s:%d: %s\n", FILENAME, line, what
	if (!record_failed)
		failed++
	record_failed = 1
}

function end_record()
{
	if (record && !tests && !reasons)
		wrong_in(record, "a promise without a test or a reason")
	if (tests && reasons)
		wrong_in(record, "a promise with tests and a reason why there are none")
	if (reasons && !record_failed)
		untested++
	tests = reasons = record_failed = 0
	split("", in_record)
}

function check_quote()
{
	if (!(where in path)) {
		wrong("no source is called " where)
		return
	}
	if ((where, quote) in quoted)
		wrong("quoted in line " quoted[where, quote] " already")
	quoted[where, quote] = FNR
	if (!index(text[where], quote))
		wrong(path[where] " does not say \"" quote "\"")
	if (!index(text[where], place))
		wrong(path[where] " knows no " place)
}

function check_reason()
{
	if ($0 !~ /^\tuntested: .* \(issue (14|15|16|17)\)$/)
		wrong("not untested: REASON (issue 14|15|16|17)")
	reasons++
}

function check_test(program, test)
{
	tests++
	names++
	if ((program, test) in in_record)
		wrong(program " " test " is named twice")
	in_record[program, test] = 1
	if (!(program in was_read))
		read_program(program)
	if (!was_read[program])
		wrong("no program " program " in selftests/")
	else if (!(program in listed))
		wrong(program " is in no list of what is run")
	else if (!((program, test) in has))
		wrong(program " has no test " test)
	if ((program, test) in known)
		known_ones++
}

function check_mutants(file,    line, part, name, n)
{
	while ((getline line < file) > 0) {
		split(line, part)
		n = split(part[3], name, ".")
		if (!(part[2] in was_read))
			read_program(part[2])
		# Without its variant; and TEST() has no fixture of its own.
		if (!((part[2], name[n]) in has) && !((part[2], name[1] "." name[n]) in has)) {
			printf "%s: %s has no test %s\n", part[1], part[2], part[3]
			failed++
		}
	}
	close(file)
}

# The tests of a program, in C or in shell.
function read_program(program,    file, line, part)
{
	was_read[program] = 0
	file = top "/selftests/" program
	if (program ~ /\.sh$/) {
		read_script(program, file)
		return
	}
	file = file ".c"
	while ((getline line < file) > 0) {
		was_read[program] = 1
		if (line ~ /^TEST_F(_TIMEOUT|_SIGNAL)?\(/) {
			split(line, part, /[(,) ]+/)
			has[program, part[2] "." part[3]] = 1
		} else if (line ~ /^TEST(_SIGNAL|_TIMEOUT)?\(/) {
			split(line, part, /[(,) ]+/)
			has[program, part[2]] = 1
		}
	}
	close(file)
}

# A script has functions, and lists of those that are tests:
#
#	tests='ONE TWO'		or of_programs=, of_software=
#	host_only ONE TWO	or guest_only
#
# A list in quotes may go on in the next lines.
function read_script(program, file,    line, part, function_of, inside, n, i)
{
	split("", function_of)
	while ((getline line < file) > 0) {
		was_read[program] = 1
		if (line ~ /^[a-z_0-9]+\(\)/) {
			split(line, part, "(")
			function_of[part[1]] = 1
		} else if (inside || sub(/^((tests|of_programs|of_software)=|(host|guest)_only )/, "", line)) {
			if (gsub("\047", " ", line) == 1)
				inside = !inside
			n = split(line, part)
			for (i = 1; i <= n; i++)
				if (part[i] in function_of)
					has[program, part[i]] = 1
		}
	}
	close(file)
}

# The words behind @begin, to the end of the line, or of a list that goes on.
function read_lists(file, begin,    line, part, inside, n, i)
{
	while ((getline line < file) > 0) {
		if (line ~ begin) {
			inside = line ~ /\($|\([^)]*$/ ? ")" : "\\"
			sub(/^[^=(]*[=(]+/, "", line)
		} else if (!inside) {
			continue
		}
		if (inside == ")" ? line ~ /\)/ : line !~ /\\$/)
			inside = ""
		n = split(line, part, /[ \t()\\]+/)
		for (i = 1; i <= n; i++)
			listed[part[i]] = 1
	}
	close(file)
}

# PROGRAM TEST ISSUE HOW
function read_known(file,    line, part, name, n)
{
	while ((getline line < file) > 0) {
		if (line ~ /^#/ || split(line, part) < 4)
			continue
		# Without its variant.
		n = split(part[2], name, ".")
		known[part[1], n > 1 ? name[1] "." name[n] : name[1]] = 1
	}
	close(file)
}

# What a source says, in one line: without the marks of comments and of the manual's macros.
function read_text(file,    line, all, got)
{
	while ((got = (getline line < file)) > 0) {
		sub(/^[ \t]*\/?\*+\/?[ \t]?/, "", line)
		sub(/^\.[A-Z]+ ?/, "", line)
		gsub(/\\-/, "-", line)
		gsub(/[ \t]+/, " ", line)
		sub(/^ /, "", line)
		sub(/ $/, "", line)
		all = all (all && line ? " " : "") line
	}
	if (got < 0) {
		printf "cannot read %s\n", file
		failed++
	}
	close(file)
	return all
}

function is_quoted(where, sentence, from, to,    key, part, at)
{
	for (key in quoted) {
		split(key, part, SUBSEP)
		if (part[1] != where)
			continue
		at = index(text[where], part[2])
		if (at < to && at + length(part[2]) > from)
			return 1
	}
	return 0
}

function print_rest(    where, n, i, sentence, at)
{
	for (where in path) {
		n = split(text[where], sentence, /\. /)
		at = 1
		for (i = 1; i <= n; i++) {
			if (!is_quoted(where, sentence[i], at, at + length(sentence[i])))
				printf "%s: %s\n", where, sentence[i]
			at += length(sentence[i]) + 2
		}
	}
}
