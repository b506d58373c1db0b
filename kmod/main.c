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
#include "lease.h"
#include "port/port.h"
#include "submit.h"

union zcdma_arg {
	struct zcdma_get_info info;
	struct zcdma_query_channel query;
	struct zcdma_attach attach;
	struct zcdma_register_buffer reg;
	struct zcdma_unregister_buffer unreg;
	struct zcdma_submit submit;
	struct zcdma_cancel cancel;
	struct zcdma_drain drain;
	struct zcdma_attach_port attach_port;
	struct zcdma_query_port query_port;
	struct zcdma_stream_setup stream_setup;
	struct zcdma_stream_control stream_control;
	struct zcdma_stream_status stream_status;
};

static int get_info(struct zc_session *session, union zcdma_arg *arg)
{
	zc_session_info(session, &arg->info);
	return 0;
}

static int query_channel(struct zc_session *session, union zcdma_arg *arg)
{
	struct zcdma_query_channel *query = &arg->query;
	struct zc_lease *only = NULL;

	if (query->flags & ZCDMA_QUERY_ATTACHED) {
		only = zc_session_nth_lease(session, query->index);
		if (!only)
			return -ENOENT;
	}
	return zc_lease_query(only, query);
}

static int attach(struct zc_session *session, union zcdma_arg *arg)
{
	return zc_session_attach(session, &arg->attach);
}

static int register_buffer(struct zc_session *session, union zcdma_arg *arg)
{
	return zc_session_register(session, &arg->reg);
}

static int unregister_buffer(struct zc_session *session, union zcdma_arg *arg)
{
	return zc_session_unregister(session, arg->unreg.buffer);
}

static int cancel(struct zc_session *session, union zcdma_arg *arg)
{
	return zc_queue_cancel(session, &arg->cancel);
}

static int drain(struct zc_session *session, union zcdma_arg *arg)
{
	return zc_session_drain(session, arg->drain.timeout_ms);
}

static int attach_port(struct zc_session *session, union zcdma_arg *arg)
{
	return zcdma_port_attach(session, &arg->attach_port);
}

static int query_port(struct zc_session *session, union zcdma_arg *arg)
{
	return zcdma_port_query(&arg->query_port);
}

static int stream_setup(struct zc_session *session, union zcdma_arg *arg)
{
	return zcdma_stream_setup(session, &arg->stream_setup);
}

static int stream_control(struct zc_session *session, union zcdma_arg *arg)
{
	return zcdma_stream_control(session, &arg->stream_control);
}

static int stream_status(struct zc_session *session, union zcdma_arg *arg)
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
	int (*fn)(struct zc_session *session, union zcdma_arg *arg);
};

/* Of struct zcdma_NAME, whose first version ended with LAST. */
#define ROW(CMD, NAME, LAST, ...) {						\
	.cmd = ZCDMA_IOC_##CMD,							\
	.min_size = offsetofend(struct zcdma_##NAME, LAST),			\
	.fn = NAME, ##__VA_ARGS__						\
}

#define RESERVED(NAME)	.reserved = offsetof(struct zcdma_##NAME, __reserved)

static const struct zcdma_ioctl ioctls[] = {
	[_IOC_NR(ZCDMA_IOC_GET_INFO)] = ROW(GET_INFO, get_info, __reserved, RESERVED(get_info)),
	[_IOC_NR(ZCDMA_IOC_QUERY_CHANNEL)] =
		ROW(QUERY_CHANNEL, query_channel, out_provider, RESERVED(query_channel),
		    .flags = ZCDMA_QUERY_ATTACHED),
	[_IOC_NR(ZCDMA_IOC_ATTACH)] =
		ROW(ATTACH, attach, out_name, .flags = ZCDMA_ATTACH_EXCLUSIVE),
	[_IOC_NR(ZCDMA_IOC_REGISTER_BUFFER)] =
		ROW(REGISTER_BUFFER, register_buffer, len, .flags = ZCDMA_BUFFER_READ_ONLY),
	[_IOC_NR(ZCDMA_IOC_UNREGISTER_BUFFER)] = ROW(UNREGISTER_BUFFER, unregister_buffer, buffer),
	[_IOC_NR(ZCDMA_IOC_SUBMIT)] = {
		.cmd = ZCDMA_IOC_SUBMIT,
		.min_size = offsetofend(struct zcdma_submit, completions),
		.flags = ZCDMA_SUBMIT_WAIT,
	},
	[_IOC_NR(ZCDMA_IOC_CANCEL)] = ROW(CANCEL, cancel, user_data, .flags = ZCDMA_CANCEL_ALL),
	[_IOC_NR(ZCDMA_IOC_DRAIN)] = ROW(DRAIN, drain, timeout_ms),
	[_IOC_NR(ZCDMA_IOC_ATTACH_PORT)] =
		ROW(ATTACH_PORT, attach_port, out_rx_caps, RESERVED(attach_port)),
	[_IOC_NR(ZCDMA_IOC_QUERY_PORT)] = ROW(QUERY_PORT, query_port, out_owner_name),
	[_IOC_NR(ZCDMA_IOC_STREAM_SETUP)] =
		ROW(STREAM_SETUP, stream_setup, out_ring_bytes, RESERVED(stream_setup),
		    .flags = ZCDMA_STREAM_QUEUED),
	[_IOC_NR(ZCDMA_IOC_STREAM_CONTROL)] =
		ROW(STREAM_CONTROL, stream_control, __reserved, RESERVED(stream_control)),
	[_IOC_NR(ZCDMA_IOC_STREAM_STATUS)] =
		ROW(STREAM_STATUS, stream_status, out_copied, RESERVED(stream_status)),
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
static_assert(sizeof(struct zcdma_drain) == 8);
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
	if (!ioctls[nr].cmd || (cmd ^ ioctls[nr].cmd) & ~IOCSIZE_MASK)
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

static long submit_ioctl(struct file *file, struct zcdma_submit *what,
			 struct zcdma_submit __user *user)
{
	int err;

	if (put_user(what->out_accepted, &user->out_accepted))
		return -EFAULT;
	err = zc_submit(file, what);
	return put_user(what->out_accepted, &user->out_accepted) ? -EFAULT : err;
}

/* Not inline: the argument is cleared where the function begins, which SUBMIT need not pay for. */
static noinline long any_ioctl(struct file *file, unsigned int cmd, void __user *user)
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
	if (!err && row->cmd == ZCDMA_IOC_SUBMIT)
		return submit_ioctl(file, &arg.submit, user);
	/* Results that cannot be written are an error before anything is done. */
	if (!err && copy_to_user(user, &arg, min(size, user_size)))
		err = -EFAULT;
	if (err)
		return err;
	err = row->fn(file->private_data, &arg);
	if (copy_to_user(user, &arg, min(size, user_size)))
		return -EFAULT;
	return err;
}

static long zcdma_unlocked_ioctl(struct file *file, unsigned int cmd, unsigned long uptr)
{
	void __user *user = (void __user *)uptr;
	struct zcdma_submit what __uninitialized;

	/* With the struct that we know: what is above, without its price. */
	if (cmd != ZCDMA_IOC_SUBMIT)
		return any_ioctl(file, cmd, user);
	if (copy_from_user(&what, user, sizeof(what)))
		return -EFAULT;
	if (what.flags & ~ZCDMA_SUBMIT_WAIT)
		return -EINVAL;
	return submit_ioctl(file, &what, user);
}

static int zcdma_open(struct inode *inode, struct file *file)
{
	file->private_data = zc_session_create();
	if (!file->private_data)
		return -ENOMEM;
	return stream_open(inode, file);
}

static int zcdma_release(struct inode *inode, struct file *file)
{
	zc_session_close(file->private_data);
	return 0;
}

static ssize_t zcdma_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct zcdma_stream *st = zcdma_stream_of(file->private_data, ZCDMA_WAY_RX);

	if (st)
		return zcdma_stream_read(st, buf, size, file->f_flags & O_NONBLOCK);
	return zc_session_read(file->private_data, buf, size, file->f_flags & O_NONBLOCK);
}

static __poll_t zcdma_poll(struct file *file, poll_table *pt)
{
	return zc_session_poll(file->private_data, file, pt);
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
	.uring_cmd	= zc_uring_cmd,
	.unlocked_ioctl	= zcdma_unlocked_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

/* Root's, until a rule of udev's gives it to a group: nobody else is faster. */
static struct miscdevice zcdma_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "zcdma",
	.mode	= 0600,
	.fops	= &zcdma_fops,
};

static int __init zcdma_init(void)
{
	int err = zc_session_init();

	if (err)
		return err;
	err = zcdma_port_of_init();
	if (err)
		goto no_ports;
	err = misc_register(&zcdma_misc);
	if (err)
		goto no_device;
	return 0;

no_device:
	zcdma_port_of_exit();
no_ports:
	zc_session_exit();
	return err;
}
module_init(zcdma_init);

static void __exit zcdma_exit(void)
{
	misc_deregister(&zcdma_misc);
	zcdma_port_of_exit();
	zc_session_exit();
}
module_exit(zcdma_exit);

MODULE_DESCRIPTION("User pages moved by any DMA engine, through /dev/zcdma");
MODULE_AUTHOR("The zcdma developers");
MODULE_LICENSE("GPL");
