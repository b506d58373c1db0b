// SPDX-License-Identifier: GPL-2.0
/* The module's parameter "ports": what was declared, read and changed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "declaration.h"

/* More than the kernel shows in a file of /sys. */
#define PARAMETER_TEXT	65536

static int open_it(int flags)
{
	int fd = open(PORTS_PARAMETER, flags | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
		return complain("%s: %s; load the module: modprobe zcdma", PORTS_PARAMETER,
				strerror(errno));
	case EACCES:
	case EPERM:
		return complain("%s: %s; only root declares ports, and sees how they were declared",
				PORTS_PARAMETER, strerror(errno));
	default:
		return complain("%s: %s", PORTS_PARAMETER, strerror(errno));
	}
}

static char *read_all(int fd)
{
	char *text = malloc(PARAMETER_TEXT);
	size_t used = 0;
	ssize_t got = 1;

	while (text && got && used < PARAMETER_TEXT - 1) {
		got = read(fd, text + used, PARAMETER_TEXT - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(text);
			return NULL;
		}
		used += got;
	}
	if (text)
		text[used] = 0;
	return text;
}

char *parameter_read(void)
{
	int fd = open_it(O_RDONLY);
	char *text;

	if (fd < 0)
		return NULL;
	text = read_all(fd);
	if (!text)
		complain("%s: %s%s", PORTS_PARAMETER, strerror(errno), errno == EFBIG ?
			 "; there are more ports than the kernel can show in a page" : "");
	close(fd);
	return text;
}

int parameter_open(void)
{
	return open_it(O_WRONLY);
}

int parameter_write(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t written;

	do {
		written = write(fd, text, len);
	} while (written < 0 && errno == EINTR);
	if (written < 0)
		return -errno;
	/* The module takes all or nothing. */
	return (size_t)written == len ? 0 : -EIO;
}
