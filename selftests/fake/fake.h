/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fake of /dev/zcdma, preloaded into a program: it answers as the module does, with the
 * software engine, so that the library and the tool can be tried without a guest.
 *
 * The machine is a folder, $ZCDMA_FAKE, which several processes may share:
 *
 *	zcdma		the device: its mode says who may open it
 *	channels	a line for each: NAME DEVICE PROVIDER CAPS STATE
 *	ports		as it was written to the module's parameter "ports", line by line
 *	tree		if it is there: ports of the device tree, in the same form
 *	group		stands in for /etc/group, and
 *	etc		for the folder /etc/zcdma, if it is there
 *	softdma.0	is there while the engine is
 *	hang, ...	the engine's faults and parameters, named as in debugfs and sysfs
 *	owner		if it is there: each port has an owner with this name
 *	reverse		1: read() gives the completion first that came last
 *	no_rows		1: an older module, without %ZCDMA_OP_COPY_2D
 *	state		what the processes share
 *	entered		a line for each process that has the fake in it
 *	complaints	a line for each break of the contract
 *
 * The caller is root to the fake, whoever that is, unless $ZCDMA_FAKE_USER is set.
 *
 * $ZCDMA_FAKE_INJECT has calls fail, of this process alone: "SUBMIT:EAGAIN@2,fsync:EIO".
 * Calls in capitals are those of the device, and DECLARE, which writes to the parameter "ports";
 * others are of files. @N is the Nth call, and
 * only that; @N+ is each from there on; without, each. In place of an error SHORT moves
 * half, and of an op says that it was all; EOF moves nothing.
 */
#ifndef ZCDMA_FAKE_H
#define ZCDMA_FAKE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <linux/zcdma.h>

#define FAKE_EXPORT	__attribute__((visibility("default")))
#define FAKE_ATTRIBUTE(a)	__attribute__((a))
#define FAKE_PRINTF		FAKE_ATTRIBUTE(format(printf, 1, 2))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define FAKE_MAX_LEN		1073741824ULL
#define FAKE_MAX_DEADLINE	600000
#define FAKE_DEADLINE		10000
#define FAKE_MAX_DEPTH		4096
#define FAKE_DEPTH		256
#define FAKE_MAX_BUFFERS	1024
#define FAKE_FIFO		16384
#define FAKE_SHORT		1000	/* no error: only a part is moved, */
#define FAKE_EOF		1001	/* or nothing */

/* ---- machine.c ---- */

struct fake_channel {
	char name[ZCDMA_NAME_LEN];
	char device[ZCDMA_NAME_LEN];
	char provider[ZCDMA_NAME_LEN];
	__u64 caps;
	__u32 state;
};

/**
 * struct fake_port
 * @name: its name.
 * @channel: names of the channels that send and receive; empty: not that way.
 * @width: of its words.
 * @data: bytes of those that are data.
 * @burst: words at a request.
 * @reg: address of the register.
 * @group: whose it is besides root's; -1: nobody's.
 * @mode: as of a file.
 * @of_tree: the device tree has it.
 */
struct fake_port {
	char name[ZCDMA_NAME_LEN];
	char channel[2][ZCDMA_NAME_LEN];
	unsigned int width;
	unsigned int data;
	unsigned int burst;
	unsigned long long reg;
	long long group;
	unsigned int mode;
	bool of_tree;
};

/**
 * struct fake_lease - who has a channel
 * @pid: process, 0 for a free place.
 * @fd: its session.
 * @exclusive: for itself alone.
 * @port: it is one of a port.
 * @name: the channel's.
 * @owner: the port's name, if it is one.
 * @comm: the process's name.
 */
struct fake_lease {
	int pid;
	int fd;
	bool exclusive;
	bool port;
	char name[ZCDMA_NAME_LEN];
	char owner[ZCDMA_NAME_LEN];
	char comm[16];
};

/* What the processes share: @fifo is the device that all ports of softdma are at. */
struct fake_state {
	__u64 put, got;
	unsigned int nr_leases;		/* places in use are before this one */
	unsigned char fifo[FAKE_FIFO];
	struct fake_lease leases[4096];
};

extern struct fake_state *fake_state;
extern bool fake_ordinary_user;

/* Is this process one that the fake is for? */
bool fake_on(void);

/* A path in the machine's folder. */
const char *fake_path(const char *name, char path[512]);

/* The text of one of its files, or a number in it. */
ssize_t fake_read_file(const char *name, char *text, size_t size);
unsigned long fake_knob(const char *name, unsigned long none);
bool fake_flag(const char *name);
void fake_set_knob(const char *name, unsigned long value);

/* What the module would say in the kernel's log. */
void fake_log(const char *text);

/* The caller, that is the library, does not keep to the contract: the test has failed. */
void fake_complain(const char *format, ...) FAKE_PRINTF;

/* Put text at the end of one of the machine's files. */
void fake_append(const char *name, const char *text);

/* Of the Nth channel, or by name. Returns false when there is none. */
bool fake_channel_at(unsigned int index, struct fake_channel *channel);
bool fake_channel_find(const char *name, struct fake_channel *channel);

/* When did the engine come? 0 while it is not there. */
__u64 fake_engine_since(void);

struct fake_lease *fake_lease(void);
bool fake_lease_lives(struct fake_lease *lease);
void fake_leave_leases(int fd);

/* For tests in C: from now on these orders, as in $ZCDMA_FAKE_INJECT, and no others. */
FAKE_EXPORT void fake_order(const char *text);

/* What call @name is to fail with, this time; 0: not. */
int fake_inject(const char *name);

/*
 * Alone in the machine, no signal in between; and the end of it. In the middle of it one may
 * wait, until @until at most and not long: 0, or -EINTR when a signal handler ran.
 */
void fake_enter(sigset_t *signals);
void fake_leave(const sigset_t *signals);
int fake_wait(const sigset_t *signals, __u64 until);
__u64 fake_now(void);

/* ---- session.c ---- */

/**
 * struct fake_flight - an op that was accepted and not reaped
 * @op: what to do.
 * @deadline: when to give up.
 * @due: when it is done, once it has begun.
 * @pages: charged.
 * @moved: of an op at a port.
 * @begun: the engine has it.
 * @finished: its completion is there.
 * @collected: SUBMIT waits for it.
 */
struct fake_flight {
	struct zcdma_op op;
	__u64 deadline;
	__u64 due;
	unsigned long pages;
	__u64 moved;
	bool begun;
	bool finished;
	bool collected;
	struct zcdma_completion completion;
};

struct fake_buffer {
	__u64 addr;
	__u64 len;
	__u32 flags;
	bool used;
};

/**
 * struct fake_stream - one direction of a port's session
 * @set: it was set up.
 * @queued: ring of this kind.
 * @state: one of enum zcdma_stream_state.
 * @period: bytes.
 * @size: of the ring, in bytes.
 * @ring: the ring.
 * @put: bytes put into it so far.
 * @taken: bytes taken out of it.
 * @lost: periods lost, or gaps.
 * @unreported: there is a loss that nobody was told of.
 * @dry: a sender has nothing to send.
 * @since: when it was started.
 * @paced: bytes moved since.
 */
struct fake_stream {
	bool set;
	bool queued;
	__u32 state;
	__u64 period;
	__u64 size;
	unsigned char *ring;
	__u64 put;
	__u64 taken;
	__u64 lost;
	__u64 copied;
	bool unreported;
	bool dry;
	__u64 since;
	__u64 paced;
};

struct fake_session {
	__u64 engine_since;
	bool is_soft;
	unsigned int channels;
	char channel[16][ZCDMA_NAME_LEN];
	bool at_port;
	struct fake_port port;
	__u32 depth;
	__u32 deadline_ms;
	__u64 busy_until;
	bool kept;		/* an op is over, and its memory still the engine's */
	struct fake_flight *flights;	/* in the order of their submits */
	unsigned int nr_flights;
	unsigned long pages;		/* of registered memory */
	struct fake_buffer *buffers;
	struct fake_stream streams[2];
	__u64 port_since[2], port_paced[2];
};

struct fake_session *fake_session(int fd);
int fake_open_session(const char *path, int flags);
int fake_close_session(int fd);
int fake_ioctl(int fd, struct fake_session *s, unsigned long cmd, void *arg,
	       const sigset_t *signals);
bool fake_gone(const struct fake_session *s);

/* ---- queue.c ---- */

int fake_submit(struct fake_session *s, struct zcdma_submit *what, const sigset_t *signals);
int fake_cancel(struct fake_session *s, struct zcdma_cancel *what);
int fake_drain(struct fake_session *s, struct zcdma_drain *what, const sigset_t *signals);
int fake_register(struct fake_session *s, struct zcdma_register_buffer *what);
int fake_unregister(struct fake_session *s, struct zcdma_unregister_buffer *what);
void fake_advance(struct fake_session *s);
void fake_finish(struct fake_flight *flight, int res, __u64 done);
unsigned int fake_ready(const struct fake_session *s);
ssize_t fake_read_completions(struct fake_session *s, void *buf, size_t len);

/* ---- device.c ---- */

/* Bytes that the port's device gives or takes at most now, of @want; and do it. */
size_t fake_device(struct fake_session *s, int way, void *memory, size_t want,
		   __u64 *since, __u64 *paced);
int fake_attach_port(int fd, struct fake_session *s, struct zcdma_attach_port *what);
int fake_query_port(struct zcdma_query_port *what);
void fake_port_advance(struct fake_session *s);

struct fake_lease *fake_port_owner(const char *port);

/* ---- ports.c ---- */

/* The Nth port. Returns false when there is none. */
bool fake_port_at(unsigned int index, struct fake_port *port);

/* The parameter's file: a descriptor or -errno; is it one to write to; and what is written. */
int fake_open_ports(const char *path, int flags);
bool fake_writes_ports(int fd);
void fake_close_ports(int fd);
ssize_t fake_declare(const char *what, size_t len);

/* ---- stream.c ---- */

int fake_stream_setup(struct fake_session *s, struct zcdma_stream_setup *what);
int fake_stream_control(struct fake_session *s, struct zcdma_stream_control *what,
			const sigset_t *signals);
int fake_stream_status(struct fake_session *s, struct zcdma_stream_status *what);
ssize_t fake_stream_read(struct fake_session *s, void *buf, size_t len);
ssize_t fake_stream_write(struct fake_session *s, const void *buf, size_t len);
void fake_stream_advance(struct fake_session *s);
short fake_stream_events(struct fake_session *s);

#endif /* ZCDMA_FAKE_H */
