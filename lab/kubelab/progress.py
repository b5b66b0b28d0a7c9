"""What the user sees while the lab works: numbered steps, the time they take, a sign of life at every moment."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LINE_EVERY = 5.0  # seconds between lines where the output is not a terminal
SPIN_EVERY = 0.2
SPINNER = "|/-\\"


def duration(seconds: float) -> str:
    """0.4 s, 34 s, 2 min 5 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


class Progress:
    """Writes to stderr, so that stdout stays the command's answer."""

    def __init__(self, steps: int = 0, stream=None):
        self.steps = steps
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.started = time.monotonic()
        self._number = 0
        self._detail = ""
        self._title = ""
        self._since = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def step(self, title: str, expect: str = "") -> Iterator[Progress]:
        """One numbered step. `expect` says how long it takes, where that is worth saying."""
        self._number += 1
        self._title, self._detail, self._since = title, "", time.monotonic()
        number = f"[{self._number}/{max(self.steps, self._number)}] " if self.steps else ""
        self.line(f"{number}{title}" + (f" ({expect})" if expect else ""))
        stop = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(stop,), daemon=True)
        ticker.start()
        try:
            yield self
        finally:
            stop.set()
            ticker.join()
        spent = time.monotonic() - self._since
        if spent >= 1:
            self.line(f"      done in {duration(spent)}")

    def detail(self, text: str) -> None:
        """What the step is doing just now."""
        self._detail = text.strip()

    def line(self, text: str) -> None:
        with self._lock:
            clear = "\r\033[K" if self.terminal else ""
            self.stream.write(f"{clear}{text}\n")
            self.stream.flush()

    def total(self) -> str:
        return duration(time.monotonic() - self.started)

    def _tick(self, stop: threading.Event) -> None:
        turn = 0
        while not stop.wait(SPIN_EVERY if self.terminal else LINE_EVERY):
            spent = duration(time.monotonic() - self._since)
            if not self.terminal:
                self.line(f"      {spent}  {self._detail or self._title}"[:160])
                continue
            with self._lock:
                text = f"      {SPINNER[turn % 4]} {spent}  {self._detail}"[:110]
                self.stream.write(f"\r\033[K{text}")
                self.stream.flush()
            turn += 1
        if self.terminal:
            with self._lock:
                self.stream.write("\r\033[K")
                self.stream.flush()


class Silent(Progress):
    """For commands that end at once, and for tests."""

    def line(self, text: str) -> None:
        pass

    def _tick(self, stop: threading.Event) -> None:
        pass
