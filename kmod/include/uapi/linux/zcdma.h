/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * zcdma: user pages moved by the kernel's DMA engines, through /dev/zcdma.
 *
 * One open file is a *session*. It is attached to a *channel* of a dmaengine
 * *provider*, takes *ops* and gives back one *completion* for each.
 *
 * How the ioctls work
 * -------------------
 * Each ioctl takes one struct, whose size is part of the command's number. A
 * caller may pass an older (shorter) or a newer (longer) struct than the
 * module's: what is missing reads as zero, what is too much must be zero.
 * Fields named out_... are written by the kernel and ignored on the way in.
 * All layouts are the same for 32-bit and 64-bit programs.
 *
 * What the errors mean, for every ioctl
 * -------------------------------------
 * ENOTTY	no such command.
 * EINVAL	the struct is shorter than its first version; an unknown flag,
 *		opcode or bit is set; a reserved field is not zero; a value is
 *		out of the range that its field documents.
 * E2BIG	the struct is longer than the module's and the part that the
 *		module does not know is not zero.
 * EFAULT	a pointer given cannot be read or written as it must.
 * ENOMEM	out of kernel memory, or over RLIMIT_MEMLOCK.
 * ENODEV	there is no such channel, or it has gone away.
 *
 * Each ioctl adds its own below. Unless it says otherwise, an ioctl that fails
 * has changed nothing.
 *
 * Who may open the device
 * -----------------------
 * Root alone when it appears (mode 0600). Then a rule of udev's gives it to a group.
 *
 * Which channels copies may take
 * ------------------------------
 * Those that the module parameter "allow" names. By default it names softdma, and
 * "copy-only": the engines with neither %ZCDMA_CAP_SLAVE nor %ZCDMA_CAP_CYCLIC. On the
 * others a driver in the kernel may want a channel for its device at any time.
 */
#ifndef _UAPI_LINUX_ZCDMA_H
#define _UAPI_LINUX_ZCDMA_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define ZCDMA_DEVICE		"/dev/zcdma"

#define ZCDMA_IOC_MAGIC		0xd5

/* Room for a name and its final zero, everywhere. */
#define ZCDMA_NAME_LEN		64

/**
 * enum zcdma_feature - bits of &zcdma_get_info.out_features
 * @ZCDMA_FEATURE_COPY_FILL: sessions take %ZCDMA_OP_COPY and %ZCDMA_OP_FILL.
 * @ZCDMA_FEATURE_BUFFERS: %ZCDMA_IOC_REGISTER_BUFFER, and ops on registered memory.
 * @ZCDMA_FEATURE_CHANNELS: &zcdma_attach.channels may be more than 1.
 * @ZCDMA_FEATURE_BARRIER: %ZCDMA_OP_FLAG_BARRIER.
 * @ZCDMA_FEATURE_URING: ops by io_uring, %ZCDMA_URING_OP.
 * @ZCDMA_FEATURE_DRAIN: %ZCDMA_IOC_DRAIN.
 * @ZCDMA_FEATURE_COPY_2D: sessions with a channel take %ZCDMA_OP_COPY_2D.
 * @ZCDMA_FEATURE_PORTS: %ZCDMA_IOC_QUERY_PORT, %ZCDMA_IOC_ATTACH_PORT.
 * @ZCDMA_FEATURE_STREAMS: sessions of a port run streams.
 * @ZCDMA_FEATURE_SEND_RECV: sessions of a port take %ZCDMA_OP_SEND and %ZCDMA_OP_RECV.
 * @ZCDMA_FEATURE_RUNS: numbers of periods go on over the runs of a stream, see &struct zcdma_ring.
 *
 * Later additions to this ABI each get a bit. There is no version number.
 */
enum zcdma_feature {
	ZCDMA_FEATURE_COPY_FILL	= 1 << 0,
	ZCDMA_FEATURE_BUFFERS	= 1 << 1,
	ZCDMA_FEATURE_CHANNELS	= 1 << 2,
	ZCDMA_FEATURE_BARRIER	= 1 << 3,
	ZCDMA_FEATURE_URING	= 1 << 4,
	ZCDMA_FEATURE_DRAIN	= 1 << 5,
	ZCDMA_FEATURE_COPY_2D	= 1 << 6,
	ZCDMA_FEATURE_PORTS	= 1 << 8,
	ZCDMA_FEATURE_STREAMS	= 1 << 9,
	ZCDMA_FEATURE_SEND_RECV	= 1 << 10,
	ZCDMA_FEATURE_RUNS	= 1 << 11,
};

/**
 * struct zcdma_get_info - %ZCDMA_IOC_GET_INFO: what this module and session can do
 * @flags: none yet, must be 0.
 * @out_channels: channels this session is attached to; 0 before %ZCDMA_IOC_ATTACH or
 *	%ZCDMA_IOC_ATTACH_PORT.
 * @out_features: bits of &enum zcdma_feature.
 * @out_opcodes: bit N is set when the module knows opcode N.
 * @out_max_len: longest op, in bytes.
 * @out_max_deadline_ms: longest deadline an op may have, in milliseconds.
 * @out_default_deadline_ms: deadline of an op that names none.
 * @out_max_queue_depth: largest queue depth that %ZCDMA_IOC_ATTACH grants.
 * @out_queue_depth: this session's queue depth; the default before attaching.
 * @out_outstanding: ops of this session accepted and not yet reaped.
 * @__reserved: 0.
 */
struct zcdma_get_info {
	__u32 flags;
	__u32 out_channels;
	__u64 out_features;
	__u64 out_opcodes;
	__u64 out_max_len;
	__u32 out_max_deadline_ms;
	__u32 out_default_deadline_ms;
	__u32 out_max_queue_depth;
	__u32 out_queue_depth;
	__u32 out_outstanding;
	__u32 __reserved;
};

/**
 * enum zcdma_cap - what a channel can do, bits of &zcdma_query_channel.out_caps
 * @ZCDMA_CAP_COPY: moves memory to memory.
 * @ZCDMA_CAP_FILL: fills memory by itself. On a channel with only
 *	%ZCDMA_CAP_COPY a fill is done by copying from a page of the pattern.
 * @ZCDMA_CAP_SLAVE: moves between memory and a device.
 * @ZCDMA_CAP_CYCLIC: runs a ring of periods.
 * @ZCDMA_CAP_HARDWARE: hardware moves the bytes; otherwise a CPU does.
 * @ZCDMA_CAP_TERMINATE: can be stopped. Where it cannot, memory of an op whose
 *	deadline has passed stays pinned until the engine is done with it.
 * @ZCDMA_CAP_PAUSE: can be paused and resumed.
 * @ZCDMA_CAP_UNORDERED: completes descriptors in any order.
 * @ZCDMA_CAP_COHERENT: sees the CPU's caches. On the others zcdma lets the CPU
 *	move the partial cache lines at the edges of a target.
 */
enum zcdma_cap {
	ZCDMA_CAP_COPY		= 1 << 0,
	ZCDMA_CAP_FILL		= 1 << 1,
	ZCDMA_CAP_SLAVE		= 1 << 2,
	ZCDMA_CAP_CYCLIC	= 1 << 3,
	ZCDMA_CAP_HARDWARE	= 1 << 8,
	ZCDMA_CAP_TERMINATE	= 1 << 9,
	ZCDMA_CAP_PAUSE		= 1 << 10,
	ZCDMA_CAP_UNORDERED	= 1 << 11,
	ZCDMA_CAP_COHERENT	= 1 << 12,
};

/**
 * enum zcdma_channel_state - who has a channel now
 * @ZCDMA_CHANNEL_FREE: nobody.
 * @ZCDMA_CHANNEL_SHARED: zcdma sessions, and more may join.
 * @ZCDMA_CHANNEL_EXCLUSIVE: one zcdma session, for itself.
 * @ZCDMA_CHANNEL_BUSY: another user in the kernel.
 * @ZCDMA_CHANNEL_DENIED: the module parameter "allow" keeps copies from it. Sessions that
 *	have it already keep it.
 *
 * A device all of whose channels others in the kernel have taken is not seen at
 * all, nor can it be told from one that is not there: dmaengine shows its clients
 * devices with a free channel only.
 */
enum zcdma_channel_state {
	ZCDMA_CHANNEL_FREE	= 0,
	ZCDMA_CHANNEL_SHARED	= 1,
	ZCDMA_CHANNEL_EXCLUSIVE	= 2,
	ZCDMA_CHANNEL_BUSY	= 3,
	ZCDMA_CHANNEL_DENIED	= 4,
};

/**
 * enum zcdma_residue - how finely a channel reports what is left of a transfer
 * @ZCDMA_RESIDUE_DESCRIPTOR: only whole descriptors.
 * @ZCDMA_RESIDUE_SEGMENT: after each segment or period.
 * @ZCDMA_RESIDUE_BURST: after each burst.
 *
 * The values are those of the kernel's &enum dma_residue_granularity.
 */
enum zcdma_residue {
	ZCDMA_RESIDUE_DESCRIPTOR	= 0,
	ZCDMA_RESIDUE_SEGMENT		= 1,
	ZCDMA_RESIDUE_BURST		= 2,
};

/**
 * enum zcdma_query_flags - which channels %ZCDMA_IOC_QUERY_CHANNEL walks
 * @ZCDMA_QUERY_ATTACHED: only those of this session; of a port, first the one that
 *	sends, then the one that receives.
 */
enum zcdma_query_flags {
	ZCDMA_QUERY_ATTACHED	= 1 << 0,
};

/**
 * struct zcdma_query_channel - %ZCDMA_IOC_QUERY_CHANNEL: look at one channel
 * @flags: bits of &enum zcdma_query_flags.
 * @index: which one, counted from 0. Numbers are those of this moment: they
 *	shift when a provider comes or goes. Names do not.
 * @out_caps: bits of &enum zcdma_cap.
 * @out_state: one of &enum zcdma_channel_state.
 * @out_sessions: zcdma sessions attached to it.
 * @out_copy_align: alignment in bytes that the engine wants of the source,
 *	target and length of a copy; 1 is none. What does not fit is moved by
 *	the CPU.
 * @out_fill_align: the same for its own fill.
 * @out_max_segment: longest piece of memory that the engine's device maps at
 *	once, in bytes. Longer ops are cut.
 * @out_residue: one of &enum zcdma_residue.
 * @out_numa_node: the engine's memory node, or -1.
 * @__reserved: 0.
 * @out_name: the channel's name, such as "dma0chan0". Give it to
 *	%ZCDMA_IOC_ATTACH.
 * @out_device: the engine's device, such as "softdma.0".
 * @out_provider: the driver, such as "softdma".
 *
 * Errors: ENOENT when @index is past the last channel.
 */
struct zcdma_query_channel {
	__u32 flags;
	__u32 index;
	__u64 out_caps;
	__u32 out_state;
	__u32 out_sessions;
	__u32 out_copy_align;
	__u32 out_fill_align;
	__u32 out_max_segment;
	__u32 out_residue;
	__s32 out_numa_node;
	__u32 __reserved;
	char out_name[ZCDMA_NAME_LEN];
	char out_device[ZCDMA_NAME_LEN];
	char out_provider[ZCDMA_NAME_LEN];
};

/**
 * enum zcdma_attach_flags - how a session has its channel
 * @ZCDMA_ATTACH_EXCLUSIVE: for itself; needs CAP_SYS_ADMIN, because it keeps
 *	everybody else away from the channel.
 */
enum zcdma_attach_flags {
	ZCDMA_ATTACH_EXCLUSIVE	= 1 << 0,
};

/**
 * struct zcdma_attach - %ZCDMA_IOC_ATTACH: lease a channel for this session
 * @flags: bits of &enum zcdma_attach_flags.
 * @channels: how many channels of one device, up to 16; 0 means 1. With several, the
 *	ops of the session are spread over them, and a long op is cut into pieces
 *	that several move at the same time. All or none are leased.
 * @caps: bits of &enum zcdma_cap that the channel must have.
 * @queue_depth: how many ops may be outstanding, that is accepted and not yet
 *	reaped; 0 asks for the default. 1 to &zcdma_get_info.out_max_queue_depth.
 * @deadline_ms: deadline of ops that name none, in milliseconds; 0 asks for
 *	&zcdma_get_info.out_default_deadline_ms.
 * @name: of a channel, a device or a provider as %ZCDMA_IOC_QUERY_CHANNEL
 *	gives them. Empty: any channel with @caps, hardware before software,
 *	free before shared. Must hold a final zero.
 * @out_name: the (first) channel's name; %ZCDMA_QUERY_ATTACHED tells of the others.
 *
 * A session attaches once and keeps its channel until the file is closed.
 *
 * Errors: EISCONN when already attached, EBUSY when each channel that would do
 * is taken exclusively or by another user in the kernel, EPERM when "allow"
 * forbids them or @flags asks for more than the caller may.
 */
struct zcdma_attach {
	__u32 flags;
	__u32 channels;
	__u64 caps;
	__u32 queue_depth;
	__u32 deadline_ms;
	char name[ZCDMA_NAME_LEN];
	char out_name[ZCDMA_NAME_LEN];
};

/**
 * enum zcdma_buffer_flags - bits of &zcdma_register_buffer.flags
 * @ZCDMA_BUFFER_READ_ONLY: ops only read it. For memory that the caller may not write,
 *	or that must not be written.
 */
enum zcdma_buffer_flags {
	ZCDMA_BUFFER_READ_ONLY	= 1 << 0,
};

/**
 * struct zcdma_register_buffer - %ZCDMA_IOC_REGISTER_BUFFER: pin, charge and map once
 * @flags: bits of &enum zcdma_buffer_flags.
 * @out_buffer: its id, for &zcdma_op.src_buffer and &zcdma_op.dst_buffer; never 0.
 * @addr: user address, any alignment.
 * @len: in bytes, 1 to &zcdma_get_info.out_max_len.
 *
 * An op on registered memory costs far less: nothing is pinned, charged, mapped or
 * allocated for it. Its memory is charged to the caller's RLIMIT_MEMLOCK, whole
 * pages, until %ZCDMA_IOC_UNREGISTER_BUFFER or the end of the session. Registrations
 * may overlap, and are charged each.
 *
 * What is registered are the pages that are there at the time of the call. They
 * stay what ops move after munmap(), mremap(), or when something else is mapped at
 * @addr. After fork() they are those of the parent; the child shares the session,
 * and its ops on the buffer move the parent's pages. After exec(), or the end of
 * the process, they live as long as the session does.
 *
 * Errors: ENOTCONN before %ZCDMA_IOC_ATTACH or %ZCDMA_IOC_ATTACH_PORT; EOPNOTSUPP at a
 * port whose two directions have engines of different devices; EINVAL for a length of
 * 0, a range that wraps around; EMSGSIZE for a @len above the longest; EFAULT for memory
 * that cannot be read (or written, without %ZCDMA_BUFFER_READ_ONLY), for memory of a device, or
 * of a file that may not be pinned for long; ENOMEM over RLIMIT_MEMLOCK, or where the
 * engine reaches memory through bounce buffers or an IOMMU that have no more room;
 * ENOSPC for more than 1,024 buffers of a session. Nothing stays charged.
 */
struct zcdma_register_buffer {
	__u32 flags;
	__u32 out_buffer;
	__u64 addr;
	__u64 len;
};

/**
 * struct zcdma_unregister_buffer - %ZCDMA_IOC_UNREGISTER_BUFFER: give it back
 * @flags: none yet, must be 0.
 * @buffer: its id.
 *
 * Errors: EINVAL when there is none; EBUSY while ops that name it are outstanding:
 * reap their completions first; or while an engine still has one that was given up: see
 * %ZCDMA_IOC_DRAIN.
 */
struct zcdma_unregister_buffer {
	__u32 flags;
	__u32 buffer;
};

/**
 * enum zcdma_opcode - what an op does
 * @ZCDMA_OP_COPY: copy &zcdma_op.len bytes from &zcdma_op.src to &zcdma_op.dst.
 * @ZCDMA_OP_FILL: fill &zcdma_op.len bytes at &zcdma_op.dst with the byte whose
 *	value (0 to 255) is &zcdma_op.src.
 * @ZCDMA_OP_SEND: move &zcdma_op.len bytes from &zcdma_op.src to the session's port;
 *	&zcdma_op.dst and &zcdma_op.dst_buffer are 0.
 * @ZCDMA_OP_RECV: move &zcdma_op.len bytes from the session's port to &zcdma_op.dst;
 *	&zcdma_op.src and &zcdma_op.src_buffer are 0.
 * @ZCDMA_OP_COPY_2D: copy &zcdma_op.rows rows of &zcdma_op.len bytes each, a rectangle of a
 *	picture for one. The first row is at &zcdma_op.src and goes to &zcdma_op.dst; each
 *	further one is &zcdma_op.src_stride bytes behind the one before, and goes
 *	&zcdma_op.dst_stride bytes behind it. What lies between the rows of the target does not
 *	change.
 *
 * SEND and RECV are for sessions with a port, see "Ops at a port"; the others for those with a
 * channel.
 */
enum zcdma_opcode {
	ZCDMA_OP_COPY	= 1,
	ZCDMA_OP_FILL	= 2,
	ZCDMA_OP_SEND	= 3,
	ZCDMA_OP_RECV	= 4,
	ZCDMA_OP_COPY_2D	= 5,
};

/**
 * enum zcdma_op_flags - bits of &zcdma_op.flags
 * @ZCDMA_OP_FLAG_BARRIER: begin only when all ops submitted to this session before
 *	have finished, well or not. What was submitted after it does not begin before
 *	it does either, but may then run beside it. It costs a pause of the engine. Not
 *	at a port.
 */
enum zcdma_op_flags {
	ZCDMA_OP_FLAG_BARRIER	= 1 << 0,
};

/**
 * struct zcdma_op - one transfer
 * @opcode: one of &enum zcdma_opcode.
 * @__reserved0: 0.
 * @flags: bits of &enum zcdma_op_flags.
 * @user_data: given back in the completion, not looked at.
 * @src: where from: a user address, with @src_buffer an offset in bytes (or what
 *	@opcode says).
 * @dst: where to: a user address, with @dst_buffer an offset in bytes.
 * @len: how many bytes, 1 to &zcdma_get_info.out_max_len; of %ZCDMA_OP_COPY_2D, in each row.
 * @src_buffer: id of the registered buffer that the source is in, or 0.
 * @dst_buffer: the same for the target.
 * @deadline_ms: when to give up, in milliseconds from the submit, at most
 *	&zcdma_get_info.out_max_deadline_ms; 0 asks for the session's.
 * @rows: of %ZCDMA_OP_COPY_2D: how many rows, 1 or more.
 * @src_stride: the same: bytes from the begin of a row of the source to that of the next, @len
 *	or more.
 * @dst_stride: the same of the target.
 * @__reserved1: 0 for all other opcodes.
 * @__reserved2: the same.
 *
 * From the first byte of the first row to the last byte of the last one, a source or target of
 * %ZCDMA_OP_COPY_2D is at most &zcdma_get_info.out_max_len long. All of that must be accessible,
 * is pinned and charged, and must not overlap with that of the other; but only the rows are read
 * and written. A CPU moves rows shorter than 64 bytes, or too short for an aligned part
 * (&zcdma_query_channel.out_copy_align); those whose strides are misaligned against each other;
 * and, if not all memory is registered, those with more than 64 KiB between the end of one and the
 * begin of the next.
 *
 * The memory may be of any kind that can be pinned, at any address. From the
 * submit to the completion the source must not be written and the target
 * neither read nor written: what would be seen is undefined. Unless it is
 * registered, it stays pinned and is charged to the submitter's RLIMIT_MEMLOCK
 * for that time, whole pages, source and target both.
 *
 * Ops may run and complete in any order, but for %ZCDMA_OP_FLAG_BARRIER and at a port.
 */
struct zcdma_op {
	__u8  opcode;
	__u8  __reserved0[3];
	__u32 flags;
	__u64 user_data;
	__u64 src;
	__u64 dst;
	__u64 len;
	__u32 src_buffer;
	__u32 dst_buffer;
	__u32 deadline_ms;

	__extension__ union {
		__u32 rows;
		__u32 __reserved1;
	};
	__extension__ union {
		__extension__ struct {
			__u32 src_stride;
			__u32 dst_stride;
		};
		__u64 __reserved2;
	};
};

/**
 * enum zcdma_done_flags - how a completed op was moved
 * @ZCDMA_DONE_HARDWARE: (some of) the bytes were moved by hardware.
 * @ZCDMA_DONE_CPU: (some of) the bytes were moved by a CPU: the channel is a
 *	software one, or these bytes lie where the engine cannot reach.
 * @ZCDMA_DONE_REPORTED: the engine itself reported how it went. Without this
 *	flag a @res of 0 means that it finished, and that it is not known to
 *	report errors.
 * @ZCDMA_DONE_RESIDUE: of an op at a port: if it has failed, &zcdma_completion.done
 *	counts what was moved until then, as finely as %ZCDMA_IOC_QUERY_CHANNEL says.
 *	Without this flag the engine only tells when it has done all of a piece, and done
 *	counts those; some bytes more may have been moved.
 * @ZCDMA_DONE_SHORT: of an op at a port that has not failed: the device has ended it early, as
 *	with the last word of a packet. &zcdma_completion.done counts what there was.
 */
enum zcdma_done_flags {
	ZCDMA_DONE_HARDWARE	= 1 << 0,
	ZCDMA_DONE_CPU		= 1 << 1,
	ZCDMA_DONE_REPORTED	= 1 << 2,
	ZCDMA_DONE_RESIDUE	= 1 << 3,
	ZCDMA_DONE_SHORT	= 1 << 4,
};

/**
 * struct zcdma_completion - what became of one op
 * @user_data: the op's.
 * @done: bytes at the start of the target that are certainly there, or that a port's
 *	device has certainly taken. The op's length when @res is 0. Of %ZCDMA_OP_COPY_2D, the
 *	bytes of whole rows, from the first row on: a multiple of its length, @rows times that
 *	when @res is 0.
 * @res: 0 or a negative errno:
 *	-ETIMEDOUT the deadline passed; -ECANCELED cancelled; -ENODEV the engine
 *	went away; -EIO the engine reported an error or refused the transfer, or a
 *	port's device has ended it early.
 * @flags: bits of &enum zcdma_done_flags.
 * @__reserved: 0.
 *
 * Of a failed op, bytes of the target past @done are undefined; nothing
 * outside the target has changed.
 */
struct zcdma_completion {
	__u64 user_data;
	__u64 done;
	__s32 res;
	__u32 flags;
	__u64 __reserved;
};

/**
 * enum zcdma_submit_flags
 * @ZCDMA_SUBMIT_WAIT: return only when all accepted ops are complete, or when
 *	a signal handler runs.
 */
enum zcdma_submit_flags {
	ZCDMA_SUBMIT_WAIT	= 1 << 0,
};

/**
 * struct zcdma_submit - %ZCDMA_IOC_SUBMIT: hand over ops
 * @flags: bits of &enum zcdma_submit_flags.
 * @count: how many ops, 1 to &zcdma_get_info.out_max_queue_depth.
 * @ops: address of an array of &struct zcdma_op.
 * @op_size: sizeof(struct zcdma_op), the stride of the array. As with the
 *	structs of ioctls, a longer one must end in zeros; at most a page.
 * @out_accepted: how many ops were accepted. Always written, on errors too,
 *	unless the struct itself was refused (EFAULT, E2BIG, EINVAL on it).
 * @completions: 0, or with %ZCDMA_SUBMIT_WAIT the address of an array of
 *	@count &struct zcdma_completion, which then receives the completions of
 *	the accepted ops, in their order, instead of read().
 *
 * Ops are accepted one after the other. The first that cannot be ends the
 * call with its error, and @out_accepted says how many before it are on
 * their way: each of those will complete exactly once. An op that is refused
 * has moved nothing.
 *
 * Errors: ENOTCONN before %ZCDMA_IOC_ATTACH or %ZCDMA_IOC_ATTACH_PORT; EAGAIN when the
 * queue is full: reap some completions and try again; EOPNOTSUPP for an opcode that is
 * not for this session: see "Ops at a port", as for EBUSY; EINVAL for a length of 0, a
 * range that wraps around, a source and target that overlap, an unknown buffer, no rows, a stride
 * below the length of a row, at a port for an address or a length that is no multiple of its
 * width; EMSGSIZE for a @len above the longest, or rows that go further; EFAULT for memory
 * that is not mapped, not readable, for a target that is not writable, for memory of a device,
 * for what is past the end of a buffer; EINTR when a signal handler ended the
 * wait, whatever became of an op that could not be accepted: the ops go on and their
 * completions come by read(). (The wait of a process that was stopped and continued goes on.)
 */
struct zcdma_submit {
	__u32 flags;
	__u32 count;
	__u64 ops;
	__u32 op_size;
	__u32 out_accepted;
	__u64 completions;
};

/**
 * enum zcdma_cancel_flags
 * @ZCDMA_CANCEL_ALL: whatever their user_data.
 */
enum zcdma_cancel_flags {
	ZCDMA_CANCEL_ALL	= 1 << 0,
};

/**
 * struct zcdma_cancel - %ZCDMA_IOC_CANCEL: take back ops that have not begun
 * @flags: bits of &enum zcdma_cancel_flags.
 * @out_cancelled: how many were cancelled.
 * @user_data: of the ops meant.
 *
 * A cancelled op completes with -ECANCELED. One of which the engine already
 * has a part is left alone and completes as if nothing had been said. At a port it is
 * stopped instead, and its completion tells how far it came; that may be the end.
 *
 * Errors: ENOENT when no such op is outstanding; EALREADY when there is, but
 * all have begun or are complete.
 */
struct zcdma_cancel {
	__u32 flags;
	__u32 out_cancelled;
	__u64 user_data;
};

/**
 * struct zcdma_drain - %ZCDMA_IOC_DRAIN: wait until no engine has anything of the session
 * @flags: none yet, must be 0.
 * @timeout_ms: how long to wait, at most &zcdma_get_info.out_max_deadline_ms.
 *
 * Afterwards no engine reads or writes memory of an op that was submitted before, be it that
 * its completion was read long ago (its deadline has passed, and the engine could not be
 * stopped). Completions that were not read can still be. To end all use of memory: cancel all,
 * drain, close.
 *
 * Errors: ETIMEDOUT when an engine still has something; EINTR when the process is killed.
 */
struct zcdma_drain {
	__u32 flags;
	__u32 timeout_ms;
};

/*
 * Ports
 * -----
 * A *port* is a device at a channel's request line: a register or FIFO that the
 * engine reads or writes when the device asks. The device tree defines ports, or
 * root does (the module parameter "ports"); users know them by name, and nobody
 * learns an address. A port belongs to one session at a time. Who may have it is said
 * with that parameter, by a group and a mode as of a file; otherwise only root may.
 */

/**
 * enum zcdma_direction - which ways a port goes
 * @ZCDMA_TX: memory to device.
 * @ZCDMA_RX: device to memory.
 */
enum zcdma_direction {
	ZCDMA_TX	= 1 << 0,
	ZCDMA_RX	= 1 << 1,
};

/**
 * enum zcdma_port_state - who has a port now
 * @ZCDMA_PORT_FREE: nobody.
 * @ZCDMA_PORT_BUSY: a session, or its channel is used otherwise.
 * @ZCDMA_PORT_ABSENT: its engine is not there.
 */
enum zcdma_port_state {
	ZCDMA_PORT_FREE		= 0,
	ZCDMA_PORT_BUSY		= 1,
	ZCDMA_PORT_ABSENT	= 2,
};

/**
 * struct zcdma_query_port - %ZCDMA_IOC_QUERY_PORT: look at one port
 * @flags: none yet, must be 0.
 * @index: which one, counted from 0; as for channels, a number of this moment.
 * @out_directions: bits of &enum zcdma_direction.
 * @out_state: one of &enum zcdma_port_state.
 * @out_width: of the device's register, in bytes. What is moved is a multiple.
 * @out_burst: the most words that the device takes or gives at a request.
 * @out_owner: process that attached to it, as the caller's pid namespace numbers
 *	it; 0 when nobody did, or it is not known there. Only the same user, and root, is told.
 * @out_data: bytes at the start of each word that carry data: 1 for a UART whose
 *	register is written in words of 4. Otherwise equal to @out_width. It is for
 *	programs to spread what they send, and to gather what they receive.
 * @out_name: the port's name, for %ZCDMA_IOC_ATTACH_PORT.
 * @out_device: its engine's device. Empty when that is not there, as the next.
 * @out_provider: the driver of that.
 * @out_owner_name: the command of the process at @out_owner; empty if there is none.
 *
 * Errors: ENOENT when @index is past the last port.
 */
struct zcdma_query_port {
	__u32 flags;
	__u32 index;
	__u32 out_directions;
	__u32 out_state;
	__u32 out_width;
	__u32 out_burst;
	__s32 out_owner;
	__u32 out_data;
	char out_name[ZCDMA_NAME_LEN];
	char out_device[ZCDMA_NAME_LEN];
	char out_provider[ZCDMA_NAME_LEN];
	char out_owner_name[ZCDMA_NAME_LEN];
};

/**
 * struct zcdma_attach_port - %ZCDMA_IOC_ATTACH_PORT: have a port for this session
 * @flags: none yet, must be 0.
 * @queue_depth: as in &struct zcdma_attach.
 * @deadline_ms: the same. It also limits how long a read() or write() of a stream
 *	waits for the device.
 * @__reserved: 0.
 * @name: the port's.
 * @out_directions: bits of &enum zcdma_direction.
 * @out_width: as in &struct zcdma_query_port.
 * @out_tx_caps: bits of &enum zcdma_cap of the channel that sends; 0 without one.
 * @out_rx_caps: the same of the one that receives.
 *
 * In place of %ZCDMA_IOC_ATTACH; until the file is closed. A port is its own permission:
 * "allow" need not name its channels.
 *
 * Errors: ENOENT when there is no such port; EACCES when the caller may not have it;
 * EISCONN when already attached; EBUSY when somebody has the port or its channel, see
 * &zcdma_query_port.out_owner; ENODEV when its engine is not there; EOPNOTSUPP when the
 * engine cannot serve the port: not its width, not that way.
 */
struct zcdma_attach_port {
	__u32 flags;
	__u32 queue_depth;
	__u32 deadline_ms;
	__u32 __reserved;
	char name[ZCDMA_NAME_LEN];
	__u32 out_directions;
	__u32 out_width;
	__u64 out_tx_caps;
	__u64 out_rx_caps;
};

/*
 * Ops at a port
 * -------------
 * %ZCDMA_OP_SEND and %ZCDMA_OP_RECV move between memory of the program's own, registered
 * or not, and the port's device, by SUBMIT or io_uring as any op. The address of the memory
 * (of registered memory too: that of the registration, plus the offset) and the length
 * are multiples of &zcdma_query_port.out_width.
 *
 * Those of one direction run one after the other, as they were submitted; the two
 * directions do not wait for each other. The device says when it has something or takes
 * something, and until then the op waits, at most until its deadline. One that fails has
 * moved &zcdma_completion.done bytes, see %ZCDMA_DONE_RESIDUE, and the next op goes on
 * from there. One that was to be stopped and had moved all by then has not failed.
 *
 * Errors of SUBMIT: EOPNOTSUPP for other opcodes, when the port does not go that way, or
 * when its engine cannot be stopped; EBUSY when there is a stream that way. While ops of
 * a direction are outstanding, %ZCDMA_IOC_STREAM_SETUP of that one fails with EBUSY.
 */

/*
 * Streams
 * -------
 * A *stream* moves without end between a port and a ring of *periods*. Each
 * direction of a port's session can have one. Two sorts of rings:
 *
 * - Cyclic. The engine goes round by itself and waits for nobody. What a receiver
 *   is too slow for is overwritten; where a sender is too slow, zeros go out. The
 *   ring can be mapped.
 *
 * - Queued (%ZCDMA_STREAM_QUEUED). The kernel hands the periods to the engine one
 *   by one, ahead of time. A sender that is too slow makes a gap and no noise, and
 *   the last period may be short. A receiver that is too slow loses the oldest
 *   periods, as with a cyclic ring. splice() gives away the periods' own pages.
 *
 * Overrun and underrun: each period that is lost is counted, in all modes. The next
 * read() or write() after a loss fails with EPIPE, once, and the one after that
 * goes on: a read() with the oldest period that is intact, and at least half of the
 * ring ahead of the engine where there is that much; a write() one period ahead of
 * the engine. A period that a write() completes when the engine is at it counts as
 * lost: some of it may have gone out. (An engine with %ZCDMA_RESIDUE_DESCRIPTOR does not
 * tell where it is, and nobody tells when a period is published in a mapped ring: there it
 * is not counted while the callback of the one before is late. A receiver keeps a period less
 * there, but for a ring of two periods: what is read of that may be torn.) A queued ring that sends
 * loses nothing: there an underrun is a gap, it is counted and nothing fails.
 *
 * A read() takes whole periods, and of one that has begun what is there as soon as the device is
 * silent, on engines with %ZCDMA_RESIDUE_BURST. The period of a queued ring that the device has
 * ended early (a packet) is as long as that. A call that has moved something before a loss
 * returns that, and the next one is told.
 */

/**
 * enum zcdma_stream_flags
 * @ZCDMA_STREAM_QUEUED: a queued ring, see above. For engines without
 *	%ZCDMA_CAP_CYCLIC it is the only one.
 */
enum zcdma_stream_flags {
	ZCDMA_STREAM_QUEUED	= 1 << 0,
};

/* Limits of a ring. */
#define ZCDMA_STREAM_MIN_PERIOD		16
#define ZCDMA_STREAM_MAX_PERIOD		1048576
#define ZCDMA_STREAM_MIN_PERIODS	2
#define ZCDMA_STREAM_MAX_PERIODS	4096
#define ZCDMA_STREAM_MAX_RING		67108864

/**
 * struct zcdma_stream_setup - %ZCDMA_IOC_STREAM_SETUP: make the ring
 * @flags: bits of &enum zcdma_stream_flags.
 * @direction: %ZCDMA_TX or %ZCDMA_RX.
 * @period_bytes: a multiple of the port's width, %ZCDMA_STREAM_MIN_PERIOD to
 *	%ZCDMA_STREAM_MAX_PERIOD. No power of two is needed.
 * @__reserved: 0.
 * @ring_bytes: at most %ZCDMA_STREAM_MAX_RING. The ring gets as many whole periods
 *	as fit, %ZCDMA_STREAM_MIN_PERIODS to %ZCDMA_STREAM_MAX_PERIODS.
 * @out_periods: how many that are.
 * @out_residue: one of &enum zcdma_residue: how the engine tells where it is.
 * @out_ring_bytes: periods times period_bytes: where a cyclic ring starts anew.
 *
 * The memory is the kernel's, and is charged to the caller's RLIMIT_MEMLOCK until the
 * file is closed. A cyclic ring is one piece of memory, which limits it to some MiB.
 *
 * Errors: ENOTCONN before %ZCDMA_IOC_ATTACH_PORT; EOPNOTSUPP when the port does not
 * go that way, or the engine has no cyclic transfers (use %ZCDMA_STREAM_QUEUED) or
 * cannot be stopped, or completes out of order (%ZCDMA_CAP_UNORDERED); EEXIST when there
 * is one already; EBUSY while ops that way are outstanding, or not reaped; EINVAL for sizes
 * out of range, and for a period that is no multiple of the width, or longer than the engine
 * takes in one piece; ENOMEM; ENODEV when the engine is gone.
 */
struct zcdma_stream_setup {
	__u32 flags;
	__u32 direction;
	__u32 period_bytes;
	__u32 __reserved;
	__u64 ring_bytes;
	__u32 out_periods;
	__u32 out_residue;
	__u64 out_ring_bytes;
};

/**
 * enum zcdma_stream_action
 * @ZCDMA_STREAM_START: with an empty ring (receiver), or with what was
 *	written so far (sender). A receiver is also started by the first read() or poll(), a
 *	sender by the write() that finds the ring full.
 * @ZCDMA_STREAM_STOP: at once. What had come to a receiver can still be read: whole periods, and
 *	of the one that has begun what is there, if the engine has %ZCDMA_RESIDUE_BURST and can be
 *	paused. Then read() returns 0. What a sender had left is dropped, and a write() that waits
 *	for room ends, with ECANCELED if nothing of it was taken. EIO when the engine cannot be
 *	stopped: then it keeps the memory of what it has, and the stream has failed. STOP can
 *	be tried again.
 * @ZCDMA_STREAM_PAUSE: the engine stands still. EOPNOTSUPP without %ZCDMA_CAP_PAUSE.
 * @ZCDMA_STREAM_RESUME: it goes on.
 * @ZCDMA_STREAM_DRAIN: of a sender: send what was written, wait for that, stop. On a
 *	cyclic ring the last period is filled up with zeros, and some more may follow.
 *	ETIMEDOUT when the device does not take a period within the deadline. EPIPE when the
 *	engine of a cyclic ring was at the last period before that was written to the end: all
 *	was done, and some of it is lost.
 */
enum zcdma_stream_action {
	ZCDMA_STREAM_START	= 1,
	ZCDMA_STREAM_STOP	= 2,
	ZCDMA_STREAM_PAUSE	= 3,
	ZCDMA_STREAM_RESUME	= 4,
	ZCDMA_STREAM_DRAIN	= 5,
};

/**
 * struct zcdma_stream_control - %ZCDMA_IOC_STREAM_CONTROL: start, stop, ...
 * @flags: none yet, must be 0.
 * @direction: %ZCDMA_TX or %ZCDMA_RX.
 * @action: one of &enum zcdma_stream_action.
 * @__reserved: 0.
 *
 * Errors: ENOTCONN without a stream that way; EBUSY when it is not in a state for
 * that (start of one that runs, pause of one that does not); EIO when the engine
 * refuses.
 */
struct zcdma_stream_control {
	__u32 flags;
	__u32 direction;
	__u32 action;
	__u32 __reserved;
};

/**
 * enum zcdma_stream_state
 * @ZCDMA_STREAM_IDLE: set up, not started.
 * @ZCDMA_STREAM_RUNNING: the engine is at work, or waits for the device or for us.
 * @ZCDMA_STREAM_PAUSED: it stands still.
 * @ZCDMA_STREAM_DRAINING: it sends the last of it.
 * @ZCDMA_STREAM_STOPPED: by request; can be started anew.
 * @ZCDMA_STREAM_FAILED: the engine reported an error, or refused a period.
 * @ZCDMA_STREAM_GONE: so has the engine.
 */
enum zcdma_stream_state {
	ZCDMA_STREAM_IDLE	= 0,
	ZCDMA_STREAM_RUNNING	= 1,
	ZCDMA_STREAM_PAUSED	= 2,
	ZCDMA_STREAM_DRAINING	= 3,
	ZCDMA_STREAM_STOPPED	= 4,
	ZCDMA_STREAM_FAILED	= 5,
	ZCDMA_STREAM_GONE	= 6,
};

/**
 * struct zcdma_stream_status - %ZCDMA_IOC_STREAM_STATUS: how it goes
 * @flags: none yet, must be 0.
 * @direction: %ZCDMA_TX or %ZCDMA_RX.
 * @out_state: one of &enum zcdma_stream_state.
 * @__reserved: 0.
 * @out_head: as in &struct zcdma_ring.
 * @out_tail: as in &struct zcdma_ring.
 * @out_lost: periods lost: overwritten before they were read, or sent as zeros; on a
 *	queued ring that sends, how often the engine had to wait for us.
 * @out_moved: bytes that the engine has moved, in whole periods.
 * @out_copied: payload bytes that a CPU has copied between the ring and user memory or
 *	a pipe.
 *
 * Errors: ENOTCONN without a stream that way.
 */
struct zcdma_stream_status {
	__u32 flags;
	__u32 direction;
	__u32 out_state;
	__u32 __reserved;
	__u64 out_head;
	__u64 out_tail;
	__u64 out_lost;
	__u64 out_moved;
	__u64 out_copied;
};

/**
 * struct zcdma_ring - the control page of a cyclic ring
 * @head: periods that were put into the ring: by the engine (receiver), or by the
 *	user (sender), who writes it here.
 * @tail: periods that were taken out of it: by the user (receiver), who writes it here,
 *	or by the engine (sender).
 * @oldest: of a receiver: periods before this one are overwritten, or being so.
 * @lost: as &zcdma_stream_status.out_lost.
 * @state: as &zcdma_stream_status.out_state.
 * @period_bytes: of the ring.
 * @periods: of the ring.
 * @run: which run this is, counted from 1 (%ZCDMA_FEATURE_RUNS).
 *
 * A run is what happens from a START to the STOP after it. Numbers go on over runs: the next one
 * begins with a multiple of @periods that the one before did not reach, and head and tail are both
 * that. A receiver has a new run at START, a sender at STOP, so that its ring can be filled
 * before START: it is to read tail then. What is written here for an older run is ignored.
 *
 * Period number N, counted from 0 and never wrapping, is at byte
 * (N % periods) * period_bytes of the ring. At most @periods of them are in it.
 *
 * A receiver takes periods from max(tail, oldest) up to head, and looks at oldest
 * again after it has used a period: if that has passed it, what was seen may be
 * torn. It writes tail with release semantics, and reads head with acquire
 * semantics; a sender the other way round. A number that cannot be is ignored. One written after
 * a loss (a receiver's tail that is not below oldest, a sender's head above tail) tells that it is
 * known: poll() does not say POLLPRI for it any more, and no read() or write() is told.
 *
 * The pages stay valid as long as they are mapped, whatever becomes of the stream.
 */
struct zcdma_ring {
	__u64 head;
	__u64 __pad0[7];
	__u64 tail;
	__u64 __pad1[7];
	__u64 oldest;
	__u64 lost;
	__u32 state;
	__u32 period_bytes;
	__u32 periods;
	__u32 run;
};

/*
 * What mmap() of a session with a cyclic stream offers, by offset: the control
 * page and the ring of each direction. MAP_SHARED only.
 */
#define ZCDMA_MMAP_RX_CONTROL	0x00000000
#define ZCDMA_MMAP_RX_RING	0x10000000
#define ZCDMA_MMAP_TX_CONTROL	0x20000000
#define ZCDMA_MMAP_TX_RING	0x30000000

#define ZCDMA_IOC_GET_INFO	_IOWR(ZCDMA_IOC_MAGIC, 0x00, struct zcdma_get_info)
#define ZCDMA_IOC_QUERY_CHANNEL	_IOWR(ZCDMA_IOC_MAGIC, 0x01, struct zcdma_query_channel)
#define ZCDMA_IOC_ATTACH	_IOWR(ZCDMA_IOC_MAGIC, 0x02, struct zcdma_attach)
#define ZCDMA_IOC_REGISTER_BUFFER _IOWR(ZCDMA_IOC_MAGIC, 0x03, struct zcdma_register_buffer)
#define ZCDMA_IOC_UNREGISTER_BUFFER \
	_IOWR(ZCDMA_IOC_MAGIC, 0x04, struct zcdma_unregister_buffer)
#define ZCDMA_IOC_SUBMIT	_IOWR(ZCDMA_IOC_MAGIC, 0x05, struct zcdma_submit)
#define ZCDMA_IOC_CANCEL	_IOWR(ZCDMA_IOC_MAGIC, 0x06, struct zcdma_cancel)
#define ZCDMA_IOC_DRAIN		_IOWR(ZCDMA_IOC_MAGIC, 0x07, struct zcdma_drain)
#define ZCDMA_IOC_ATTACH_PORT	_IOWR(ZCDMA_IOC_MAGIC, 0x10, struct zcdma_attach_port)
#define ZCDMA_IOC_QUERY_PORT	_IOWR(ZCDMA_IOC_MAGIC, 0x11, struct zcdma_query_port)
#define ZCDMA_IOC_STREAM_SETUP	_IOWR(ZCDMA_IOC_MAGIC, 0x12, struct zcdma_stream_setup)
#define ZCDMA_IOC_STREAM_CONTROL _IOWR(ZCDMA_IOC_MAGIC, 0x13, struct zcdma_stream_control)
#define ZCDMA_IOC_STREAM_STATUS	_IOWR(ZCDMA_IOC_MAGIC, 0x14, struct zcdma_stream_status)

/*
 * Ops by io_uring
 *
 * An SQE with opcode IORING_OP_URING_CMD, the session's descriptor, cmd_op
 * %ZCDMA_URING_OP, and a &struct zcdma_op in its cmd field is an op. The ring must
 * have been made with IORING_SETUP_SQE128; what of the field is behind the op must be
 * 0. The op counts as one of the session's, as if by SUBMIT, but its completion comes
 * by the ring alone: the CQE has the SQE's user_data, and the op's is not used. Its
 * res is the number of bytes, as &zcdma_completion.done counts them, or a negative errno: those of
 * a completion, and those of SUBMIT. A ring made with IORING_SETUP_CQE32 tells more
 * in big_cqe[0]: bytes done in the low half, &enum zcdma_done_flags in the high one,
 * which a 32-bit kernel has no room for.
 *
 * Ops on registered memory are taken in the submitter's own context, without waiting,
 * and those of one io_uring_enter() go to the engine together, up to 32 at a time. For
 * others a thread of io_uring's pins the memory. %ZCDMA_IOC_CANCEL cancels them by the op's
 * user_data. A process that ends takes its own with it, by io_uring from Linux 6.7 on; before
 * that it waits for them, so there @deadline_ms is at most 60,000: EINVAL otherwise.
 */
#define ZCDMA_URING_OP		_IOW(ZCDMA_IOC_MAGIC, 0x05, struct zcdma_op)

/*
 * The file operations of a session
 *
 * read() takes whole &struct zcdma_completion, as many as fit and are there.
 * It blocks while there is none and ops are outstanding, unless O_NONBLOCK is
 * set (EAGAIN). It returns 0 when nothing is outstanding. EINVAL: the buffer is
 * too small for one. EFAULT: nothing is lost, what was not delivered can be
 * read again. ENODEV: the engine went away and all completions were read.
 *
 * poll() says POLLIN when read() has something, POLLOUT when the queue has
 * room (before ATTACH too), POLLHUP | POLLERR when the engine went away and all ops
 * have finished.
 *
 * On a session with a stream that receives, read() takes bytes of it instead, as many
 * as are there, and blocks while there are none: EAGAIN, EINTR; ETIMEDOUT after the
 * session's deadline; EPIPE once after an overrun; 0 when it was stopped and all was
 * read; EIO, ENODEV when it failed. splice() moves them to a pipe without a copy if
 * the ring is queued. write() to one that sends blocks while the ring is full; its
 * errors are the same, and ECANCELED. poll() says POLLIN and POLLOUT for them, POLLPRI for a
 * loss that was not reported yet, POLLERR when it failed; asked for POLLIN it starts a receiver
 * that is IDLE. On such sessions the completions of ops are to be had
 * with %ZCDMA_SUBMIT_WAIT and by io_uring.
 *
 * close() of the last descriptor cancels what has not begun, and what a CPU is at, and waits for no
 * engine. What an engine already has goes on there while others use it, with its memory pinned and
 * charged until it is through; an engine that nobody uses any more is stopped. So wait first, for
 * the completions or by %ZCDMA_IOC_DRAIN. A child of fork() shares the session; after exec() it is
 * open unless O_CLOEXEC was given.
 */

#endif /* _UAPI_LINUX_ZCDMA_H */
