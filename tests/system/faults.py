"""The table of docs/faults.md, of what test_faults.py has seen: python3 tests/system/faults.py build/reports/faults.jsonl"""

import json
import sys

HEAD = ("fault", "layout", "requests", "failed", "failed twice", "longest gap", "writes", "failed", "longest gap", "the watch heard nothing for", "acknowledged and lost", "all well after")


def cells(row: dict) -> list[str]:
    def seconds(name: str) -> str:
        return f"{row[name]} s" if name in row else "–"

    def count(name: str) -> str:
        return f"{row[name]:,}" if name in row else "–"

    return [row["fault"], row["layout"], count("requests"), count("failed"), count("failedTwice"), seconds("longestGap"), count("writes"), count("writesFailed"), seconds("writeGap"), seconds("watchGap"), count("lost"), seconds("healthy")]


def table(lines: list[str]) -> str:
    """The newest of each scenario, in the order in which they were run first."""
    rows = {}
    for row in map(json.loads, lines):
        rows[row["fault"], row["layout"]] = row
    return "".join(f"| {' | '.join(each)} |\n" for each in [HEAD, ["---"] * len(HEAD), *map(cells, rows.values())])


if __name__ == "__main__":
    with open(sys.argv[1]) as report:
        print(table(report.readlines()), end="")
