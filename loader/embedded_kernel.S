/* The kernel's ELF file, a section of its own so that one signature covers loader and kernel; its checksum behind. */
    .section .kernel, "dr"
    .balign 4096
    .globl embedded_kernel
embedded_kernel:
    .incbin "kernel.elf"
    .balign 8, 0
    .globl embedded_kernel_end
embedded_kernel_end:
    .globl embedded_kernel_checksum
embedded_kernel_checksum:
    .incbin "kernel.checksum"

/* The SHA-256 of the initrd that Secure Boot allows, behind words by which tools/image finds it: zeros for none. */
    .section .rdata, "dr"
    .ascii "SHA-256 of \\EFI\\BOOT\\initrd.cpio: "
    .globl embedded_initrd_hash
embedded_initrd_hash:
    .fill 32, 1, 0

/*
 * All that the loader keeps begins as zeros, so that .data would have no bytes in the file. shim takes a section
 * without bytes, which lies at offset 0, for one inside the headers, and refuses the file.
 */
    .data
    .balign 8
    .quad 1

/* SBAT: the generation numbers by which shim revokes vulnerable versions (shim's SBAT.md). */
    .section .sbat, "dr"
    .balign 4096
    .ascii "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
    .ascii "ashlar,1,Ashlar,ashlar,"
    .ascii ASHLAR_VERSION
    .ascii ",https://ashlar.example/\n"
