"""The Ansible collection and the Vagrantfile. With --lab also played, over ssh, on machines of the lab.

Ansible and its linter come from PyPI, once, into the lab's cache.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "lab"), str(ROOT / "tests/system"), str(Path(__file__).resolve().parent)]

from kubelab import packages, progress, store  # noqa: E402
from play import Ansible  # noqa: E402

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def pytest_addoption(parser):
    parser.addoption("--lab", action="store_true", help="also on machines of the lab")
    parser.addoption("--long", action="store_true", help="with --lab: also on many machines")


def pytest_configure(config):
    config.addinivalue_line("markers", "lab: needs machines of the lab, run with --lab only")
    config.addinivalue_line("markers", "long: needs many of them, run with --lab --long only")


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items for name in ("lab", "long") if item.get_closest_marker(name) and not config.getoption(f"--{name}")]
    items[:] = [item for item in items if item not in left_out]
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def _install(into: Path) -> None:
    """With --target a folder can be renamed, which a virtual environment cannot."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore",
               "--target", into, "-r", REQUIREMENTS]
    subprocess.run(command, check=True)


@pytest.fixture(scope="session")
def ansible(tmp_path_factory) -> Ansible:
    """Ansible, with the collection installed as it would be published."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        packages.install(["python3-pip"], progress.Progress())
    name = f"tools-{store.digest(REQUIREMENTS, sys.version)}"
    made = Ansible(store.make("ansible", name, build=_install, progress=progress.Progress()), tmp_path_factory.mktemp("ansible"))
    made.install(ROOT / "ansible")
    return made


@pytest.fixture(scope="session")
def lab():
    from testbed import Lab

    made = Lab(os.environ.get("KUBESTRAP_TEST_LAB", "test"))
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
