"""The configurations of tests/golden/cases through the real kubeadm and through kubestrap, compared as documents.

Both run `init` beneath a root folder of their own, in a network and under a host name that are the same for both, and write to the
same real API server. What may differ stands in docs/differences.md, and nothing that does not differ stands there.
"""

import shutil
from pathlib import Path

import pytest
from api_server import ControlPlane
from differences import compare, table, unexplained
from runs import Case, outcome, programs
from surroundings import own_network

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
def plane(tmp_path_factory):
    with own_network(), ControlPlane(programs()[0], tmp_path_factory.mktemp("plane")) as made:
        yield made


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kubeadm_makes_the_same(case, rows, compared, plane, folder):
    components, kubestrap = programs()
    kubeadm = components / "kubeadm"
    theirs = outcome(kubeadm, case, folder / "kubeadm", kubeadm, plane)
    ours = outcome(kubestrap, case, folder / "kubestrap", kubeadm, plane)
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
