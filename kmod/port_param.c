// SPDX-License-Identifier: GPL-2.0
/*
 * Ports that root declares: the module parameter "ports".
 *
 * In /etc/modprobe.d it is there from the start; written at run time, to
 * /sys/module/zcdma/parameters/ports, it adds to what is there. It may tell
 * addresses, so nobody but root may read it.
 *
 *	ports=NAME:KEY=VALUE,...[;NAME:...]	-NAME takes one away
 *
 *	tx=CHANNEL	sends with this channel; this or the next is needed
 *	rx=CHANNEL	receives with this channel
 *	width=BYTES	of the register: 1, 2, 4, ... (default 1)
 *	data=BYTES	of each word that carry data (default: all)
 *	burst=WORDS	that the device takes or gives at a request (default 1)
 *	reg=ADDRESS	of the register, as the engine wants it (default 0)
 */
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "zcdma.h"

#define MAX_WIDTH	DMA_SLAVE_BUSWIDTH_64_BYTES
#define MAX_BURST	SZ_64K

static int set_chan(struct zcdma_port *port, enum zcdma_way way, const char *name)
{
	if (!*name || strscpy(port->chan[way], name, ZCDMA_NAME_LEN) < 0)
		return -EINVAL;
	port->has[way] = true;
	return 0;
}

static int set_number(u32 *number, const char *value, u32 max)
{
	int err = kstrtou32(value, 0, number);

	return err ?: *number && *number <= max ? 0 : -EINVAL;
}

static int set_reg(struct zcdma_port *port, const char *value)
{
	u64 reg;
	int err = kstrtou64(value, 0, &reg);

	port->reg = reg;
	return err ?: port->reg == reg ? 0 : -EINVAL;
}

static int set_key(struct zcdma_port *port, char *text)
{
	char *key = strsep(&text, "=");

	if (!text)
		return -EINVAL;
	if (!strcmp(key, "tx"))
		return set_chan(port, ZCDMA_WAY_TX, text);
	if (!strcmp(key, "rx"))
		return set_chan(port, ZCDMA_WAY_RX, text);
	if (!strcmp(key, "width"))
		return set_number(&port->width, text, MAX_WIDTH);
	if (!strcmp(key, "data"))
		return set_number(&port->data, text, MAX_WIDTH);
	if (!strcmp(key, "burst"))
		return set_number(&port->burst, text, MAX_BURST);
	if (!strcmp(key, "reg"))
		return set_reg(port, text);
	return -EINVAL;
}

static struct zcdma_port *parse(char *text)
{
	struct zcdma_port *port = kzalloc(sizeof(*port), GFP_KERNEL);
	char *name = strsep(&text, ":");
	char *key;
	int err = 0;

	if (!port)
		return ERR_PTR(-ENOMEM);
	port->width = 1;
	port->burst = 1;
	if (!*name || strscpy(port->name, name, ZCDMA_NAME_LEN) < 0)
		err = -EINVAL;
	while (!err && (key = strsep(&text, ",")))
		err = set_key(port, key);
	if (!err && ((!port->has[ZCDMA_WAY_TX] && !port->has[ZCDMA_WAY_RX]) ||
		     !is_power_of_2(port->width) || port->data > port->width))
		err = -EINVAL;
	if (err) {
		pr_err("zcdma: cannot make a port of \"%s\"\n", name);
		kfree(port);
		return ERR_PTR(err);
	}
	return port;
}

static int take_away(const char *name)
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

/* Under zcdma_registry. */
static int declare(char *text)
{
	struct zcdma_port *port;
	int err;

	if (!*text)
		return 0;
	if (*text == '-')
		return take_away(text + 1);
	port = parse(text);
	if (IS_ERR(port))
		return PTR_ERR(port);
	err = zcdma_port_add(port);
	if (err)
		kfree(port);
	return err;
}

/* What comes before the first mistake is done. */
static int ports_set(const char *value, const struct kernel_param *param)
{
	char *copy = kstrdup(value, GFP_KERNEL);
	char *at = copy, *text;
	int err = 0;

	if (!copy)
		return -ENOMEM;
	mutex_lock(&zcdma_registry);
	while (!err && (text = strsep(&at, ";\n")))
		err = declare(strim(text));
	mutex_unlock(&zcdma_registry);
	kfree(copy);
	return err;
}

struct text {
	char *buf;
	size_t len;
};

static int print(struct zcdma_port *port, void *arg)
{
	struct text *text = arg;
	static const char * const keys[] = { "tx", "rx" };
	const char *sep = ":";
	int way;

	if (port->dev)
		return 0;
	text->len += scnprintf(text->buf + text->len, PAGE_SIZE - text->len, "%s", port->name);
	for (way = 0; way < ZCDMA_WAYS; way++) {
		if (!port->has[way])
			continue;
		text->len += scnprintf(text->buf + text->len, PAGE_SIZE - text->len, "%s%s=%s",
				       sep, keys[way], port->chan[way]);
		sep = ",";
	}
	text->len += scnprintf(text->buf + text->len, PAGE_SIZE - text->len,
			       ",width=%u,data=%u,burst=%u,reg=%#llx\n", port->width,
			       port->data ?: port->width, port->burst,
			       (unsigned long long)port->reg);
	return 0;
}

static int ports_get(char *buf, const struct kernel_param *param)
{
	struct text text = { .buf = buf };

	mutex_lock(&zcdma_registry);
	zcdma_port_each(print, &text);
	mutex_unlock(&zcdma_registry);
	return text.len;
}

static int forget(struct zcdma_port *port, void *arg)
{
	if (!port->dev && !zcdma_port_del(port))
		kfree(port);
	return 0;
}

/* The module leaves, or never was. */
static void ports_free(void *arg)
{
	mutex_lock(&zcdma_registry);
	zcdma_port_each(forget, NULL);
	mutex_unlock(&zcdma_registry);
}

static const struct kernel_param_ops ports_ops = {
	.set	= ports_set,
	.get	= ports_get,
	.free	= ports_free,
};
module_param_cb(ports, &ports_ops, NULL, 0600);
MODULE_PARM_DESC(ports, "devices at channels: NAME:tx=CHANNEL,rx=CHANNEL,width=BYTES,data=BYTES,burst=WORDS,reg=ADDRESS;NAME:... (-NAME takes one away)");
