"""Which shared libraries a program needs, read from the files themselves: nothing is run, nothing guessed from packages."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from kubelab import shell


def read(file: Path) -> tuple[list[str], str]:
    """The libraries that a program or library names, and the loader that the kernel starts it with (libraries have none)."""
    said = shell.run(["readelf", "-dlW", file], env=os.environ | {"LC_ALL": "C"})
    needed = re.findall(r"\(NEEDED\) +Shared library: \[(.+)\]", said)
    loader = re.search(r"program interpreter: (\S+)\]", said)
    return needed, loader[1] if loader else ""


def closure(names: list[str], locate: Callable[[str, str], Path]) -> dict[str, Path]:
    """Every library that these need, and those that they need: name -> file. `locate` gets a name and who needs it."""
    found: dict[str, Path] = {}
    wanted = [(name, "") for name in names]
    while wanted:
        name, by = wanted.pop()
        if name not in found:
            found[name] = locate(name, by)
            wanted += [(other, name) for other in read(found[name])[0]]
    return found
