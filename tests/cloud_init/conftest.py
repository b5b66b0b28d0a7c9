"""User data of `kubestrap cluster cloud-init`, judged by cloud-init itself.

cloud-init is Debian's package, unpacked and not installed, since its services would take this machine for a new one; what it imports comes from PyPI. Both once, into the lab's cache.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

from kubelab import packages, progress, shell, store, versions  # noqa: E402

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def _install(into: Path) -> None:
    for deb in packages.NewerSuite(versions.MACHINE_SUITE).download(["cloud-init"], into, progress.Progress()):
        shell.run(["dpkg-deb", "-x", deb, into])
        deb.unlink()
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--target", into / "imported", "-r", REQUIREMENTS]
    subprocess.run(command, check=True)


@pytest.fixture(scope="session")
def program() -> Path:
    built = Path(os.environ.get("KUBESTRAP_BINARY") or ROOT / "build/release/kubestrap")
    if not built.is_file():
        pytest.skip(f"there is no {built}: ./build.sh release makes it")
    return built


@pytest.fixture(scope="session")
def judged():
    """What `cloud-init schema` says of a file: its exit code and its words."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        packages.install(["python3-pip"], progress.Progress())
    name = f"{versions.MACHINE_SUITE}-{store.digest(REQUIREMENTS, sys.version)}"
    made = store.make("cloud-init", name, build=_install, progress=progress.Progress())
    environment = os.environ | {"PYTHONPATH": f"{made / 'usr/lib/python3/dist-packages'}:{made / 'imported'}", "PYTHONDONTWRITEBYTECODE": "1"}

    def run(file: Path) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "cloudinit.cmd.main", "schema", "--config-file", file]
        return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return run
