/*
 * Any bytes as the code at a fault: the decoder reads nothing behind them, answers the same however many more
 * bytes follow, and finds the operand of an instruction that was put together by the tables of SDM volume
 * 2, 2.1.5.
 */
#include "arch/x86_64/fault/decode.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

#define CODE_MAX 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Registers of which each has a value of its own. */
static struct trap_frame frame_of(uint64_t seed, uint64_t values[16])
{
    for (unsigned i = 0; i < 16; i++) {
        values[i] = seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    }
    return (struct trap_frame){.rax = values[0],
                               .rcx = values[1],
                               .rdx = values[2],
                               .rbx = values[3],
                               .rsp = values[4],
                               .rbp = values[5],
                               .rsi = values[6],
                               .rdi = values[7],
                               .r8 = values[8],
                               .r9 = values[9],
                               .r10 = values[10],
                               .r11 = values[11],
                               .r12 = values[12],
                               .r13 = values[13],
                               .r14 = values[14],
                               .r15 = values[15]};
}

/* Decodes exactly these bytes, at the end of memory of their own. */
static bool decode(const uint8_t *code, size_t bytes, const struct trap_frame *frame, uint64_t *address)
{
    uint8_t *copy = malloc(bytes + !bytes);
    virt_addr_t found = virt_addr(0);
    memcpy(copy, code, bytes);
    bool good = instruction_memory_operand(copy, bytes, frame, &found);
    free(copy);
    *address = found.raw;
    return good;
}

/* Once there are bytes enough, more change nothing. */
static void check_any(const uint8_t *code, size_t bytes, const struct trap_frame *frame)
{
    uint64_t first = 0;
    bool found = false;
    for (size_t count = 0; count <= bytes; count++) {
        uint64_t address;
        bool good = decode(code, count, frame, &address);
        require(!found || (good && address == first));
        first = good ? address : first;
        found = good;
    }
}

/* An instruction with a memory operand, byte by byte. */
struct assembly {
    uint8_t code[CODE_MAX];
    size_t bytes;
};

static void emit(struct assembly *assembly, uint8_t byte)
{
    assembly->code[assembly->bytes++] = byte;
}

/* choice: prefixes and opcode; base and index: registers; shift: of the index; extra: the displacement's
 * length and value. Returns the operand's address. */
static uint64_t assemble(struct assembly *assembly, uint8_t choice, unsigned base, unsigned index,
                         unsigned shift, uint64_t extra, const uint64_t values[16])
{
    static const uint8_t prefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x2e};
    static const uint8_t opcodes[][3] = {
        {0x8b}, {0x89}, {0x01}, {0xff}, {0x0f, 0xb6}, {0x0f, 0xc7}, {0x0f, 0x38, 0xf0}};
    const uint8_t *opcode = opcodes[choice % ARRAY_LENGTH(opcodes)];
    bool indexed = index != 4;
    bool sib = indexed || base % 8 == 4;
    unsigned mode = base % 8 == 5 ? 1 + extra % 2 : extra % 3;
    int64_t displacement = mode == 1 ? (int8_t)(extra >> 8) : mode == 2 ? (int32_t)(extra >> 8) : 0;
    for (unsigned i = 0; i < choice / 64; i++) {
        emit(assembly, prefixes[(choice / 8 + i) % ARRAY_LENGTH(prefixes)]);
    }
    emit(assembly, (uint8_t)(0x40 | (choice & 8) | (indexed && index > 7 ? 2 : 0) | (base > 7 ? 1 : 0)));
    emit(assembly, opcode[0]);
    for (unsigned i = 1; i < 3 && opcode[i] != 0; i++) {
        emit(assembly, opcode[i]);
    }
    emit(assembly, (uint8_t)(mode << 6 | (choice & 0x38) | (sib ? 4 : base % 8)));
    if (sib) {
        emit(assembly, (uint8_t)(shift << 6 | (index & 7) << 3 | base % 8));
    }
    for (unsigned i = 0; i < (mode == 1 ? 1 : mode == 2 ? 4 : 0); i++) {
        emit(assembly, (uint8_t)((uint64_t)displacement >> (8 * i)));
    }
    return values[base] + (indexed ? values[index] << shift : 0) + (uint64_t)displacement;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t values[16];
    uint64_t extra;
    uint64_t address;
    struct assembly assembly = {.bytes = 0};
    if (size < 10) {
        return 0;
    }
    struct trap_frame frame = frame_of(data[0], values);
    check_any(data + 10, size - 10 < CODE_MAX ? size - 10 : CODE_MAX, &frame);
    memcpy(&extra, data + 2, sizeof extra);
    uint64_t wanted =
        assemble(&assembly, data[1], extra >> 40 & 15, extra >> 44 & 15, extra >> 48 & 3, extra, values);
    require(decode(assembly.code, assembly.bytes, &frame, &address) && address == wanted);
    require(!decode(assembly.code, assembly.bytes - 1, &frame, &address));
    return 0;
}
