"""Builds kubestrap in its release form: the binary, and its container image."""

from __future__ import annotations

from pathlib import Path

from . import paths, shell
from .errors import LabError

BINARY = paths.CHECKOUT / "build/release/kubestrap"
IMAGE = BINARY.with_name("kubestrap-image.tar")


def kubestrap(progress) -> Path:
    """The binary of the checkout, brought up to date; what a build needs is installed by the project's own script."""
    shell.run(
        ["./build.sh", "release"],
        what="`./build.sh release`",
        cwd=paths.CHECKOUT,
        on_line=progress.detail,
        log=paths.cache("logs", "build-kubestrap.log"),
    )
    if not BINARY.exists():
        raise LabError(f"the build ended without {BINARY}", "does CMakeLists.txt make the target kubestrap?")
    return BINARY
