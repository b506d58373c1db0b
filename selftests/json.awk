# SPDX-License-Identifier: GPL-2.0
#
# Read one JSON text (RFC 8259) and print its scalars, a line each, as
# PATH=VALUE: 0.name=dma0chan0. Status 1 and a message if it is not valid.

function fail(what)
{
	printf "not JSON: %s at: %s\n", what, substr(text, at, 40) >"/dev/stderr"
	failed = 1
	exit 1
}

function skip_space()
{
	while (substr(text, at, 1) ~ /[ \t\r\n]/)
		at++
}

# Step over what matches the pattern right here, and return it.
function take(pattern, what,    found)
{
	if (!match(substr(text, at), "^" pattern))
		fail(what)
	found = substr(text, at, RLENGTH)
	at += RLENGTH
	return found
}

function string(    quoted)
{
	quoted = take("\"([^\"\\\\\001-\037]|\\\\([\"\\\\/bfnrt]|u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]))*\"", "no string")
	return substr(quoted, 2, length(quoted) - 2)
}

function below(path, key)
{
	return path == "" ? key : path "." key
}

function object(path,    key)
{
	take("[{]", "no object")
	skip_space()
	if (substr(text, at, 1) == "}") {
		at++
		return
	}
	for (;;) {
		skip_space()
		key = string()
		if ((path, key) in seen)
			fail("key " key " twice")
		seen[path, key] = 1
		skip_space()
		take(":", "no colon")
		value(below(path, key))
		skip_space()
		if (take("[,}]", "no comma, no end of object") == "}")
			return
	}
}

function array(path,    i)
{
	take("[[]", "no array")
	skip_space()
	if (substr(text, at, 1) == "]") {
		at++
		return
	}
	for (i = 0;; i++) {
		value(below(path, i))
		skip_space()
		if (take("[],]", "no comma, no end of array") == "]")
			return
	}
}

function value(path,    c)
{
	skip_space()
	c = substr(text, at, 1)
	if (c == "{")
		object(path)
	else if (c == "[")
		array(path)
	else if (c == "\"")
		print path "=" string()
	else if (c ~ /[-0-9]/)
		print path "=" take("-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?", "no number")
	else
		print path "=" take("(true|false|null)", "no value")
}

{ text = text $0 "\n" }

END {
	if (failed)
		exit 1
	at = 1
	value("")
	skip_space()
	if (at <= length(text))
		fail("something behind the end")
}
