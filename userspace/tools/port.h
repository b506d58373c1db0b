/* SPDX-License-Identifier: GPL-2.0 */
/* A port on the command line. */
#ifndef ZCDMA_PORT_H
#define ZCDMA_PORT_H

#include <zcdma.h>

struct declaration;

/**
 * struct port - a port to work with
 * @name: as the user wrote it.
 * @deadline_ms: 0: the module's default.
 * @session: attached to it.
 * @query: what it is.
 * @caps: of the channel of each direction, by 0 for ZCDMA_TX, 1 for ZCDMA_RX.
 */
struct port {
	const char *name;
	__u32 deadline_ms;
	struct zcdma_session *session;
	struct zcdma_query_port query;
	__u64 caps[2];
};

/* Look at the port and see that it goes @direction; 0: any. 0, or -1 after telling why not. */
int port_look(struct port *port, __u32 direction);

/* Have it. 0, or -1 after telling why not. */
int port_take(struct port *port);
void port_close(struct port *port);

/* "tx", "rx", "tx,rx" */
const char *port_directions(const struct zcdma_query_port *query);

/* The verbs that declare ports. */
int port_add_main(int argc, char **argv);
int port_rights_main(int argc, char **argv);
int port_remove_main(int argc, char **argv);
int port_save_main(int argc, char **argv);
int port_load_main(int argc, char **argv);

/* Tell why the module has refused a declaration, behind @where it stood. Returns -1. */
int port_refused(const char *where, const struct declaration *declaration, int error);

#endif /* ZCDMA_PORT_H */
