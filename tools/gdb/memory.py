"""Reading the machine: registers, physical memory, variables of the program, whatever is optimised around them."""

import contextlib

import gdb

WORD = (1 << 64) - 1


def number(expression):
    """An expression as an address or number: a function or an array stands for where it is."""
    value = gdb.parse_and_eval(expression)
    if value.type.strip_typedefs().code in (gdb.TYPE_CODE_FUNC, gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT):
        value = value.address
    return int(value.cast(gdb.lookup_type("unsigned long"))) & WORD


def register(name):
    """A register of the selected CPU, control registers included."""
    return number(f"${name}")


@contextlib.contextmanager
def physical_addresses():
    """While it lasts, QEMU takes the addresses it is asked for as physical ones."""
    gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
    try:
        yield
    finally:
        gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)


def read_virtual(address, count):
    """`count` bytes as the CPU would read them."""
    return bytes(gdb.selected_inferior().read_memory(address, count))


def read_physical(address, count):
    """`count` bytes of physical memory."""
    with physical_addresses():
        return read_virtual(address, count)


def value_at(type_name, data):
    """Bytes taken as an object of a type."""
    kind = gdb.lookup_type(type_name) if isinstance(type_name, str) else type_name
    return gdb.Value(data[:kind.sizeof], kind)


def kernel_type(name):
    """A type that only the kernel's symbols tell of."""
    try:
        return gdb.lookup_type(name)
    except gdb.error as error:
        raise gdb.GdbError(f"{name} is not known: the kernel's symbols are not loaded (ashlar symbols)") from error


def variable(source, name):
    """A variable by the source file it is in (static ones have no other full name)."""
    try:
        return gdb.parse_and_eval(f"'{source}'::{name}")
    except gdb.error as error:
        raise gdb.GdbError(f"{name} of {source} is not known: the kernel's symbols are not loaded "
                           "(ashlar symbols)") from error


def integer(value):
    """A number from a value, of whatever qualification."""
    return int(value.cast(gdb.lookup_type("unsigned long"))) & WORD


def enumerators(type_name, prefix):
    """Names of an enumeration by value, without their prefix, as people write them."""
    fields = gdb.lookup_type(f"enum {type_name}").fields()
    return {field.enumval: field.name.removeprefix(prefix).lower().replace("_", "-") for field in fields}


def place(address):
    """An address with the function it is in."""
    text = gdb.execute(f"info symbol {address:#x}", to_string=True).strip()
    name = text.split(" in section")[0] if " in section" in text else "no symbol"
    line = gdb.find_pc_line(address)
    where = f" at {line.symtab.filename.removeprefix('./')}:{line.line}" if line.symtab else ""
    return f"{address:#x} <{name}>{where}"


def size_text(count):
    """A number of bytes for people."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.1f} {unit}".replace(".0 ", " ")
    return f"{count} bytes"
