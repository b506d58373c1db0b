// SPDX-License-Identifier: GPL-2.0
/* Sets of bits in words. */
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "words.h"

static const char *const capability_names[] = {
	[0] = "copy", [1] = "fill", [2] = "slave", [3] = "cyclic",
	[8] = "hardware", [9] = "terminate", [10] = "pause", [11] = "unordered",
	[12] = "coherent",
};

static const char *const feature_names[] = {
	[0] = "copy-fill", [1] = "buffers", [2] = "channels", [3] = "barrier", [4] = "uring",
	[6] = "copy-2d",
	[8] = "ports", [9] = "streams", [10] = "send-recv",
};

static const char *const opcode_names[] = {
	[1] = "copy", [2] = "fill", [3] = "send", [4] = "recv", [5] = "copy-2d",
};

static const char *const mover_names[] = { [0] = "hardware", [1] = "CPU" };

const struct words capability_words = { ARRAY_SIZE(capability_names), capability_names };
const struct words feature_words = { ARRAY_SIZE(feature_names), feature_names };
const struct words opcode_words = { ARRAY_SIZE(opcode_names), opcode_names };
const struct words mover_words = { ARRAY_SIZE(mover_names), mover_names };

static const char *word(const struct words *words, unsigned int bit, char number[16])
{
	if (bit < words->count && words->names[bit])
		return words->names[bit];
	snprintf(number, 16, "bit%u", bit);
	return number;
}

const char *words_text(const struct words *words, uint64_t bits, char *text, size_t size)
{
	char number[16];
	size_t used = 0;
	unsigned int bit;

	snprintf(text, size, "-");
	for (bit = 0; bit < 64 && used < size; bit++)
		if (bits >> bit & 1)
			used += snprintf(text + used, size - used, "%s%s", used ? "," : "",
					 word(words, bit, number));
	return text;
}

void words_json(const struct words *words, uint64_t bits)
{
	const char *separator = "";
	char number[16];
	unsigned int bit;

	putchar('[');
	for (bit = 0; bit < 64; bit++) {
		if (!(bits >> bit & 1))
			continue;
		printf("%s\"%s\"", separator, word(words, bit, number));
		separator = ", ";
	}
	putchar(']');
}
