// SPDX-License-Identifier: GPL-2.0
/* The way by io_uring: the batch of registered memory as entries of a ring. */
#include <errno.h>
#include <stdlib.h>

#include "path.h"

#ifdef HAVE_LIBURING
#include <liburing.h>

struct uring {
	struct io_uring ring;
	struct batch *batch;
};

/*
 * Completions are run when we wait for them, in one go, and not whenever one comes;
 * kernels before 6.1 cannot do that.
 */
static int open_ring(struct io_uring *ring)
{
	const unsigned int large = IORING_SETUP_SQE128;
	int err = io_uring_queue_init(PATH_BATCH, ring, large | IORING_SETUP_SINGLE_ISSUER |
				      IORING_SETUP_DEFER_TASKRUN);

	if (err == -EINVAL)
		err = io_uring_queue_init(PATH_BATCH, ring, large);
	/* Else the kernel is without it, or keeps it from this user, or is too old. */
	return !err || err == -ENOMEM || err == -EMFILE ? err : -ENOTSUP;
}

/* The session is file 0 of the ring. */
static int start(struct bed *bed, struct uring *uring)
{
	int fd = zcdma_fd(bed->engine->session);
	int err = open_ring(&uring->ring);

	if (err)
		return err;
	err = io_uring_register_files(&uring->ring, &fd, 1);
	if (err)
		io_uring_queue_exit(&uring->ring);
	return err;
}

int path_open_uring(struct bed *bed)
{
	struct uring *uring = malloc(sizeof(*uring));
	struct zcdma_get_info info;
	int err;

	if (!uring)
		return -1;
	err = zcdma_get_info(bed->engine->session, &info) ? -errno : 0;
	if (!err && !(info.out_features & ZCDMA_FEATURE_URING))
		err = -ENOTSUP;
	if (!err)
		err = start(bed, uring);
	if (!err && !path_open_registered(bed)) {
		uring->batch = bed->path_data;
		bed->path_data = uring;
		return 0;
	}
	if (!err) {
		err = -errno;
		io_uring_queue_exit(&uring->ring);
	}
	free(uring);
	errno = -err;
	return -1;
}

void path_close_uring(struct bed *bed)
{
	struct uring *uring = bed->path_data;

	/* The ring's file 0 is the session that the memory is registered with. */
	io_uring_queue_exit(&uring->ring);
	bed->path_data = uring->batch;
	path_close_registered(bed);
	free(uring);
}

/* Take those that are there. Return: how many; *err is the first failure that they tell of. */
static unsigned int reap_some(struct io_uring *ring, size_t size, int *err)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr = 0;

	io_uring_for_each_cqe(ring, head, cqe) {
		if (cqe->res != (int)size && !*err)
			*err = cqe->res < 0 ? cqe->res : -EIO;
		nr++;
	}
	io_uring_cq_advance(ring, nr);
	return nr;
}

/* Take @count completions; all of them, even when one tells of a failure. */
static int reap(struct io_uring *ring, unsigned int count, size_t size)
{
	struct io_uring_cqe *cqe;
	int err = 0;

	while (count) {
		int ret = io_uring_wait_cqe(ring, &cqe);

		if (ret)
			return ret;
		count -= reap_some(ring, size, &err);
	}
	return err;
}

int path_round_uring(struct bed *bed)
{
	struct uring *uring = bed->path_data;
	unsigned int i;
	int ret;

	for (i = 0; i < bed->ops; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

		zcdma_prep_sqe(bed->engine->session, sqe, &uring->batch->ops[i]);
		sqe->fd = 0;
		sqe->flags = IOSQE_FIXED_FILE;
	}
	ret = io_uring_submit_and_wait(&uring->ring, bed->ops);
	if (ret >= 0)
		ret = ret == (int)bed->ops ? reap(&uring->ring, bed->ops, bed->size) : -EIO;
	errno = -ret;
	return ret ? -1 : 0;
}

#else

int path_open_uring(struct bed *bed)
{
	(void)bed;
	errno = ENOTSUP;
	return -1;
}

int path_round_uring(struct bed *bed)
{
	return path_open_uring(bed);
}

void path_close_uring(struct bed *bed)
{
	(void)bed;
}

#endif
