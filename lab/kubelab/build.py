"""Builds kubestrap in its release form. Everything the lab knows about that build is here."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import packages, paths, shell
from .errors import LabError

BINARY = paths.CHECKOUT / "build/release/kubestrap"

# what the build needs -> Debian package
NEEDED = {
    "g++": "g++",
    "cmake": "cmake",
    "ninja": "ninja-build",
    "ccache": "ccache",
    "protoc": "protobuf-compiler",
    "/usr/include/curl/curl.h": "libcurl4-openssl-dev",
    "/usr/include/x86_64-linux-gnu/curl/curl.h": "libcurl4-openssl-dev",
    "/usr/include/openssl/ssl.h": "libssl-dev",
    "/usr/include/fmt/core.h": "libfmt-dev",
    "/usr/include/nlohmann/json.hpp": "nlohmann-json3-dev",
    "/usr/include/CLI/CLI.hpp": "libcli11-dev",
    "/usr/include/boost/filesystem.hpp": "libboost-filesystem-dev",
    "/usr/include/google/protobuf/message_lite.h": "libprotobuf-dev",
    "/usr/include/yaml-cpp/yaml.h": "libyaml-cpp-dev",
    "/usr/include/archive.h": "libarchive-dev",
    "/usr/include/zstd.h": "libzstd-dev",
}


def kubestrap(progress) -> Path:
    """The binary of the checkout, brought up to date."""
    packages.install(_missing(), progress)
    for command in (["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release"]):
        shell.run(
            command,
            what=f"`{' '.join(command)}`",
            cwd=paths.CHECKOUT,
            on_line=progress.detail,
            log=paths.cache("logs", "build-kubestrap.log"),
        )
    if not BINARY.exists():
        raise LabError(f"the build ended without {BINARY}", "does CMakeLists.txt make the target kubestrap?")
    return BINARY


def _missing() -> list[str]:
    def there(needed: str) -> bool:
        return Path(needed).exists() if needed.startswith("/") else shutil.which(needed) is not None

    found = {package for needed, package in NEEDED.items() if there(needed)}
    return sorted(set(NEEDED.values()) - found)
