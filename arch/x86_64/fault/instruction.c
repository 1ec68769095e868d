/*
 * The memory operand of one instruction (SDM volume 2, 2.1 and appendix A).
 *
 * A general protection fault does not report the address that caused it, so it is computed from the
 * instruction. The decoder knows the one-byte and 0F opcodes that a compiler uses with general registers. It
 * does not know VEX-coded instructions and addresses relative to RIP, FS or GS, because these do not lead to
 * non-canonical addresses in the kernel.
 */
#include "decode.h"

struct code_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t rex; /* REX prefix, or 0 */
};

enum { REX_X = 2, REX_B = 1 }; /* the fourth bit of the index and of the base */

static bool next_byte(struct code_reader *code, uint8_t *byte)
{
    if (code->at == code->end) {
        return false;
    }
    *byte = *code->at++;
    return true;
}

/* A little-endian number of `count` bytes, sign-extended. */
static bool next_number(struct code_reader *code, unsigned count, uint64_t *number)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t byte;
        if (!next_byte(code, &byte)) {
            return false;
        }
        value |= (uint64_t)byte << (8 * i);
    }
    unsigned unused = 64 - 8 * count;
    *number = (uint64_t)((int64_t)(value << unused) >> unused);
    return true;
}

static uint64_t register_value(const struct trap_frame *frame, unsigned number)
{
    const uint64_t values[] = {frame->rax, frame->rcx, frame->rdx, frame->rbx, frame->rsp, frame->rbp,
                               frame->rsi, frame->rdi, frame->r8,  frame->r9,  frame->r10, frame->r11,
                               frame->r12, frame->r13, frame->r14, frame->r15};
    return values[number & 15];
}

/* Skips prefixes and takes the opcode; false for those that change how the address is formed. */
static bool next_opcode(struct code_reader *code, uint8_t *opcode)
{
    for (;;) {
        if (!next_byte(code, opcode)) {
            return false;
        }
        switch (*opcode) {
        case 0x26: /* ES, CS, SS, DS: no effect in 64-bit mode */
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x66: /* operand size */
        case 0xf0: /* LOCK, REPNE, REP */
        case 0xf2:
        case 0xf3:
            continue;
        case 0x64: /* FS, GS, 32-bit addresses */
        case 0x65:
        case 0x67:
            return false;
        default:
            break;
        }
        if ((*opcode & 0xf0) != 0x40) {
            return true;
        }
        code->rex = *opcode; /* only the last one, directly before the opcode, counts: so no prefix follows */
        return next_byte(code, opcode);
    }
}

static bool one_byte_has_modrm(uint8_t opcode)
{
    if (opcode < 0x40) {
        return (opcode & 7) < 4;
    }
    switch (opcode) {
    case 0x63:
    case 0x69:
    case 0x6b:
    case 0xc0:
    case 0xc1:
    case 0xc6:
    case 0xc7:
    case 0xf6:
    case 0xf7:
    case 0xfe:
    case 0xff:
        return true;
    case 0x8d: /* LEA only computes */
        return false;
    default:
        return (opcode >= 0x80 && opcode <= 0x8f) || (opcode >= 0xd0 && opcode <= 0xd3) ||
               (opcode >= 0xd8 && opcode <= 0xdf);
    }
}

static bool two_byte_has_modrm(uint8_t opcode)
{
    bool without = (opcode >= 0x04 && opcode <= 0x0c) || (opcode >= 0x30 && opcode <= 0x37) ||
                   opcode == 0x77 || (opcode >= 0x80 && opcode <= 0x8f) ||
                   (opcode >= 0xa0 && opcode <= 0xa2) || (opcode >= 0xa8 && opcode <= 0xaa) ||
                   (opcode >= 0xc8 && opcode <= 0xcf);
    return !without;
}

/* String instructions name their operands by opcode: RSI, RDI, or both. */
static bool string_operand(uint8_t opcode, const struct trap_frame *frame, virt_addr_t *address)
{
    switch (opcode) {
    case 0xa4: /* MOVS, CMPS: RSI where it is not canonical, else RDI */
    case 0xa5:
    case 0xa6:
    case 0xa7:
        *address = virt_addr(virt_is_canonical(virt_addr(frame->rsi), 4) ? frame->rdi : frame->rsi);
        return true;
    case 0xaa: /* STOS, SCAS */
    case 0xab:
    case 0xae:
    case 0xaf:
        *address = virt_addr(frame->rdi);
        return true;
    case 0xac: /* LODS */
    case 0xad:
        *address = virt_addr(frame->rsi);
        return true;
    default:
        return false;
    }
}

/* Base and index of a SIB byte; *displacement grows to 4 where the base is left out (SDM volume 2, table
 * 2-3). */
static bool sib_address(struct code_reader *code, unsigned mode, const struct trap_frame *frame,
                        uint64_t *sum, unsigned *displacement)
{
    uint8_t sib;
    if (!next_byte(code, &sib)) {
        return false;
    }
    unsigned index = (sib >> 3 & 7) | (code->rex & REX_X ? 8 : 0);
    unsigned base = (sib & 7) | (code->rex & REX_B ? 8 : 0);
    *sum = index == 4 ? 0 : register_value(frame, index) << (sib >> 6);
    if ((sib & 7) == 5 && mode == 0) {
        *displacement = 4;
    } else {
        *sum += register_value(frame, base);
    }
    return true;
}

static bool modrm_address(struct code_reader *code, const struct trap_frame *frame, virt_addr_t *address)
{
    uint8_t modrm;
    if (!next_byte(code, &modrm)) {
        return false;
    }
    unsigned mode = modrm >> 6;
    unsigned base = modrm & 7;
    if (mode == 3 || (mode == 0 && base == 5)) {
        return false; /* a register, or relative to RIP */
    }
    unsigned displacement = mode == 1 ? 1 : mode == 2 ? 4 : 0;
    uint64_t sum;
    if (base == 4) {
        if (!sib_address(code, mode, frame, &sum, &displacement)) {
            return false;
        }
    } else {
        sum = register_value(frame, base | (code->rex & REX_B ? 8 : 0));
    }
    uint64_t offset = 0;
    if (displacement && !next_number(code, displacement, &offset)) {
        return false;
    }
    *address = virt_addr(sum + offset);
    return true;
}

bool instruction_memory_operand(const uint8_t *code, size_t bytes, const struct trap_frame *frame,
                                virt_addr_t *address)
{
    struct code_reader reader = {code, code + bytes, 0};
    uint8_t opcode;
    if (!next_opcode(&reader, &opcode)) {
        return false;
    }
    if (opcode >= 0xa0 && opcode <= 0xa3) { /* MOV with an absolute address */
        uint64_t absolute;
        bool whole = next_number(&reader, 8, &absolute);
        *address = virt_addr(whole ? absolute : 0);
        return whole;
    }
    if (string_operand(opcode, frame, address)) {
        return true;
    }
    if (opcode != 0x0f) {
        return one_byte_has_modrm(opcode) && modrm_address(&reader, frame, address);
    }
    if (!next_byte(&reader, &opcode)) {
        return false;
    }
    if (opcode == 0x38 || opcode == 0x3a) {
        uint8_t third;
        return next_byte(&reader, &third) && modrm_address(&reader, frame, address);
    }
    return two_byte_has_modrm(opcode) && modrm_address(&reader, frame, address);
}
