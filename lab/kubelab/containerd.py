"""A containerd store that has images imported: made once for a set of images.

A machine's /var/lib/containerd starts as a copy of it whose files are hard links: containerd never writes to a blob or
an unpacked layer again, it only adds and unlinks.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import images, paths, rootfs, shell, store

IMPORT = images.SOURCES / "import.sh"


def imported(of: list[str], progress) -> Path:
    """A /var/lib/containerd in which the images of these Kubernetes versions are imported."""
    folders = {version: images.archives(version, progress) for version in sorted(set(of))}
    key = store.digest(*(folder.name for folder in folders.values()), rootfs.base_key(), IMPORT)

    def build(into: Path) -> None:
        layers = [rootfs.settings(progress), rootfs.base(progress)]
        shell.run(
            ["bash", IMPORT, into, ":".join(map(str, layers)), *folders.values()],
            what="the import of the images",
            isolated=True,
            on_line=progress.detail,
            log=paths.cache("logs", "import.log"),
            timeout=600,
        )

    made = store.make("containerd", f"{'+'.join(folders)}-{key}", build=build, progress=progress)
    store.prune(made)
    return made


def give(template: Path, target: Path) -> None:
    """Fills a machine's /var/lib/containerd from the store: databases are copied, all else is linked (or copied)."""
    target.mkdir(parents=True, exist_ok=True)
    for folder, _, files in os.walk(template):
        to = target / os.path.relpath(folder, template)
        to.mkdir(exist_ok=True)
        shutil.copystat(folder, to)
        owner = os.stat(folder)
        os.chown(to, owner.st_uid, owner.st_gid)
        for file in files:
            source = os.path.join(folder, file)
            _link_or_copy(source, to / file, copy=file.endswith(".db"))


def _link_or_copy(source: str, target: Path, copy: bool) -> None:
    if not copy:
        try:
            os.link(source, target, follow_symlinks=False)
            return
        except OSError:
            pass  # the cache is on another file system
    shutil.copy2(source, target, follow_symlinks=False)
