// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/zcdma: the file operations, the table of ioctls, and the module.
 */
#include <linux/compat.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/pipe_fs_i.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include "zcdma.h"

struct workqueue_struct *zcdma_wq;

union zcdma_arg {
	struct zcdma_get_info info;
	struct zcdma_query_channel query;
	struct zcdma_attach attach;
	struct zcdma_register_buffer reg;
	struct zcdma_unregister_buffer unreg;
	struct zcdma_submit submit;
	struct zcdma_cancel cancel;
	struct zcdma_attach_port attach_port;
	struct zcdma_query_port query_port;
	struct zcdma_stream_setup stream_setup;
	struct zcdma_stream_control stream_control;
	struct zcdma_stream_status stream_status;
};

static int get_info(struct zcdma_session *session, union zcdma_arg *arg)
{
	zcdma_session_info(session, &arg->info);
	return 0;
}

static int query_channel(struct zcdma_session *session, union zcdma_arg *arg)
{
	struct zcdma_query_channel *query = &arg->query;
	struct zcdma_chan *only = NULL;

	if (query->flags & ZCDMA_QUERY_ATTACHED) {
		only = zcdma_session_nth_chan(session, query->index);
		if (!only)
			return -ENOENT;
	}
	return zcdma_chan_query(only, query);
}

static int attach(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_session_attach(session, &arg->attach);
}

static int register_buffer(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_buffer_register(session, &arg->reg);
}

static int unregister_buffer(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_buffer_unregister(session, &arg->unreg);
}

static int submit(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_submit(session, &arg->submit);
}

static int cancel(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_session_cancel(session, &arg->cancel);
}

static int attach_port(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_port_attach(session, &arg->attach_port);
}

static int query_port(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_port_query(&arg->query_port);
}

static int stream_setup(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_stream_setup(session, &arg->stream_setup);
}

static int stream_control(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_stream_control(session, &arg->stream_control);
}

static int stream_status(struct zcdma_session *session, union zcdma_arg *arg)
{
	return zcdma_stream_status(session, &arg->stream_status);
}

/**
 * struct zcdma_ioctl - one row of the table
 * @cmd: the command as this module knows it, with its struct's size.
 * @min_size: of the struct's first version.
 * @flags: bits that the struct's flags may have.
 * @reserved: offset of the struct's __reserved field, or 0.
 * @fn: does it; what it leaves in the argument goes back to the user, on errors too.
 *
 * Each struct begins with its flags.
 */
struct zcdma_ioctl {
	unsigned int cmd;
	unsigned int min_size;
	u32 flags;
	unsigned int reserved;
	int (*fn)(struct zcdma_session *session, union zcdma_arg *arg);
};

static const struct zcdma_ioctl ioctls[] = {
	[_IOC_NR(ZCDMA_IOC_GET_INFO)] = {
		.cmd = ZCDMA_IOC_GET_INFO,
		.min_size = offsetofend(struct zcdma_get_info, __reserved),
		.reserved = offsetof(struct zcdma_get_info, __reserved),
		.fn = get_info,
	},
	[_IOC_NR(ZCDMA_IOC_QUERY_CHANNEL)] = {
		.cmd = ZCDMA_IOC_QUERY_CHANNEL,
		.min_size = offsetofend(struct zcdma_query_channel, out_provider),
		.flags = ZCDMA_QUERY_ATTACHED,
		.reserved = offsetof(struct zcdma_query_channel, __reserved),
		.fn = query_channel,
	},
	[_IOC_NR(ZCDMA_IOC_ATTACH)] = {
		.cmd = ZCDMA_IOC_ATTACH,
		.min_size = offsetofend(struct zcdma_attach, out_name),
		.flags = ZCDMA_ATTACH_EXCLUSIVE,
		.fn = attach,
	},
	[_IOC_NR(ZCDMA_IOC_REGISTER_BUFFER)] = {
		.cmd = ZCDMA_IOC_REGISTER_BUFFER,
		.min_size = offsetofend(struct zcdma_register_buffer, len),
		.flags = ZCDMA_BUFFER_READ_ONLY,
		.fn = register_buffer,
	},
	[_IOC_NR(ZCDMA_IOC_UNREGISTER_BUFFER)] = {
		.cmd = ZCDMA_IOC_UNREGISTER_BUFFER,
		.min_size = offsetofend(struct zcdma_unregister_buffer, buffer),
		.fn = unregister_buffer,
	},
	[_IOC_NR(ZCDMA_IOC_SUBMIT)] = {
		.cmd = ZCDMA_IOC_SUBMIT,
		.min_size = offsetofend(struct zcdma_submit, completions),
		.flags = ZCDMA_SUBMIT_WAIT,
		.fn = submit,
	},
	[_IOC_NR(ZCDMA_IOC_CANCEL)] = {
		.cmd = ZCDMA_IOC_CANCEL,
		.min_size = offsetofend(struct zcdma_cancel, user_data),
		.flags = ZCDMA_CANCEL_ALL,
		.fn = cancel,
	},
	[_IOC_NR(ZCDMA_IOC_ATTACH_PORT)] = {
		.cmd = ZCDMA_IOC_ATTACH_PORT,
		.min_size = offsetofend(struct zcdma_attach_port, out_rx_caps),
		.reserved = offsetof(struct zcdma_attach_port, __reserved),
		.fn = attach_port,
	},
	[_IOC_NR(ZCDMA_IOC_QUERY_PORT)] = {
		.cmd = ZCDMA_IOC_QUERY_PORT,
		.min_size = offsetofend(struct zcdma_query_port, out_owner_name),
		.fn = query_port,
	},
	[_IOC_NR(ZCDMA_IOC_STREAM_SETUP)] = {
		.cmd = ZCDMA_IOC_STREAM_SETUP,
		.min_size = offsetofend(struct zcdma_stream_setup, out_ring_bytes),
		.flags = ZCDMA_STREAM_QUEUED,
		.reserved = offsetof(struct zcdma_stream_setup, __reserved),
		.fn = stream_setup,
	},
	[_IOC_NR(ZCDMA_IOC_STREAM_CONTROL)] = {
		.cmd = ZCDMA_IOC_STREAM_CONTROL,
		.min_size = offsetofend(struct zcdma_stream_control, __reserved),
		.reserved = offsetof(struct zcdma_stream_control, __reserved),
		.fn = stream_control,
	},
	[_IOC_NR(ZCDMA_IOC_STREAM_STATUS)] = {
		.cmd = ZCDMA_IOC_STREAM_STATUS,
		.min_size = offsetofend(struct zcdma_stream_status, out_copied),
		.reserved = offsetof(struct zcdma_stream_status, __reserved),
		.fn = stream_status,
	},
};

/* The ABI is what it is, on every machine. */
static_assert(sizeof(struct zcdma_get_info) == 56);
static_assert(sizeof(struct zcdma_query_channel) == 240);
static_assert(sizeof(struct zcdma_attach) == 152);
static_assert(sizeof(struct zcdma_op) == 64);
static_assert(sizeof(struct zcdma_completion) == 32);
static_assert(sizeof(struct zcdma_register_buffer) == 24);
static_assert(sizeof(struct zcdma_unregister_buffer) == 8);
static_assert(sizeof(struct zcdma_submit) == 32);
static_assert(sizeof(struct zcdma_cancel) == 16);
static_assert(sizeof(struct zcdma_attach_port) == 104);
static_assert(sizeof(struct zcdma_query_port) == 288);
static_assert(sizeof(struct zcdma_stream_setup) == 40);
static_assert(sizeof(struct zcdma_stream_control) == 16);
static_assert(sizeof(struct zcdma_stream_status) == 56);
static_assert(sizeof(struct zcdma_ring) == 160);

/* The row of a command, of whatever size its struct is. */
static const struct zcdma_ioctl *find_row(unsigned int cmd)
{
	unsigned int nr = _IOC_NR(cmd);

	if (nr >= ARRAY_SIZE(ioctls))
		return NULL;
	nr = array_index_nospec(nr, ARRAY_SIZE(ioctls));
	if (!ioctls[nr].fn || (cmd ^ ioctls[nr].cmd) & ~IOCSIZE_MASK)
		return NULL;
	return &ioctls[nr];
}

static int check_arg(const struct zcdma_ioctl *row, const union zcdma_arg *arg)
{
	u32 flags, reserved = 0;

	memcpy(&flags, arg, sizeof(flags));
	if (row->reserved)
		memcpy(&reserved, (const char *)arg + row->reserved, sizeof(reserved));
	return flags & ~row->flags || reserved ? -EINVAL : 0;
}

/*
 * SUBMIT with the struct that we know: what is below, without its price. It is the
 * path of ops, and most of the large argument would be cleared and copied for nothing.
 */
static long submit_ioctl(struct zcdma_session *session, struct zcdma_submit __user *user)
{
	struct zcdma_submit what __uninitialized;
	int err;

	if (copy_from_user(&what, user, sizeof(what)))
		return -EFAULT;
	if (what.flags & ~ZCDMA_SUBMIT_WAIT)
		return -EINVAL;
	if (put_user(what.out_accepted, &user->out_accepted))
		return -EFAULT;
	err = zcdma_submit(session, &what);
	return put_user(what.out_accepted, &user->out_accepted) ? -EFAULT : err;
}

/* By the table. Not inline: its argument is cleared where the function begins. */
static noinline long any_ioctl(struct zcdma_session *session, unsigned int cmd, void __user *user)
{
	const struct zcdma_ioctl *row = find_row(cmd);
	unsigned int user_size = _IOC_SIZE(cmd);
	union zcdma_arg arg;
	unsigned int size;
	int err;

	if (!row)
		return -ENOTTY;
	if (user_size < row->min_size)
		return -EINVAL;
	size = _IOC_SIZE(row->cmd);
	err = copy_struct_from_user(&arg, size, user, user_size);
	if (!err)
		err = check_arg(row, &arg);
	/* Results that cannot be written are an error before anything is done. */
	if (!err && copy_to_user(user, &arg, min(size, user_size)))
		err = -EFAULT;
	if (err)
		return err;
	err = row->fn(session, &arg);
	if (copy_to_user(user, &arg, min(size, user_size)))
		return -EFAULT;
	return err;
}

static long zcdma_unlocked_ioctl(struct file *file, unsigned int cmd, unsigned long uptr)
{
	void __user *user = (void __user *)uptr;

	if (cmd == ZCDMA_IOC_SUBMIT)
		return submit_ioctl(file->private_data, user);
	return any_ioctl(file->private_data, cmd, user);
}

static int zcdma_open(struct inode *inode, struct file *file)
{
	file->private_data = zcdma_session_create();
	if (!file->private_data)
		return -ENOMEM;
	return stream_open(inode, file);
}

static int zcdma_release(struct inode *inode, struct file *file)
{
	zcdma_session_close(file->private_data);
	return 0;
}

static ssize_t zcdma_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct zcdma_stream *st = zcdma_stream_of(file->private_data, ZCDMA_WAY_RX);

	if (st)
		return zcdma_stream_read(st, buf, size, file->f_flags & O_NONBLOCK);
	return zcdma_session_read(file->private_data, buf, size, file->f_flags & O_NONBLOCK);
}

static __poll_t zcdma_poll(struct file *file, poll_table *pt)
{
	return zcdma_session_poll(file->private_data, file, pt);
}

static ssize_t zcdma_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	struct zcdma_stream *st = zcdma_stream_of(file->private_data, ZCDMA_WAY_TX);

	/* As for a file that cannot be written to. */
	if (!st)
		return -EINVAL;
	return zcdma_stream_write(st, from, file->f_flags & O_NONBLOCK ||
				  iocb->ki_flags & IOCB_NOWAIT);
}

static ssize_t zcdma_splice_read(struct file *file, loff_t *pos, struct pipe_inode_info *pipe,
				 size_t len, unsigned int flags)
{
	struct zcdma_stream *st = zcdma_stream_of(file->private_data, ZCDMA_WAY_RX);

	if (!st)
		return -EINVAL;
	return zcdma_stream_splice(st, pipe, len, file->f_flags & O_NONBLOCK ||
				   flags & SPLICE_F_NONBLOCK);
}

static int zcdma_mmap(struct file *file, struct vm_area_struct *vma)
{
	return zcdma_ring_mmap(file->private_data, vma);
}

static const struct file_operations zcdma_fops = {
	.owner		= THIS_MODULE,
	.open		= zcdma_open,
	.release	= zcdma_release,
	.read		= zcdma_read,
	.write_iter	= zcdma_write_iter,
	.splice_read	= zcdma_splice_read,
	.splice_write	= iter_file_splice_write,
	.mmap		= zcdma_mmap,
	.poll		= zcdma_poll,
	.uring_cmd	= zcdma_uring_cmd,
	.unlocked_ioctl	= zcdma_unlocked_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

/* For everybody: that is what it is made for. A udev rule may say otherwise. */
static struct miscdevice zcdma_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "zcdma",
	.mode	= 0666,
	.fops	= &zcdma_fops,
};

static int __init zcdma_init(void)
{
	int err = zcdma_request_init();

	if (err)
		return err;
	zcdma_wq = alloc_workqueue("zcdma", WQ_UNBOUND, 0);
	if (!zcdma_wq) {
		err = -ENOMEM;
		goto no_requests;
	}
	err = zcdma_port_of_init();
	if (err)
		goto no_queue;
	err = misc_register(&zcdma_misc);
	if (err)
		goto no_ports;
	return 0;

no_ports:
	zcdma_port_of_exit();
no_queue:
	destroy_workqueue(zcdma_wq);
no_requests:
	zcdma_request_exit();
	return err;
}
module_init(zcdma_init);

static void __exit zcdma_exit(void)
{
	misc_deregister(&zcdma_misc);
	zcdma_port_of_exit();
	zcdma_chan_exit();
	destroy_workqueue(zcdma_wq);
	zcdma_request_exit();
}
module_exit(zcdma_exit);

MODULE_DESCRIPTION("User pages moved by any DMA engine, through /dev/zcdma");
MODULE_AUTHOR("The zcdma developers");
MODULE_LICENSE("GPL");
