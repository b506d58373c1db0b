/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ports and streams, for tests: as zcdma_util.h, 0 (or what they say) or -errno.
 */
#ifndef ZCDMA_SELFTESTS_PORT_UTIL_H
#define ZCDMA_SELFTESTS_PORT_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/zcdma.h>

/* Write to the module parameter "ports". */
int port_declare(const char *text);

/*
 * Ports at the software engine: NAME goes at its channels TX and RX; -1: not that way.
 * @more: ",width=4" or the like, or "".
 */
int port_make(const char *name, int tx, int rx, const char *more);
int port_drop(const char *name);

/* It is everybody's from now on, not only root's. */
int port_give_to_all(const char *name);

/*
 * Two ports of bytes: "t-rx" receives what "t-tx" sends. They are dropped as soon as the engine
 * is through with them, for which it may take @ms.
 */
int port_make_pair(void);
int port_open_pair(int *tx, int *rx, __u32 deadline_ms);
int port_drop_pair(unsigned int ms);

int port_query(const char *name, struct zcdma_query_port *query);

/* Open and attach: a descriptor or -errno. @deadline_ms may be 0. */
int port_open(const char *name, __u32 deadline_ms, int flags);

/* One op, waited for: what became of it; res may be SUBMIT's error. */
struct zcdma_completion port_op(int fd, struct zcdma_op op);

/* One op that SUBMIT is to refuse: what it says. */
int port_refusal(int fd, struct zcdma_op op);

int stream_setup(int fd, __u32 direction, __u32 flags, __u32 period, __u64 ring);
int stream_do(int fd, __u32 direction, __u32 action);
struct zcdma_stream_status stream_status(int fd, __u32 direction);

/*
 * The same of a stream that was paused, when all callbacks have come: nothing changes for a
 * while. No longer than 20 s.
 */
struct zcdma_stream_status stream_settled(int fd, __u32 direction);

/* read() or write() of all @len bytes: how many, or -errno where none. */
long stream_read(int fd, void *buf, size_t len);
long stream_write(int fd, const void *buf, size_t len);

/* The control page and the ring, or NULL. */
struct zcdma_ring *stream_map_control(int fd, __u32 direction);
char *stream_map_ring(int fd, __u32 direction, size_t len);

/* The words 0, 1, 2, ... as softdma's source sends them, from byte @at on. */
void sequence_write(void *buf, __u64 at, size_t len);
bool sequence_holds(const void *buf, __u64 at, size_t len);

/* Read @len bytes to @buf that must be the sequence from *@at on, and go on there. */
bool stream_goes_on(int fd, char *buf, size_t len, __u64 *at);

/*
 * Make softdma's port of bytes send the sequence, at @rate bytes a second, or at what a reader
 * on a slow machine keeps up with. The other: at just that rate, by an engine of which @more
 * is true, "coarse_residue=Y". Return: 0 or -errno.
 */
int stream_source(unsigned int rate);
int stream_source_at(unsigned int rate, const char *more);

#endif /* ZCDMA_SELFTESTS_PORT_UTIL_H */
