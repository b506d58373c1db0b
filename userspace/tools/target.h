/* SPDX-License-Identifier: GPL-2.0 */
/* A file in the making: written beside its final place, put there when it is whole. */
#ifndef ZCDMA_TARGET_H
#define ZCDMA_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/**
 * struct target - a file in the making
 * @name: as the user wrote it, for messages.
 * @path: where it goes, links resolved.
 * @temporary: where it is until then.
 * @fd: open for reading and writing.
 * @force: replace what is there.
 */
struct target {
	const char *name;
	char *path;
	char *temporary;
	int fd;
	bool force;
};

/*
 * The functions that can fail return 0, or -1 after telling why. Until
 * target_commit() has returned 0 nothing is seen under the target's name, and
 * whatever was there is as it was; a signal that ends the program leaves no
 * litter either.
 */

/* Look whether @name may become a target, of a copy of @source if not NULL. */
int target_check(struct target *target, const char *name, const struct stat *source);

/* Make the temporary file, with all the room that @size bytes need. */
int target_create(struct target *target, uint64_t size);

/* Make it durable, give it @mode less the umask, put it in its place. */
int target_commit(struct target *target, mode_t mode);

/* Throw away what is not committed. Always to be called at the end. */
void target_discard(struct target *target);

#endif /* ZCDMA_TARGET_H */
