"""kubestrap's PKI commands against programs that others wrote: cfssl, kubeadm, Go's x509, openssl. They need the lab's tools, but no machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "lab"), str(Path(__file__).resolve().parent)]

from kubelab import golang, progress  # noqa: E402
from machine import CONFIG, Machine  # noqa: E402


def components(what: str) -> Path:
    """A folder that the lab builds."""
    out = subprocess.run([ROOT / "lab/components", what], stdout=subprocess.PIPE, text=True, check=True).stdout
    return Path(out.strip().splitlines()[-1])


@pytest.fixture(scope="session")
def kubestrap() -> Path:
    binary = Path(os.environ.get("KUBESTRAP_BINARY", ROOT / "build/release/kubestrap"))
    if not binary.exists():
        pytest.fail("there is no build/release/kubestrap; run ./build.sh release")
    return binary


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder with cfssl and cfssljson, built by the lab."""
    return components("tools")


@pytest.fixture
def machine(tmp_path, kubestrap) -> Machine:
    made = Machine(tmp_path / "root", kubestrap)
    for folder in ("etc", "var/lib", "run/lock", "tmp"):
        (made.root / folder).mkdir(parents=True)
    made.configure()
    return made


@pytest.fixture(scope="session")
def kubeadm() -> Path:
    """The real one."""
    return components("1.37.2") / "kubeadm"


@pytest.fixture(scope="session")
def verify(tmp_path_factory) -> Path:
    """Go's x509 as a judge: the program in the folder verify."""
    program = tmp_path_factory.mktemp("verify") / "verify"
    subprocess.run([golang.program(progress.Progress()), "build", "-o", program, "."], cwd=ROOT / "tests/cfssl/verify", env=golang.environment("readonly"), check=True)
    return program
