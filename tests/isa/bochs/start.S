# From the reset of the processor to kernel(), and from an instruction syscall to system_call().
#
# This is the ROM of a machine without BIOS: 64 KiB at 0xf0000, which are seen below 4 GiB too, where the processor
# begins, in real mode. Page tables and segments are constants in it: one page of 1 GiB maps the memory onto itself, and
# everything runs in ring 0.

.section .reset, "ax"  # at 0xffff0
.code16
        ljmp    $0xf000, $0             # to the lower copy, which is mapped

.text
.globl  reset
reset:
        cli
        lgdtl   %cs:gdtr - 0xf0000
        mov     $0x40620, %eax          # OSXSAVE, OSXMMEXCPT, OSFXSR, PAE
        mov     %eax, %cr4
        mov     $page_map, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx       # EFER: long mode, syscall
        mov     $0x101, %eax
        xor     %edx, %edx
        wrmsr
        mov     $0x80000033, %eax       # PG, NE, ET, MP, PE
        mov     %eax, %cr0
        ljmpl   $8, $long_mode
.code64
long_mode:
        mov     $16, %eax
        mov     %eax, %ss
        mov     %eax, %ds
        mov     %eax, %es
        mov     $0x10000000, %esp       # the end of memory
        fninit
        xor     %ecx, %ecx
        xor     %edx, %edx
        mov     $0xe7, %eax             # XCR0: x87, SSE, AVX, AVX-512
        xsetbv
        call    kernel

# The program's registers are kept but rax, rcx and r11; its stack is used, below the 128 bytes that it may count on.
.globl syscall_entry
syscall_entry:
        lea     -128(%rsp), %rsp
        push    %rcx                    # where it goes on
        push    %rbp
        push    %rdi
        push    %rsi
        push    %rdx
        push    %r10
        push    %r8
        push    %r9
        mov     %rsp, %rbp
        and     $-16, %rsp
        mov     %r10, %rcx
        push    %rax
        push    %rax                    # the seventh argument: the number of the call
        call    system_call
        mov     %rbp, %rsp
        pop     %r9
        pop     %r8
        pop     %r10
        pop     %rdx
        pop     %rsi
        pop     %rdi
        pop     %rbp
        pop     %rcx
        lea     128(%rsp), %rsp
        jmp     *%rcx

        .align  8
segments:
        .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff  # none, code, data
gdtr:   .word   23
        .long   segments
        .align  4096
page_map:
        .quad   pages + 0x23            # accessed, writable, present
        .fill   511, 8, 0
pages:  .quad   0xe3                    # 1 GiB, dirty, accessed, writable, present
        .fill   511, 8, 0
