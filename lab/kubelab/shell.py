"""Runs other programs: quietly, with their output kept for the moment that something fails."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import LabError

# A build in namespaces of its own: when the command that started it dies, even by SIGKILL, all that the build started
# ends with it, and what it mounted is gone.
NAMESPACES = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
ISOLATED = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES]


def run(
    command: Sequence[str | Path],
    *,
    what: str = "",
    isolated: bool = False,
    on_line: Callable[[str], None] | None = None,
    log: Path | None = None,
    remedy: str = "",
    timeout: float | None = None,
    **options,
) -> str:
    """Runs to the end and returns stdout; a failure becomes a LabError that quotes the last lines.

    With `on_line`, stdout and stderr are one stream, given line by line as it comes.
    """
    words = [*(ISOLATED if isolated else []), *map(str, command)]
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    try:
        if on_line is None:
            done = subprocess.run(words, text=True, capture_output=True, timeout=timeout, **options)
            output, code = done.stdout, done.returncode
            kept = (done.stderr or done.stdout).splitlines()
        else:
            kept, code = _follow(words, on_line, timeout, options)
            output = "\n".join(kept)
    except FileNotFoundError as error:
        if error.filename != words[0]:
            raise
        raise LabError(f"the program {words[0]} is missing", remedy or "install it and run the command again") from None
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"{what or words[0]} took longer than {timeout:.0f} s",
            remedy,
            "\n".join((error.output or "").splitlines()[-15:]),
        ) from None
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("\n".join(kept) + "\n")
    if code != 0:
        where = f"; all of it: {log}" if log else ""
        raise LabError(
            f"{what or ' '.join(map(str, command[:3]))} ended with {code}{where}", remedy, "\n".join(kept[-15:])
        )
    return output


def _follow(words: list[str], on_line, timeout: float | None, options: dict) -> tuple[list[str], int]:
    """Hands out lines as they come; at the deadline the command is killed."""
    kept: list[str] = []
    late = threading.Event()
    with subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) as process:

        def end() -> None:
            late.set()
            process.kill()

        alarm = threading.Timer(timeout, end) if timeout else None
        if alarm:
            alarm.start()
        try:
            for line in process.stdout:
                kept.append(line.rstrip("\n"))
                on_line(kept[-1])
        except BaseException:
            process.kill()
            raise
        finally:
            if alarm:
                alarm.cancel()
    if late.is_set():
        raise subprocess.TimeoutExpired(words, timeout, output="\n".join(kept))
    return kept, process.returncode


def try_run(command: Sequence[str | Path], **options) -> bool:
    """Runs a command whose failure is an answer."""
    try:
        run(command, **options)
    except LabError:
        return False
    return True


def require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes namespaces, mounts and cgroups", "run it as root (sudo)")
