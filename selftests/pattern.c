// SPDX-License-Identifier: GPL-2.0
/*
 * Self-describing data. A word is region, generation and index side by side,
 * made bumpy by a multiplication that can be undone: so a wrong word tells
 * where it comes from.
 */
#include <stdio.h>
#include <string.h>

#include "pattern.h"

#define WORD		sizeof(__u64)
#define BUMP		0x9e3779b97f4a7c15ULL
#define BUMP_INVERSE	0xf1de83e19937733dULL
#define INDEX_BITS	40

/* A BUMP further is the next word's: an addition is cheaper, above all with 32 bits. */
static __u64 bumpy_at(struct pattern p, __u64 index)
{
	return ((__u64)p.region << 56 | (__u64)p.generation << INDEX_BITS | index) * BUMP;
}

static __u64 word_of(__u64 bumpy)
{
	return bumpy ^ bumpy >> 32;
}

static struct pattern decode(__u64 word, __u64 *index)
{
	__u64 plain = (word ^ word >> 32) * BUMP_INVERSE;

	*index = plain & ((1ULL << INDEX_BITS) - 1);
	return (struct pattern){ .region = plain >> 56, .generation = plain >> INDEX_BITS };
}

/* The bytes of one word from @pos on, at most @len: returns how many they were. */
static size_t write_part(struct pattern p, char *to, __u64 pos, size_t len)
{
	__u64 word = word_of(bumpy_at(p, pos / WORD));
	size_t rest = WORD - pos % WORD;

	if (rest > len)
		rest = len;
	memcpy(to, (char *)&word + pos % WORD, rest);
	return rest;
}

void pattern_write(struct pattern p, void *buf, __u64 pos, size_t len)
{
	size_t done = pos % WORD ? write_part(p, buf, pos, len) : 0;
	__u64 bumpy = bumpy_at(p, (pos + done) / WORD);

	for (; len - done >= WORD; done += WORD, bumpy += BUMP) {
		__u64 word = word_of(bumpy);

		memcpy(buf + done, &word, WORD);
	}
	if (done < len)
		write_part(p, buf + done, pos + done, len - done);
}

/* How many bytes at @at are whole words, and right? */
static size_t right_words(struct pattern p, const char *at, __u64 pos, size_t len)
{
	__u64 bumpy = bumpy_at(p, pos / WORD), word;
	size_t done = 0;

	if (pos % WORD)
		return 0;
	for (; len - done >= WORD; done += WORD, bumpy += BUMP) {
		memcpy(&word, at + done, WORD);
		if (word != word_of(bumpy))
			break;
	}
	return done;
}

/* What is wrong at @pos: print what should be there and, if it can be told, what is. */
static void explain(struct pattern p, const char *at, __u64 pos, size_t len, size_t offset)
{
	struct pattern other;
	__u64 word, index;

	fprintf(stderr, "# byte %zu of %zu: should be '%c' generation %u position %#llx",
		offset, len, p.region, p.generation, (unsigned long long)pos);
	for (size_t shift = 0; shift < WORD && shift + WORD <= len - offset; shift++) {
		memcpy(&word, at + shift, WORD);
		other = decode(word, &index);
		if (other.region < 'a' || other.region > 'z')
			continue;
		fprintf(stderr, ", is '%c' generation %u position %#llx\n", other.region,
			other.generation, (unsigned long long)(index * WORD - shift));
		return;
	}
	fprintf(stderr, ", is %#04x\n", (__u8)*at);
}

bool pattern_holds(struct pattern p, const void *buf, __u64 pos, size_t len)
{
	const char *at = buf;
	char want[WORD];
	size_t n;

	for (size_t done = 0; done < len; done += n) {
		n = right_words(p, at + done, pos + done, len - done);
		if (n)
			continue;
		n = write_part(p, want, pos + done, len - done);
		if (!memcmp(at + done, want, n))
			continue;
		for (n = 0; at[done + n] == want[n]; n++)
			;
		done += n;
		explain(p, at + done, pos + done, len, done);
		return false;
	}
	return true;
}

bool filled_with(__u8 byte, const void *buf, size_t len)
{
	const __u8 *bytes = buf;

	/* All equal their neighbour, and the first is right: memcmp is fast. */
	if (!len || (bytes[0] == byte && !memcmp(bytes, bytes + 1, len - 1)))
		return true;
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == byte)
			continue;
		fprintf(stderr, "# byte %zu of %zu: should be %#04x, is %#04x\n", i, len, byte,
			bytes[i]);
		break;
	}
	return false;
}
