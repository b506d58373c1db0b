// SPDX-License-Identifier: GPL-2.0
/*
 * Ports that root declares: the module parameter "ports".
 *
 * In /etc/modprobe.d it is there from the start; written at run time, to
 * /sys/module/zcdma/parameters/ports, it adds to what is there. It may tell
 * addresses, so nobody but root may read it. What is read there may be written
 * there: "zcdma port save" and "load" do.
 *
 *	ports=NAME:KEY=VALUE,...[;NAME:...]	-NAME takes one away
 *
 *	tx=CHANNEL	sends with this channel; this or the next is needed
 *	rx=CHANNEL	receives with this channel
 *	width=BYTES	of the register: 1, 2, 4, 8 or 16 (default 1)
 *	data=BYTES	of each word that carry data (default: all)
 *	burst=WORDS	that the device takes or gives at a request (default 1)
 *	reg=ADDRESS	of the register, as the engine wants it (default 0)
 *	group=GID	whose the port is besides root's; empty: nobody's (default)
 *	mode=OCTAL	as of a file: who may read what it receives, and write what it sends
 *			(default 0600)
 *
 * With the last two alone they are those of a port that is there, be it of the device tree. To
 * declare ports takes CAP_SYS_RAWIO, and a kernel that is not locked down.
 */
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uidgid.h>
#include "port.h"

#define MAX_BURST	SZ_64K

/* Names are shown to people and to programs: nothing that a terminal obeys, no separator. */
static bool ports_is_name(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isascii(*c) || !isgraph(*c) || strchr("\"\\", *c))
			return false;
	return c > name;
}

static int ports_set_chan(struct zcdma_port *port, enum zcdma_way way, const char *name)
{
	if (!ports_is_name(name) || strscpy(port->chan[way], name, ZCDMA_NAME_LEN) < 0)
		return -EINVAL;
	port->has[way] = true;
	return 0;
}

static int ports_set_number(u32 *number, const char *value, u32 max)
{
	int err = kstrtou32(value, 0, number);

	return err ?: *number && *number <= max ? 0 : -EINVAL;
}

static int ports_set_reg(struct zcdma_port *port, const char *value)
{
	u64 reg;
	int err = kstrtou64(value, 0, &reg);

	port->reg = reg;
	return err ?: port->reg == reg ? 0 : -EINVAL;
}

static int ports_set_group(struct zcdma_port *port, const char *value)
{
	u32 gid;
	int err;

	port->group = INVALID_GID;
	if (!*value)
		return 0;
	err = kstrtou32(value, 10, &gid);
	port->group = make_kgid(&init_user_ns, gid);
	return err ?: gid_valid(port->group) ? 0 : -EINVAL;
}

static int ports_set_mode(struct zcdma_port *port, const char *value)
{
	u16 mode;
	int err = kstrtou16(value, 8, &mode);

	port->mode = mode;
	return err ?: mode & ~0666 ? -EINVAL : 0;
}

/* Which keys there were: what was given may be the default, and is not the same as nothing. */
struct ports_keys {
	bool group;
	bool mode;
	bool others;
};

/* What says who may have it. Return: -ENOENT for other keys. */
static int ports_set_right(struct zcdma_port *port, const char *key, const char *value,
			   struct ports_keys *seen)
{
	if (!strcmp(key, "group")) {
		seen->group = true;
		return ports_set_group(port, value);
	}
	if (!strcmp(key, "mode")) {
		seen->mode = true;
		return ports_set_mode(port, value);
	}
	seen->others = true;
	return -ENOENT;
}

static int ports_set_key(struct zcdma_port *port, const char *key, const char *value)
{
	if (!strcmp(key, "tx"))
		return ports_set_chan(port, ZCDMA_WAY_TX, value);
	if (!strcmp(key, "rx"))
		return ports_set_chan(port, ZCDMA_WAY_RX, value);
	if (!strcmp(key, "width"))
		return ports_set_number(&port->width, value, ZCDMA_PORT_MAX_WIDTH);
	if (!strcmp(key, "data"))
		return ports_set_number(&port->data, value, ZCDMA_PORT_MAX_WIDTH);
	if (!strcmp(key, "burst"))
		return ports_set_number(&port->burst, value, MAX_BURST);
	if (!strcmp(key, "reg"))
		return ports_set_reg(port, value);
	return -EINVAL;
}

/* KEY=VALUE,... to @port. */
static int ports_parse_keys(struct zcdma_port *port, char *text, struct ports_keys *seen)
{
	char *key, *value;
	int err = 0;

	while (!err && (value = strsep(&text, ","))) {
		key = strsep(&value, "=");
		if (!value)
			return -EINVAL;
		err = ports_set_right(port, key, value, seen);
		if (err == -ENOENT)
			err = ports_set_key(port, key, value);
	}
	return err;
}

/* A port that is there: others may have it from now on, or no longer. Who has it keeps it. */
static int ports_set_rights(const struct zcdma_port *wanted, const struct ports_keys *seen)
{
	struct zcdma_port *port = zcdma_port_find(wanted->name);

	if (!port)
		return -EINVAL;		/* as of any declaration without a channel */
	if (seen->group)
		port->group = wanted->group;
	if (seen->mode)
		port->mode = wanted->mode;
	return 0;
}

static int ports_add(const struct zcdma_port *wanted)
{
	struct zcdma_port *port;
	int err;

	if ((!wanted->has[ZCDMA_WAY_TX] && !wanted->has[ZCDMA_WAY_RX]) ||
	    !is_power_of_2(wanted->width) || wanted->data > wanted->width)
		return -EINVAL;
	port = kmemdup(wanted, sizeof(*wanted), GFP_KERNEL);
	if (!port)
		return -ENOMEM;
	err = zcdma_port_add(port);
	if (err)
		kfree(port);
	return err;
}

static int ports_take_away(const char *name)
{
	struct zcdma_port *port = zcdma_port_find(name);
	int err;

	if (!port || port->dev)
		return -ENOENT;
	err = zcdma_port_del(port);
	if (!err)
		kfree(port);
	return err;
}

/* Under zc_registry. */
static int ports_declare(char *text)
{
	struct zcdma_port port = {
		.width = 1, .burst = 1, .mode = ZCDMA_PORT_MODE, .group = INVALID_GID,
	};
	struct ports_keys seen = { };
	char *name;
	int err;

	if (!*text)
		return 0;
	if (*text == '-')
		return ports_take_away(text + 1);
	name = strsep(&text, ":");
	/* In a file of declarations # begins a comment. */
	if (!ports_is_name(name) || *name == '#' || strscpy(port.name, name, ZCDMA_NAME_LEN) < 0)
		err = -EINVAL;
	else
		err = ports_parse_keys(&port, text, &seen);
	if (!err)
		err = seen.others ? ports_add(&port) : ports_set_rights(&port, &seen);
	if (err == -EINVAL)
		pr_err("zcdma: cannot make a port of \"%*pE\"\n",
		       (int)strnlen(name, ZCDMA_NAME_LEN), name);
	return err;
}

/* A port's register may be any address: who declares one has power over the hardware. */
static int ports_may_declare(void)
{
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	return security_locked_down(LOCKDOWN_MODULE_PARAMETERS);
}

/* What comes before the first mistake is done. */
static int ports_set(const char *value, const struct kernel_param *param)
{
	char *copy, *at, *text;
	int err = ports_may_declare();

	if (err)
		return err;
	copy = kstrdup(value, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	at = copy;
	mutex_lock(&zc_registry);
	while (!err && (text = strsep(&at, ";\n")))
		err = ports_declare(strim(text));
	mutex_unlock(&zc_registry);
	kfree(copy);
	return err;
}

struct ports_text {
	char *buf;
	size_t len;
};

/* @len grows on beyond what there is room for. */
static __printf(2, 3) void ports_append(struct ports_text *text, const char *format, ...)
{
	size_t used = min_t(size_t, text->len, PAGE_SIZE);
	va_list args;

	va_start(args, format);
	text->len += vsnprintf(text->buf + used, PAGE_SIZE - used, format, args);
	va_end(args);
}

static void ports_print_declared(struct zcdma_port *port, struct ports_text *text)
{
	static const char * const keys[] = { "tx", "rx" };
	int way;

	for (way = 0; way < ZCDMA_WAYS; way++)
		if (port->has[way])
			ports_append(text, "%s=%s,", keys[way], port->chan[way]);
	ports_append(text, "width=%u,data=%u,burst=%u,reg=%#llx,", port->width,
		     port->data ?: port->width, port->burst, (unsigned long long)port->reg);
}

/* Of those of the device tree root has given the rights only. */
static int ports_print(struct zcdma_port *port, void *arg)
{
	struct ports_text *text = arg;

	if (port->dev && !gid_valid(port->group) && port->mode == ZCDMA_PORT_MODE)
		return 0;
	ports_append(text, "%s:", port->name);
	if (!port->dev)
		ports_print_declared(port, text);
	if (gid_valid(port->group))
		ports_append(text, "group=%u,", from_kgid(&init_user_ns, port->group));
	ports_append(text, "mode=%#o\n", port->mode);
	return 0;
}

static int ports_get(char *buf, const struct kernel_param *param)
{
	struct ports_text text = { .buf = buf };

	mutex_lock(&zc_registry);
	zcdma_port_each(ports_print, &text);
	mutex_unlock(&zc_registry);
	/* Who reads a part takes it for all. */
	return text.len < PAGE_SIZE ? text.len : -EFBIG;
}

static int ports_forget(struct zcdma_port *port, void *arg)
{
	if (!port->dev && !zcdma_port_del(port))
		kfree(port);
	return 0;
}

/* The module leaves, or never was. */
static void ports_free(void *arg)
{
	mutex_lock(&zc_registry);
	zcdma_port_each(ports_forget, NULL);
	mutex_unlock(&zc_registry);
}

static const struct kernel_param_ops ports_ops = {
	.set	= ports_set,
	.get	= ports_get,
	.free	= ports_free,
};
module_param_cb(ports, &ports_ops, NULL, 0600);
MODULE_PARM_DESC(ports, "devices at channels: NAME:tx=CHANNEL,rx=CHANNEL,width=BYTES,data=BYTES,burst=WORDS,reg=ADDRESS,group=GID,mode=OCTAL;NAME:... (-NAME takes one away)");
