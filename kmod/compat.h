/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels, found by looking for the feature (in Kbuild): stable
 * kernels get changes without a version that would tell.
 */
#ifndef _ZCDMA_COMPAT_H
#define _ZCDMA_COMPAT_H

/*
 * io_uring commands. The header of their own came together with the SQE as the place
 * of the payload.
 */
#ifdef HAVE_IO_URING_CMD_H
#include <linux/io_uring/cmd.h>
#define zcdma_uring_payload(ioucmd)	io_uring_sqe_cmd((ioucmd)->sqe)
#else
#include <linux/io_uring.h>
#define zcdma_uring_payload(ioucmd)	((ioucmd)->cmd)
#endif

/* Of an SQE128, in bytes: all behind the fields of every SQE. */
#define ZCDMA_URING_PAYLOAD						\
	(2 * sizeof(struct io_uring_sqe) - offsetof(struct io_uring_sqe, cmd))

#endif
