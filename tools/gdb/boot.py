"""`ashlar boot-info` and `ashlar memory-map`: what the loader hands to the kernel (docs/boot.md).

Both work from the loader's first steps on. Everything is read by physical address, so it does not matter whose page
tables are in force.
"""

import gdb
import memory
import page_tables
import symbols


def boot_info_address():
    """Physical address of the boot_info there is: the kernel's, or the one that the loader is filling."""
    kept = kept_by_kernel()
    if kept:
        return page_tables.physical_address(kept)
    if symbols.State.loader is not None:
        # The loader and its data lie where they are seen: firmware maps memory one to one.
        where = gdb.parse_and_eval("&the_loader")
        loader = memory.value_at(where.type.target(), memory.read_physical(int(where), where.type.target().sizeof))
        if memory.integer(loader["info"]):
            return memory.integer(loader["info_base"]["raw"])
    raise gdb.GdbError("there is no boot_info yet: the loader has not allocated it")


def kept_by_kernel():
    """The kernel's pointer to it; 0 as long as the kernel has none, or is not even mapped."""
    if symbols.State.slide is None:
        return 0
    try:
        return memory.integer(memory.variable("kernel/lib/boot_info.c", "handed_over"))
    except gdb.MemoryError:
        return 0


def boot_info():
    """The structure, as a gdb value."""
    return memory.value_at("struct boot_info", memory.read_physical(boot_info_address(), 4096))


def text_of(table):
    """The NUL-terminated text of a table of bytes."""
    count = memory.integer(table["bytes"])
    return memory.read_physical(memory.integer(table["base"]["raw"]), count).split(b"\0")[0].decode() if count else ""


def characters(array):
    """The NUL-terminated text in an array."""
    return array.string(errors="replace")


def raw(value):
    """The number in a phys_addr_t or virt_addr_t."""
    return memory.integer(value["raw"])


def describe_kernel(kernel):
    """Lines about the kernel's image."""
    yield (f"kernel        {raw(kernel['virtual_base']):#x}, "
           f"{memory.size_text(memory.integer(kernel['bytes']))}, moved by {memory.integer(kernel['slide']):#x}")
    for index in range(memory.integer(kernel["segment_count"])):
        segment = kernel["segments"][index]
        flags = memory.integer(segment["flags"])
        access = "read" + (", write" if flags & 1 else "") + (", execute" if flags & 2 else "")
        yield (f"  segment     {raw(segment['virtual_base']):#x}, physical {raw(segment['physical_base']):#x}, "
               f"{memory.size_text(memory.integer(segment['bytes']))}: {access}")
    yield (f"boot stack    {raw(kernel['stack_bottom']):#x}, {memory.size_text(memory.integer(kernel['stack_bytes']))}")


def describe_machine(info):
    """Lines about the page tables, the firmware and the screen."""
    paging, firmware, screen = info["paging"], info["firmware"], info["framebuffer"]
    yield (f"paging        {memory.integer(paging['levels'])} levels, root {raw(paging['root']):#x}, "
           f"runtime root {raw(paging['runtime_root']):#x}, pages up to "
           f"{memory.size_text(memory.integer(paging['largest_page_size']))}")
    yield f"physmap       {raw(paging['physmap']):#x}, {memory.size_text(memory.integer(paging['physmap_bytes']))}"
    revision = memory.integer(firmware["uefi_revision"])
    yield (f"firmware      {characters(firmware['vendor'])}, UEFI {revision >> 16}.{(revision & 0xffff) // 10}, "
           f"system table {raw(firmware['system_table']):#x}, RSDP {raw(firmware['acpi_rsdp']):#x}, "
           f"SMBIOS {raw(firmware['smbios']):#x}, Secure Boot {'on' if memory.integer(firmware['secure_boot']) else 'off'}")
    if memory.integer(screen["bytes"]):
        yield (f"framebuffer   {raw(screen['virtual_base']):#x}, physical {raw(screen['physical_base']):#x}, "
               f"{memory.integer(screen['width'])} x {memory.integer(screen['height'])}, "
               f"{memory.integer(screen['pitch'])} bytes a row")
        yield f"screen        cells at physical {raw(info['screen']['cells']):#x}, font at {raw(info['screen']['font']):#x}"
    else:
        yield "framebuffer   none"


def describe_rest(info):
    """Lines about the loader and its time."""
    source = memory.enumerators("boot_seed_source", "BOOT_SEED_").get(memory.integer(info["seed"]["source"]), "unknown")
    yield f"seed          from {source}"
    yield f"loader        {raw(info['loader_base']):#x}, {memory.size_text(memory.integer(info['loader_bytes']))}"
    yield f"exit          ExitBootServices took {memory.integer(info['exit_attempts'])} attempts"
    stages = [info["stages"][index] for index in range(min(memory.integer(info["stage_count"]), 24))]
    for stage in stages:
        ticks = memory.integer(stage["ticks"]) - memory.integer(stages[0]["ticks"])
        yield f"  stage       {characters(stage['name']):24} {ticks:12} ticks"


class BootInfoCommand(gdb.Command):
    """Shows what the loader hands to the kernel: ashlar boot-info

In the loader: what it has filled in so far."""

    def __init__(self):
        super().__init__("ashlar boot-info", gdb.COMMAND_DATA)

    def invoke(self, _argument, _from_tty):
        """Prints the structure."""
        info = boot_info()
        print(f"boot_info     physical {boot_info_address():#x}, magic {memory.integer(info['magic']):#x}, "
              f"version {memory.integer(info['version'])}, {memory.integer(info['size'])} bytes")
        print(f"command line  \"{text_of(info['command_line'])}\"")
        for part in (describe_kernel(info["kernel"]), describe_machine(info), describe_rest(info)):
            for line in part:
                print(line)


class MemoryMapCommand(gdb.Command):
    """Shows the normalised memory map: ashlar memory-map"""

    def __init__(self):
        super().__init__("ashlar memory-map", gdb.COMMAND_DATA)

    def invoke(self, _argument, _from_tty):
        """Prints the ranges and a sum for each type."""
        table = boot_info()["memory_map"]
        count = memory.integer(table["count"])
        if count == 0:
            raise gdb.GdbError("the memory map is not there yet: it is made after boot services have ended")
        size = memory.integer(table["entry_size"])
        data = memory.read_physical(raw(table["base"]), count * size)
        names = memory.enumerators("memory_type", "MEMORY_")
        sums = {}
        for index in range(count):
            entry = memory.value_at("struct memory_range", data[index * size:(index + 1) * size])
            base, length = raw(entry["base"]), memory.integer(entry["bytes"])
            kind = names.get(memory.integer(entry["type"]), f"type {memory.integer(entry['type'])}")
            sums[kind] = sums.get(kind, 0) + length
            print(f"  {base:#014x} .. {base + length - 1:#014x}  {memory.size_text(length):>10}  {kind}")
        print("in all: " + ", ".join(f"{kind} {memory.size_text(length)}" for kind, length in sums.items()))


BootInfoCommand()
MemoryMapCommand()
