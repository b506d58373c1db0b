// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ports: ops, and streams. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

ZCDMA_PUBLIC int zcdma_query_port(const struct zcdma_session *session, __u32 index,
				  struct zcdma_query_port *port)
{
	*port = (struct zcdma_query_port){ .index = index };
	return ioctl(session->fd, ZCDMA_IOC_QUERY_PORT, port);
}

ZCDMA_PUBLIC int zcdma_find_port(const struct zcdma_session *session, const char *name,
				 struct zcdma_query_port *port)
{
	__u32 index;

	for (index = 0; !zcdma_query_port(session, index, port); index++)
		if (!strcmp(port->out_name, name))
			return 0;
	return -1;
}

ZCDMA_PUBLIC int zcdma_attach_port(struct zcdma_session *session,
				   struct zcdma_attach_port *options)
{
	return ioctl(session->fd, ZCDMA_IOC_ATTACH_PORT, options);
}

/* A signal came first: no op may go on when the call returns. */
static void call_off(struct zcdma_session *session, struct zcdma_completion *result)
{
	zcdma_cancel_all(session);
	while (zcdma_reap(session, result, 1, -1) < 0 && errno == EINTR)
		;
	if (result->res == -ECANCELED)
		result->res = -EINTR;
}

static int do_op(struct zcdma_session *session, const struct zcdma_op *op,
		 struct zcdma_completion *result)
{
	struct zcdma_completion ours = { 0 };
	unsigned int accepted;

	if (session->outstanding || session->receives) {
		ours.res = -EBUSY;
	} else if (op->len && zcdma_submit_wait(session, op, 1, &ours, &accepted)) {
		ours.res = -errno;
		if (accepted)
			call_off(session, &ours);
	}
	if (result)
		*result = ours;
	if (!ours.res)
		return 0;
	errno = -ours.res;
	return -1;
}

ZCDMA_PUBLIC int zcdma_send(struct zcdma_session *session, const void *src, size_t len,
			    struct zcdma_completion *result)
{
	struct zcdma_op op = { .opcode = ZCDMA_OP_SEND, .src = (uintptr_t)src, .len = len };

	return do_op(session, &op, result);
}

ZCDMA_PUBLIC int zcdma_recv(struct zcdma_session *session, void *dst, size_t len,
			    struct zcdma_completion *result)
{
	struct zcdma_op op = { .opcode = ZCDMA_OP_RECV, .dst = (uintptr_t)dst, .len = len };

	return do_op(session, &op, result);
}

ZCDMA_PUBLIC int zcdma_stream_setup(struct zcdma_session *session,
				    struct zcdma_stream_setup *options)
{
	int ret = ioctl(session->fd, ZCDMA_IOC_STREAM_SETUP, options);

	session->receives |= !ret && options->direction == ZCDMA_RX;
	return ret;
}

ZCDMA_PUBLIC int zcdma_stream_control(struct zcdma_session *session, __u32 direction,
				      __u32 action)
{
	struct zcdma_stream_control what = { .direction = direction, .action = action };

	return ioctl(session->fd, ZCDMA_IOC_STREAM_CONTROL, &what);
}

ZCDMA_PUBLIC int zcdma_stream_status(const struct zcdma_session *session, __u32 direction,
				     struct zcdma_stream_status *status)
{
	*status = (struct zcdma_stream_status){ .direction = direction };
	return ioctl(session->fd, ZCDMA_IOC_STREAM_STATUS, status);
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/*
 * Room for a write, or bytes to read, before @end if @timeout_ms is no endless one. The descriptor
 * does not block.
 */
static int wait_for(const struct zcdma_session *session, short events, int timeout_ms,
		    long long end)
{
	struct pollfd pfd = { .fd = session->fd, .events = events };
	long long left = end - now_ms();
	int got = 0;

	if (timeout_ms < 0 || left > 0)
		got = poll(&pfd, 1, timeout_ms < 0 ? -1 : (int)left);
	if (!got)
		errno = EAGAIN;
	return got > 0 ? 0 : -1;
}

ZCDMA_PUBLIC long zcdma_stream_read(struct zcdma_session *session, void *buf, size_t len,
				    int timeout_ms)
{
	long long end = now_ms() + timeout_ms;
	ssize_t got;

	/* The first read starts the stream, so it comes before the waiting. */
	while ((got = read(session->fd, buf, len)) < 0 && errno == EAGAIN && timeout_ms)
		if (wait_for(session, POLLIN, timeout_ms, end))
			return -1;
	return got;
}

ZCDMA_PUBLIC long zcdma_stream_write(struct zcdma_session *session, const void *buf, size_t len,
				     int timeout_ms)
{
	long long end = now_ms() + timeout_ms;
	ssize_t got;

	/* The same for the write that finds the ring full. */
	while ((got = write(session->fd, buf, len)) < 0 && errno == EAGAIN && timeout_ms)
		if (wait_for(session, POLLOUT, timeout_ms, end))
			return -1;
	return got;
}
