/* SPDX-License-Identifier: GPL-2.0 */
/* Two ways in for ops: the ioctl SUBMIT, and io_uring. See submit.c and uring.c. */
#ifndef _ZC_SUBMIT_H
#define _ZC_SUBMIT_H

#include "session.h"

struct io_uring_cmd;

int zc_submit(struct file *file, struct zcdma_submit *what);
int zc_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);

#endif
