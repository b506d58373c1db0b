// SPDX-License-Identifier: LGPL-2.1-or-later
/* The queue of a session: ops go in, completions come out. */
#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static int submit(struct zcdma_session *session, struct zcdma_submit *submit,
		  const struct zcdma_op *ops, unsigned int *accepted)
{
	int ret;

	submit->ops = (uintptr_t)ops;
	submit->op_size = sizeof(*ops);
	ret = ioctl(session->fd, ZCDMA_IOC_SUBMIT, submit);
	if (accepted)
		*accepted = submit->out_accepted;
	return ret;
}

ZCDMA_PUBLIC int zcdma_submit(struct zcdma_session *session, const struct zcdma_op *ops,
			      unsigned int count, unsigned int *accepted)
{
	struct zcdma_submit args = { .count = count };
	int ret = submit(session, &args, ops, accepted);

	session->outstanding += args.out_accepted;
	return ret;
}

ZCDMA_PUBLIC int zcdma_submit_wait(struct zcdma_session *session, const struct zcdma_op *ops,
				   unsigned int count, struct zcdma_completion *completions,
				   unsigned int *accepted)
{
	struct zcdma_submit args = {
		.flags = ZCDMA_SUBMIT_WAIT,
		.count = count,
		.completions = (uintptr_t)completions,
	};
	int ret = submit(session, &args, ops, accepted);

	if (ret && errno == EINTR)
		session->outstanding += args.out_accepted;
	return ret;
}

static __s64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Wait until read() has something. Returns 0, or -1 with EAGAIN when it is late. */
static int wait_readable(const struct zcdma_session *session, int timeout_ms)
{
	struct pollfd pfd = { .fd = session->fd, .events = POLLIN };
	int ret = poll(&pfd, 1, timeout_ms);

	if (!ret)
		errno = EAGAIN;
	return ret > 0 ? 0 : -1;
}

ZCDMA_PUBLIC int zcdma_reap(struct zcdma_session *session, struct zcdma_completion *completions,
			    unsigned int max, int timeout_ms)
{
	__s64 end = timeout_ms > 0 ? now_ms() + timeout_ms : 0;
	ssize_t got;

	while ((got = read(session->fd, completions, max * sizeof(*completions))) < 0) {
		if (errno != EAGAIN || !timeout_ms || wait_readable(session, timeout_ms))
			return -1;
		if (timeout_ms > 0) {
			__s64 left = end - now_ms();

			timeout_ms = left > 0 ? left : 0;
		}
	}
	got /= sizeof(*completions);
	session->outstanding -= got;
	return got;
}

static int cancel(struct zcdma_session *session, struct zcdma_cancel cancel)
{
	if (ioctl(session->fd, ZCDMA_IOC_CANCEL, &cancel))
		return -1;
	return cancel.out_cancelled;
}

ZCDMA_PUBLIC int zcdma_cancel(struct zcdma_session *session, __u64 user_data)
{
	return cancel(session, (struct zcdma_cancel){ .user_data = user_data });
}

ZCDMA_PUBLIC int zcdma_cancel_all(struct zcdma_session *session)
{
	return cancel(session, (struct zcdma_cancel){ .flags = ZCDMA_CANCEL_ALL });
}
