/* SPDX-License-Identifier: GPL-2.0 */
/* Who may not do what is told which line root has to type. */
#ifndef ZCDMA_RIGHTS_H
#define ZCDMA_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

#include <zcdma.h>

#define RIGHTS_TEXT	5120		/* room for what these say */

/* Why the device cannot be opened, as the end of a message. Returns @text. */
const char *rights_to_open(char text[RIGHTS_TEXT]);

/*
 * Why copies may not take the channels that are called @name, or any if that is NULL. Returns
 * @text.
 */
const char *rights_to_copy(const struct zcdma_session *session, const char *name,
			   char text[RIGHTS_TEXT]);

/* The number of the group that is called @name. False where there is none. */
bool rights_find_group(const char *name, gid_t *gid);

#endif /* ZCDMA_RIGHTS_H */
