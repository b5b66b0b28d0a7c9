"""The image's own tests: made-up packages and libraries; no download, no namespaces, no root needed."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "image"), str(ROOT / "lab"), str(ROOT / "tests"), str(Path(__file__).resolve().parent)]

from made_up import TRIPLE, Shelf  # noqa: E402


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBESTRAP_LAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def shelf(tmp_path):
    """tool needs libone, which needs libtwo; libthree is needed by nobody; libopened is opened by the binary."""
    made = Shelf(tmp_path / "packages")
    made.package("loader")
    made.library("loader", "ld-made-up.so.2", folder=f"lib/{TRIPLE}")
    made.package("two")
    made.library("two", "libtwo.so.2", folder=f"lib/{TRIPLE}")
    made.package("one")
    made.library("one", "libone.so.1", "libtwo.so.2")
    made.library("one", "libthree.so.3")
    made.package("opened")
    made.library("opened", "libopened.so.4")
    made.package("tool")
    made.program(made.trees["tool"] / "usr/sbin/tool", "libone.so.1")
    made.package("idle")
    made.library("idle", "libidle.so.1")
    return made


@pytest.fixture
def binary(shelf, tmp_path):
    return shelf.program(tmp_path / "kubestrap", "libtwo.so.2")
