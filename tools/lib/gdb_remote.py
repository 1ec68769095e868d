"""As much of gdb's remote protocol as it takes to start, stop and look at a machine before gdb itself comes.

QEMU stops the machine when somebody connects, and leaves it as it is when they go without a word.
"""

import socket

import patience
from tree import ToolError

SECONDS = patience.seconds(20)
INSTRUCTION_POINTER = 16  # among the registers of `g`: 16 general ones, 8 bytes each, come first


class RemoteTarget:
    """A connection to QEMU's gdb server. The machine is stopped, but between resume() and stop()."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(SECONDS)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self._stream.close()
        self._socket.close()

    def resume(self):
        """Lets the machine run."""
        self._send("c")

    def stop(self):
        """Stops the machine again."""
        self._socket.sendall(b"\x03")
        reply = self._receive()
        if reply[:1] not in ("T", "S"):
            raise ToolError(f"the machine ended before it reached the loader (gdb's server answered {reply!r})")

    def instruction_pointer(self):
        """RIP of the first CPU."""
        registers = bytes.fromhex(self._ask("g"))
        return int.from_bytes(registers[INSTRUCTION_POINTER * 8:INSTRUCTION_POINTER * 8 + 8], "little")

    def read(self, address, count):
        """`count` bytes at a virtual address, or b"" when they cannot be read."""
        reply = self._ask(f"m{address:x},{count:x}")
        return b"" if reply.startswith("E") else bytes.fromhex(reply)

    def write(self, address, data):
        """Writes to a virtual address, whatever its page allows."""
        reply = self._ask(f"M{address:x},{len(data):x}:{data.hex()}")
        if reply != "OK":
            raise ToolError(f"gdb's server refused to write to {address:#x}: {reply!r}")

    def _ask(self, packet):
        self._send(packet)
        return self._receive()

    def _send(self, packet):
        self._socket.sendall(f"${packet}#{sum(packet.encode()) & 0xff:02x}".encode())

    def _receive(self):
        """The next packet's contents; acknowledgements before it are passed over."""
        try:
            while (mark := self._stream.read(1)) != b"$":
                if not mark:
                    raise ToolError("QEMU closed the connection: the machine has ended")
            packet = bytearray()
            while (byte := self._stream.read(1)) != b"#":
                packet += byte
            self._stream.read(2)
        except (TimeoutError, ConnectionError) as error:
            raise ToolError(f"QEMU's gdb server does not answer: {error}") from error
        self._socket.sendall(b"+")
        return packet.decode("ascii")
