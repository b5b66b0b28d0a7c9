#!/usr/bin/env python3
"""Holds the product's #include lines, and what its folders link (USES), against the table in ARCHITECTURE.md.

A line of the table, in a fenced block, is `folder : allowed ...`, where `allowed` is a folder or one header of it.
A folder may always include itself. Prints each violation with its place; exit code 1 when there is one.

    layering.py [SOURCE_FOLDER]     checks a source tree
    layering.py --test              checks that violations in a made-up tree are found
"""
import pathlib
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
MODULE = re.compile(r"kubestrap_module\(([^)]*)\)")
ROW = re.compile(r"^([a-z]+(?: [a-z]+)*) *:((?: +[a-z_]+(?:/[a-z_0-9]+\.hpp)?)*) *(?:\(.*\))?$")
SOURCES = (".hpp", ".cpp", ".h", ".c", ".in")


class BrokenTable(Exception):
    pass


def table(text):
    """{folder: set of what it may include}: the first fenced block of the document that consists of rows."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S):
        lines = [line for line in block.splitlines() if line.strip()]
        rows = [ROW.match(line) for line in lines]
        if not lines or not rows[0]:
            continue
        wrong = [line for line, row in zip(lines, rows) if not row]
        if wrong:
            raise BrokenTable(f"not of the form `folder : allowed ...`: {wrong[0]}")
        return {folder: set(row[2].split()) for row in rows for folder in row[1].split()}
    raise BrokenTable("there is no table of dependencies")


def violations(root):
    allowed = table((root / "ARCHITECTURE.md").read_text())
    found, files = [], 0
    for name in sorted({one.split("/")[0] for rule in allowed.values() for one in rule} - allowed.keys()):
        found.append(f"ARCHITECTURE.md: {name} is allowed to somebody, but has no row")
    for folder, rule in sorted(allowed.items()):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SOURCES:
                continue
            files += 1
            for number, line in enumerate(path.read_text().splitlines(), 1):
                include = INCLUDE.match(line)
                if not include:
                    continue
                mark, target = include.groups()
                place = f"{path.relative_to(root)}:{number}"
                other = target.split("/")[0]
                if mark == "<" and not (root / other).is_dir():
                    continue  # the system's or a library's
                if "/" not in target:
                    if (path.parent / target).exists():
                        found.append(f'{place}: "{target}" is written from the root: "{folder}/{target}"')
                elif other != folder and other not in rule and target not in rule:
                    found.append(f"{place}: {folder} may not include {target}")
    for path in sorted(root.glob("*/CMakeLists.txt")):
        folder, modules = path.parent.name, MODULE.findall(path.read_text())
        if modules and folder not in allowed:
            found.append(f"{path.relative_to(root)}: ARCHITECTURE.md has no row for this folder")
        elif modules:
            found += [f"{path.relative_to(root)}: {folder} may not use {other}" for other in used(modules, allowed)
                      if other != folder and other not in {one.split("/")[0] for one in allowed[folder]}]
    return found, files


def used(modules, rooms):
    """The folders whose libraries are linked: after USES, or by their libraries' names."""
    for text in modules:
        words = re.sub(r"#.*", "", text).split()
        begin = words.index("USES") + 1 if "USES" in words else len(words)
        end = next((at for at in range(begin, len(words)) if words[at].isupper()), len(words))
        yield from words[begin:end]
        yield from (word.removeprefix("kubestrap_") for word in words
                    if word.startswith("kubestrap_") and word.removeprefix("kubestrap_") in rooms)


def check(root):
    try:
        found, files = violations(root)
    except BrokenTable as broken:
        print(f"ARCHITECTURE.md: {broken}")
        return 1
    if not files:
        print(f"no source file of the table's folders below {root}")
        return 1
    print("\n".join(found + [f"{files} files looked at, {len(found)} violations"]))
    return 1 if found else 0


# ---- the check of the check

RULES = "# Rooms\n\n```\nargv --> setup\n```\n\n```\nlow plain  :\nhigh       : low plain/data.hpp   (reads)\n```\n"


def found_in(files, rules=RULES):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "ARCHITECTURE.md").write_text(rules)
        for name, text in {"low/a.hpp": "", "plain/data.hpp": "", "high/a.cpp": '#include "low/a.hpp"\n', **files}.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        return violations(root)[0]


def test():
    cases = [
        ("what the table allows", {"high/b.cpp": '#include "low/a.hpp"\n#include "plain/data.hpp"\n#include <map>\n'}, []),
        ("a folder's own headers, and generated ones", {"low/b.cpp": '#include "low/a.hpp"\n#include "made.pb.h"\n'}, []),
        ("an arrow against its direction", {"low/b.hpp": '\n#include "high/a.hpp"\n'}, ["low/b.hpp:2: low may not include high/a.hpp"]),
        ("a header that is not the allowed one", {"high/b.cpp": '  #  include "plain/engine.hpp"\n'},
         ["high/b.cpp:1: high may not include plain/engine.hpp"]),
        ("a folder that the table does not know", {"high/b.cpp": '#include "tests/fake.hpp"\n'},
         ["high/b.cpp:1: high may not include tests/fake.hpp"]),
        ("an arrow against its direction, in angle brackets", {"low/b.hpp": "#include <high/a.hpp>\n#include <sys/stat.h>\n"},
         ["low/b.hpp:1: low may not include high/a.hpp"]),
        ("libraries that the table allows",
         {"high/CMakeLists.txt": "kubestrap_module(high\n  FILES a.cpp\n  USES low plain # both\n  LIBRARIES fmt::fmt kubestrap_low)\n"}, []),
        ("a library against the direction", {"low/CMakeLists.txt": "kubestrap_module(low FILES a.cpp USES plain LIBRARIES z)\n"},
         ["low/CMakeLists.txt: low may not use plain"]),
        ("a library against the direction, by its own name", {"low/CMakeLists.txt": "kubestrap_module(low FILES a.cpp LIBRARIES kubestrap_high)\n"},
         ["low/CMakeLists.txt: low may not use high"]),
        ("a header named from its own folder", {"low/b.cpp": '#include "a.hpp"\n'},
         ['low/b.cpp:1: "a.hpp" is written from the root: "low/a.hpp"']),
        ("a module without a row", {"extra/CMakeLists.txt": "kubestrap_module(extra FILES a.cpp)\n"},
         ["extra/CMakeLists.txt: ARCHITECTURE.md has no row for this folder"]),
    ]
    wrong = [f"{name}: found {seen}, expected {expected}" for name, files, expected in cases
             if (seen := found_in(files)) != expected]
    if found_in({}, RULES.replace("low plain/data", "low gone plain/data")) != [
            "ARCHITECTURE.md: gone is allowed to somebody, but has no row"]:
        wrong.append("a room that is allowed and has no row was not found")
    for rules in ("no table\n", "```\nlow : \nhigh -> low\n```\n"):
        try:
            found_in({}, rules)
            wrong.append(f"no complaint about {rules!r}")
        except BrokenTable:
            pass
    print("\n".join(wrong + [f"{len(cases) + 3 - len(wrong)} passed, {len(wrong)} failed"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(test() if arguments == ["--test"] else check(pathlib.Path(arguments[0] if arguments else ".")))
