// SPDX-License-Identifier: GPL-2.0
/* zcdma port: the machine's ports, and how to have one. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "common.h"
#include "engine.h"
#include "port.h"

static const char help[] =
	"Usage: zcdma port list [OPTION...]\n"
	"List the ports: devices at DMA channels, by the names that read, write and stream\n"
	"take. The device tree defines them, or root does: see zcdma(4).\n\n"
	"  -j, --json  as a JSON array\n"
	"  -h, --help\n";

static const char *state(const struct zcdma_query_port *query)
{
	static const char *const states[] = {
		[ZCDMA_PORT_FREE] = "free", [ZCDMA_PORT_BUSY] = "busy",
		[ZCDMA_PORT_ABSENT] = "absent",
	};

	return query->out_state < ARRAY_SIZE(states) ? states[query->out_state] : "unknown";
}

const char *port_directions(const struct zcdma_query_port *query)
{
	static const char *const directions[] = { "-", "tx", "rx", "tx,rx" };

	return directions[query->out_directions & (ZCDMA_TX | ZCDMA_RX)];
}

static void print_row(const struct zcdma_query_port *query)
{
	char owner[96] = "-";

	if (query->out_owner)
		snprintf(owner, sizeof(owner), "%d (%s)", query->out_owner,
			 query->out_owner_name);
	printf("%-15s %-15s %-20s %-6s %5u  %-7s %s\n", query->out_name,
	       *query->out_provider ? query->out_provider : "-",
	       *query->out_device ? query->out_device : "-", port_directions(query),
	       query->out_width, state(query), owner);
}

static void print_json(const struct zcdma_query_port *query)
{
	printf("{\"name\": ");
	json_string(query->out_name);
	printf(", \"device\": ");
	json_string(query->out_device);
	printf(", \"provider\": ");
	json_string(query->out_provider);
	printf(", \"directions\": [%s%s%s]", query->out_directions & ZCDMA_TX ? "\"tx\"" : "",
	       query->out_directions == (ZCDMA_TX | ZCDMA_RX) ? ", " : "",
	       query->out_directions & ZCDMA_RX ? "\"rx\"" : "");
	printf(", \"width\": %u, \"data\": %u, \"burst\": %u, \"state\": \"%s\", \"owner\": %d",
	       query->out_width, query->out_data, query->out_burst, state(query),
	       query->out_owner);
	printf(", \"owner_name\": ");
	json_string(query->out_owner_name);
	putchar('}');
}

static int list(struct zcdma_session *session, bool json)
{
	struct zcdma_query_port query;
	uint32_t i;

	for (i = 0; !zcdma_query_port(session, i, &query); i++) {
		if (json) {
			printf("%s", i ? ",\n " : "[");
			print_json(&query);
			continue;
		}
		if (!i)
			printf("%-15s %-15s %-20s %-6s %5s  %-7s %s\n", "PORT", "PROVIDER",
			       "DEVICE", "WAYS", "WIDTH", "STATE", "OWNER");
		print_row(&query);
	}
	if (errno != ENOENT)
		return complain("%s: %s", ZCDMA_DEVICE, strerror(errno));
	if (json)
		puts(i ? "]" : "[]");
	if (!i)
		complain("no ports; root can declare some, see zcdma(4)");
	return 0;
}

int port_main(int argc, char **argv)
{
	struct zcdma_session *session;
	bool json = false;
	int ret;

	ret = parse_json_option(argc, argv, help, &json);
	if (ret >= 0)
		return ret;
	if (optind == argc)
		return complain_usage("what about ports? \"list\" is missing");
	if (strcmp(argv[optind], "list"))
		return complain_usage("%s: no such thing to do with ports", argv[optind]);
	if (optind + 1 != argc)
		return complain_usage("%s: superfluous argument", argv[optind + 1]);

	session = device_open();
	if (!session)
		return EXIT_FAILED;
	ret = list(session, json);
	zcdma_close(session);
	return ret ? EXIT_FAILED : EXIT_DONE;
}

int port_look(struct port *port, __u32 direction)
{
	port->session = device_open();
	if (!port->session)
		return -1;
	if (zcdma_find_port(port->session, port->name, &port->query)) {
		if (errno == ENOENT)
			return complain("%s: no such port; see zcdma port list", port->name);
		return complain("%s: %s", port->name, strerror(errno));
	}
	if (direction & ~port->query.out_directions)
		return complain("%s: this port only %s", port->name,
				direction == ZCDMA_TX ? "receives" : "sends");
	return 0;
}

int port_take(struct port *port)
{
	struct zcdma_attach_port how = { .deadline_ms = port->deadline_ms };

	strncpy(how.name, port->name, sizeof(how.name) - 1);
	if (!zcdma_attach_port(port->session, &how)) {
		port->caps[0] = how.out_tx_caps;
		port->caps[1] = how.out_rx_caps;
		return 0;
	}
	switch (errno) {
	case EBUSY:
		if (!zcdma_find_port(port->session, port->name, &port->query) &&
		    port->query.out_owner)
			return complain("%s: busy: process %d (%s) has it", port->name,
					port->query.out_owner, port->query.out_owner_name);
		return complain("%s: busy: its channel is used otherwise", port->name);
	case ENODEV:
		return complain("%s: its engine is not there", port->name);
	case EOPNOTSUPP:
		return complain("%s: its engine cannot do words of %u bytes, or not that way",
				port->name, port->query.out_width);
	case EPERM:
		return complain("%s: the module parameter \"allow\" forbids its channel",
				port->name);
	default:
		return complain("%s: %s", port->name, strerror(errno));
	}
}

void port_close(struct port *port)
{
	zcdma_close(port->session);
}
