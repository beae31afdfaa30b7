// A plug-in of qemu's user mode: counts the instructions that the guest executes, and prints how many there were when
// the guest calls the kernel by a number that no call has (bench::mark in instructions.cpp). No package ships the
// header of the interface; these are the functions of its first version that are needed.
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>

extern "C" {

struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(std::uint64_t id, void (*)(std::uint64_t id, qemu_plugin_tb*));
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*);
void qemu_plugin_register_vcpu_tb_exec_cb(qemu_plugin_tb*, void (*)(unsigned cpu, void* data), int registers,
                                          void* data);
using syscall_function = void(std::uint64_t id, unsigned cpu, std::int64_t number, std::uint64_t, std::uint64_t,
                              std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(std::uint64_t id, syscall_function*);

__attribute__((visibility("default"))) extern const int qemu_plugin_version = 1;

__attribute__((visibility("default"))) int qemu_plugin_install(std::uint64_t id, const void*, int, char**) {
  static std::uint64_t executed = 0;  // of one thread
  qemu_plugin_register_vcpu_tb_trans_cb(id, [](std::uint64_t, qemu_plugin_tb* block) {
    qemu_plugin_register_vcpu_tb_exec_cb(
        block, [](unsigned, void* count) { executed += reinterpret_cast<std::uintptr_t>(count); }, 0,
        reinterpret_cast<void*>(qemu_plugin_tb_n_insns(block)));
  });
  qemu_plugin_register_vcpu_syscall_cb(id, [](std::uint64_t, unsigned, std::int64_t number, auto...) {
    if (number == BLOCQ_MARK) std::fprintf(stderr, "%" PRIu64 "\n", executed);
  });
  return 0;
}
}
