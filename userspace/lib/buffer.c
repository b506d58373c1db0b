// SPDX-License-Identifier: LGPL-2.1-or-later
/* Buffers: memory pinned, charged and mapped once, for many ops. */
#include <sys/ioctl.h>

#include "internal.h"

ZCDMA_PUBLIC int zcdma_register(struct zcdma_session *session, const void *addr, size_t len,
				__u32 flags)
{
	struct zcdma_register_buffer args = {
		.flags = flags,
		.addr = (uintptr_t)addr,
		.len = len,
	};

	return ioctl(session->fd, ZCDMA_IOC_REGISTER_BUFFER, &args) ? -1 : (int)args.out_buffer;
}

ZCDMA_PUBLIC int zcdma_unregister(struct zcdma_session *session, int buffer)
{
	struct zcdma_unregister_buffer args = { .buffer = buffer };

	return ioctl(session->fd, ZCDMA_IOC_UNREGISTER_BUFFER, &args);
}
