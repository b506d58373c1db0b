// SPDX-License-Identifier: GPL-2.0
/* The fake's queue: ops go in, are done in their time, and completions come out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fake.h"

#define PAGE		4096ULL
#define NS_PER_MS	1000000ULL

static unsigned long pages_of(__u64 addr, __u64 len)
{
	return (addr + len - 1) / PAGE - addr / PAGE + 1;
}

/* Over RLIMIT_MEMLOCK, with so many pages more? */
static bool too_many(const struct fake_session *s, unsigned long more)
{
	unsigned long pages = s->pages + more;
	struct rlimit limit;
	unsigned int i;

	if (!fake_ordinary_user)
		return false;
	for (i = 0; i < s->nr_flights; i++)
		pages += s->flights[i].finished ? 0 : s->flights[i].pages;
	return !getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY &&
	       pages > limit.rlim_cur / PAGE;
}

/* Can each page be read, and written if it must be? Nothing changes. */
static bool accessible(__u64 addr, __u64 len, bool write)
{
	__u64 at;

	for (at = addr; at < addr + len; at = (at / PAGE + 1) * PAGE) {
		char byte;
		struct iovec here = { &byte, 1 }, there = { (void *)(uintptr_t)at, 1 };

		if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != 1)
			return false;
		if (write && process_vm_writev(getpid(), &here, 1, &there, 1, 0) != 1)
			return false;
	}
	return true;
}

/* ---- registered memory ---- */

int fake_register(struct fake_session *s, struct zcdma_register_buffer *what)
{
	unsigned int i;

	if (!s->buffers)
		return -ENOTCONN;
	if (fake_gone(s))
		return -ENODEV;
	if (!what->len || what->addr + what->len < what->addr)
		return -EINVAL;
	if (what->len > FAKE_MAX_LEN)
		return -EMSGSIZE;
	if (!accessible(what->addr, what->len, !(what->flags & ZCDMA_BUFFER_READ_ONLY)))
		return -EFAULT;
	if (too_many(s, pages_of(what->addr, what->len)))
		return -ENOMEM;
	for (i = 0; i < FAKE_MAX_BUFFERS && s->buffers[i].used; i++)
		;
	if (i == FAKE_MAX_BUFFERS)
		return -ENOSPC;
	s->buffers[i] = (struct fake_buffer){ what->addr, what->len, what->flags, true };
	s->pages += pages_of(what->addr, what->len);
	what->out_buffer = i + 1;
	return 0;
}

int fake_unregister(struct fake_session *s, struct zcdma_unregister_buffer *what)
{
	struct fake_buffer *buffer;
	unsigned int i;

	if (!s->buffers || !what->buffer || what->buffer > FAKE_MAX_BUFFERS)
		return -EINVAL;
	buffer = &s->buffers[what->buffer - 1];
	if (!buffer->used)
		return -EINVAL;
	for (i = 0; i < s->nr_flights; i++)
		if (s->flights[i].op.src_buffer == what->buffer ||
		    s->flights[i].op.dst_buffer == what->buffer)
			return -EBUSY;
	buffer->used = false;
	s->pages -= pages_of(buffer->addr, buffer->len);
	return 0;
}

/* ---- what an op may be ---- */

/* The user address of a source or target, and the pages it is charged. */
static int resolve(const struct fake_session *s, __u64 *addr, __u32 id, __u64 len,
		   bool write, unsigned long *pages)
{
	const struct fake_buffer *buffer = &s->buffers[id ? id - 1 : 0];

	if (*addr + len < *addr)
		return -EINVAL;
	if (!id) {
		*pages += pages_of(*addr, len);
		return accessible(*addr, len, write) ? 0 : -EFAULT;
	}
	if (id > FAKE_MAX_BUFFERS || !buffer->used)
		return -EINVAL;
	if (*addr + len > buffer->len || (write && buffer->flags & ZCDMA_BUFFER_READ_ONLY))
		return -EFAULT;
	*addr += buffer->addr;
	return 0;
}

/* From the first byte to the last */
static __u64 span_of(const struct zcdma_op *op, __u32 stride)
{
	return op->len + (op->rows ? (op->rows - 1) * (__u64)stride : 0);
}

static bool has_src(const struct zcdma_op *op)
{
	return op->opcode != ZCDMA_OP_FILL && op->opcode != ZCDMA_OP_RECV;
}

static int check_form(const struct zcdma_op *op)
{
	bool rows = op->opcode == ZCDMA_OP_COPY_2D;

	if (op->__reserved0[0] || op->__reserved0[1] || op->__reserved0[2] ||
	    (!rows && (op->__reserved1 || op->__reserved2)) ||
	    op->flags & ~ZCDMA_OP_FLAG_BARRIER ||
	    op->opcode < ZCDMA_OP_COPY || op->opcode > ZCDMA_OP_COPY_2D ||
	    (rows && fake_flag("no_rows"))) {
		fake_complain("an op with an unknown bit or opcode: %u, %#x", op->opcode,
			      op->flags);
		return -EINVAL;
	}
	if (!op->len || op->deadline_ms > FAKE_MAX_DEADLINE)
		return -EINVAL;
	if (rows && (!op->rows || op->src_stride < op->len || op->dst_stride < op->len))
		return -EINVAL;
	if (span_of(op, op->src_stride) > FAKE_MAX_LEN)
		return -EMSGSIZE;
	return span_of(op, op->dst_stride) > FAKE_MAX_LEN ? -EMSGSIZE : 0;
}

static int check_port_op(const struct fake_session *s, const struct zcdma_op *op)
{
	int way = op->opcode == ZCDMA_OP_RECV;

	if (!*s->port.channel[way] || fake_flag("no_terminate"))
		return -EOPNOTSUPP;
	if (s->streams[way].set)
		return -EBUSY;
	if (way ? op->src || op->src_buffer : op->dst || op->dst_buffer)
		return -EINVAL;
	return (op->len | (way ? op->dst : op->src)) % s->port.width ? -EINVAL : 0;
}

/* Fill in what is there to know of the flight. */
static int check_op(const struct fake_session *s, struct fake_flight *flight)
{
	struct zcdma_op *op = &flight->op;
	bool at_port = op->opcode == ZCDMA_OP_SEND || op->opcode == ZCDMA_OP_RECV;
	__u64 dst_len = span_of(op, op->dst_stride), src_len = span_of(op, op->src_stride);
	int err = check_form(op);

	if (err)
		return err;
	if (at_port != s->at_port)
		return -EOPNOTSUPP;
	if (at_port)
		err = check_port_op(s, op);
	if (!err && op->opcode == ZCDMA_OP_FILL && (op->src > 255 || op->src_buffer))
		return -EINVAL;
	if (!err && has_src(op))
		err = resolve(s, &op->src, op->src_buffer, src_len, false, &flight->pages);
	if (!err && op->opcode != ZCDMA_OP_SEND)
		err = resolve(s, &op->dst, op->dst_buffer, dst_len, true, &flight->pages);
	if (!err && !at_port && has_src(op) && op->src < op->dst + dst_len &&
	    op->dst < op->src + src_len)
		err = -EINVAL;
	if (!err && too_many(s, flight->pages))
		err = -ENOMEM;
	return err;
}

/* ---- time goes on ---- */

void fake_finish(struct fake_flight *flight, int res, __u64 done)
{
	flight->finished = true;
	flight->completion = (struct zcdma_completion){
		.user_data = flight->op.user_data,
		.done = done,
		.res = res,
		.flags = ZCDMA_DONE_CPU | ZCDMA_DONE_REPORTED,
	};
	if ((flight->op.opcode == ZCDMA_OP_SEND || flight->op.opcode == ZCDMA_OP_RECV) &&
	    !fake_flag("coarse_residue"))
		flight->completion.flags |= ZCDMA_DONE_RESIDUE;
}

static bool mapped(__u64 addr, __u64 len)
{
	__u64 first = addr / PAGE * PAGE, at;
	unsigned char in;

	for (at = first; at < addr + len; at += PAGE)
		if (mincore((void *)(uintptr_t)at, 1, &in))
			return false;
	return true;
}

/*
 * A file that became shorter meanwhile does not matter to pinned pages; memory that is not
 * there any more was given back by somebody who must have kept it.
 */
static void move(const struct zcdma_op *op)
{
	static unsigned char bytes[1 << 16];
	__u64 at, n;

	if (op->opcode == ZCDMA_OP_FILL)
		memset(bytes, op->src, sizeof(bytes));
	for (at = 0; at < op->len; at += n) {
		struct iovec here, there = { (void *)(uintptr_t)(op->dst + at), 0 };

		n = op->len - at < sizeof(bytes) ? op->len - at : sizeof(bytes);
		here.iov_base = op->opcode == ZCDMA_OP_FILL ? bytes :
				(void *)(uintptr_t)(op->src + at);
		here.iov_len = n;
		there.iov_len = n;
		if (process_vm_writev(getpid(), &here, 1, &there, 1, 0) == (ssize_t)n)
			continue;
		if (!mapped(op->dst, op->len) ||
		    (has_src(op) && !mapped(op->src, op->len)))
			fake_complain("the memory of an op was unmapped before its completion");
		return;
	}
}

/* Of all its rows */
static void move_rows(struct zcdma_op op)
{
	for (; op.rows; op.rows--) {
		move(&op);
		op.src += op.src_stride;
		op.dst += op.dst_stride;
	}
}

static void do_op(struct fake_flight *flight)
{
	const struct zcdma_op *op = &flight->op;
	unsigned long nth = fake_knob("fail_nth", 0);
	int error = fake_inject("op");

	if (nth)
		fake_set_knob("fail_nth", nth - 1);
	if (nth == 1)
		error = EIO;
	if (error == FAKE_SHORT) {
		struct zcdma_op part = flight->op;

		part.len /= 2;
		move(&part);
		error = 0;
	} else if (!error && op->rows) {
		move_rows(*op);
	} else if (!error) {
		move(op);
	}
	fake_finish(flight, -error, error ? 0 : op->rows ? op->rows * op->len : op->len);
}

static void begin(struct fake_session *s, struct fake_flight *flight)
{
	__u64 delay = fake_knob("delay_us", 0) * 1000, now = fake_now();

	flight->begun = true;
	fake_set_knob("descriptors", fake_knob("descriptors", 0) + 1);
	flight->due = (s->busy_until > now && delay ? s->busy_until : now) + delay;
	s->busy_until = flight->due;
}

static void give_up(struct fake_session *s, struct fake_flight *flight)
{
	if (flight->begun && fake_flag("no_terminate"))
		s->kept = true;
	else if (flight->begun)
		fake_log("zcdma: dma0chan0: hangs, stopping it\n");
	fake_finish(flight, -ETIMEDOUT, 0);
}

static void channel_advance(struct fake_session *s)
{
	unsigned long pool = fake_knob("pool", 256), active = 0;
	bool hangs = fake_knob("hang", 0);
	unsigned int i;

	for (i = 0; i < s->nr_flights; i++) {
		struct fake_flight *flight = &s->flights[i];

		if (flight->finished)
			continue;
		if (!flight->begun && active < pool)
			begin(s, flight);
		if (flight->begun && !hangs && fake_now() >= flight->due)
			do_op(flight);
		else if (fake_now() >= flight->deadline)
			give_up(s, flight);
		active += flight->begun && !flight->finished;
	}
}

void fake_advance(struct fake_session *s)
{
	unsigned int i;

	if (fake_gone(s)) {
		for (i = 0; i < s->nr_flights; i++)
			if (!s->flights[i].finished)
				fake_finish(&s->flights[i], -ENODEV, s->flights[i].moved);
		for (i = 0; i < 2; i++)
			if (s->streams[i].set)
				s->streams[i].state = ZCDMA_STREAM_GONE;
		return;
	}
	if (s->at_port) {
		fake_port_advance(s);
		fake_stream_advance(s);
	} else {
		channel_advance(s);
	}
}

/* ---- in and out ---- */

static int accept_op(struct fake_session *s, const struct zcdma_op *op, bool collected)
{
	struct fake_flight *flight = &s->flights[s->nr_flights];
	__u32 deadline = op->deadline_ms ?: s->deadline_ms;
	int err;

	if (fake_gone(s))
		return -ENODEV;
	if (s->nr_flights == s->depth)
		return -EAGAIN;
	*flight = (struct fake_flight){ .op = *op, .collected = collected };
	err = check_op(s, flight);
	if (err)
		return err;
	flight->deadline = fake_now() + deadline * NS_PER_MS;
	s->nr_flights++;
	return 0;
}

static void remove_flight(struct fake_session *s, unsigned int i)
{
	memmove(s->flights + i, s->flights + i + 1, (--s->nr_flights - i) * sizeof(*s->flights));
}

static bool waits(const struct fake_session *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_flights; i++)
		if (s->flights[i].collected && !s->flights[i].finished)
			return true;
	return false;
}

static int collect(struct fake_session *s, struct zcdma_completion *to, const sigset_t *signals)
{
	unsigned int i;
	int err = 0;

	for (fake_advance(s); !err && waits(s); fake_advance(s))
		err = fake_wait(signals, UINT64_MAX);
	for (i = 0; i < s->nr_flights;) {
		if (!s->flights[i].collected || err || !to) {
			s->flights[i++].collected = false;
		} else {
			*to++ = s->flights[i].completion;
			remove_flight(s, i);
		}
	}
	return err;
}

int fake_submit(struct fake_session *s, struct zcdma_submit *what, const sigset_t *signals)
{
	const struct zcdma_op *ops = (void *)(uintptr_t)what->ops;
	bool wait = what->flags & ZCDMA_SUBMIT_WAIT;
	int err = 0, waited = 0;
	unsigned int i;

	what->out_accepted = 0;
	if (!what->count || what->count > FAKE_MAX_DEPTH || what->op_size != sizeof(*ops) ||
	    (what->completions && !wait))
		return -EINVAL;
	if (!s->flights)
		return -ENOTCONN;
	for (i = 0; i < what->count && !err; i++) {
		err = accept_op(s, ops + i, wait);
		what->out_accepted += !err;
	}
	if (wait)
		waited = collect(s, (void *)(uintptr_t)what->completions, signals);
	else
		fake_advance(s);
	return waited ?: err;
}

/* Has the engine anything, or is it to have anything? */
static bool is_busy(struct fake_session *s)
{
	unsigned int i;

	if (!fake_knob("hang", 0))
		s->kept = false;
	if (s->kept)
		return true;
	for (i = 0; i < s->nr_flights; i++)
		if (!s->flights[i].finished)
			return true;
	return false;
}

/* Only what kills the process ends it before. */
int fake_drain(struct fake_session *s, struct zcdma_drain *what, const sigset_t *signals)
{
	__u64 end = fake_now() + what->timeout_ms * NS_PER_MS;

	if (what->flags || what->timeout_ms > FAKE_MAX_DEADLINE)
		return -EINVAL;
	for (fake_advance(s); is_busy(s); fake_advance(s)) {
		if (fake_now() >= end)
			return -ETIMEDOUT;
		fake_wait(signals, fake_now() + NS_PER_MS);
	}
	return 0;
}

int fake_cancel(struct fake_session *s, struct zcdma_cancel *what)
{
	bool found = false;
	unsigned int i;

	what->out_cancelled = 0;
	fake_advance(s);
	for (i = 0; i < s->nr_flights; i++) {
		struct fake_flight *flight = &s->flights[i];

		if (!(what->flags & ZCDMA_CANCEL_ALL) && flight->op.user_data != what->user_data)
			continue;
		found = true;
		if (flight->finished || (flight->begun && !s->at_port))
			continue;
		fake_finish(flight, -ECANCELED, flight->moved);
		what->out_cancelled++;
	}
	if (!found)
		return -ENOENT;
	return what->out_cancelled ? 0 : -EALREADY;
}

/* Completions that read() has. */
unsigned int fake_ready(const struct fake_session *s)
{
	unsigned int i, ready = 0;

	for (i = 0; i < s->nr_flights; i++)
		ready += s->flights[i].finished && !s->flights[i].collected;
	return ready;
}

/* The first that is finished, or the last. */
static unsigned int next_ready(const struct fake_session *s, bool last)
{
	unsigned int i, found = 0;

	for (i = 0; i < s->nr_flights; i++) {
		if (!s->flights[i].finished || s->flights[i].collected)
			continue;
		found = i;
		if (!last)
			break;
	}
	return found;
}

ssize_t fake_read_completions(struct fake_session *s, void *buf, size_t len)
{
	struct zcdma_completion *to = buf;
	bool last = fake_flag("reverse");
	size_t room = len / sizeof(*to), nr = 0;
	unsigned int i;

	if (!room)
		return -EINVAL;
	for (; nr < room && fake_ready(s); nr++) {
		if (!accessible((uintptr_t)(to + nr), sizeof(*to), true))
			return nr ? (ssize_t)(nr * sizeof(*to)) : -EFAULT;
		i = next_ready(s, last);
		to[nr] = s->flights[i].completion;
		remove_flight(s, i);
	}
	if (nr)
		return nr * sizeof(*to);
	if (s->nr_flights)
		return -EAGAIN;
	return fake_gone(s) ? -ENODEV : 0;
}
