/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Self-describing data: eight bytes of a pattern say which pattern it is and
 * at which position they belong, and no two bytes of them are alike. So a test
 * sees at once when bytes are missing, displaced, doubled or somebody else's,
 * and says which.
 */
#ifndef ZCDMA_SELFTESTS_PATTERN_H
#define ZCDMA_SELFTESTS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

/**
 * struct pattern - one endless row of bytes
 * @region: whose it is: 's'ource, 't'arget, or what a test likes
 * @generation: tells this round's from an earlier one's
 */
struct pattern {
	__u8 region;
	__u16 generation;
};

/* Write the bytes [pos, pos + len) of pattern @p to @buf. */
void pattern_write(struct pattern p, void *buf, __u64 pos, size_t len);

/* Are they there? If not, a line of diagnosis is printed. */
bool pattern_holds(struct pattern p, const void *buf, __u64 pos, size_t len);

/* Are the @len bytes at @buf all @byte? If not, a line of diagnosis is printed. */
bool filled_with(__u8 byte, const void *buf, size_t len);

#endif /* ZCDMA_SELFTESTS_PATTERN_H */
