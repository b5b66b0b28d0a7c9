"""docs/failures.md: every row is there, and every test that it names exists and is marked as it is."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/failures.md").read_text()
NAMED = re.findall(r"`((?:system|flow|unit)/[\w/]+\.(?:py|cpp))(?:::|: )([^`]+)`( \(long)?", PAGE)


def is_long(mark: ast.expr) -> bool:
    return ast.unparse(mark) == "pytest.mark.long"


@functools.cache
def python_tests(file: str) -> dict[str, bool]:
    """Name -> whether it is run with --long only."""
    tree = ast.parse((ROOT / "tests" / file).read_text())
    marks = [each.value for each in tree.body if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "pytestmark"]
    all_long = any(map(is_long, marks))
    tests = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")]
    return {test.name: all_long or any(map(is_long, test.decorator_list)) for test in tests}


@functools.cache
def doctest_cases(file: str) -> set[str]:
    """Titles; those over several lines are joined as the compiler does."""
    cases = re.findall(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', (ROOT / "tests" / file).read_text())
    return {"".join(re.findall(r'"((?:[^"\\]|\\.)*)"', case)).replace('\\"', '"') for case in cases}


@pytest.mark.parametrize(("file", "name", "long"), sorted(set(NAMED)), ids=lambda value: value[:80])
def test_a_test_that_is_named_exists_and_is_marked_as_it_is(file, name, long):
    assert (ROOT / "tests" / file).exists()
    if file.endswith(".cpp"):
        assert name in doctest_cases(file)
        assert not long
    else:
        assert name in python_tests(file)
        assert bool(long) == python_tests(file)[name]


def column(first_cell: str) -> list[str]:
    """The first column's numbers of rows that begin so."""
    return re.findall(rf"^\| {first_cell}", PAGE, re.MULTILINE)


def test_every_row_is_there_once():
    assert column(r"(\d+) \|") == [str(number) for number in range(1, 47)]
    assert column(r"T(\d+):") == [str(number) for number in range(1, 26)]


def test_a_row_names_a_test_or_says_why_none_does():
    rows = [line for line in PAGE.splitlines() if re.match(r"\| (\d+|T\d+:)", line)]
    for row in rows:
        assert re.search(r"`(system|flow|unit)/", row) or "none" in row or "rows" in row or "row below" in row, row


def test_every_name_in_code_that_looks_like_a_test_was_read():
    looks = re.findall(r"`[^`]*(?:_test\.cpp|test_\w+\.py)[^`]*`", PAGE)
    assert len([each for each in looks if "tests/lab" not in each]) == len(NAMED)
