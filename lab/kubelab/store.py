"""The cache: each thing is made once, under a name that changes with its recipe, and appears only when complete."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import paths
from .errors import LabError

DAY = 24 * 3600.0


@contextmanager
def lock(file: Path, waiting: Callable[[str], None] = lambda holder: None, patience: float = 3600) -> Iterator[None]:
    """An exclusive lock that the kernel drops when its holder dies. `waiting` is told once who holds it."""
    deadline = time.monotonic() + patience
    told = False
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+") as handle:
            if _try_lock(handle) and _still_there(file, handle):
                _sign(handle, f"pid {os.getpid()}")
                try:
                    yield
                finally:
                    _sign(handle, "")
                return
            handle.seek(0)
            holder = handle.read().strip() or "another command"
        if not told:
            waiting(holder)
            told = True
        if time.monotonic() > deadline:
            raise LabError(f"{file} is still locked by {holder}", "wait for it, or end it")
        time.sleep(0.1)


def _try_lock(handle) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _still_there(file: Path, handle) -> bool:
    """Who removes a lab removes its lock file, too: a lock on the removed file is worth nothing."""
    try:
        return file.stat().st_ino == os.fstat(handle.fileno()).st_ino
    except FileNotFoundError:
        return False


def _sign(handle, text: str) -> None:
    handle.seek(0)
    handle.truncate()
    handle.write(text)
    handle.flush()


def digest(*parts: str | bytes | Path) -> str:
    """A short name for a recipe: of texts, and of files or folders by their content."""
    sums = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            files = sorted(file for file in part.rglob("*") if file.is_file()) if part.is_dir() else [part]
            for file in files:
                if "__pycache__" in file.parts:
                    continue
                name = str(file.relative_to(part)) if part.is_dir() else ""
                content = file.read_bytes()
                sums.update(f"{name}\0{file.stat().st_mode & 0o111:o}\0{len(content)}\0".encode() + content)
        else:
            content = part.encode() if isinstance(part, str) else part
            sums.update(f"{len(content)}\0".encode() + content)
    return sums.hexdigest()[:12]


def have(*name: str) -> bool:
    return paths.cache(*name).exists()


def make(*name: str, build: Callable[[Path], None], progress) -> Path:
    """The cached folder of that name; `build` fills it when it is not there yet."""
    final = paths.cache(*name)
    if final.exists():
        os.utime(final)
        return final
    held = paths.cache(".locks", "-".join(name))
    with lock(held, lambda holder: progress.detail(f"waiting for {holder}, which makes {'/'.join(name)}")):
        if not final.exists():
            partial = final.with_name(final.name + ".partial")
            remove(partial)
            partial.mkdir(parents=True)
            build(partial)
            partial.rename(final)
    return final


def prune(current: Path, unused_for: float = DAY) -> None:
    """Removes what older recipes made of the same thing (its name but for the digest), when unused for a day."""
    thing = current.name.rsplit("-", 1)[0]
    for other in current.parent.glob(f"{thing}-*"):
        old = time.time() - other.stat().st_mtime > unused_for
        if other != current and other.name.rsplit("-", 1)[0] == thing and old:
            remove(other)


def remove(folder: Path) -> None:
    """Deletes a folder and all below it, whatever it is made of."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def point_at(link: Path, target: str) -> None:
    """VERSION -> VERSION-DIGEST, for people, and for the machines' /opt/kubernetes and /opt/images."""
    if link.is_symlink() and os.readlink(link) == target:
        return
    fresh = link.with_name(link.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(link)
