"""kubestrap's PKI commands against programs that others wrote: cfssl, Go's x509, openssl. They need the lab's tools, but no machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(scope="session")
def kubestrap() -> Path:
    binary = Path(os.environ.get("KUBESTRAP_BINARY", ROOT / "build/release/kubestrap"))
    if not binary.exists():
        pytest.fail("there is no build/release/kubestrap; run ./build.sh release")
    return binary


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder with cfssl and cfssljson, built by the lab."""
    out = subprocess.run([ROOT / "lab/components", "tools"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return Path(out.strip().splitlines()[-1])
