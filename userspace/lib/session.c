// SPDX-License-Identifier: LGPL-2.1-or-later
/* A session: open, what it can do, attach, close. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

ZCDMA_PUBLIC const char *zcdma_version(void)
{
	return ZCDMA_VERSION;
}

ZCDMA_PUBLIC struct zcdma_session *zcdma_open(const char *path)
{
	struct zcdma_session *session = calloc(1, sizeof(*session));
	struct zcdma_get_info info;

	if (!session)
		return NULL;

	session->fd = open(path ? path : ZCDMA_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	/* Asked here so that a file which is no zcdma device is found out at once. */
	if (session->fd < 0 || zcdma_get_info(session, &info)) {
		zcdma_close(session);
		return NULL;
	}
	return session;
}

/* An engine may be at work for longer than a file is open: wait until it has nothing of ours. */
static void let_go_of_memory(const struct zcdma_session *session)
{
	struct zcdma_cancel all = { .flags = ZCDMA_CANCEL_ALL };
	struct zcdma_drain drain = { .timeout_ms = 10 * 60 * 1000 };

	ioctl(session->fd, ZCDMA_IOC_CANCEL, &all);
	ioctl(session->fd, ZCDMA_IOC_DRAIN, &drain);
}

ZCDMA_PUBLIC void zcdma_close(struct zcdma_session *session)
{
	int saved = errno;

	if (!session)
		return;
	if (session->fd >= 0) {
		let_go_of_memory(session);
		close(session->fd);
	}
	free(session);
	errno = saved;
}

ZCDMA_PUBLIC int zcdma_fd(const struct zcdma_session *session)
{
	return session->fd;
}

ZCDMA_PUBLIC int zcdma_get_info(const struct zcdma_session *session, struct zcdma_get_info *info)
{
	*info = (struct zcdma_get_info){ 0 };
	return ioctl(session->fd, ZCDMA_IOC_GET_INFO, info);
}

ZCDMA_PUBLIC int zcdma_attach(struct zcdma_session *session, struct zcdma_attach *options)
{
	struct zcdma_attach any = { .caps = ZCDMA_CAP_COPY };
	struct zcdma_get_info info;

	if (!options)
		options = &any;
	if (ioctl(session->fd, ZCDMA_IOC_ATTACH, options) || zcdma_get_info(session, &info))
		return -1;

	session->queue_depth = info.out_queue_depth;
	session->max_len = info.out_max_len;
	session->takes_rows = info.out_features & ZCDMA_FEATURE_COPY_2D;
	session->deadline_ms = options->deadline_ms ? options->deadline_ms :
						      info.out_default_deadline_ms;
	return 0;
}
