"""`exec`: the caller becomes the command, or, at a terminal, sits at a terminal of the machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import tty

from . import machine as machines
from . import record

TIOCGPTPEER = 0x5441


def run_in(machine: record.Machine, command: list[str]) -> int:
    if sys.stdin.isatty() and sys.stdout.isatty():
        return _at_terminal(machine, command)
    words = machines.inside(machine, command)
    sys.stdout.flush()
    os.execvp(words[0], words)


def _at_terminal(machine: record.Machine, command: list[str]) -> int:
    """A pseudo terminal of the machine's own /dev/pts, so that `tty` and job control work in it."""
    master = os.open(f"/proc/{machine.init[0]}/root/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(master, termios.TIOCSPTLCK if hasattr(termios, "TIOCSPTLCK") else 0x40045431, b"\0\0\0\0")
    slave = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
    _copy_size(master)
    # setsid --ctty makes the slave the command's controlling terminal; it has to happen inside the machine's namespaces
    words = machines.inside(machine, ["setsid", "--ctty", "--wait", *command])
    process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    signal.signal(signal.SIGWINCH, lambda *_: _copy_size(master))
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        _relay(master, process)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        os.close(master)
    code = process.wait()
    return code if code >= 0 else 128 - code


def _copy_size(master: int) -> None:
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(sys.stdin.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)


def _relay(master: int, process: subprocess.Popen) -> None:
    """Copies between the two terminals until the command has ended and all it wrote is shown."""
    watched = [master, sys.stdin.fileno()]
    while True:
        ready, _, _ = select.select(watched, [], [], 0.2)
        if master in ready:
            try:
                written = os.read(master, 65536)
            except OSError:  # the last one closed the machine's end
                return
            if not written:
                return
            os.write(sys.stdout.fileno(), written)
        if sys.stdin.fileno() in ready:
            typed = os.read(sys.stdin.fileno(), 65536)
            if not typed:
                watched.remove(sys.stdin.fileno())
            else:
                os.write(master, typed)
        if not ready and process.poll() is not None:
            return
