/* SPDX-License-Identifier: GPL-2.0 */
/* What where.c uses of QEMU's plugin interface, version 1; Debian has no header of it. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stddef.h>

typedef unsigned long long u64;	/* what QEMU calls uint64_t, as long as all hosts are 64-bit */

struct qemu_plugin_tb;
struct qemu_plugin_insn;

#define EXPORTED	__attribute__((visibility("default")))
#define NO_REGISTERS	0
#define INLINE_ADD_U64	0

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
u64 qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int cpu, void *data), int flags,
					    void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
						void *pointer, u64 value);
void qemu_plugin_register_vcpu_tb_trans_cb(u64 id,
					   void (*cb)(u64 id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_atexit_cb(u64 id, void (*cb)(u64 id, void *data), void *data);

/* What QEMU looks for in a plugin. */
extern EXPORTED int qemu_plugin_version;
EXPORTED int qemu_plugin_install(u64 id, const void *info, int argc, char **argv);

#endif
