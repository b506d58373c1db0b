// SPDX-License-Identifier: LGPL-2.1-or-later
/* Channels: one after the other, or by name. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"

ZCDMA_PUBLIC int zcdma_query_channel(const struct zcdma_session *session, __u32 flags,
				     __u32 index, struct zcdma_query_channel *channel)
{
	*channel = (struct zcdma_query_channel){ .flags = flags, .index = index };
	return ioctl(session->fd, ZCDMA_IOC_QUERY_CHANNEL, channel);
}

ZCDMA_PUBLIC int zcdma_find_channel(const struct zcdma_session *session, const char *name,
				    struct zcdma_query_channel *channel)
{
	__u32 index;

	for (index = 0; !zcdma_query_channel(session, 0, index, channel); index++)
		if (!strcmp(channel->out_name, name))
			return 0;
	if (errno == ENOENT)
		errno = ENODEV;
	return -1;
}
