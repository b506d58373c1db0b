/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libzcdma: a program's own memory, moved by a DMA engine through /dev/zcdma.
 *
 *	struct zcdma_session *s = zcdma_open(NULL);
 *
 *	if (!s || zcdma_attach(s, NULL) || zcdma_copy(s, dst, src, len, NULL))
 *		err(1, "copy");
 *	zcdma_close(s);
 *
 * The structs and constants are those of the kernel's ABI, <linux/zcdma.h>;
 * what is said there about their fields is not repeated here. Should one of
 * them grow, the functions that take it get a new symbol version, and programs
 * built before go on working.
 *
 * Errors
 * ------
 * Functions return -1 (pointers: NULL) and set errno when they fail. The ones
 * that hand a struct to the kernel fail as the ioctl of the same name does;
 * "Errors" below names what is added or matters most.
 *
 * Threads
 * -------
 * There is no global state: sessions are independent of each other, and each
 * thread may have its own (an idle one is small). One session is used by one
 * thread at a time, except that zcdma_cancel(), zcdma_cancel_all(),
 * zcdma_fd(), zcdma_get_info(), zcdma_query_channel() and
 * zcdma_find_channel() may be called from any thread until zcdma_close().
 *
 * Memory
 * ------
 * The caller owns all memory. From the submit of an op until its completion is
 * reaped its source must not be written and its target not be touched.
 *
 * fork() and exec()
 * -----------------
 * The descriptor is close-on-exec. A child must not use its parent's session.
 */
#ifndef ZCDMA_H
#define ZCDMA_H

#include <stddef.h>
#include <stdint.h>

#include <linux/zcdma.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct zcdma_session - one open file of the device, with its queue
 *
 * Made by zcdma_open(), ended by zcdma_close().
 */
struct zcdma_session;

struct io_uring_sqe;

/**
 * zcdma_version() - the library's version
 *
 * Returns a constant string such as "0.1.0". Never fails, never blocks.
 */
const char *zcdma_version(void);

/**
 * zcdma_open() - start a session
 * @path: the device, or NULL for ZCDMA_DEVICE.
 *
 * Returns a session, which the caller ends with zcdma_close(). Does not block.
 *
 * Errors: ENOENT when the module is not loaded; EACCES when the caller may not
 * use the device; ENOTTY when @path is something else; ENOMEM, EMFILE, ENFILE.
 */
struct zcdma_session *zcdma_open(const char *path);

/**
 * zcdma_close() - end a session
 * @session: the session; NULL does nothing.
 *
 * Ops that have not begun are cancelled, their completions are lost. Blocks
 * until no engine has any memory of the others: most often until they are done,
 * or their deadlines. An engine that hangs and cannot be stopped is waited for
 * ten minutes; memory that it has then stays pinned. Keeps errno.
 */
void zcdma_close(struct zcdma_session *session);

/**
 * zcdma_fd() - the descriptor, to poll
 * @session: the session.
 *
 * POLLIN: zcdma_reap() has something. POLLOUT: zcdma_submit() has room.
 * POLLHUP and POLLERR: the engine is gone. The descriptor stays the session's:
 * do not close it, do not read() it, leave O_NONBLOCK on.
 */
int zcdma_fd(const struct zcdma_session *session);

/**
 * zcdma_get_info() - what the module and this session can do
 * @session: the session.
 * @info: filled in.
 *
 * Returns 0. Does not block.
 */
int zcdma_get_info(const struct zcdma_session *session, struct zcdma_get_info *info);

/**
 * zcdma_query_channel() - look at one channel
 * @session: the session; need not be attached.
 * @flags: bits of enum zcdma_query_flags, 0 for all channels of the machine.
 * @index: which, from 0.
 * @channel: filled in.
 *
 * Returns 0. Does not block. To see them all, count @index up until it fails.
 *
 * Errors: ENOENT past the last one.
 */
int zcdma_query_channel(const struct zcdma_session *session, __u32 flags, __u32 index,
			struct zcdma_query_channel *channel);

/**
 * zcdma_find_channel() - look at the channel of a name
 * @session: the session; need not be attached.
 * @name: the channel's.
 * @channel: filled in.
 *
 * Returns 0. Does not block.
 *
 * Errors: ENODEV when there is none of that name.
 */
int zcdma_find_channel(const struct zcdma_session *session, const char *name,
		       struct zcdma_query_channel *channel);

/**
 * zcdma_attach() - lease a channel for this session
 * @session: the session.
 * @options: name or capabilities of the channel, how many of its device, queue depth,
 *	deadline, exclusive or not; @options->out_name is filled in. NULL: any channel
 *	that copies, shared, defaults for the rest.
 *
 * Returns 0. A session attaches once, before its first op, and keeps its
 * channel until it is closed. Does not wait for a channel to become free.
 *
 * Errors: ENODEV no such channel; EBUSY taken; EPERM not allowed; EISCONN.
 */
int zcdma_attach(struct zcdma_session *session, struct zcdma_attach *options);

/**
 * zcdma_register() - pin, charge and map memory once, for many ops
 * @session: the session, attached.
 * @addr: where it begins, any alignment.
 * @len: in bytes, 1 to the module's longest op.
 * @flags: bits of enum zcdma_buffer_flags, or 0.
 *
 * Returns the buffer's id, more than 0, for src_buffer and dst_buffer of an op, whose
 * src and dst are then offsets in it. Such an op costs a fraction of one on other
 * memory, if the memory is used more than once or twice. Blocks for as long as page
 * faults take. The memory stays the caller's: keep it until zcdma_unregister().
 *
 * Errors: ENOMEM over RLIMIT_MEMLOCK; EFAULT it cannot be pinned; EINVAL, EMSGSIZE,
 * ENOSPC, ENOTCONN, ENODEV.
 */
int zcdma_register(struct zcdma_session *session, const void *addr, size_t len, __u32 flags);

/**
 * zcdma_unregister() - give registered memory back
 * @session: the session.
 * @buffer: what zcdma_register() returned.
 *
 * Returns 0. zcdma_close() does it as well.
 *
 * Errors: EBUSY ops that name it are outstanding; EINVAL there is none.
 */
int zcdma_unregister(struct zcdma_session *session, int buffer);

/**
 * zcdma_prep_sqe() - make an op an entry of an io_uring
 * @session: the session, attached; to be kept until the ring has given the completion.
 * @sqe: two entries' room, as io_uring_get_sqe() gives it on a ring that was made with
 *	IORING_SETUP_SQE128; overwritten.
 * @op: what to do; may be reused when the call returns. Its user_data becomes the
 *	entry's; set that afterwards for another.
 *
 * To be followed by io_uring_submit(). The completion comes by the ring, not by
 * zcdma_reap(): res is the number of bytes, all of them, or a negative errno. Needs
 * no library but the kernel's header <linux/io_uring.h>. Never blocks, never fails.
 */
void zcdma_prep_sqe(const struct zcdma_session *session, struct io_uring_sqe *sqe,
		    const struct zcdma_op *op);

/**
 * zcdma_submit() - hand over ops
 * @session: the session, attached.
 * @ops: what to do; the array may be reused when the call returns.
 * @count: how many, 1 to the module's largest queue depth.
 * @accepted: how many were accepted, from the first on; may be NULL. Written
 *	whether the call fails or not.
 *
 * Returns 0 when all were accepted. When it fails, the *@accepted ops before
 * the one that was refused are on their way all the same. Does not wait for
 * ops; the time it takes is that of pinning their memory.
 *
 * Errors: EAGAIN the queue is full, reap first; ENOMEM over RLIMIT_MEMLOCK,
 * reap first or make ops smaller; EFAULT, EINVAL, EMSGSIZE, ENOTCONN, ENODEV.
 */
int zcdma_submit(struct zcdma_session *session, const struct zcdma_op *ops, unsigned int count,
		 unsigned int *accepted);

/**
 * zcdma_submit_wait() - hand over ops and wait for them
 * @session: the session, attached.
 * @ops: as zcdma_submit().
 * @count: as zcdma_submit().
 * @completions: room for @count; the first *@accepted receive what became of
 *	the ops, in the order of @ops.
 * @accepted: as zcdma_submit().
 *
 * Returns 0 when all were accepted and are complete, failed or not: see each
 * completion's res. Blocks until then, at most until the ops' deadlines.
 *
 * Errors: as zcdma_submit(), then after the accepted ops are complete; and
 * EINTR when a signal handler ran first, whatever became of an op that was
 * refused: the accepted ops go on, their completions are to be had by
 * zcdma_reap(), @completions is undefined.
 */
int zcdma_submit_wait(struct zcdma_session *session, const struct zcdma_op *ops,
		      unsigned int count, struct zcdma_completion *completions,
		      unsigned int *accepted);

/**
 * zcdma_reap() - take completions
 * @session: the session.
 * @completions: room for @max.
 * @max: how many at most, 1 or more.
 * @timeout_ms: how long to wait for the first, in milliseconds; 0 not at all,
 *	-1 as long as it takes.
 *
 * Returns how many were taken; 0 when no op is outstanding. Blocks only while
 * there is none to take.
 *
 * Errors: EAGAIN none came in time; EINTR a signal came first; ENODEV the
 * engine is gone and all completions were taken.
 */
int zcdma_reap(struct zcdma_session *session, struct zcdma_completion *completions,
	       unsigned int max, int timeout_ms);

/**
 * zcdma_cancel() - take back the ops of one user_data
 * @session: the session.
 * @user_data: that of the ops meant.
 *
 * Returns how many were cancelled; each of them completes with -ECANCELED and
 * is still to be reaped. Does not block.
 *
 * Errors: ENOENT no such op is outstanding; EALREADY it has begun or is
 * complete.
 */
int zcdma_cancel(struct zcdma_session *session, __u64 user_data);

/**
 * zcdma_cancel_all() - take back all ops that have not begun
 * @session: the session.
 *
 * As zcdma_cancel().
 */
int zcdma_cancel_all(struct zcdma_session *session);

/**
 * zcdma_copy() - copy memory and wait until it is there
 * @session: the session, attached, without ops of zcdma_submit() outstanding.
 * @dst: where to.
 * @src: where from; must not overlap.
 * @len: how many bytes, any number; 0 does nothing.
 * @result: may be NULL. done: bytes at the start of @dst that are certainly
 *	there; res: 0 or the negative errno; flags: what moved the bytes, and
 *	ZCDMA_DONE_REPORTED if it was reported for all; user_data: 0.
 *
 * Returns 0 when all is there. Any length works under any RLIMIT_MEMLOCK that
 * has room for one page of source and of target: the copy is cut into ops,
 * several in flight, as large and as many as the session's queue, the limit
 * and the engine's speed allow.
 *
 * Blocks, asleep, until done or failed. When it returns the engine no longer
 * touches the memory, whatever the result. It may be called again to go on
 * behind the first @result->done bytes.
 *
 * Errors: those of zcdma_submit() but EAGAIN, and those of a completion's res:
 * ETIMEDOUT, EIO, ENODEV, and ECANCELED after a zcdma_cancel_all() of another
 * thread; EINTR when a signal handler ran; EBUSY when ops of zcdma_submit()
 * are outstanding.
 */
int zcdma_copy(struct zcdma_session *session, void *dst, const void *src, size_t len,
	       struct zcdma_completion *result);

/**
 * zcdma_copy_2d() - copy rows, as of a rectangle of a picture, and wait until they are there
 * @session: as zcdma_copy().
 * @dst: where the first row goes to.
 * @dst_stride: bytes from the begin of a row there to that of the next, @len to 4 GiB - 1.
 * @src: where the first row is. From the first row to the last, source and target must not
 *	overlap.
 * @src_stride: as @dst_stride, of the source.
 * @len: how many bytes in each row; 0 does nothing.
 * @rows: how many rows, any number; 0 does nothing.
 * @result: as zcdma_copy(). done: bytes that are certainly there, counted from the first row on,
 *	one row after the other.
 *
 * What is between the rows of the target does not change, but it must be memory that can be
 * written, and that between the rows of the source must be readable. In everything else as
 * zcdma_copy(): any number of rows of any length works, in ops of several rows, or of parts of one,
 * also where the module knows no rows (%ZCDMA_FEATURE_COPY_2D).
 *
 * Errors: as zcdma_copy(); EINVAL a stride is less than @len or more than 4 GiB - 1.
 */
int zcdma_copy_2d(struct zcdma_session *session, void *dst, size_t dst_stride, const void *src,
		  size_t src_stride, size_t len, size_t rows, struct zcdma_completion *result);

/**
 * zcdma_fill() - fill memory with a byte and wait until it is there
 * @session: as zcdma_copy().
 * @dst: where.
 * @byte: with what.
 * @len: how many bytes, any number; 0 does nothing.
 * @result: as zcdma_copy().
 *
 * In everything else as zcdma_copy().
 */
int zcdma_fill(struct zcdma_session *session, void *dst, __u8 byte, size_t len,
	       struct zcdma_completion *result);

/**
 * zcdma_query_port() - look at one port
 * @session: the session; need not be attached.
 * @index: which, from 0.
 * @port: filled in.
 *
 * Returns 0. Does not block.
 *
 * Errors: ENOENT past the last one.
 */
int zcdma_query_port(const struct zcdma_session *session, __u32 index,
		     struct zcdma_query_port *port);

/**
 * zcdma_find_port() - look at the port of a name
 * @session: the session; need not be attached.
 * @name: the port's.
 * @port: filled in.
 *
 * Returns 0. Does not block.
 *
 * Errors: ENOENT when there is none of that name.
 */
int zcdma_find_port(const struct zcdma_session *session, const char *name,
		    struct zcdma_query_port *port);

/**
 * zcdma_attach_port() - have a port for this session
 * @session: the session, not attached.
 * @options: the port's name, deadline; its outputs are filled in.
 *
 * Returns 0. In place of zcdma_attach(); until the session is closed.
 *
 * Errors: ENOENT no such port; EBUSY somebody has it; ENODEV its engine is not
 * there; EOPNOTSUPP the engine cannot serve it; EISCONN.
 */
int zcdma_attach_port(struct zcdma_session *session, struct zcdma_attach_port *options);

/**
 * zcdma_send() - move memory to the port's device and wait until it has it
 * @session: the session, attached to a port, without ops of zcdma_submit() outstanding.
 * @src: where from; a multiple of the port's width, as @len.
 * @len: how many bytes, up to the module's longest op; 0 does nothing.
 * @result: may be NULL. done: bytes that the device has taken; res: 0 or the negative
 *	errno; flags: with ZCDMA_DONE_RESIDUE done is to be relied upon if not all was
 *	moved; user_data: 0.
 *
 * Returns 0 when the device has all. Blocks, asleep, until it does, at most until the
 * session's deadline. When it returns the engine no longer touches the memory, whatever
 * the result; the next call goes on behind the first @result->done bytes.
 *
 * zcdma_submit() takes such ops as well, ZCDMA_OP_SEND and ZCDMA_OP_RECV.
 *
 * Errors: ETIMEDOUT the device did not ask for more; EINVAL no whole words; EOPNOTSUPP
 * the port does not go that way; EBUSY a stream does, or one receives, or ops of
 * zcdma_submit() are outstanding; EINTR a signal came, as zcdma_submit_wait(); ENOMEM over
 * RLIMIT_MEMLOCK; EIO, ENODEV, EFAULT, EMSGSIZE, ENOTCONN.
 */
int zcdma_send(struct zcdma_session *session, const void *src, size_t len,
	       struct zcdma_completion *result);

/**
 * zcdma_recv() - move what comes from the port's device to memory and wait for all of it
 * @session: as zcdma_send().
 * @dst: where to; a multiple of the port's width, as @len.
 * @len: how many bytes, up to the module's longest op; 0 does nothing.
 * @result: as zcdma_send(). done: bytes at the start of @dst that have come.
 *
 * In everything else as zcdma_send(). When the device ends it early, as with the last word of a
 * packet, that is no failure: flags has ZCDMA_DONE_SHORT then, and done says how much came.
 */
int zcdma_recv(struct zcdma_session *session, void *dst, size_t len,
	       struct zcdma_completion *result);

/**
 * zcdma_stream_setup() - make the ring of a stream
 * @session: the session, attached to a port.
 * @options: direction, sizes, sort of ring; its outputs are filled in.
 *
 * Returns 0. Once for each direction.
 *
 * Errors: EOPNOTSUPP, EINVAL, EEXIST, ENOMEM, ENOTCONN; see <linux/zcdma.h>.
 */
int zcdma_stream_setup(struct zcdma_session *session, struct zcdma_stream_setup *options);

/**
 * zcdma_stream_control() - start, stop, pause, drain
 * @session: the session.
 * @direction: ZCDMA_TX or ZCDMA_RX.
 * @action: one of enum zcdma_stream_action.
 *
 * Returns 0. ZCDMA_STREAM_DRAIN blocks until all is sent; the others as long as the engine takes,
 * half a second at most, and START until a write() of the run before has ended.
 */
int zcdma_stream_control(struct zcdma_session *session, __u32 direction, __u32 action);

/**
 * zcdma_stream_status() - how a stream goes
 * @session: the session.
 * @direction: ZCDMA_TX or ZCDMA_RX.
 * @status: filled in.
 *
 * Returns 0. Does not block. May be called from any thread.
 */
int zcdma_stream_status(const struct zcdma_session *session, __u32 direction,
			struct zcdma_stream_status *status);

/**
 * zcdma_stream_read() - bytes that came
 * @session: the session, with a stream that receives.
 * @buf: where to.
 * @len: how many at most.
 * @timeout_ms: how long to wait for the first, in milliseconds; 0 not at all, -1 as
 *	long as it takes.
 *
 * Returns how many, 0 when the stream was stopped and all was read.
 *
 * Errors: EAGAIN none came in time; EPIPE once after an overrun, see
 * zcdma_stream_status() for how much was lost; EINTR, EIO, ENODEV.
 */
long zcdma_stream_read(struct zcdma_session *session, void *buf, size_t len, int timeout_ms);

/**
 * zcdma_stream_write() - bytes to be sent
 * @session: the session, with a stream that sends.
 * @buf: where from.
 * @len: how many.
 * @timeout_ms: how long to wait for room, as zcdma_stream_read().
 *
 * Returns how many were taken, 1 or more.
 *
 * Errors: as zcdma_stream_read(), EPIPE after an underrun of a cyclic ring.
 */
long zcdma_stream_write(struct zcdma_session *session, const void *buf, size_t len,
			int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif /* ZCDMA_H */
