"""The configurations of tests/golden/cases through the real kubeadm and through kubestrap, compared as documents.

Both run `init` beneath a root folder of their own, in networks and under host names that are the same for both, and write to real API
servers. What may differ stands in docs/differences.md, and nothing that does not differ stands there.
"""

from pathlib import Path

import pytest
from differences import compare, table, unexplained
from runs import Case, Lane, programs

ROOT = Path(__file__).resolve().parents[2]
CASES = [Case(folder) for folder in sorted((ROOT / "tests/golden/cases").iterdir())]


@pytest.fixture(scope="module")
def rows():
    return table(ROOT / "docs/differences.md")


@pytest.fixture(scope="module")
def compared():
    """The names of the cases that were compared."""
    return set()


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    """Of both programs, by case: they run side by side, ahead of who asks."""
    asked = [item.callspec.params["case"] for item in request.session.items if "outcomes" in item.fixturenames]
    components, kubestrap = programs()
    kubeadm = components / "kubeadm"
    lanes = [Lane(program, components, tmp_path_factory.mktemp(program.name)) for program in (kubeadm, kubestrap)]
    try:
        yield {case.name: [lane.start(case) for lane in lanes] for case in asked}
    finally:
        for lane in lanes:
            lane.end()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kubeadm_makes_the_same(case, rows, compared, outcomes):
    theirs, ours = (future.result() for future in outcomes[case.name])
    compared.add(case.name)
    assert any(name.endswith("/ca.crt") for name in theirs)
    left = unexplained(compare(theirs, ours), rows, case.name)
    assert not left, "neither wanted nor mended:\n" + "\n".join(map(str, left))


def test_every_row_of_the_table_is_needed(rows, compared):
    if compared != {case.name for case in CASES}:
        pytest.skip("only some of the cases were compared")
    assert rows
    idle = [row for row in rows if not row.cases]
    assert not idle, "no case needs:\n" + "\n".join(f"{row.where}: {row.kubeadm} / {row.kubestrap}" for row in idle)
