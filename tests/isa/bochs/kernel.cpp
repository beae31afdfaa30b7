// As much of Linux as a static program needs that computes and prints: it is read from the disk and put where it wants
// to be, gets a stack and the system calls below. All others fail with ENOSYS, with which the C library can live. There
// is one address space and no protection. A fault has no handler and ends the machine.
#include <asm/prctl.h>
#include <asm/unistd.h>
#include <elf.h>

#include <cstddef>
#include <cstdint>

extern "C" char syscall_entry[];

namespace {

// Memory: the program is linked for 4 MiB; its file, the heap, mappings, and the stack, which ends with the memory.
constexpr std::uintptr_t file = 64 << 20, heap_begin = 128 << 20, mappings_begin = 192 << 20, stack_end = 256 << 20,
                         stack_size = 8 << 20;
std::uintptr_t heap_end, mappings_end;

void out(int port, std::uint32_t value) { asm volatile("outb %b0, %w1" : : "a"(value), "d"(port)); }

std::uint8_t in(int port) {
  std::uint8_t value;
  asm volatile("inb %w1, %0" : "=a"(value) : "d"(port));
  return value;
}

void write_msr(std::uint32_t msr, std::uint64_t value) {
  asm volatile("wrmsr" : : "c"(msr), "a"(value), "d"(value >> 32));
}

void copy(std::uintptr_t to, std::uintptr_t from, std::size_t size) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

void clear(std::uintptr_t to, std::size_t size) {
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

// All of the first ATA disk, sector by sector.
void read_disk(std::uintptr_t to, std::uint32_t sectors) {
  for (std::uint32_t i = 0; i < sectors; ++i) {
    out(0x1f2, 1);
    for (int byte = 0; byte < 3; ++byte) out(0x1f3 + byte, i >> 8 * byte);
    out(0x1f6, 0xe0);
    out(0x1f7, 0x20);
    while ((in(0x1f7) & 0x88) != 8) {
    }  // until it is not busy and has data
    std::size_t words = 256;
    asm volatile("rep insw" : "+D"(to), "+c"(words) : "d"(0x1f0) : "memory");
  }
}

// The printers at these ports write files.
constexpr int output = 0x378, status = 0x278;

void print(int printer, std::uint32_t byte) {
  out(printer, byte);
  out(printer + 2, 0x0d);  // selected, strobe
  out(printer + 2, 0x0c);
}

[[noreturn]] void finish(std::uintptr_t value) {
  print(status, static_cast<std::uint8_t>(value));
  for (const char* c = "Shutdown"; *c; ++c) out(0x8900, static_cast<std::uint8_t>(*c));
  for (;;) asm volatile("hlt");
}

}  // namespace

extern "C" std::uintptr_t system_call(std::uintptr_t a, std::uintptr_t b, std::uintptr_t c, std::uintptr_t,
                                      std::uintptr_t, std::uintptr_t, long number) {
  constexpr std::uintptr_t no_memory = -12, not_implemented = -38;
  switch (number) {
    case __NR_write:
      for (std::size_t i = 0; i < c; ++i) print(output, reinterpret_cast<const std::uint8_t*>(b)[i]);
      return c;
    case __NR_brk:
      if (a >= heap_begin && a <= mappings_begin) heap_end = a;
      return heap_end;
    case __NR_mmap: {
      const std::uintptr_t at = mappings_end, size = (b + 4095) & ~std::uintptr_t{4095};
      if (size > stack_end - stack_size - at) return no_memory;
      mappings_end += size;  // nothing is given back
      clear(at, size);
      return at;
    }
    case __NR_munmap:
    case __NR_mprotect:
    case __NR_futex: return 0;
    case __NR_arch_prctl:
      if (a != ARCH_SET_FS) return not_implemented;
      write_msr(0xc0000100, b);
      return 0;
    case __NR_exit:
    case __NR_exit_group: finish(a);
    case __NR_tgkill: finish(128 + c);
    default: return not_implemented;
  }
}

extern "C" [[noreturn]] void kernel() {
  heap_end = heap_begin;
  mappings_end = mappings_begin;
  write_msr(0xc0000081, std::uint64_t{8} << 32);  // STAR: the segments of syscall
  write_msr(0xc0000082, reinterpret_cast<std::uintptr_t>(syscall_entry));

  read_disk(file, SECTORS);
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(file);
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(file + header.e_phoff);
  for (int i = 0; i < header.e_phnum; ++i) {
    const Elf64_Phdr& s = segments[i];
    if (s.p_type != PT_LOAD) continue;
    copy(s.p_vaddr, file + s.p_offset, s.p_filesz);
    clear(s.p_vaddr + s.p_filesz, s.p_memsz - s.p_filesz);
  }

  static constexpr char name[] = "program", random[16] = {};
  alignas(16) const std::uint64_t stack[] = {1,         reinterpret_cast<std::uintptr_t>(name),
                                             0,  // arguments
                                             0,  // environment
                                             AT_PHDR,   file + header.e_phoff,
                                             AT_PHNUM,  header.e_phnum,
                                             AT_PHENT,  sizeof(Elf64_Phdr),
                                             AT_PAGESZ, 4096,
                                             AT_RANDOM, reinterpret_cast<std::uintptr_t>(random),
                                             AT_NULL,   0};
  asm volatile("mov %0, %%rsp; jmp *%1" : : "r"(stack), "r"(header.e_entry), "d"(0) : "memory");
  __builtin_unreachable();
}
