#!/usr/bin/env bash
# Runs a static program for x86-64 Linux on the processor of bochs, a Tiger Lake with AVX-512, VNNI and VBMI:
#   run.sh PROGRAM
# Exits with the program's status, or with 125 where the machine broke down. The machine has no BIOS and no Linux:
# start.S and kernel.cpp are its ROM, the program is its disk. Needs Debian's packages bochs and bochs-term.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cp "$program" disk
truncate -s %516096 disk  # whole cylinders

g++ -std=c++20 -O1 -Wall -Wextra "-DSECTORS=$(($(stat -c %s disk) / 512))" -ffreestanding -nostdlib -static -fno-pic \
  -mgeneral-regs-only -fno-stack-protector -fno-exceptions -fno-asynchronous-unwind-tables \
  -fcf-protection=none -Wl,--build-id=none,-z,noexecstack,-N,--no-warn-rwx-segments \
  -Wl,-e,reset,-Ttext=0xf0000,--section-start=.reset=0xffff0,-Tbss=0x8000 "$here/start.S" "$here/kernel.cpp" -o rom.elf
objcopy -O binary --pad-to 0x100000 rom.elf rom

cat >bochsrc <<'BOCHS'
cpu: model=tigerlake, reset_on_triple_fault=0
memory: guest=256, host=256
romimage: file=rom
ata0-master: type=disk, mode=flat, path=disk, cylinders=0
parport1: enabled=1, file=output
parport2: enabled=1, file=status
sound: driver=dummy
display_library: term
panic: action=fatal
log: log
BOCHS
echo c >commands  # Debian's bochs is built with its debugger, which is told to go on; the display wants a terminal
TERM=xterm script -qec "bochs -q -f bochsrc -rc commands" /dev/null >screen || true

if [ -s output ]; then cat output; fi
[ -s status ] || { tail -n 30 log >&2; exit 125; }
exit "$(od -An -tu1 status)"
