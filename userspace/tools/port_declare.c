// SPDX-License-Identifier: GPL-2.0
/* zcdma port add, rights and remove: ports that root declares. */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "declaration.h"
#include "port.h"

static const char add_help[] =
	"Usage: zcdma port add NAME [--tx CHANNEL] [--rx CHANNEL] [OPTION...]\n"
	"Declare a port: the data register of a device at a DMA channel. For root.\n\n"
	"  -t, --tx CHANNEL     it sends by this channel, see zcdma list; this option or the\n"
	"                       next is needed, or both\n"
	"  -x, --rx CHANNEL     it receives by this channel\n"
	"  -w, --width BYTES    of the register: 1, 2, 4, 8 or 16 (default 1)\n"
	"  -a, --data BYTES     of each word that carry data (default: all)\n"
	"  -b, --burst WORDS    that the device takes or gives at a request (default 1)\n"
	"  -r, --reg ADDRESS    of the register, as the engine wants it (default 0)\n"
	"  -g, --group GROUP    whose the port is besides root's: a name or a number\n"
	"  -m, --mode OCTAL     as of a file: who may read what the port receives, and write\n"
	"                       what it sends (default 0600)\n"
	"  -h, --help\n";

static const char rights_help[] =
	"Usage: zcdma port rights NAME [--group GROUP] [--mode OCTAL]\n"
	"Say who may have a port that there is, be it of the device tree. For root.\n\n"
	"  -g, --group GROUP    whose the port is besides root's: a name or a number; '' is\n"
	"                       nobody\n"
	"  -m, --mode OCTAL     as of a file: who may read what the port receives, and write\n"
	"                       what it sends\n"
	"  -h, --help\n";

static const char remove_help[] =
	"Usage: zcdma port remove NAME...\n"
	"Remove ports that root has declared. For root.\n\n"
	"  -h, --help\n";

static const struct option options[] = {
	{ "tx", required_argument, NULL, 't' },
	{ "rx", required_argument, NULL, 'x' },
	{ "width", required_argument, NULL, 'w' },
	{ "data", required_argument, NULL, 'a' },
	{ "burst", required_argument, NULL, 'b' },
	{ "reg", required_argument, NULL, 'r' },
	{ "group", required_argument, NULL, 'g' },
	{ "mode", required_argument, NULL, 'm' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* The other verbs have the last of these only. */
static const struct option *const rights_options = options + 6;
static const struct option *const remove_options = options + 8;

/* The option of each key. */
static const char key_options[] = "txwabrgm";

/* What is known of a port that the module has refused to touch. */
static bool find_port(const char *name, struct zcdma_query_port *query)
{
	struct zcdma_session *session = zcdma_open(NULL);
	bool found = session && !zcdma_find_port(session, name, query);

	zcdma_close(session);
	return found;
}

int port_refused(const char *where, const struct declaration *declaration, int error)
{
	const char *name = declaration->name;
	char text[DECLARATION_TEXT];

	switch (error) {
	case EPERM:
		return complain("%s%s: %s; that takes CAP_SYS_RAWIO, and no lockdown, see zcdma(4)",
				where, name, strerror(error));
	case EEXIST:
		return complain("%s%s: there is a port of this name already, see zcdma port list",
				where, name);
	case EINVAL:
		if (declaration_is_rights(declaration))
			return complain("%s%s: no such port; see zcdma port list", where, name);
		declaration_text(declaration, text);
		return complain("%s%s: the module does not take \"%s\": %s", where, name, text,
				strerror(error));
	default:
		return complain("%s%s: %s", where, name, strerror(error));
	}
}

/* A channel may come later, with its engine; more often its name is wrong. */
static void warn_of_absence(const char *name)
{
	struct zcdma_query_port query;

	if (find_port(name, &query) && query.out_state == ZCDMA_PORT_ABSENT)
		complain("%s: declared, but a channel of it is not there now; see zcdma list",
			 name);
}

static int declare(const struct declaration *declaration)
{
	char text[DECLARATION_TEXT];
	int fd = parameter_open();
	int err;

	if (fd < 0)
		return EXIT_FAILED;
	declaration_text(declaration, text);
	err = parameter_write(fd, text);
	close(fd);
	if (err) {
		port_refused("", declaration, -err);
		return EXIT_FAILED;
	}
	if (!declaration_is_rights(declaration))
		warn_of_absence(declaration->name);
	return EXIT_DONE;
}

/* The values of options by key, NULL where there was none. Returns -1 to go on, or exit code. */
static int parse_options(int argc, char **argv, const struct option *which, const char *letters,
			 const char *help, const char *values[DECLARATION_KEYS])
{
	int option;

	while ((option = getopt_long(argc, argv, letters, which, NULL)) != -1) {
		const char *key = option ? strchr(key_options, option) : NULL;

		if (option == 'h')
			fputs(help, stdout);
		if (!key)
			return option == 'h' ? EXIT_DONE : EXIT_USAGE;
		if (values[key - key_options])
			return complain_usage("--%s: is there twice",
					      declaration_keys[key - key_options]);
		values[key - key_options] = optarg;
	}
	if (optind == argc)
		return complain_usage("NAME of the port is missing");
	if (optind + 1 != argc)
		return complain_usage("%s: superfluous argument", argv[optind + 1]);
	return -1;
}

static int fill_in(struct declaration *declaration, const char *name,
		   const char *values[DECLARATION_KEYS])
{
	const char *wrong = declaration_begin(declaration, name);
	int key;

	if (wrong)
		return complain_usage("%s: %s", declaration_shown(name), wrong);
	for (key = 0; key < DECLARATION_KEYS; key++) {
		wrong = values[key] ? declaration_set(declaration, key, values[key]) : NULL;
		if (wrong)
			return complain_usage("--%s %s: %s", declaration_keys[key],
					      declaration_shown(values[key]), wrong);
	}
	return -1;
}

int port_add_main(int argc, char **argv)
{
	const char *values[DECLARATION_KEYS] = { NULL };
	struct declaration declaration;
	const char *wrong;
	int ret;

	ret = parse_options(argc, argv, options, "t:x:w:a:b:r:g:m:h", add_help, values);
	if (ret < 0)
		ret = fill_in(&declaration, argv[optind], values);
	if (ret >= 0)
		return ret;
	if (!values[KEY_TX] && !values[KEY_RX])
		return complain_usage("%s: --tx or --rx is missing", declaration.name);
	wrong = declaration_check(&declaration);
	if (wrong)
		return complain_usage("%s: --%s", declaration.name, wrong);
	return declare(&declaration);
}

int port_rights_main(int argc, char **argv)
{
	const char *values[DECLARATION_KEYS] = { NULL };
	struct declaration declaration;
	int ret;

	ret = parse_options(argc, argv, rights_options, "g:m:h", rights_help, values);
	if (ret < 0)
		ret = fill_in(&declaration, argv[optind], values);
	if (ret >= 0)
		return ret;
	if (!declaration_is_rights(&declaration))
		return complain_usage("%s: --group or --mode is missing", declaration.name);
	return declare(&declaration);
}

/* ---- remove ---- */

static int remove_refused(const char *name, int error)
{
	struct zcdma_query_port query;
	bool found = find_port(name, &query);

	switch (error) {
	case EPERM:
		return complain("%s: %s; that takes CAP_SYS_RAWIO, and no lockdown, see zcdma(4)",
				name, strerror(error));
	case ENOENT:
		if (found)
			return complain("%s: of the device tree: it stays; see zcdma port rights",
					name);
		return complain("%s: no such port; see zcdma port list", name);
	case EBUSY:
		if (found && query.out_owner)
			return complain("%s: busy: process %d (%s) has it", name, query.out_owner,
					query.out_owner_name);
		return complain("%s: busy: a process has it", name);
	default:
		return complain("%s: %s", name, strerror(error));
	}
}

static int remove_one(int fd, const char *name)
{
	struct declaration declaration;
	char text[ZCDMA_NAME_LEN + 1];
	int err;

	/* A name that no port can have might be more than one to the module. */
	if (declaration_begin(&declaration, name))
		return remove_refused(declaration_shown(name), ENOENT);
	snprintf(text, sizeof(text), "-%s", name);
	err = parameter_write(fd, text);
	return err ? remove_refused(name, -err) : 0;
}

int port_remove_main(int argc, char **argv)
{
	int ret = EXIT_DONE, option, fd, i;

	while ((option = getopt_long(argc, argv, "h", remove_options, NULL)) != -1) {
		if (option == 'h')
			fputs(remove_help, stdout);
		return option == 'h' ? EXIT_DONE : EXIT_USAGE;
	}
	if (optind == argc)
		return complain_usage("NAME of a port is missing");
	fd = parameter_open();
	if (fd < 0)
		return EXIT_FAILED;
	for (i = optind; i < argc; i++)
		if (remove_one(fd, argv[i]))
			ret = EXIT_FAILED;
	close(fd);
	return ret;
}
