// SPDX-License-Identifier: GPL-2.0
/*
 * The fake's ports, and the device at them: a FIFO from those that send to those that
 * receive or, with the parameter "source", the words 0, 1, 2, ...; "rate" bytes a second, or
 * as many as there are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fake.h"

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void fifo_put(const unsigned char *from, size_t len)
{
	while (len--)
		fake_state->fifo[fake_state->put++ % FAKE_FIFO] = *from++;
}

static void fifo_get(unsigned char *to, size_t len)
{
	while (len--)
		*to++ = fake_state->fifo[fake_state->got++ % FAKE_FIFO];
}

static void source_get(unsigned char *to, __u64 at, size_t len)
{
	for (; len--; at++)
		*to++ = (at / 4) >> (8 * (at % 4));
}

size_t fake_device(struct fake_session *s, int way, void *memory, size_t want, __u64 *since,
		   __u64 *paced)
{
	__u64 rate = fake_knob("rate", 0), now = fake_now(), due;
	bool source = way && fake_flag("source");

	if (!*since)
		*since = now;
	due = (now - *since) / 1000 * rate / 1000000;
	if (rate)
		want = due > *paced ? least(want, due - *paced) : 0;
	if (!source)
		want = least(want, way ? fake_state->put - fake_state->got :
					 FAKE_FIFO - (fake_state->put - fake_state->got));
	want -= want % s->port.width;
	if (source)
		source_get(memory, *paced, want);
	else if (way)
		fifo_get(memory, want);
	else
		fifo_put(memory, want);
	*paced += want;
	return want;
}

static void move_port_op(struct fake_session *s, struct fake_flight *flight, int way)
{
	char *memory = (char *)(uintptr_t)(way ? flight->op.dst : flight->op.src);
	int error = flight->begun ? 0 : fake_inject("op");

	flight->begun = true;
	if (fake_knob("hang", 0))
		return;
	flight->moved += fake_device(s, way, memory + flight->moved,
				     flight->op.len - flight->moved, &s->port_since[way],
				     &s->port_paced[way]);
	if (error)
		fake_finish(flight, -error, flight->moved);
	else if (flight->moved == flight->op.len)
		fake_finish(flight, 0, flight->moved);
}

/* Of each direction the first op has its turn. */
void fake_port_advance(struct fake_session *s)
{
	bool busy[2] = { false, false };
	unsigned int i;

	for (i = 0; i < s->nr_flights; i++) {
		struct fake_flight *flight = &s->flights[i];
		int way = flight->op.opcode == ZCDMA_OP_RECV;

		if (flight->finished)
			continue;
		if (!busy[way])
			move_port_op(s, flight, way);
		if (!flight->finished && fake_now() >= flight->deadline)
			fake_finish(flight, -ETIMEDOUT,
				    fake_flag("coarse_residue") ? 0 : flight->moved);
		busy[way] |= !flight->finished;
	}
}

/* ---- ports ---- */

struct fake_lease *fake_port_owner(const char *port)
{
	unsigned int i;

	for (i = 0; i < fake_state->nr_leases; i++) {
		struct fake_lease *lease = &fake_state->leases[i];

		if (lease->pid && lease->port && !strcmp(lease->owner, port) &&
		    fake_lease_lives(lease))
			return lease;
	}
	return NULL;
}

static bool channel_taken(const char *name)
{
	unsigned int i;

	for (i = 0; i < fake_state->nr_leases; i++) {
		struct fake_lease *lease = &fake_state->leases[i];

		if (lease->pid && !strcmp(lease->name, name) && fake_lease_lives(lease))
			return true;
	}
	return false;
}

static __u32 directions(const struct fake_port *port)
{
	return (*port->channel[0] ? ZCDMA_TX : 0) | (*port->channel[1] ? ZCDMA_RX : 0);
}

static const char *any_channel(const struct fake_port *port)
{
	return *port->channel[0] ? port->channel[0] : port->channel[1];
}

/* A name that the test has put there: of a process that calls itself so. */
static bool odd_owner(char name[ZCDMA_NAME_LEN])
{
	return fake_read_file("owner", name, 16) > 0;
}

int fake_query_port(struct zcdma_query_port *what)
{
	__u32 index = what->index;
	struct fake_channel channel;
	struct fake_lease *owner;
	struct fake_port port;

	if (what->flags)
		return -EINVAL;
	if (!fake_port_at(index, &port))
		return -ENOENT;
	*what = (struct zcdma_query_port){
		.index = index,
		.out_directions = directions(&port),
		.out_width = port.width,
		.out_data = port.data,
		.out_burst = port.burst,
	};
	strcpy(what->out_name, port.name);
	if (!fake_channel_find(any_channel(&port), &channel)) {
		what->out_state = ZCDMA_PORT_ABSENT;
		return 0;
	}
	strcpy(what->out_device, channel.device);
	strcpy(what->out_provider, channel.provider);
	owner = fake_port_owner(port.name);
	if (owner) {
		what->out_owner = owner->pid;
		strcpy(what->out_owner_name, owner->comm);
	} else if (odd_owner(what->out_owner_name)) {
		what->out_owner = 1;
	}
	if (what->out_owner || channel_taken(port.channel[0]) || channel_taken(port.channel[1]))
		what->out_state = ZCDMA_PORT_BUSY;
	return 0;
}

static bool find_port(const char *name, struct fake_port *port)
{
	unsigned int i;

	for (i = 0; fake_port_at(i, port); i++)
		if (!strcmp(port->name, name))
			return true;
	return false;
}

static int port_refusal(const struct fake_port *port)
{
	struct fake_channel channel;
	int way;

	if (fake_port_owner(port->name))
		return -EBUSY;
	for (way = 0; way < 2; way++) {
		if (!*port->channel[way])
			continue;
		if (!fake_channel_find(port->channel[way], &channel))
			return -ENODEV;
		if (channel.state == ZCDMA_CHANNEL_DENIED)
			return -EPERM;
		if (channel_taken(channel.name) || channel.state == ZCDMA_CHANNEL_BUSY)
			return -EBUSY;
	}
	return port->width == 1 || port->width == 2 || port->width == 4 ? 0 : -EOPNOTSUPP;
}

int fake_attach_port(int fd, struct fake_session *s, struct zcdma_attach_port *what)
{
	struct fake_channel channel;
	struct fake_port port;
	int err, way;

	if (what->queue_depth > FAKE_MAX_DEPTH || what->deadline_ms > FAKE_MAX_DEADLINE ||
	    !memchr(what->name, 0, sizeof(what->name)))
		return -EINVAL;
	if (s->channels || s->at_port)
		return -EISCONN;
	if (!find_port(what->name, &port))
		return -ENOENT;
	err = port_refusal(&port);
	if (err)
		return err;
	what->out_tx_caps = 0;
	what->out_rx_caps = 0;
	for (way = 0; way < 2; way++) {
		struct fake_lease *lease = *port.channel[way] ? fake_lease() : NULL;

		if (!lease || !fake_channel_find(port.channel[way], &channel))
			continue;
		*lease = (struct fake_lease){ .pid = getpid(), .fd = fd, .port = true };
		strcpy(lease->name, channel.name);
		strcpy(lease->owner, port.name);
		prctl(PR_GET_NAME, lease->comm);
		strcpy(s->channel[s->channels++], channel.name);
		s->is_soft = !strcmp(channel.device, "softdma.0");
		*(way ? &what->out_rx_caps : &what->out_tx_caps) = channel.caps;
	}
	what->out_directions = directions(&port);
	what->out_width = port.width;
	s->at_port = true;
	s->port = port;
	s->engine_since = fake_engine_since();
	s->depth = what->queue_depth ?: FAKE_DEPTH;
	s->deadline_ms = what->deadline_ms ?: FAKE_DEADLINE;
	s->flights = calloc(s->depth, sizeof(*s->flights));
	s->buffers = calloc(FAKE_MAX_BUFFERS, sizeof(*s->buffers));
	return 0;
}
