// SPDX-License-Identifier: GPL-2.0
/* Ports and streams, for tests. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "port_util.h"
#include "softdma.h"
#include "zcdma_util.h"

#define PORTS	"/sys/module/zcdma/parameters/ports"

int port_declare(const char *text)
{
	return zc_write_file(PORTS, text);
}

int port_make(const char *name, int tx, int rx, const char *more)
{
	struct zcdma_query_channel first;
	char text[512], way[2][96] = { "", "" };
	int err = zc_query("softdma", &first);
	size_t prefix;

	if (err)
		return err;
	port_drop(name);	/* that of a test that has failed */
	prefix = strcspn(first.out_name, "c");	/* dma0 of dma0chan0 */
	if (tx >= 0)
		snprintf(way[0], sizeof(way[0]), "tx=%.*schan%d,", (int)prefix, first.out_name, tx);
	if (rx >= 0)
		snprintf(way[1], sizeof(way[1]), "rx=%.*schan%d,", (int)prefix, first.out_name, rx);
	snprintf(text, sizeof(text), "%s:%s%s%s", name, way[0], way[1],
		 *more ? more : "burst=1");
	return port_declare(text);
}

int port_drop(const char *name)
{
	char text[80];

	snprintf(text, sizeof(text), "-%s", name);
	return port_declare(text);
}

int port_give_to_all(const char *name)
{
	char text[80];

	snprintf(text, sizeof(text), "%s:mode=0666", name);
	return port_declare(text);
}

int port_make_pair(void)
{
	return port_make("t-rx", -1, 1, "width=1") ?: port_make("t-tx", 0, -1, "width=1");
}

int port_open_pair(int *tx, int *rx, __u32 deadline_ms)
{
	*rx = port_open("t-rx", deadline_ms, 0);
	*tx = port_open("t-tx", deadline_ms, 0);
	return *rx < 0 ? *rx : *tx < 0 ? *tx : 0;
}

static int drop_within(const char *name, unsigned int ms)
{
	__u64 end = zc_now_ms() + ms;
	int err;

	while ((err = port_drop(name)) == -EBUSY && zc_now_ms() < end)
		zc_sleep_ms(10);
	return err;
}

int port_drop_pair(unsigned int ms)
{
	int rx = drop_within("t-rx", ms), tx = drop_within("t-tx", ms);

	return rx ?: tx;
}

int port_query(const char *name, struct zcdma_query_port *query)
{
	int fd = zc_open(0), err;

	if (fd < 0)
		return fd;
	for (__u32 i = 0; ; i++) {
		*query = (struct zcdma_query_port){ .index = i };
		err = zc_ioctl(fd, ZCDMA_IOC_QUERY_PORT, query);
		if (err || !strcmp(query->out_name, name))
			break;
	}
	close(fd);
	return err;
}

int port_open(const char *name, __u32 deadline_ms, int flags)
{
	struct zcdma_attach_port how = { .deadline_ms = deadline_ms };
	int fd = zc_open(flags), err;

	if (fd < 0)
		return fd;
	strncpy(how.name, name, sizeof(how.name) - 1);
	err = zc_ioctl(fd, ZCDMA_IOC_ATTACH_PORT, &how);
	if (!err)
		return fd;
	close(fd);
	return err;
}

struct zcdma_completion port_op(int fd, struct zcdma_op op)
{
	struct zcdma_completion c = { 0 };
	int err = zc_submit_wait(fd, &op, 1, &c, NULL);

	if (err)
		c.res = err;
	return c;
}

int port_refusal(int fd, struct zcdma_op op)
{
	__u32 accepted = 99;
	int err = zc_submit(fd, &op, 1, &accepted);

	return err && accepted ? -EPROTO : err;
}

int stream_setup(int fd, __u32 direction, __u32 flags, __u32 period, __u64 ring)
{
	struct zcdma_stream_setup how = {
		.flags = flags,
		.direction = direction,
		.period_bytes = period,
		.ring_bytes = ring,
	};
	int err = zc_ioctl(fd, ZCDMA_IOC_STREAM_SETUP, &how);

	if (!err && (how.out_periods != ring / period ||
		     how.out_ring_bytes != ring / period * period))
		return -EPROTO;
	return err;
}

int stream_do(int fd, __u32 direction, __u32 action)
{
	struct zcdma_stream_control what = { .direction = direction, .action = action };

	return zc_ioctl(fd, ZCDMA_IOC_STREAM_CONTROL, &what);
}

struct zcdma_stream_status stream_status(int fd, __u32 direction)
{
	struct zcdma_stream_status status = { .direction = direction };

	if (zc_ioctl(fd, ZCDMA_IOC_STREAM_STATUS, &status))
		status.out_state = ~0U;
	return status;
}

struct zcdma_stream_status stream_settled(int fd, __u32 direction)
{
	struct zcdma_stream_status now = stream_status(fd, direction), before;
	int same = 0;

	for (int i = 0; i < 1000 && same < 10; i++) {
		before = now;
		zc_sleep_ms(20);
		now = stream_status(fd, direction);
		same = memcmp(&before, &now, sizeof(now)) ? 0 : same + 1;
	}
	return now;
}

long stream_read(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = read(fd, (char *)buf + done, len - done);

		if (got < 0 && !done)
			return -errno;
		if (got <= 0)
			break;
		done += got;
	}
	return done;
}

long stream_write(int fd, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = write(fd, (const char *)buf + done, len - done);

		if (got < 0 && !done)
			return -errno;
		if (got <= 0)
			break;
		done += got;
	}
	return done;
}

static void *map(int fd, size_t len, off_t offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	return p == MAP_FAILED ? NULL : p;
}

struct zcdma_ring *stream_map_control(int fd, __u32 direction)
{
	return map(fd, sizeof(struct zcdma_ring),
		   direction == ZCDMA_TX ? ZCDMA_MMAP_TX_CONTROL : ZCDMA_MMAP_RX_CONTROL);
}

char *stream_map_ring(int fd, __u32 direction, size_t len)
{
	return map(fd, len, direction == ZCDMA_TX ? ZCDMA_MMAP_TX_RING : ZCDMA_MMAP_RX_RING);
}

static __u8 sequence_byte(__u64 at)
{
	return (__u32)(at / 4) >> (at % 4 * 8);
}

void sequence_write(void *buf, __u64 at, size_t len)
{
	__u8 *to = buf;
	__u32 word;

	for (; len && at % 4; len--)
		*to++ = sequence_byte(at++);
	for (; len >= 4; len -= 4, to += 4, at += 4) {
		word = at / 4;
		memcpy(to, &word, 4);
	}
	while (len--)
		*to++ = sequence_byte(at++);
}

/* How many bytes at @from are whole words, and right? */
static size_t right_words(const __u8 *from, __u64 at, size_t len)
{
	size_t done = 0;
	__u32 word;

	if (at % 4)
		return 0;
	for (; len - done >= 4; done += 4) {
		memcpy(&word, from + done, 4);
		if (word != (__u32)((at + done) / 4))
			break;
	}
	return done;
}

bool sequence_holds(const void *buf, __u64 at, size_t len)
{
	const __u8 *from = buf;

	for (size_t i = 0; i < len; i++) {
		i += right_words(from + i, at + i, len - i);
		if (i == len || from[i] == sequence_byte(at + i))
			continue;
		fprintf(stderr, "# byte %zu of %zu is %02x: not byte %llu of the sequence\n",
			i, len, from[i], (unsigned long long)(at + i));
		return false;
	}
	return true;
}

int stream_source_at(unsigned int rate, const char *more)
{
	char parameters[256];

	/* The FIFO has room for what comes while the engine's thread waits for a CPU. */
	snprintf(parameters, sizeof(parameters), "source=Y fifo=1048576 rate=%u %s", rate, more);
	return softdma_rebuild(parameters);
}

int stream_source(unsigned int rate)
{
	return stream_source_at(zc_lacks("counted") ? rate / 8 : rate, "");
}

bool stream_goes_on(int fd, char *buf, size_t len, __u64 *at)
{
	long got = stream_read(fd, buf, len);

	if (got != (long)len) {
		fprintf(stderr, "# %ld of %zu bytes\n", got, len);
		return false;
	}
	*at += len;
	return sequence_holds(buf, *at - len, len);
}
