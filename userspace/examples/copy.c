// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The shortest program that lets an engine copy memory.
 *
 *	cc copy.c $(pkg-config --cflags --libs libzcdma) && ./a.out
 */
#include <err.h>
#include <stdio.h>

#include <zcdma.h>

int main(void)
{
	static const char source[] = "Hello, engine!";
	static char target[sizeof(source)];
	struct zcdma_session *session = zcdma_open(NULL);

	if (!session)
		err(1, "%s", ZCDMA_DEVICE);
	if (zcdma_attach(session, NULL))
		err(1, "attach");
	if (zcdma_copy(session, target, source, sizeof(source), NULL))
		err(1, "copy");
	puts(target);
	zcdma_close(session);
	return 0;
}
