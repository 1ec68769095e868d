"""A conversation with a booted machine over its serial line, and QEMU's own control channel beside it."""

import json
import os
import re
import select
import shlex
import socket
import tempfile
import time
from pathlib import Path

import pexpect

import machine
import patience
from tree import ToolError

PROMPT = r"(?:^|\n)(?:\x1b\[[0-9;]*m)*ashlar> "
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9])")
SECONDS = patience.seconds(60)  # for what an emulated CPU says next; nothing is judged by time
POLL_SECONDS = 0.01
SERIAL_LINE = ("-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line")  # Ctrl-C is for the guest


class ConversationError(ToolError):
    """The machine did not do what was waited for; the message ends with what it said last."""


class Conversation:
    """A running machine. Use it in a `with`, which ends the machine whatever happens.

    With `state`, what save_state() kept of such a machine, it goes on from there instead of starting."""

    def __init__(self, described, folder, medium, state=None):
        self._control_folder = tempfile.TemporaryDirectory(prefix="ashlar-qmp.", dir="/tmp")  # short: a socket's name
        self._control_path = Path(self._control_folder.name) / "qmp"
        self._control = None
        self._events = []
        command = described.command(folder, medium, SERIAL_LINE) + [
            "-chardev", f"socket,id=qmp,server=on,wait=off,path={self._control_path}", "-mon", "chardev=qmp,mode=control",
            *(["-incoming", f"exec:cat {shlex.quote(str(state))}"] if state else [])]
        self._said = []
        self._process = pexpect.spawn(command[0], [str(part) for part in command[1:]], encoding="utf-8",
                                      codec_errors="replace", timeout=SECONDS, dimensions=(50, 200))
        self._process.logfile_read = self
        self._process.delaybeforesend = None
        self._is_resumed = state is not None

    def __enter__(self):
        if self._is_resumed:
            try:
                self._go_on()
            except Exception:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_exception):
        self._process.close(force=True)
        if self._control is not None:
            self._control.close()
        self._control_folder.cleanup()

    def write(self, text):
        """pexpect hands us all that the machine says."""
        self._said.append(text)

    def flush(self):
        """Part of what pexpect expects of a log file."""

    @property
    def transcript(self):
        """All the machine has said, without terminal escapes and carriage returns."""
        return ESCAPES.sub("", "".join(self._said)).replace("\r", "")

    @property
    def raw_transcript(self):
        """All the machine has said, as it came."""
        return "".join(self._said)

    def send(self, line):
        """Types a line."""
        self._process.send(line + "\r")

    def send_raw(self, text):
        """Types characters without an end of line."""
        self._process.send(text)

    def send_bytes(self, data):
        """Sends any bytes whatever. When the line is full, drops what the machine says, so that neither side blocks."""
        line = self._process.child_fd
        os.set_blocking(line, False)
        try:
            while data:
                readable, writable, _ = select.select([line], [line], [], SECONDS)
                if writable:
                    data = data[os.write(line, data):]
                elif readable:
                    self._process.read_nonblocking(1 << 16, timeout=0)
                    time.sleep(POLL_SECONDS)  # more at once: each reading costs
                else:
                    raise ConversationError(f"the machine took no input for {SECONDS} s")
        finally:
            os.set_blocking(line, True)

    def wait_for(self, pattern, seconds=SECONDS, or_end=False):
        """Waits until the machine has said something that matches; returns the text before the match and the match.

        With `or_end` the machine's end is as good: the match is then None."""
        found = self._process.expect([pattern, pexpect.EOF, pexpect.TIMEOUT], timeout=seconds)
        if found == 1 and or_end:
            return ESCAPES.sub("", self._process.before).replace("\r", ""), None
        if found != 0:
            how = f"the machine ended (status {self.wait_for_end()})" if found == 1 else f"{seconds} s went by"
            raise ConversationError(f"waiting for {pattern!r}, {how}; it said last:\n{self.last_words()}")
        return ESCAPES.sub("", self._process.before).replace("\r", ""), self._process.match

    def wait_for_prompt(self, seconds=SECONDS):
        """Waits for the prompt; returns what was said before it."""
        return self.wait_for(PROMPT, seconds)[0]

    def command(self, line, seconds=SECONDS):
        """Types a command at the prompt; returns its output, without the echo, once the next prompt is there."""
        self.send(line)
        echo, _, output = self.wait_for_prompt(seconds).partition("\n")
        if echo.strip() != line.strip():
            raise ConversationError(f"typed {line!r}, but the machine echoed {echo!r}")
        return output.rstrip("\n")

    def json(self, line):
        """Types a command that answers with exactly one line of JSON; returns the value."""
        output = self.command(line)
        if output.count("\n") != 0:
            raise ConversationError(f"{line!r} answered with more than one line:\n{output}")
        try:
            return json.loads(output)
        except ValueError as error:
            raise ConversationError(f"{line!r} did not answer with JSON ({error}): {output!r}") from error

    def wait_for_end(self, seconds=SECONDS):
        """Waits until QEMU has ended; returns its exit status, negative for a signal."""
        if self._process.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=seconds) != 0:
            raise ConversationError(f"the machine did not end within {seconds} s; it said last:\n{self.last_words()}")
        self._process.wait()
        return self._process.exitstatus if self._process.signalstatus is None else -self._process.signalstatus

    def last_words(self, lines=40):
        """The end of the transcript, for error messages."""
        return "\n".join(self.transcript.splitlines()[-lines:])

    def screenshot(self, target):
        """Saves the screen as PNG."""
        self.control("screendump", filename=str(target), format="png")

    def control(self, execute, **arguments):
        """Runs a QMP command; returns its result."""
        self._connect()
        return self._ask({"execute": execute, "arguments": arguments})

    def watch_events(self):
        """Starts to collect QEMU's events, for end_reason()."""
        self._connect()

    def end_reason(self):
        """After the end: QEMU's reason for it, such as guest-shutdown or guest-reset; None if it gave none."""
        self._connect()
        while line := self._control.readline():
            self._events.append(json.loads(line))
        for message in self._events:
            if message.get("event") == "SHUTDOWN":
                return message["data"]["reason"]
        return None

    def save_state(self, path):
        """Writes the state of a stopped machine to a file."""
        self.control("migrate-set-parameters", **{"max-bandwidth": 1 << 40})  # bytes per second: do not hold back
        self.control("migrate", uri=f"exec:cat > {shlex.quote(str(path))}")
        while (status := self.control("query-migrate")["status"]) != "completed":
            if status in ("failed", "cancelled"):
                raise ConversationError(f"QEMU could not save the machine's state in {path}: {status}")
            time.sleep(POLL_SECONDS)

    def _go_on(self):
        """Lets a machine run whose state QEMU is loading."""
        while self.control("query-status")["status"] == "inmigrate":
            time.sleep(POLL_SECONDS)
        self.control("cont")

    def _connect(self):
        """Opens the control channel, once."""
        if self._control is not None:
            return
        channel = socket.socket(socket.AF_UNIX)
        limit = time.monotonic() + patience.seconds(10)
        while channel.connect_ex(str(self._control_path)) != 0:  # QEMU makes its socket and then listens at it
            if time.monotonic() > limit or not self._process.isalive():
                raise ConversationError(f"QEMU did not start:\n{self.last_words()}")
            time.sleep(POLL_SECONDS)
        self._control = channel.makefile("rw", encoding="utf-8")
        self._control.readline()
        self._ask({"execute": "qmp_capabilities"})

    def _ask(self, message):
        """Sends one QMP message and waits for its answer, keeping events for later."""
        self._control.write(json.dumps(message) + "\n")
        self._control.flush()
        while line := self._control.readline():
            answer = json.loads(line)
            if "event" in answer:
                self._events.append(answer)
            elif "error" in answer:
                raise ConversationError(f"QEMU refused {message['execute']}: {answer['error']['desc']}")
            else:
                return answer["return"]
        raise ConversationError(f"QEMU closed its control channel during {message['execute']}")
