"""Two trees side by side, and the table in docs/differences.md of what may differ."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

ABSENT = "–"
HEADING = "## What `init` makes"


@dataclass(frozen=True)
class Difference:
    where: str
    kubeadm: str
    kubestrap: str

    def __str__(self):
        return f"{self.where}\n    kubeadm:   {self.kubeadm}\n    kubestrap: {self.kubestrap}"


def text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def compare(theirs: object, ours: object, where: str = "") -> list[Difference]:
    """The leaves that differ. A member that only one side has is one difference, however much is in it."""
    if type(theirs) is not type(ours):
        return [Difference(where, text(theirs), text(ours))]
    if isinstance(theirs, dict):
        found = []
        for key in [*theirs, *(key for key in ours if key not in theirs)]:
            at = f"{where}: {key}" if where and ":" not in where else f"{where}.{key}" if where else str(key)
            if key not in ours:
                found.append(Difference(at, text(theirs[key]), ABSENT))
            elif key not in theirs:
                found.append(Difference(at, ABSENT, text(ours[key])))
            else:
                found += compare(theirs[key], ours[key], at)
        return found
    if isinstance(theirs, list) and len(theirs) == len(ours):
        return [one for i, pair in enumerate(zip(theirs, ours)) for one in compare(*pair, f"{where}[{i}]")]
    if isinstance(theirs, list):
        only = [[text(one) for one in a if one not in b] for a, b in ((theirs, ours), (ours, theirs))]
        return [Difference(where, *(", ".join(side) or ABSENT for side in only))]
    return [] if theirs == ours else [Difference(where, text(theirs), text(ours))]


@dataclass
class Row:
    where: str
    kubeadm: str
    kubestrap: str
    reason: str
    cases: set[str] = field(default_factory=set)

    def allows(self, one: Difference) -> bool:
        pairs = ((one.where, self.where), (one.kubeadm, self.kubeadm), (one.kubestrap, self.kubestrap))
        return all(matches(text, pattern) for text, pattern in pairs)


def matches(text: str, pattern: str) -> bool:
    """`*` stands for anything; nothing else is special."""
    return fnmatchcase(text, re.sub(r"[\[?]", lambda found: f"[{found[0]}]", pattern))


def table(document: Path) -> list[Row]:
    """The rows below the heading: where, kubeadm, kubestrap, why; the first three in backticks or `ABSENT`."""
    below = document.read_text().partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    rows = []
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 4 and all(cells), f"not of the form | where | kubeadm | kubestrap | why |: {line}"
        rows.append(Row(*(cell.strip("`") for cell in cells[:3]), cells[3]))
    return rows


def unexplained(found: list[Difference], rows: list[Row], case: str) -> list[Difference]:
    """What no row allows; each row that does allow something remembers the case."""
    left = []
    for one in found:
        allowing = [row for row in rows if row.allows(one)]
        for row in allowing:
            row.cases.add(case)
        if not allowing:
            left.append(one)
    return left
