"""A measured quantity of both programs, and how a list of them is shown."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass, field

PROGRAMS = ("kubestrap", "kubeadm")


@dataclass
class Figure:
    """One measured quantity of both programs."""

    name: str
    unit: str
    target: float | None = None  #: of the ratio
    note: str = ""
    limit: float | None = None  #: of kubestrap's own median, in the unit
    against: str = "kubeadm"
    values: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = self.values or {"kubestrap": [], self.against: []}

    def ratio(self) -> float | None:
        ours, theirs = self.values["kubestrap"], self.values[self.against]
        return statistics.median(ours) / statistics.median(theirs) if ours and theirs and statistics.median(theirs) else None

    def targets(self) -> list[tuple[str, bool | None]]:
        """Each target, and whether it is reached; None where nothing was measured."""
        ours, ratio = self.values["kubestrap"], self.ratio()
        shown: list[tuple[str, bool | None]] = []
        if self.target is not None:
            shown.append((f"<= {self.target}", None if ratio is None else ratio <= self.target))
        if self.limit is not None:
            shown.append((f"<= {self.limit} {self.unit}", statistics.median(ours) <= self.limit if ours else None))
        return shown


VERDICTS = {True: "reached", False: "MISSED", None: "not measured"}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def text(figures: list[Figure]) -> str:
    lines = [f"{'':<40}{'kubestrap':>26}{'kubeadm':>26}{'ratio':>8}  targets"]
    for figure in figures:
        cells = []
        for program in ("kubestrap", figure.against):
            values = figure.values[program]
            if not values:
                cells.append("-")
                continue
            spread = f" ({min(values):.3g}..{max(values):.3g})" if len(values) > 1 else ""
            cells.append(f"{statistics.median(values):.4g} {figure.unit}{spread}")
        ratio = figure.ratio()
        targets = [f"{target}: {VERDICTS[reached]}" for target, reached in figure.targets()]
        lines.append(f"{figure.name:<40}{cells[0]:>26}{cells[1]:>26}{'-' if ratio is None else f'{ratio:.3f}':>8}  {', '.join(targets)}")
        if figure.note:
            lines.append(f"  {figure.note}" + (f" (in place of kubeadm: {figure.against})" if figure.against != "kubeadm" else ""))
    return "\n".join(lines)
