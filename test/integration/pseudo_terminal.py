"""A program in a pseudo-terminal, and what its user would see: as much of a terminal as ncurses makes use of."""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import unicodedata

from harness import SLOW, wait_until

CONTROL = re.compile(r"\x1b\[([?>]?)([\d;]*)([@-~])|\x1b\([A-Z0-9]|\x1b[=>78MDEc]")
# The beginning of a sequence of which the rest is still to come.
UNFINISHED = re.compile(r"\x1b(\[[?>]?[\d;]*|\()?$")


class Screen:
    """What xterm-256color's sequences make of it. Anything unknown is an error: it would garble a real one."""

    def __init__(self, rows, columns):
        self.alternate = False
        self.shown_outside = ""  # what was written on the first screen
        self.resize(rows, columns)
        self.pending = ""

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.top, self.bottom = 0, rows - 1

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.cells)

    def feed(self, text):
        text = self.pending + text
        cut = UNFINISHED.search(text)
        self.pending = text[cut.start():] if cut else ""
        text = text[:cut.start()] if cut else text
        while text:
            if text[0] == "\x1b":
                match = CONTROL.match(text)
                assert match, f"an unknown sequence: {text[:20]!r}"
                if match[3]:
                    self.control(match[1], [int(number or 0) for number in match[2].split(";")], match[3])
                elif match[0] == "\x1bM":
                    self.step(-1)
                text = text[match.end():]
            else:
                self.write(text[0])
                text = text[1:]

    def write(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.step(1)
        elif character == "\b":
            self.column = max(self.column - 1, 0)
        elif character == "\t":
            self.column = min(self.column // 8 * 8 + 8, self.columns - 1)
        elif character >= " ":
            assert not unicodedata.category(character).startswith("C"), f"a control character: {character!r}"
            if not self.alternate:
                self.shown_outside += character
            if unicodedata.combining(character):
                return
            width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
            if self.column + width > self.columns:
                self.column = 0
                self.step(1)
            self.cells[self.row][self.column:self.column + width] = [character] + [""] * (width - 1)
            self.last = character
            self.column += width
        elif character not in "\x0e\x0f\x07":
            raise AssertionError(f"a control byte: {character!r}")

    def step(self, down):
        """A line down or up; what is between the margins moves when there is no room."""
        if self.row == (self.bottom if down > 0 else self.top):
            self.move_lines(self.top, down)
        else:
            self.row = min(max(self.row + down, 0), self.rows - 1)

    def move_lines(self, begin, up):
        """Those from `begin` to the lower margin, one up or down."""
        if up > 0:
            self.cells.insert(self.bottom + 1, [" "] * self.columns)
            del self.cells[begin]
        else:
            self.cells.insert(begin, [" "] * self.columns)
            del self.cells[self.bottom + 1]

    def control(self, private, numbers, kind):
        first = max(numbers[0], 1)
        if private == "?":
            if 1049 in numbers:
                self.alternate = kind == "h"
            return
        if kind in "mhltr" or private:
            if kind == "r":
                self.row = self.column = 0
                self.top = first - 1
                self.bottom = min(numbers[1] if len(numbers) > 1 else self.rows, self.rows) - 1
            return
        row, column = min(self.row, self.rows - 1), min(self.column, self.columns)
        line = self.cells[row]
        if kind in "Hf":
            self.row = min(first, self.rows) - 1
            self.column = min(max(numbers[1], 1) if len(numbers) > 1 else 1, self.columns) - 1
        elif kind == "d":
            self.row = min(first, self.rows) - 1
        elif kind == "G":
            self.column = min(first, self.columns) - 1
        elif kind in "ABCD":
            down, right = {"A": (-first, 0), "B": (first, 0), "C": (0, first), "D": (0, -first)}[kind]
            self.row = min(max(self.row + down, 0), self.rows - 1)
            self.column = min(max(self.column + right, 0), self.columns - 1)
        elif kind == "J":
            assert numbers[0] in (0, 2), numbers
            if numbers[0] == 0:
                line[column:] = [" "] * (self.columns - column)
            for below in range(row + 1 if numbers[0] == 0 else 0, self.rows):
                self.cells[below] = [" "] * self.columns
        elif kind == "K":
            begin, end = ((column, self.columns), (0, column + 1), (0, self.columns))[numbers[0]]
            line[begin:end] = [" "] * (end - begin)
        elif kind == "X":
            line[column:column + first] = [" "] * len(line[column:column + first])
        elif kind == "P":
            self.cells[row] = (line[:column] + line[column + first:] + [" "] * first)[:self.columns]
        elif kind == "@":
            self.cells[row] = (line[:column] + [" "] * first + line[column:])[:self.columns]
        elif kind == "b":
            for _ in range(first):
                self.write(self.last)
        elif kind in "LMST":
            for _ in range(first):
                self.move_lines(row if kind in "LM" else self.top, 1 if kind in "MS" else -1)
        else:
            raise AssertionError(f"an unknown sequence: {numbers} {kind}")


class PseudoTerminal:
    """Runs a command in a terminal of its own, which outlives it."""

    def __init__(self, *command, rows=24, columns=100, env=None):
        self.master, self.slave = pty.openpty()
        self.screen = Screen(rows, columns)
        self.raw = b""
        self.lock = threading.Lock()
        self.trouble = None
        self.set_size(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.popen = subprocess.Popen([str(word) for word in command], stdin=self.slave, stdout=self.slave,
                                      stderr=self.slave, start_new_session=True, close_fds=True,
                                      env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(env or {})},
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.wake, self.woken = os.pipe()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            if self.wake in select.select([self.master, self.wake], [], [])[0]:
                return
            data = os.read(self.master, 65536)
            with self.lock:
                self.raw += data
                try:
                    self.screen.feed(decoder.decode(data))
                except Exception as error:  # noqa: the test that looks at the screen is told
                    self.trouble = error
                    return

    def set_size(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        with self.lock:
            self.screen.resize(rows, columns)
        self.set_size(rows, columns)  # the kernel sends WINCH

    def type(self, text):
        os.write(self.master, text.encode())

    def text(self):
        with self.lock:
            if self.trouble:
                raise AssertionError(f"the screen is garbled: {self.trouble}")
            return self.screen.text()

    def lines(self):
        return self.text().split("\n")

    def wait_for(self, pattern, seconds=10):
        """The match of the pattern on the screen, now or within a time."""
        try:
            return wait_until(lambda: re.search(pattern, self.text(), re.M), seconds * SLOW, f"{pattern!r} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows:\n{self.text()}") from None

    def wait_end(self, seconds=10):
        return self.popen.wait(seconds * SLOW)

    def left_as_found(self):
        """Whether the terminal is as it was: its modes, and on its first screen."""
        wait_until(lambda: not self.screen.alternate, 5 * SLOW, "the first screen")
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        os.write(self.woken, b"x")
        self.reader.join()
        for descriptor in (self.master, self.slave, self.wake, self.woken):
            os.close(descriptor)
