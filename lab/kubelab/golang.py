"""The Go that builds the components: the host's own where it is new enough, else Debian's, unpacked into the cache."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from . import packages, shell, store, versions


def program(progress) -> str:
    """The go command."""
    found = shutil.which("go")
    if found and _version(found) >= versions.GO:
        return found
    return str(_from_debian(progress) / f"usr/lib/go-{_text()}/bin/go")


def run(*words: str, cwd: Path, progress, mode: str = "readonly") -> str:
    """Runs go in a module's folder and returns what it prints."""
    return shell.run([program(progress), *words], what=f"go {words[0]} in {cwd}", cwd=cwd, env=environment(mode))


def environment(mode: str) -> dict[str, str]:
    """`readonly`: go.mod and go.sum are what is built, or the build fails."""
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": f"-buildvcs=false -mod={mode}", "GOWORK": "off"}


def _version(go: str) -> tuple[int, ...]:
    said = shell.run([go, "env", "GOVERSION"], cwd="/", env=os.environ | {"GOTOOLCHAIN": "local"})
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


def _text() -> str:
    return ".".join(map(str, versions.GO))


def _from_debian(progress) -> Path:
    """Its packages depend on nothing but each other, so they need no installation."""

    def build(into: Path) -> None:
        wanted = [f"golang-{_text()}-go", f"golang-{_text()}-src"]
        for deb in packages.NewerSuite(versions.RUNTIME_SUITE).download(wanted, into, progress):
            progress.detail(f"unpacking {deb.name}")
            shell.run(["dpkg-deb", "-x", deb, into])
            deb.unlink()

    return store.make("go", _text(), build=build, progress=progress)
