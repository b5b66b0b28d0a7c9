"""System tests: kubestrap on machines of the lab, with real containerd, kubelet, etcd, API server and kubeadm.

A lab named `test` (or as `KUBESTRAP_TEST_LAB` says) is made before the first scenario and taken down after the last one; `KUBESTRAP_KEEP_LAB=1` lets it stand, also for
the next run. Machines are made bare between scenarios. A scenario that fails shows what its machines have to say about it.
"""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "lab"), str(Path(__file__).resolve().parent)]

from testbed import Lab  # noqa: E402

NAME = os.environ.get("KUBESTRAP_TEST_LAB", "test")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also repetitions and spreads")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: a repetition or spread, run with --long only")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def lab():
    made = Lab(NAME)
    made.begin()
    yield made
    made.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    made = item.funcargs.get("lab") if hasattr(item, "funcargs") else None
    if report.failed and made is not None:
        for title, text in made.evidence():
            report.sections.append((title, text))
