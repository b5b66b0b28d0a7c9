"""Made-up packages, unpacked, with real ELF files in them."""

from __future__ import annotations

import subprocess
from pathlib import Path

TRIPLE = "x86_64-linux-gnu"


class Shelf:
    """Unpacked packages by name, below a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.trees: dict[str, Path] = {}

    def package(self, name: str, copyright: str | None = None) -> Path:
        tree = self.trees[name] = self.folder / name
        text = tree / "usr/share/doc" / name / "copyright"
        text.parent.mkdir(parents=True)
        text.write_text(copyright or f"terms of {name}\n")
        return tree

    def library(self, package: str, name: str, *needs: str, folder: str = f"usr/lib/{TRIPLE}") -> Path:
        """A library as packages have it: NAME is a link to NAME.0.1."""
        target = self.trees[package] / folder / f"{name}.0.1"
        link(target, "-shared", f"-Wl,-soname,{name}", *self.paths(needs))
        target.with_name(name).unlink(missing_ok=True)
        target.with_name(name).symlink_to(target.name)
        return target

    def program(self, target: Path, *needs: str) -> Path:
        link(target, "-Wl,-e,0", "-Wl,-dynamic-linker,/lib64/ld-made-up.so.2", *self.paths(needs))
        return target

    def paths(self, names) -> list[Path]:
        return [next(tree for one in self.trees.values() for tree in one.rglob(name)) for name in names]


def link(target: Path, *options) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    words = ["gcc", "-nostdlib", "-x", "c", "/dev/null", "-x", "none", "-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined"]
    subprocess.run([*words, *options, "-o", target], check=True)
