// SPDX-License-Identifier: GPL-2.0
/* zcdma port: the machine's ports, and how to have one. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "common.h"
#include "engine.h"
#include "port.h"

static const char help[] =
	"Usage: zcdma port COMMAND [OPTION...] [ARGUMENT...]\n"
	"Ports are devices at DMA channels, by the names that read, write and stream take.\n"
	"The device tree defines them, or root does.\n\nCommands:\n"
	"  list    the ports\n"
	"  add     declare one\n"
	"  rights  say who may have one\n"
	"  remove  remove some that were declared\n"
	"  save    write those that were declared to a file\n"
	"  load    declare those of a file\n\n"
	"  -j, --json  of list\n"
	"  -h, --help\n\n"
	"zcdma port COMMAND --help tells about each.\n";

static const char list_help[] =
	"Usage: zcdma port list [OPTION...]\n"
	"List the ports: devices at DMA channels, by the names that read, write and stream\n"
	"take. The device tree defines them, or root does: see zcdma port add.\n\n"
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
		complain("no ports; root can declare some, see zcdma port add --help");
	return 0;
}

static int list_main_of_ports(int argc, char **argv, bool json)
{
	struct zcdma_session *session;
	int ret;

	ret = parse_json_option(argc, argv, list_help, &json);
	if (ret >= 0)
		return ret;
	if (optind != argc)
		return complain_usage("%s: superfluous argument", argv[optind]);

	session = device_open();
	if (!session)
		return EXIT_FAILED;
	ret = list(session, json);
	zcdma_close(session);
	return ret ? EXIT_FAILED : EXIT_DONE;
}

static const struct {
	const char *name;
	const char *full;
	int (*main)(int argc, char **argv);
} verbs[] = {
	{ "add", "port add", port_add_main },
	{ "rights", "port rights", port_rights_main },
	{ "remove", "port remove", port_remove_main },
	{ "save", "port save", port_save_main },
	{ "load", "port load", port_load_main },
};

/* From its verb on, which becomes the program's name in getopt's messages. */
static int verb_main(int argc, char **argv, bool json)
{
	static char name[32];
	size_t i;

	optind = 0;	/* getopt begins anew */
	if (!strcmp(argv[0], "list")) {
		argv[0] = "zcdma: port";
		return list_main_of_ports(argc, argv, json);
	}
	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(argv[0], verbs[i].name))
			continue;
		if (json)
			return complain_usage("--json: belongs behind \"%s\", if it has that",
					      argv[0]);
		command = verbs[i].full;
		snprintf(name, sizeof(name), "zcdma: %s", command);
		argv[0] = name;
		return verbs[i].main(argc, argv);
	}
	return complain_usage("%s: no such thing to do with ports", argv[0]);
}

int port_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool json = false;
	int option;

	/* Up to the verb: what comes behind is the verb's. */
	while ((option = getopt_long(argc, argv, "+jh", options, NULL)) != -1) {
		if (option == 'h')
			fputs(help, stdout);
		if (option != 'j')
			return option == 'h' ? EXIT_DONE : EXIT_USAGE;
		json = true;
	}
	if (optind == argc)
		return complain_usage("what about ports? A command, such as \"list\", is missing");
	return verb_main(argc - optind, argv + optind, json);
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
	case EACCES:
		return complain("%s: %s; as root: zcdma port rights %s --group GROUP --mode 0660",
				port->name, strerror(errno), port->name);
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
	default:
		return complain("%s: %s", port->name, strerror(errno));
	}
}

void port_close(struct port *port)
{
	zcdma_close(port->session);
}
