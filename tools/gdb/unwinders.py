"""Backtraces where debug information does not reach: through the kernel's trap entries, and in the loader.

The kernel's trap entries (arch/x86_64/trap/entry.S) leave the interrupted state in a struct trap_frame at the stack
pointer. The loader is built for a Windows target, which has no DWARF description of frames: there the prologue, up to
the place in question, says how far the stack pointer has moved and what was saved (x64 calling convention: pushes of
saved registers, then one subtraction).
"""

import re

import gdb
import memory
import symbols
from gdb.unwinder import Unwinder, register_unwinder

TRAP_RETURNS = ("trap_return", "trap_debug_return", "trap_nmi_return", "trap_double_fault_return",
                "trap_machine_check_return", "trap_page_fault_return")
REGISTERS = ("r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8", "rbp", "rdi", "rsi", "rdx", "rcx", "rbx", "rax", "rsp")
PROLOGUE_INSTRUCTIONS = 16
CALL_THROUGH_MEMORY = b"\xff\x15"  # with a displacement of four bytes behind it


class Identity:  # pylint: disable=too-few-public-methods
    """What makes a frame that frame."""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


def word(address):
    """The word at an address."""
    return int.from_bytes(memory.read_virtual(address, 8), "little")


def is_system_call(pc):
    """Whether the system call entry (arch/x86_64/user/entry.S) goes on there when its handler returns."""
    if not memory.number("&system_call_entry") < pc < memory.number("&system_call_entry_end"):
        return False
    return memory.read_virtual(pc - 6, 2) == CALL_THROUGH_MEMORY


class TrapUnwinder(Unwinder):
    """From the trap entries to what they interrupted."""

    def __init__(self):
        super().__init__("ashlar traps")

    def __call__(self, pending):
        if symbols.State.slide is None:
            return None
        pc = memory.integer(pending.read_register("rip"))
        if pc not in (memory.number(f"&{name}") for name in TRAP_RETURNS) and not is_system_call(pc):
            return None
        sp = memory.integer(pending.read_register("rsp"))
        frame = gdb.Value(sp).cast(gdb.lookup_type("struct trap_frame").pointer()).dereference()
        info = pending.create_unwind_info(Identity(gdb.Value(sp), gdb.Value(pc)))
        for name in (*REGISTERS, "rip"):
            info.add_saved_register(name, frame[name])
        return info


class LoaderUnwinder(Unwinder):
    """From a function of the loader to its caller."""

    def __init__(self):
        super().__init__("ashlar loader")

    def __call__(self, pending):
        pc = memory.integer(pending.read_register("rip"))
        start = loader_function(pc)
        if start is None:
            return None
        moved, saved = prologue(start, pc)
        sp = memory.integer(pending.read_register("rsp"))
        caller = sp + moved  # where the return address is
        long = gdb.lookup_type("long")
        info = pending.create_unwind_info(Identity(gdb.Value(caller + 8), gdb.Value(start)))
        info.add_saved_register("rip", gdb.Value(word(caller)))
        info.add_saved_register("rsp", gdb.Value(caller + 8).cast(long))
        for name, depth in saved.items():
            info.add_saved_register(name, gdb.Value(word(caller - depth)).cast(long))
        return info


def loader_function(pc):
    """Where the loader's function around an address starts; None outside the loader."""
    base = symbols.State.loader
    if base is None or not base <= pc < base + (1 << 20):
        return None
    # A call that does not return may be the last instruction: its return address is behind the function.
    block = gdb.block_for_pc(pc) or gdb.block_for_pc(pc - 1)
    while block is not None and block.function is None:
        block = block.superblock
    while block is not None and block.superblock is not None and block.superblock.function is not None:
        block = block.superblock  # out of what was inlined
    return block.start if block is not None else None


def prologue(start, pc):
    """How far the stack pointer is below the return address at `pc`, and at what depth each register was saved."""
    moved, saved = 0, {}
    architecture = gdb.selected_inferior().architecture()
    for instruction in architecture.disassemble(start, count=PROLOGUE_INSTRUCTIONS):
        if instruction["addr"] >= pc:
            break
        if match := re.match(r"push\s+%(r\w+)", instruction["asm"]):
            moved += 8
            saved[match[1]] = moved
        elif match := re.match(r"(sub|add)\s+\$(0x[0-9a-f]+),%rsp", instruction["asm"]):
            amount = int(match[2], 16)  # 128 bytes are subtracted by adding -128: one byte fits
            return moved + (amount if match[1] == "sub" else (1 << 64) - amount), saved
    return moved, saved


register_unwinder(None, TrapUnwinder(), replace=True)
register_unwinder(None, LoaderUnwinder(), replace=True)
