// SPDX-License-Identifier: GPL-2.0
/* The fake's sessions: open, what there is, attach, close. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake.h"

#define SESSIONS	2048

static struct fake_session *sessions[SESSIONS];

struct fake_session *fake_session(int fd)
{
	return fd >= 0 && fd < SESSIONS ? sessions[fd] : NULL;
}

int fake_open_session(const char *path, int flags)
{
	int fd = syscall(SYS_openat, AT_FDCWD, path, flags, 0);
	struct fake_session *s;

	if (fd < 0)
		return -1;
	s = fd < SESSIONS ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		syscall(SYS_close, fd);
		errno = EMFILE;
		return -1;
	}
	if (!(flags & O_CLOEXEC))
		fake_complain("the device was opened without O_CLOEXEC");
	s->depth = FAKE_DEPTH;
	sessions[fd] = s;
	return fd;
}

int fake_close_session(int fd)
{
	struct fake_session *s = sessions[fd];

	fake_leave_leases(fd);
	sessions[fd] = NULL;
	free(s->flights);
	free(s->buffers);
	free(s->streams[0].ring);
	free(s->streams[1].ring);
	free(s);
	return syscall(SYS_close, fd);
}

bool fake_gone(const struct fake_session *s)
{
	return s->is_soft && fake_engine_since() != s->engine_since;
}

static int get_info(struct fake_session *s, struct zcdma_get_info *info)
{
	bool rows = !fake_flag("no_rows");

	if (info->flags || info->__reserved)
		return -EINVAL;
	*info = (struct zcdma_get_info){
		.out_channels = s->channels,
		.out_features = ZCDMA_FEATURE_COPY_FILL | ZCDMA_FEATURE_BUFFERS |
				ZCDMA_FEATURE_CHANNELS | ZCDMA_FEATURE_BARRIER |
				ZCDMA_FEATURE_PORTS | ZCDMA_FEATURE_STREAMS |
				ZCDMA_FEATURE_SEND_RECV | ZCDMA_FEATURE_DRAIN |
				(rows ? ZCDMA_FEATURE_COPY_2D : 0),
		.out_opcodes = 1 << ZCDMA_OP_COPY | 1 << ZCDMA_OP_FILL | 1 << ZCDMA_OP_SEND |
			       1 << ZCDMA_OP_RECV | rows << ZCDMA_OP_COPY_2D,
		.out_max_len = FAKE_MAX_LEN,
		.out_max_deadline_ms = FAKE_MAX_DEADLINE,
		.out_default_deadline_ms = FAKE_DEADLINE,
		.out_max_queue_depth = FAKE_MAX_DEPTH,
		.out_queue_depth = s->depth,
		.out_outstanding = s->nr_flights,
	};
	return 0;
}

/* Who has the channel now, of the processes that are alive. */
static __u32 state_of(const struct fake_channel *channel, __u32 *sessions_of_it)
{
	__u32 state = channel->state;
	unsigned int i;

	*sessions_of_it = 0;
	for (i = 0; i < fake_state->nr_leases; i++) {
		struct fake_lease *lease = &fake_state->leases[i];

		if (!lease->pid || strcmp(lease->name, channel->name) || !fake_lease_lives(lease))
			continue;
		++*sessions_of_it;
		if (state == ZCDMA_CHANNEL_FREE || lease->exclusive || lease->port)
			state = lease->exclusive || lease->port ? ZCDMA_CHANNEL_EXCLUSIVE :
								  ZCDMA_CHANNEL_SHARED;
	}
	return state;
}

static int query_channel(struct fake_session *s, struct zcdma_query_channel *what)
{
	struct fake_channel channel;
	__u32 index = what->index, flags = what->flags;

	if (flags & ~ZCDMA_QUERY_ATTACHED || what->__reserved)
		return -EINVAL;
	if (flags & ZCDMA_QUERY_ATTACHED ? index >= s->channels ||
	    !fake_channel_find(s->channel[index], &channel) : !fake_channel_at(index, &channel))
		return -ENOENT;
	*what = (struct zcdma_query_channel){
		.flags = flags,
		.index = index,
		.out_caps = channel.caps,
		.out_copy_align = 1,
		.out_fill_align = 1,
		.out_max_segment = 65536,
		.out_residue = fake_flag("coarse_residue") ? ZCDMA_RESIDUE_DESCRIPTOR :
							     ZCDMA_RESIDUE_BURST,
		.out_numa_node = -1,
	};
	what->out_state = state_of(&channel, &what->out_sessions);
	strcpy(what->out_name, channel.name);
	strcpy(what->out_device, channel.device);
	strcpy(what->out_provider, channel.provider);
	return 0;
}

static bool named(const struct fake_channel *channel, const char *name)
{
	return !*name || !strcmp(name, channel->name) || !strcmp(name, channel->device) ||
	       !strcmp(name, channel->provider);
}

/* Why not this one? 0 when it is to be had. */
static int refusal(const struct fake_channel *channel, const struct zcdma_attach *what)
{
	bool exclusive = what->flags & ZCDMA_ATTACH_EXCLUSIVE;
	__u32 others;

	switch (state_of(channel, &others)) {
	case ZCDMA_CHANNEL_FREE:
		return 0;
	case ZCDMA_CHANNEL_SHARED:
		return exclusive ? -EBUSY : 0;
	case ZCDMA_CHANNEL_DENIED:
		return -EPERM;
	default:
		return -EBUSY;
	}
}

/* Free before shared, hardware before software: the best is taken first. */
static int rank(const struct fake_channel *channel)
{
	__u32 others;

	return (channel->caps & ZCDMA_CAP_HARDWARE ? 0 : 2) +
	       (state_of(channel, &others) == ZCDMA_CHANNEL_FREE ? 0 : 1);
}

static void lease(int fd, const struct fake_channel *channel, bool exclusive)
{
	struct fake_lease *l = fake_lease();

	*l = (struct fake_lease){ .pid = getpid(), .fd = fd, .exclusive = exclusive };
	strcpy(l->name, channel->name);
}

static int choose(int fd, struct fake_session *s, struct zcdma_attach *what)
{
	unsigned int want = what->channels ?: 1, i;
	struct fake_channel channel;
	int best, err = -ENODEV;

	for (best = 0; best < 4 && s->channels < want; best++)
		for (i = 0; fake_channel_at(i, &channel) && s->channels < want; i++) {
			int why;

			if (!named(&channel, what->name) || what->caps & ~channel.caps)
				continue;
			why = refusal(&channel, what);
			if (why)
				err = why;
			if (why || rank(&channel) != best)
				continue;
			strcpy(s->channel[s->channels++], channel.name);
			s->is_soft = !strcmp(channel.device, "softdma.0");
		}
	if (s->channels < want) {
		s->channels = 0;
		return err;
	}
	for (i = 0; i < want; i++)
		if (fake_channel_find(s->channel[i], &channel))
			lease(fd, &channel, what->flags & ZCDMA_ATTACH_EXCLUSIVE);
	return 0;
}

static int attach(int fd, struct fake_session *s, struct zcdma_attach *what)
{
	int err;

	if (what->flags & ~ZCDMA_ATTACH_EXCLUSIVE || what->channels > 16 ||
	    what->queue_depth > FAKE_MAX_DEPTH || what->deadline_ms > FAKE_MAX_DEADLINE ||
	    !memchr(what->name, 0, sizeof(what->name)))
		return -EINVAL;
	if (s->channels || s->at_port)
		return -EISCONN;
	if (what->flags & ZCDMA_ATTACH_EXCLUSIVE && fake_ordinary_user)
		return -EPERM;
	err = choose(fd, s, what);
	if (err)
		return err;
	s->engine_since = fake_engine_since();
	s->depth = what->queue_depth ?: FAKE_DEPTH;
	s->deadline_ms = what->deadline_ms ?: FAKE_DEADLINE;
	s->flights = calloc(s->depth, sizeof(*s->flights));
	s->buffers = calloc(FAKE_MAX_BUFFERS, sizeof(*s->buffers));
	strcpy(what->out_name, s->channel[0]);
	return 0;
}

static int do_ioctl(int fd, struct fake_session *s, unsigned long cmd, void *arg,
		    const sigset_t *signals)
{
	switch (cmd) {
	case ZCDMA_IOC_GET_INFO:
		return get_info(s, arg);
	case ZCDMA_IOC_QUERY_CHANNEL:
		return query_channel(s, arg);
	case ZCDMA_IOC_ATTACH:
		return attach(fd, s, arg);
	case ZCDMA_IOC_REGISTER_BUFFER:
		return fake_register(s, arg);
	case ZCDMA_IOC_UNREGISTER_BUFFER:
		return fake_unregister(s, arg);
	case ZCDMA_IOC_SUBMIT:
		return fake_submit(s, arg, signals);
	case ZCDMA_IOC_CANCEL:
		return fake_cancel(s, arg);
	case ZCDMA_IOC_DRAIN:
		return fake_drain(s, arg, signals);
	case ZCDMA_IOC_ATTACH_PORT:
		return fake_attach_port(fd, s, arg);
	case ZCDMA_IOC_QUERY_PORT:
		return fake_query_port(arg);
	case ZCDMA_IOC_STREAM_SETUP:
		return fake_stream_setup(s, arg);
	case ZCDMA_IOC_STREAM_CONTROL:
		return fake_stream_control(s, arg, signals);
	case ZCDMA_IOC_STREAM_STATUS:
		return fake_stream_status(s, arg);
	default:
		return -ENOTTY;
	}
}

static const char *name_of(unsigned long cmd)
{
	switch (cmd) {
	case ZCDMA_IOC_GET_INFO: return "GET_INFO";
	case ZCDMA_IOC_QUERY_CHANNEL: return "QUERY_CHANNEL";
	case ZCDMA_IOC_ATTACH: return "ATTACH";
	case ZCDMA_IOC_REGISTER_BUFFER: return "REGISTER_BUFFER";
	case ZCDMA_IOC_UNREGISTER_BUFFER: return "UNREGISTER_BUFFER";
	case ZCDMA_IOC_SUBMIT: return "SUBMIT";
	case ZCDMA_IOC_CANCEL: return "CANCEL";
	case ZCDMA_IOC_DRAIN: return "DRAIN";
	case ZCDMA_IOC_ATTACH_PORT: return "ATTACH_PORT";
	case ZCDMA_IOC_QUERY_PORT: return "QUERY_PORT";
	case ZCDMA_IOC_STREAM_SETUP: return "STREAM_SETUP";
	case ZCDMA_IOC_STREAM_CONTROL: return "STREAM_CONTROL";
	case ZCDMA_IOC_STREAM_STATUS: return "STREAM_STATUS";
	default: return "";
	}
}

/* Unknown flags and reserved fields that are set: the library never does that. */
static void check_contract(const char *name, unsigned long cmd, void *arg)
{
	struct zcdma_submit *submit = arg;
	struct zcdma_attach_port *port = arg;
	struct zcdma_stream_setup *setup = arg;
	struct zcdma_stream_control *control = arg;
	__u32 flags = *(__u32 *)arg;	/* the first field of all of them */
	__u32 known = 0, reserved = 0;

	switch (cmd) {
	case ZCDMA_IOC_QUERY_CHANNEL:
	case ZCDMA_IOC_ATTACH:
	case ZCDMA_IOC_REGISTER_BUFFER:
	case ZCDMA_IOC_SUBMIT:
	case ZCDMA_IOC_CANCEL:
	case ZCDMA_IOC_STREAM_SETUP:
		known = 1;
		break;
	}
	if (cmd == ZCDMA_IOC_ATTACH_PORT)
		reserved = port->__reserved;
	else if (cmd == ZCDMA_IOC_STREAM_SETUP)
		reserved = setup->__reserved;
	else if (cmd == ZCDMA_IOC_STREAM_CONTROL || cmd == ZCDMA_IOC_STREAM_STATUS)
		reserved = control->__reserved;
	if (flags & ~known)
		fake_complain("%s: unknown flags %#x", name, flags);
	if (reserved)
		fake_complain("%s: a reserved field is %#x", name, reserved);
	if (cmd == ZCDMA_IOC_SUBMIT && submit->op_size != sizeof(struct zcdma_op))
		fake_complain("SUBMIT: op_size is %u", submit->op_size);
	if (cmd == ZCDMA_IOC_SUBMIT && submit->completions && !submit->flags)
		fake_complain("SUBMIT: completions without WAIT");
}

int fake_ioctl(int fd, struct fake_session *s, unsigned long cmd, void *arg,
	       const sigset_t *signals)
{
	const char *name = name_of(cmd);
	int error;

	if (!*name)
		return -ENOTTY;
	check_contract(name, cmd, arg);
	error = fake_inject(name);
	if (error && cmd == ZCDMA_IOC_SUBMIT)
		((struct zcdma_submit *)arg)->out_accepted = 0;
	return error ? -error : do_ioctl(fd, s, cmd, arg, signals);
}
