/* SPDX-License-Identifier: GPL-2.0 */
/* Sets of bits in words. */
#ifndef ZCDMA_WORDS_H
#define ZCDMA_WORDS_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct words - the names of bits
 * @count: of @names.
 * @names: of bit 0, 1, ...; one without a name, as a newer module may set it,
 *	is called by its number.
 */
struct words {
	unsigned int count;
	const char *const *names;
};

extern const struct words capability_words;
extern const struct words feature_words;
extern const struct words opcode_words;
extern const struct words mover_words;

/* Such as "copy,fill", or "-" for none. */
const char *words_text(const struct words *words, uint64_t bits, char *text, size_t size);

/* Such as ["copy", "fill"]. */
void words_json(const struct words *words, uint64_t bits);

#endif /* ZCDMA_WORDS_H */
