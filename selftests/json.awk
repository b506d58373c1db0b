# SPDX-License-Identifier: GPL-2.0
#
# Read one JSON text (RFC 8259) and print its scalars, a line each, as
# PATH=VALUE: 0.name=dma0chan0. Status 1 and a message if it is not valid.
#
# No word of JSON goes beyond a line: "text" is what is left of the one that was read
# last. Patterns stand where they are used, for awk to translate them once.

function fail(what)
{
	printf "not JSON: %s at: %s\n", what, substr(text, 1, 40) >"/dev/stderr"
	exit 1
}

function skip_space()
{
	sub(/^[ \t\r]+/, "", text)
	while (text == "" && (getline text) > 0)
		sub(/^[ \t\r]+/, "", text)
}

# Step over what matched right here, and return it.
function took(matched, what,    found)
{
	if (!matched)
		fail(what)
	found = substr(text, 1, RLENGTH)
	text = substr(text, RLENGTH + 1)
	return found
}

function string(    quoted)
{
	quoted = took(match(text, /^"([^"\\\001-\037]|\\(["\\\/bfnrt]|u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]))*"/), "no string")
	return substr(quoted, 2, length(quoted) - 2)
}

function below(path, key)
{
	return path == "" ? key : path "." key
}

# Is it over at once, with $end?
function is_empty(end)
{
	skip_space()
	if (substr(text, 1, 1) != end)
		return 0
	text = substr(text, 2)
	return 1
}

function object(path,    key)
{
	took(match(text, /^[{]/), "no object")
	if (is_empty("}"))
		return
	do {
		skip_space()
		key = string()
		if ((path, key) in seen)
			fail("key " key " twice")
		seen[path, key] = 1
		skip_space()
		took(match(text, /^:/), "no colon")
		value(below(path, key))
		skip_space()
	} while (took(match(text, /^[,}]/), "no comma, no end of object") == ",")
}

function array(path,    i)
{
	took(match(text, /^\[/), "no array")
	if (is_empty("]"))
		return
	do {
		value(below(path, i++))
		skip_space()
	} while (took(match(text, /^[],]/), "no comma, no end of array") == ",")
}

function value(path,    c)
{
	skip_space()
	c = substr(text, 1, 1)
	if (c == "{")
		object(path)
	else if (c == "[")
		array(path)
	else if (c == "\"")
		print path "=" string()
	else if (c ~ /[-0-9]/)
		print path "=" took(match(text, /^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?/), "no number")
	else
		print path "=" took(match(text, /^(true|false|null)/), "no value")
}

BEGIN {
	value("")
	skip_space()
	if (text != "")
		fail("something behind the end")
}
