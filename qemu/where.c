// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU: how often each instruction of the guest's kernel ran between two
 * places in a program.
 *
 *	-plugin where.so,from=ADDRESS,to=ADDRESS,out=FILE
 *
 * The places are addresses in the program's text, which is not to be moved
 * (norandmaps), and of which no other program has the bytes given by frombytes= and
 * tobytes= there. It may go from one to the other many times. FILE then has a line
 * "ADDRESS COUNT" for each instruction of the kernel, in hexadecimal and decimal; what
 * ran in user space, which is not told apart, is that of address 0.
 *
 * Counts are of instructions, not of blocks: an interrupt, a fault, or a device that
 * is touched may end a block of QEMU's anywhere.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

EXPORTED int qemu_plugin_version = 1;

#define PAGE		4096u
#define BUCKETS		65536u

/* Of one instruction: ever, and between the places. */
struct counter {
	u64 ever;
	u64 before;
	u64 between;
};

struct page {
	struct page *next;
	u64 address;
	struct counter counters[PAGE];
};

struct place {
	u64 address;
	unsigned char bytes[16];
	size_t size;
};

static struct page *pages[BUCKETS];
static struct counter user;
static struct place from, to;
static const char *out;
static bool counting;

static struct counter *counter_of(u64 address)
{
	u64 start = address / PAGE * PAGE;
	struct page **bucket = &pages[start / PAGE % BUCKETS], *page;

	if (!(address >> 63))
		return &user;
	for (page = *bucket; page; page = page->next)
		if (page->address == start)
			return &page->counters[address - start];

	page = calloc(1, sizeof(*page));
	if (!page)
		abort();
	page->address = start;
	page->next = *bucket;
	*bucket = page;
	return &page->counters[address - start];
}

typedef void visitor(u64 address, struct counter *counter);

static void visit_counters(visitor *do_it)
{
	struct page *page;
	size_t i, j;

	do_it(0, &user);
	for (i = 0; i < BUCKETS; i++)
		for (page = pages[i]; page; page = page->next)
			for (j = 0; j < PAGE; j++)
				if (page->counters[j].ever)
					do_it(page->address + j, &page->counters[j]);
}

static void remember(u64 address, struct counter *counter)
{
	(void)address;
	counter->before = counter->ever;
}

static void add(u64 address, struct counter *counter)
{
	(void)address;
	counter->between += counter->ever - counter->before;
}

static void at_from(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (counting)
		return;
	counting = true;
	visit_counters(remember);
}

static void at_to(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (!counting)
		return;
	counting = false;
	visit_counters(add);
}

static bool is_at(const struct qemu_plugin_insn *insn, const struct place *place)
{
	size_t size = qemu_plugin_insn_size(insn);

	if (qemu_plugin_insn_vaddr(insn) != place->address)
		return false;
	return !memcmp(qemu_plugin_insn_data(insn), place->bytes,
		       size < place->size ? size : place->size);
}

static void translated(u64 id, struct qemu_plugin_tb *tb)
{
	size_t i, count = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		struct counter *counter = counter_of(qemu_plugin_insn_vaddr(insn));

		if (is_at(insn, &from))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_from, NO_REGISTERS, NULL);
		if (is_at(insn, &to))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_to, NO_REGISTERS, NULL);
		qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &counter->ever, 1);
	}
}

static FILE *file;

static void print(u64 address, struct counter *counter)
{
	if (counter->between)
		fprintf(file, "%016llx %llu\n", address, counter->between);
}

static void finish(u64 id, void *data)
{
	(void)id;
	(void)data;
	file = fopen(out, "w");
	if (!file) {
		perror(out);
		return;
	}
	visit_counters(print);
	fclose(file);
}

static void set_bytes(struct place *place, const char *hex)
{
	for (place->size = 0; place->size < sizeof(place->bytes); place->size++, hex += 2)
		if (sscanf(hex, "%2hhx", &place->bytes[place->size]) != 1)
			return;
}

int qemu_plugin_install(u64 id, const void *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "from=", 5))
			from.address = strtoull(argv[i] + 5, NULL, 16);
		else if (!strncmp(argv[i], "to=", 3))
			to.address = strtoull(argv[i] + 3, NULL, 16);
		else if (!strncmp(argv[i], "frombytes=", 10))
			set_bytes(&from, argv[i] + 10);
		else if (!strncmp(argv[i], "tobytes=", 8))
			set_bytes(&to, argv[i] + 8);
		else if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
		else
			return -1;
	}
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
