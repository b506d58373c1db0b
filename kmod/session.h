/* SPDX-License-Identifier: GPL-2.0 */
/* A session: an open file of /dev/zcdma. Its ops are its queue's, see queue.h. */
#ifndef _ZC_SESSION_H
#define _ZC_SESSION_H

#include "queue.h"

#define ZC_DEFAULT_DEADLINE_MS	(10 * MSEC_PER_SEC)
#define ZC_MAX_QUEUE_DEPTH	4096
#define ZC_DEFAULT_QUEUE_DEPTH	256

/* Completions that are taken at a time. */
#define ZC_REAP_BATCH		16

int zc_session_init(void);
void zc_session_exit(void);
struct zc_session *zc_session_create(void);
void zc_session_close(struct zc_session *session);
struct zc_lease *zc_session_nth_lease(struct zc_session *session, u32 nr);
void zc_session_info(struct zc_session *session, struct zcdma_get_info *info);
int zc_session_attach(struct zc_session *session, struct zcdma_attach *how);
void zc_session_attached(struct zc_session *session, struct zc_lease *lease, u32 depth,
			 u32 deadline_ms);
int zc_session_register(struct zc_session *session, struct zcdma_register_buffer *what);
int zc_session_unregister(struct zc_session *session, u32 id);
int zc_session_drain(struct zc_session *session, u32 timeout_ms);
ssize_t zc_session_read(struct zc_session *session, char __user *buf, size_t size, bool nonblock);
__poll_t zc_session_poll(struct zc_session *session, struct file *file, poll_table *pt);

#endif
