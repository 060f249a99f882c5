/* A plugin of QEMU's user emulation that counts the instructions of the emulated program.
 *
 * Each os.getsid() of the program, which nothing else calls while a model runs, writes the count so far as a line to
 * the file of the argument `out`. One thread: the addition that QEMU does by itself is not atomic. The declarations
 * are those of plugin API 1 (QEMU 4.2 and later, docs/devel/tcg-plugins.rst), whose header Debian does not ship.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t Id;
struct qemu_plugin_tb;
typedef void (*Translated)(Id, struct qemu_plugin_tb *);
typedef void (*Called)(Id, unsigned cpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       uint64_t, uint64_t);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_trans_cb(Id, Translated);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op, void *, uint64_t);
extern void qemu_plugin_register_vcpu_syscall_cb(Id, Called);

#define SHOWN __attribute__((visibility("default")))
enum { ADD_U64 = 0 };

SHOWN int qemu_plugin_version = 1;

/* getsid in each table of system calls (Linux, arch/ and include/uapi/asm-generic/unistd.h). */
static const struct {
  const char *target;
  int64_t number;
} tables[] = {{"aarch64", 156}, {"arm", 147}, {"x86_64", 124}};

static uint64_t count;
static int64_t marker = -1;
static FILE *out;

static void translated(Id id, struct qemu_plugin_tb *block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &count, qemu_plugin_tb_n_insns(block));
}

static void called(Id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                   uint64_t f, uint64_t g, uint64_t h) {
  (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  if (number != marker) return;
  fprintf(out, "%llu\n", (unsigned long long)count);
  fflush(out);
}

SHOWN int qemu_plugin_install(Id id, const void *info, int argc, char **argv) {
  const char *target = *(const char *const *)info; /* qemu_info_t begins with it */
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (strcmp(target, tables[i].target) == 0) marker = tables[i].number;
  for (int i = 0; i < argc; i++)
    if (strncmp(argv[i], "out=", 4) == 0) out = fopen(argv[i] + 4, "w");
  if (marker < 0 || out == NULL) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  return 0;
}
