// SPDX-License-Identifier: LGPL-2.1-or-later
/* An op as an entry of an io_uring. */
#include <linux/io_uring.h>
#include <string.h>

#include "internal.h"

ZCDMA_PUBLIC void zcdma_prep_sqe(const struct zcdma_session *session, struct io_uring_sqe *sqe,
				 const struct zcdma_op *op)
{
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = session->fd;
	sqe->cmd_op = ZCDMA_URING_OP;
	sqe->user_data = op->user_data;
	memcpy(sqe->cmd, op, sizeof(*op));
}
