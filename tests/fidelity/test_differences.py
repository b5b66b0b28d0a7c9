"""What counts as a difference, and which differences a row of the table allows."""

import pytest
from differences import ABSENT, Difference, Row, compare, table, unexplained

HEAD = "# Title\n\n## What `init` makes\n\n| where | kubeadm | kubestrap | why |\n| --- | --- | --- | --- |\n"


def test_leaves_are_told_by_their_paths():
    theirs = {"file /a": {"mode": "0600", "document": {"spec": {"list": [1, {"x": "y"}], "gone": {"deep": 1}}}}}
    ours = {"file /a": {"mode": "0644", "document": {"spec": {"list": [1, {"x": "z"}], "new": True}}}}
    assert compare(theirs, ours) == [
        Difference("file /a: mode", "0600", "0644"),
        Difference("file /a: document.spec.list[1].x", "y", "z"),
        Difference("file /a: document.spec.gone", '{"deep": 1}', ABSENT),
        Difference("file /a: document.spec.new", ABSENT, "true"),
    ]
    assert compare(theirs, theirs) == []


def test_of_lists_with_other_lengths_only_what_one_side_has_is_told():
    assert compare({"a": ["x", "y"]}, {"a": ["y", "z", "v"]}) == [Difference("a", "x", "z, v")]


def test_a_number_is_no_text():
    assert compare({"a": 1}, {"a": "1"}) == [Difference("a", "1", "1")]
    assert compare({"a": True}, {"a": 1}) == [Difference("a", "true", "1")]


@pytest.mark.parametrize(
    ("where", "kubeadm", "kubestrap", "allowed"),
    [
        ("a[0].b", "x", "y", True),
        ("*.b", "x", "*", True),
        ("*", "*", "*", True),
        ("a[0].b", "x", "z", False),
        ("a[0].b", ABSENT, "y", False),
        ("a0.b", "x", "y", False),
        ("a?0?.b", "x", "y", False),
    ],
)
def test_a_row_allows_what_it_says_in_all_three_columns(where, kubeadm, kubestrap, allowed):
    row = Row(where, kubeadm, kubestrap, "since")
    left = unexplained([Difference("a[0].b", "x", "y")], [row], "case")
    assert (left == [], row.cases) == (allowed, {"case"} if allowed else set())


def test_rows_are_read_below_their_heading_and_have_reasons(tmp_path):
    file = tmp_path / "differences.md"
    file.write_text(HEAD + "| `a` | `1` | – | since |\n\n## Other\n\n| `b` | `1` | `2` | since |\n")
    assert table(file) == [Row("a", "1", ABSENT, "since")]
    file.write_text(HEAD + "| `a` | `1` | `2` | |\n")
    with pytest.raises(AssertionError, match="not of the form"):
        table(file)
