// SPDX-License-Identifier: GPL-2.0
/*
 * The fake's ports: which there are, and the module's parameter "ports", which is read and written
 * as the module has it.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake.h"

struct list {
	struct fake_port ports[64];
	unsigned int nr;
};

static int fd_of_writer = -1;

/* ---- one declaration ---- */

static bool is_name(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isascii(*c) || !isgraph(*c) || strchr("\"\\", *c))
			return false;
	return c > name && c - name < ZCDMA_NAME_LEN;
}

static bool number(const char *value, int base, unsigned long long max, unsigned long long *to)
{
	char *end;

	errno = 0;
	*to = strtoull(value, &end, base);
	return isalnum(*value) && !*end && !errno && *to <= max;
}

/* Which keys there were: those of rights alone are for a port that is there. */
struct seen {
	bool group, mode, others;
};

static bool set_key(struct fake_port *port, const char *key, const char *value, struct seen *seen)
{
	unsigned long long n;

	if (!strcmp(key, "group")) {
		seen->group = true;
		port->group = -1;
		if (!*value)
			return true;
		if (!number(value, 10, UINT32_MAX - 1, &n))
			return false;
		port->group = n;
		return true;
	}
	if (!strcmp(key, "mode")) {
		seen->mode = true;
		if (!number(value, 8, 0xffff, &n) || n & ~0666ULL)
			return false;
		port->mode = n;
		return true;
	}
	seen->others = true;
	if (!strcmp(key, "tx") || !strcmp(key, "rx")) {
		if (!is_name(value))
			return false;
		strcpy(port->channel[*key == 'r'], value);
		return true;
	}
	if (!strcmp(key, "reg"))
		return number(value, 0, UINT64_MAX, &port->reg);
	if (!number(value, 0, strcmp(key, "burst") ? 16 : 65536, &n) || !n)
		return false;
	if (!strcmp(key, "width"))
		port->width = n;
	else if (!strcmp(key, "data"))
		port->data = n;
	else if (!strcmp(key, "burst"))
		port->burst = n;
	else
		return false;
	return true;
}

/* Names that the module would refuse are taken: a test may put them into the machine's file. */
static bool parse(char *text, struct fake_port *port, struct seen *seen)
{
	char *word, *value;

	*port = (struct fake_port){ .width = 1, .burst = 1, .group = -1, .mode = 0600 };
	*seen = (struct seen){ 0 };
	snprintf(port->name, sizeof(port->name), "%s", strsep(&text, ":") ?: "");
	while ((word = strsep(&text, ","))) {
		value = strchr(word, '=');
		if (!value)
			return false;
		*value++ = 0;
		if (!set_key(port, word, value, seen))
			return false;
	}
	if (seen->others)
		return (*port->channel[0] || *port->channel[1]) &&
		       !(port->width & (port->width - 1)) && port->data <= port->width;
	return seen->group || seen->mode;
}

/* ---- the list ---- */

static struct fake_port *find(struct list *list, const char *name)
{
	unsigned int i;

	for (i = 0; i < list->nr; i++)
		if (!strcmp(list->ports[i].name, name))
			return &list->ports[i];
	return NULL;
}

static int take_away(struct list *list, const char *name)
{
	struct fake_port *port = find(list, name);

	if (!port || port->of_tree)
		return -ENOENT;
	list->nr--;
	memmove(port, port + 1, (list->ports + list->nr - port) * sizeof(*port));
	return 0;
}

static int apply(struct list *list, char *text, bool of_tree)
{
	struct fake_port port, *old;
	struct seen seen;

	if (!*text)
		return 0;
	if (*text == '-')
		return take_away(list, text + 1);
	if (!parse(text, &port, &seen))
		return -EINVAL;
	old = find(list, port.name);
	if (!seen.others) {
		if (!old)
			return -EINVAL;
		if (seen.group)
			old->group = port.group;
		if (seen.mode)
			old->mode = port.mode;
		return 0;
	}
	if (old)
		return -EEXIST;
	if (list->nr == ARRAY_SIZE(list->ports))
		return -ENOMEM;
	port.data = port.data ?: port.width;
	port.of_tree = of_tree;
	list->ports[list->nr++] = port;
	return 0;
}

static void apply_file(struct list *list, const char *name, bool of_tree)
{
	char text[16384], *one, *rest = text;

	if (fake_read_file(name, text, sizeof(text)) < 0)
		return;
	while ((one = strsep(&rest, ";\n")))
		apply(list, one, of_tree);
}

static void make_list(struct list *list)
{
	list->nr = 0;
	apply_file(list, "tree", true);
	apply_file(list, "ports", false);
}

bool fake_port_at(unsigned int index, struct fake_port *port)
{
	struct list list;

	make_list(&list);
	if (index < list.nr)
		*port = list.ports[index];
	return index < list.nr;
}

/* ---- the parameter ---- */

static int print(const struct fake_port *port, char *text, size_t size)
{
	bool tx = *port->channel[0], rx = *port->channel[1];
	char group[32] = "";
	int used;

	if (port->of_tree && port->group < 0 && port->mode == 0600)
		return 0;
	if (port->group >= 0)
		snprintf(group, sizeof(group), "group=%lld,", port->group);
	if (port->of_tree)
		return snprintf(text, size, "%s:%smode=%#o\n", port->name, group, port->mode);
	used = snprintf(text, size, "%s:%s%s%s%s%s,", port->name, tx ? "tx=" : "",
			port->channel[0], tx && rx ? "," : "", rx ? "rx=" : "", port->channel[1]);
	return used + snprintf(text + used, size - used,
			       "width=%u,data=%u,burst=%u,reg=0x%llx,%smode=%#o\n", port->width,
			       port->data, port->burst, port->reg, group, port->mode);
}

static int open_reader(int flags)
{
	int fd = syscall(SYS_memfd_create, "ports", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	char text[65536];
	struct list list;
	size_t used = 0;
	unsigned int i;

	make_list(&list);
	for (i = 0; i < list.nr; i++)
		used += print(&list.ports[i], text + used, sizeof(text) - used);
	if (fd >= 0 && (syscall(SYS_write, fd, text, used) < 0 ||
			syscall(SYS_lseek, fd, 0L, SEEK_SET) < 0))
		return -errno;
	return fd < 0 ? -errno : fd;
}

/* As the file in /sys, which is there with the module, and root's. A descriptor or -errno. */
int fake_open_ports(const char *path, int flags)
{
	char device[512];
	int fd;

	if (syscall(SYS_faccessat, AT_FDCWD, fake_path("zcdma", device), F_OK))
		return -ENOENT;
	if (fake_ordinary_user)
		return -EACCES;
	if (!(flags & O_ACCMODE))
		return open_reader(flags);
	fd = syscall(SYS_openat, AT_FDCWD, path, flags | O_APPEND | O_CREAT, 0666);
	if (fd >= 0)
		fd_of_writer = fd;
	return fd < 0 ? -errno : fd;
}

bool fake_writes_ports(int fd)
{
	return fd >= 0 && fd == fd_of_writer;
}

void fake_close_ports(int fd)
{
	if (fake_writes_ports(fd))
		fd_of_writer = -1;
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace(end[-1]))
		*--end = 0;
	return text + strspn(text, " \t\r");
}

static int declare(struct list *list, char *text)
{
	char name[ZCDMA_NAME_LEN + 1], copy[4096];
	size_t len = strcspn(text, ":");
	int err;

	snprintf(copy, sizeof(copy), "%s", text);
	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	if (*text && *text != '-' && (!is_name(name) || *name == '#'))
		return -EINVAL;
	if (*text == '-' && fake_port_owner(text + 1))
		return -EBUSY;
	err = apply(list, copy, false);
	if (!err && *text) {
		fake_append("ports", text);
		fake_append("ports", "\n");
	}
	return err;
}

/* What comes before the first mistake is done. All of it, or -errno. */
ssize_t fake_declare(const char *what, size_t len)
{
	char text[4096], *one, *rest = text;
	int err = -fake_inject("DECLARE");
	struct list list;

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, what, len);
	text[len] = 0;
	make_list(&list);
	while (!err && (one = strsep(&rest, ";\n")))
		err = declare(&list, trim(one));
	return err ?: (ssize_t)len;
}
