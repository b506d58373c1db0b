// SPDX-License-Identifier: GPL-2.0
/* The declaration of a port: what it may say, as text and back. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "declaration.h"
#include "rights.h"

#define BIT(key)	(1U << (key))
#define CHANNELS	(BIT(KEY_TX) | BIT(KEY_RX))
#define RIGHTS		(BIT(KEY_GROUP) | BIT(KEY_MODE))

#define MAX_WIDTH	16
#define MAX_BURST	65536
#define MODES		0666

const char *const declaration_keys[DECLARATION_KEYS] = {
	[KEY_TX] = "tx", [KEY_RX] = "rx", [KEY_WIDTH] = "width", [KEY_DATA] = "data",
	[KEY_BURST] = "burst", [KEY_REG] = "reg", [KEY_GROUP] = "group", [KEY_MODE] = "mode",
};

/* As the module sees it, less the characters in @but, which separate. */
static bool is_name(const char *text, const char *but)
{
	size_t len = strlen(text), i;

	for (i = 0; i < len; i++)
		if (!isascii(text[i]) || !isgraph(text[i]) || strchr(but, text[i]))
			return false;
	return len > 0 && len < ZCDMA_NAME_LEN;
}

const char *declaration_begin(struct declaration *declaration, const char *name)
{
	*declaration = (struct declaration){ .width = 1, .burst = 1, .group = -1, .mode = 0600 };
	if (!is_name(name, "\"\\:;") || strchr("-#", *name))
		return "names have 1 to 63 letters, digits, signs; no : ; \" \\, no - or # first";
	strcpy(declaration->name, name);
	return NULL;
}

static bool set_octal(uint64_t *to, const char *value)
{
	size_t digits = strspn(value, "01234567");

	*to = strtoul(value, NULL, 8);
	return digits && digits < 8 && !value[digits] && !(*to & ~(uint64_t)MODES);
}

/* The module takes a number, which is decimal, whatever it begins with. */
static bool set_group(int64_t *to, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	gid_t group;

	*to = -1;
	if (!*value)
		return true;
	if (!value[digits]) {
		*to = strtoull(value, NULL, 10);
		return digits < 16 && *to < UINT32_MAX;
	}
	if (!rights_find_group(value, &group))
		return false;
	*to = group;
	return true;
}

const char *declaration_set(struct declaration *declaration, enum declaration_key key,
			    const char *value)
{
	if (declaration->given & BIT(key))
		return "is there twice";
	declaration->given |= BIT(key);

	switch (key) {
	case KEY_TX:
	case KEY_RX:
		if (!is_name(value, "\"\\,;"))
			return "is no name of a channel; see zcdma list";
		strcpy(declaration->channel[key], value);
		return NULL;
	case KEY_WIDTH:
		if (parse_number(value, MAX_WIDTH, &declaration->width) && declaration->width &&
		    !(declaration->width & (declaration->width - 1)))
			return NULL;
		return "must be 1, 2, 4, 8 or 16";
	case KEY_DATA:
		return parse_number(value, MAX_WIDTH, &declaration->data) && declaration->data ?
		       NULL : "must be 1 to 16";
	case KEY_BURST:
		return parse_number(value, MAX_BURST, &declaration->burst) && declaration->burst ?
		       NULL : "must be 1 to 65536";
	case KEY_REG:
		return parse_number(value, UINT64_MAX, &declaration->reg) ?
		       NULL : "must be an address, such as 0x7e104008";
	case KEY_GROUP:
		return set_group(&declaration->group, value) ?
		       NULL : "no such group in /etc/group; its number does as well";
	case KEY_MODE:
		return set_octal(&declaration->mode, value) ?
		       NULL : "must be octal, as of a file, and at most 0666, such as 0660";
	default:
		return "no such key";
	}
}

const char *declaration_check(const struct declaration *declaration)
{
	if (!(declaration->given & CHANNELS) && !declaration_is_rights(declaration))
		return "a port needs a channel: tx, rx or both";
	if (declaration->data > declaration->width)
		return "data: must be at most the width";
	return NULL;
}

/* One KEY=VALUE. */
static const char *parse_key(struct declaration *declaration, const char *text, const char **value)
{
	size_t len = strcspn(text, "=");
	int key;

	*value = NULL;
	if (!text[len])
		return "is not KEY=VALUE";
	*value = text + len + 1;
	for (key = 0; key < DECLARATION_KEYS; key++)
		if (strlen(declaration_keys[key]) == len &&
		    !strncmp(declaration_keys[key], text, len))
			return declaration_set(declaration, key, *value);
	return "no such key; there are tx, rx, width, data, burst, reg, group and mode";
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (!isascii(*text) || !isprint(*text))
			return false;
	return true;
}

const char *declaration_shown(const char *text)
{
	return is_printable(text) ? text : "(unprintable)";
}

static const char *tell(char why[DECLARATION_WHY], const char *what, const char *reason)
{
	snprintf(why, DECLARATION_WHY, "%.200s: %s", what, reason);
	return why;
}

const char *declaration_parse(struct declaration *declaration, char *text,
			      char why[DECLARATION_WHY])
{
	const char *value, *wrong;
	char *name, *word;

	if (!is_printable(text))
		return "there is a character that is not printable ASCII";
	if (*text == '-')
		return tell(why, text, "a file takes no port away; see zcdma port remove");
	if (strchr(text, ';'))
		return tell(why, text, "each port has a line of its own, without ;");

	name = strsep(&text, ":");
	wrong = declaration_begin(declaration, name);
	if (wrong)
		return tell(why, name, wrong);
	while ((word = strsep(&text, ","))) {
		wrong = parse_key(declaration, word, &value);
		if (wrong)
			return tell(why, word, wrong);
	}
	wrong = declaration_check(declaration);
	return wrong ? tell(why, name, wrong) : NULL;
}

bool declaration_is_rights(const struct declaration *declaration)
{
	return declaration->given && !(declaration->given & ~RIGHTS);
}

static bool same_rights(const struct declaration *wanted, const struct declaration *there,
			unsigned int keys)
{
	return (!(keys & BIT(KEY_GROUP)) || wanted->group == there->group) &&
	       (!(keys & BIT(KEY_MODE)) || wanted->mode == there->mode);
}

bool declaration_holds(const struct declaration *wanted, const struct declaration *there)
{
	if (declaration_is_rights(wanted))
		return same_rights(wanted, there, wanted->given);
	return !strcmp(wanted->channel[0], there->channel[0]) &&
	       !strcmp(wanted->channel[1], there->channel[1]) &&
	       wanted->width == there->width && wanted->burst == there->burst &&
	       (wanted->data ?: wanted->width) == (there->data ?: there->width) &&
	       wanted->reg == there->reg && same_rights(wanted, there, RIGHTS);
}

void declaration_merge(struct declaration *declaration, const struct declaration *rights)
{
	if (rights->given & BIT(KEY_GROUP))
		declaration->group = rights->group;
	if (rights->given & BIT(KEY_MODE))
		declaration->mode = rights->mode;
	declaration->given |= rights->given;
}

static int key_text(const struct declaration *declaration, int key, char *text, size_t size)
{
	switch (key) {
	case KEY_TX:
	case KEY_RX:
		return snprintf(text, size, "%s", declaration->channel[key]);
	case KEY_WIDTH:
		return snprintf(text, size, "%u", (unsigned int)declaration->width);
	case KEY_DATA:
		return snprintf(text, size, "%u", (unsigned int)declaration->data);
	case KEY_BURST:
		return snprintf(text, size, "%u", (unsigned int)declaration->burst);
	case KEY_REG:
		return snprintf(text, size, "0x%llx", (unsigned long long)declaration->reg);
	case KEY_GROUP:
		return declaration->group < 0 ? 0 :
		       snprintf(text, size, "%u", (unsigned int)declaration->group);
	default:
		return snprintf(text, size, "%#o", (unsigned int)declaration->mode);
	}
}

void declaration_text(const struct declaration *declaration, char text[DECLARATION_TEXT])
{
	size_t used = snprintf(text, DECLARATION_TEXT, "%s", declaration->name);
	char separator = ':';
	int key;

	for (key = 0; key < DECLARATION_KEYS; key++) {
		if (!(declaration->given & BIT(key)))
			continue;
		used += snprintf(text + used, DECLARATION_TEXT - used, "%c%s=", separator,
				 declaration_keys[key]);
		used += key_text(declaration, key, text + used, DECLARATION_TEXT - used);
		separator = ',';
	}
}
