"""The lab's own tests, and one of a page that names tests: no cluster, no namespaces, no root needed."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "lab"), str(ROOT / "tests")]


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """State and cache of every test are its own."""
    monkeypatch.setenv("KUBESTRAP_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("KUBESTRAP_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path
