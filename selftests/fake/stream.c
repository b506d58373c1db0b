// SPDX-License-Identifier: GPL-2.0
/* The fake's streams: a ring of periods between the device and the program. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define NS_PER_MS	1000000ULL

static int way_of(__u32 direction)
{
	return direction == ZCDMA_RX;
}

static struct fake_stream *stream_of(struct fake_session *s, __u32 direction, int *err)
{
	if (direction != ZCDMA_TX && direction != ZCDMA_RX) {
		*err = -EINVAL;
		return NULL;
	}
	*err = -ENOTCONN;
	return s->streams[way_of(direction)].set ? &s->streams[way_of(direction)] : NULL;
}

static bool ops_that_way(const struct fake_session *s, __u32 direction)
{
	unsigned int i;

	for (i = 0; i < s->nr_flights; i++)
		if (s->flights[i].op.opcode == (way_of(direction) ? ZCDMA_OP_RECV : ZCDMA_OP_SEND))
			return true;
	return false;
}

int fake_stream_setup(struct fake_session *s, struct zcdma_stream_setup *what)
{
	struct fake_stream *stream;
	__u64 periods;

	if (what->direction != ZCDMA_TX && what->direction != ZCDMA_RX)
		return -EINVAL;
	if (!s->at_port)
		return -ENOTCONN;
	if (!*s->port.channel[way_of(what->direction)])
		return -EOPNOTSUPP;
	if (!(what->flags & ZCDMA_STREAM_QUEUED) && fake_flag("no_cyclic"))
		return -EOPNOTSUPP;
	stream = &s->streams[way_of(what->direction)];
	if (stream->set)
		return -EEXIST;
	if (ops_that_way(s, what->direction))
		return -EBUSY;
	if (what->period_bytes < ZCDMA_STREAM_MIN_PERIOD ||
	    what->period_bytes > ZCDMA_STREAM_MAX_PERIOD ||
	    what->period_bytes % s->port.width || what->ring_bytes > ZCDMA_STREAM_MAX_RING)
		return -EINVAL;
	periods = what->ring_bytes / what->period_bytes;
	if (periods < ZCDMA_STREAM_MIN_PERIODS || periods > ZCDMA_STREAM_MAX_PERIODS)
		return -EINVAL;
	*stream = (struct fake_stream){
		.set = true,
		.queued = what->flags & ZCDMA_STREAM_QUEUED,
		.period = what->period_bytes,
		.size = periods * what->period_bytes,
		.ring = calloc(periods, what->period_bytes),
	};
	what->out_periods = periods;
	what->out_residue = ZCDMA_RESIDUE_BURST;
	what->out_ring_bytes = stream->size;
	return 0;
}

static void start(struct fake_stream *stream)
{
	stream->state = ZCDMA_STREAM_RUNNING;
	stream->since = 0;
	stream->paced = 0;
}

/*
 * Bytes from the device to the ring; the oldest periods are overwritten. A device without a
 * rate waits while the ring is full.
 */
static void receive(struct fake_session *s, struct fake_stream *stream)
{
	bool waits = !fake_knob("rate", 0);
	size_t got, room;

	do {
		size_t at = stream->put % stream->size;

		room = stream->period - stream->put % stream->period;
		if (waits && room > stream->size - (stream->put - stream->taken))
			room = stream->size - (stream->put - stream->taken);

		got = fake_device(s, 1, stream->ring + at, room, &stream->since, &stream->paced);
		stream->put += got;
		while (stream->put - stream->taken > stream->size) {
			stream->taken += stream->period - stream->taken % stream->period;
			stream->lost++;
			stream->unreported = true;
		}
	} while (got && got == room);
}

/* Bytes from the ring to the device; a cyclic ring goes on with zeros. */
static void transmit(struct fake_session *s, struct fake_stream *stream)
{
	size_t sent, left;

	do {
		size_t at = stream->taken % stream->size;

		left = stream->put - stream->taken;
		if (left > stream->size - at)
			left = stream->size - at;
		sent = left ? fake_device(s, 0, stream->ring + at, left, &stream->since,
					  &stream->paced) : 0;
		stream->taken += sent;
	} while (sent && sent == left);
	if (stream->state == ZCDMA_STREAM_RUNNING && stream->put == stream->taken)
		stream->dry = true;
}

void fake_stream_advance(struct fake_session *s)
{
	int way;

	for (way = 0; way < 2; way++) {
		struct fake_stream *stream = &s->streams[way];

		if (!stream->set || fake_knob("hang", 0))
			continue;
		if (stream->state != ZCDMA_STREAM_RUNNING &&
		    stream->state != ZCDMA_STREAM_DRAINING)
			continue;
		if (way)
			receive(s, stream);
		else
			transmit(s, stream);
	}
}

static int drain(struct fake_session *s, struct fake_stream *stream, const sigset_t *signals)
{
	__u64 moved = stream->taken, since = fake_now();

	start(stream);
	stream->state = ZCDMA_STREAM_DRAINING;
	for (fake_advance(s); stream->put != stream->taken; fake_advance(s)) {
		if (stream->state == ZCDMA_STREAM_GONE)
			return -ENODEV;
		if (fake_wait(signals, UINT64_MAX))
			return -EINTR;
		if (stream->taken - moved >= stream->period) {
			moved = stream->taken;
			since = fake_now();
		}
		if (fake_now() - since > s->deadline_ms * NS_PER_MS)
			return -ETIMEDOUT;
	}
	stream->state = ZCDMA_STREAM_STOPPED;
	return 0;
}

int fake_stream_control(struct fake_session *s, struct zcdma_stream_control *what,
			const sigset_t *signals)
{
	int err;
	struct fake_stream *stream = stream_of(s, what->direction, &err);
	bool runs;

	if (!stream)
		return err;
	fake_advance(s);
	if (stream->state == ZCDMA_STREAM_GONE)
		return -ENODEV;
	runs = stream->state == ZCDMA_STREAM_RUNNING;
	switch (what->action) {
	case ZCDMA_STREAM_START:
		if (runs || stream->state == ZCDMA_STREAM_PAUSED)
			return -EBUSY;
		start(stream);
		return 0;
	case ZCDMA_STREAM_STOP:
		stream->state = ZCDMA_STREAM_STOPPED;
		if (what->direction == ZCDMA_TX)
			stream->taken = stream->put;
		return 0;
	case ZCDMA_STREAM_PAUSE:
		if (!runs)
			return -EBUSY;
		stream->state = ZCDMA_STREAM_PAUSED;
		return 0;
	case ZCDMA_STREAM_RESUME:
		if (stream->state != ZCDMA_STREAM_PAUSED)
			return -EBUSY;
		stream->state = ZCDMA_STREAM_RUNNING;
		return 0;
	case ZCDMA_STREAM_DRAIN:
		return what->direction == ZCDMA_TX ? drain(s, stream, signals) : -EINVAL;
	default:
		fake_complain("STREAM_CONTROL: no such action: %u", what->action);
		return -EINVAL;
	}
}

int fake_stream_status(struct fake_session *s, struct zcdma_stream_status *what)
{
	int err;
	__u32 direction = what->direction;
	struct fake_stream *stream = stream_of(s, direction, &err);

	if (!stream)
		return err;
	fake_advance(s);
	*what = (struct zcdma_stream_status){
		.direction = direction,
		.out_state = stream->state,
		.out_head = stream->put / stream->period,
		.out_tail = stream->taken / stream->period,
		.out_lost = stream->lost,
		.out_moved = direction == ZCDMA_RX ? stream->put : stream->taken,
		.out_copied = stream->copied,
	};
	return 0;
}

/* Whole periods only, unless it was stopped. */
static __u64 readable(const struct fake_stream *stream)
{
	return stream->put / stream->period * stream->period - stream->taken;
}

ssize_t fake_stream_read(struct fake_session *s, void *buf, size_t len)
{
	struct fake_stream *stream = &s->streams[1];
	size_t n, i;

	if (stream->state == ZCDMA_STREAM_IDLE)
		start(stream);
	fake_advance(s);
	if (stream->unreported) {
		stream->unreported = false;
		return -EPIPE;
	}
	n = (__s64)readable(stream) > 0 ? readable(stream) : 0;
	if (n > len)
		n = len;
	for (i = 0; i < n; i++)
		((unsigned char *)buf)[i] = stream->ring[stream->taken++ % stream->size];
	stream->copied += n;
	if (n)
		return n;
	switch (stream->state) {
	case ZCDMA_STREAM_GONE:
		return -ENODEV;
	case ZCDMA_STREAM_FAILED:
		return -EIO;
	case ZCDMA_STREAM_STOPPED:
		return 0;
	default:
		return -EAGAIN;
	}
}

ssize_t fake_stream_write(struct fake_session *s, const void *buf, size_t len)
{
	struct fake_stream *stream = &s->streams[0];
	size_t n, i;

	fake_advance(s);
	if (stream->state == ZCDMA_STREAM_GONE)
		return -ENODEV;
	n = stream->size - (stream->put - stream->taken);
	if (!n && stream->state == ZCDMA_STREAM_IDLE) {
		start(stream);
		fake_advance(s);
		n = stream->size - (stream->put - stream->taken);
	}
	if (!n)
		return -EAGAIN;
	if (n > len)
		n = len;
	if (stream->dry) {
		stream->lost++;
		stream->unreported = !stream->queued;
		stream->dry = false;
	}
	for (i = 0; i < n; i++)
		stream->ring[stream->put++ % stream->size] = ((const unsigned char *)buf)[i];
	stream->copied += n;
	return n;
}

short fake_stream_events(struct fake_session *s)
{
	struct fake_stream *rx = &s->streams[1], *tx = &s->streams[0];
	short events = 0;

	if (rx->set && ((__s64)readable(rx) > 0 || rx->unreported ||
			rx->state > ZCDMA_STREAM_DRAINING))
		events |= 1;	/* POLLIN */
	if (tx->set && (tx->put - tx->taken < tx->size || tx->state == ZCDMA_STREAM_GONE))
		events |= 4;	/* POLLOUT */
	return events;
}
