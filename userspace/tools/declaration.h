/* SPDX-License-Identifier: GPL-2.0 */
/* The declaration of a port: what it may say, as text and back, and the module's list of them. */
#ifndef ZCDMA_DECLARATION_H
#define ZCDMA_DECLARATION_H

#include <stdbool.h>
#include <stdint.h>

#include <zcdma.h>

#define PORTS_PARAMETER	"/sys/module/zcdma/parameters/ports"

/* Room for a declaration as text, and for what is wrong with one. */
#define DECLARATION_TEXT	512
#define DECLARATION_WHY		1024

enum declaration_key {
	KEY_TX,
	KEY_RX,
	KEY_WIDTH,
	KEY_DATA,
	KEY_BURST,
	KEY_REG,
	KEY_GROUP,
	KEY_MODE,
	DECLARATION_KEYS,
};

/* Their names, the same in text and as options. */
extern const char *const declaration_keys[DECLARATION_KEYS];

/**
 * struct declaration - of a port
 * @name: the port's.
 * @channel: of the two directions, by %KEY_TX and %KEY_RX; empty: not that way.
 * @width: of the register, in bytes.
 * @data: bytes of a word that carry data; 0: all.
 * @burst: words at a request.
 * @reg: address of the register.
 * @group: number of the group that may have the port; -1: none.
 * @mode: as of a file.
 * @given: which keys there were, a bit each.
 */
struct declaration {
	char name[ZCDMA_NAME_LEN];
	char channel[2][ZCDMA_NAME_LEN];
	uint64_t width;
	uint64_t data;
	uint64_t burst;
	uint64_t reg;
	int64_t group;
	uint64_t mode;
	unsigned int given;
};

/*
 * The next four return NULL, or what is wrong, as the end of a message that names the value.
 * The module is asked for nothing that these refuse.
 */
const char *declaration_begin(struct declaration *declaration, const char *name);
const char *declaration_set(struct declaration *declaration, enum declaration_key key,
			    const char *value);
const char *declaration_check(const struct declaration *declaration);

/* From NAME:KEY=VALUE,... which is changed; the message is in @why and names the value itself. */
const char *declaration_parse(struct declaration *declaration, char *text,
			      char why[DECLARATION_WHY]);

/* Does it say only who may have a port that there is? */
bool declaration_is_rights(const struct declaration *declaration);

/* Does the port @there have all that @wanted says? */
bool declaration_holds(const struct declaration *wanted, const struct declaration *there);

/* What it says of rights, @declaration says from now on as well. */
void declaration_merge(struct declaration *declaration, const struct declaration *rights);

/* @text where it may be in a message: it cannot hurt a terminal, and is one line. */
const char *declaration_shown(const char *text);

/* As the module takes it. */
void declaration_text(const struct declaration *declaration, char text[DECLARATION_TEXT]);

/* ---- the module's ---- */

/* All that were declared, to be freed. NULL after telling why. */
char *parameter_read(void);

/* Change the list. 0, or -errno; the caller tells. Opening it is told of here, as -1. */
int parameter_open(void);
int parameter_write(int fd, const char *text);

#endif /* ZCDMA_DECLARATION_H */
