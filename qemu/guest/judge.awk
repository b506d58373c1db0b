# SPDX-License-Identifier: GPL-2.0
#
# What a test program printed, TAP, and how it ended: print it, unless "printed", and what is
# wrong with it. For guest/selftests, and on the host for selftests/judge.sh. Variables:
#
#	name		of the program
#	status		its exit status
#	lacks		the capabilities that the target is declared to lack
#	without		tests were left out of the program by --without
#	excused		file that gets a line for each result that was excused
#	counts		file that gets "PASSED FAILED SKIPPED"
#
# A result that is skipped for want of a capability in "lacks" is excused. All else that is
# not "ok" is a failure, and so is a program that has no plan or does not keep to it.

function wrong(what)
{
	failed++
	print "# FAILED " name ": " what
}

# A result, or a plan of none, that is skipped
function skip(line,  capability)
{
	if (match(line, /# SKIP lacks [^ :]+/)) {
		capability = substr(line, RSTART + 13, RLENGTH - 13)
		if (index(" " lacks " ", " " capability " ")) {
			skipped++
			print name ": " line >>excused
			return
		}
	} else if (without && line ~ /^1\.\.0 # SKIP left out: all tests$/) {
		return
	}
	wrong("skipped without leave: " line)
}

function result(line,  number)
{
	number = line
	sub(/^(not )?ok */, "", number)
	if (number !~ /^[0-9]+( |$)/) {
		wrong("a result without a number: " line)
		return
	}
	number += 0
	results++
	if (number in seen)
		wrong("result " number " came twice")
	else if (number < 1)
		wrong("there is no result " number)
	seen[number] = 1
	if (number > highest)
		highest = number
	if (line ~ /^not /) {
		failed++
		told = 1
	} else if (line ~ /# (TODO|XFAIL|XPASS)/) {
		wrong("neither passed nor failed: " line)
	} else if (toupper(line) ~ /# SKIP/) {
		skip(line)
	} else {
		passed++
	}
}

!printed { print }

{ sub(/\r$/, "") }

/^1\.\.[0-9]+/ {
	if (planned++)
		wrong("a second plan: " $0)
	plan = substr($1, 4) + 0
	if (plan == 0 && toupper($0) ~ /# SKIP/)
		skip($0)
	else if (plan == 0)
		wrong("no test is planned")
}

/^(not )?ok( |$)/ { result($0) }

/^Bail out!/ { wrong($0) }

END {
	if (status == 124 || status == 137 || status == 143)
		wrong("took too long, or was killed")
	else if (status == 4 && plan == 0 && planned)
		;	# KSFT_SKIP: the plan says why
	else if (status != 0 && !told)
		wrong("exit status " status)
	if (!planned && (status == 0 || results))
		wrong("there is no plan")
	if (planned && results < plan)
		wrong(plan - results " of " plan " results did not come")
	if (planned && highest > plan)
		wrong("result " highest " of " plan)
	print passed + 0, failed + 0, skipped + 0 >counts
}
