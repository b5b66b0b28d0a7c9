"""Debian packages: what the lab's own host needs, and single packages of a newer suite for the machines."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import paths, shell
from .errors import LabError

# command -> package that has it
HOST_COMMANDS = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "debootstrap": "debootstrap",
    "gcc": "gcc",
    "ssh-keygen": "openssh-client",
}
HOST_FILES = {"/usr/include/stdlib.h": "libc6-dev", "/etc/ssl/certs/ca-certificates.crt": "ca-certificates"}


def install(packages: list[str], progress) -> None:
    """Installs these with apt, after an update of its lists."""
    if not packages:
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    shell.run(["apt-get", "update"], what="apt-get update", on_line=progress.detail, env=environment)
    shell.run(
        ["apt-get", "install", "-y", "--no-install-recommends", *packages],
        what=f"apt-get install {' '.join(packages)}",
        on_line=progress.detail,
        env=environment,
    )


def missing_on_host() -> list[str]:
    lacking = [package for command, package in HOST_COMMANDS.items() if not shutil.which(command)]
    lacking += [package for file, package in HOST_FILES.items() if not Path(file).exists()]
    return sorted(set(lacking))


def archive_uri() -> str:
    """The Debian archive that this host's own apt uses."""
    lines = shell.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
            "Origin: Debian",
            "Label: Debian",
        ]
    ).split()
    if not lines:
        raise LabError(
            "apt knows no Debian archive on this host",
            "the lab's machines are Debian: add a Debian source to apt and run `apt-get update`",
        )
    return lines[0]


class NewerSuite:
    """A suite that the host does not use, read with lists of our own: the host's apt never sees it."""

    def __init__(self, suite: str):
        self.suite = suite
        self.folder = paths.cache("apt", suite)

    def _options(self) -> list[str]:
        folder = self.folder
        return [
            "-o", f"Dir::Etc::sourcelist={folder}/suite.sources",
            "-o", "Dir::Etc::sourceparts=/dev/null",
            "-o", "Dir::Etc::preferences=/dev/null",
            "-o", "Dir::Etc::preferencesparts=/dev/null",
            "-o", f"Dir::State::lists={folder}/lists",
            "-o", f"Dir::Cache={folder}/cache",
            "-o", "APT::Sandbox::User=root",
        ]  # fmt: skip

    def download(self, packages: list[str], into: Path, progress) -> list[Path]:
        """Fetches the packages (apt checks their signatures) and returns their files."""
        for part in ("lists/partial", "cache/archives/partial"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "suite.sources").write_text(
            f"Types: deb\nURIs: {archive_uri()}\nSuites: {self.suite}\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        )
        into.mkdir(parents=True, exist_ok=True)
        update = ["apt-get", *self._options(), "update"]
        shell.run(update, what=f"apt-get update for {self.suite}", on_line=progress.detail)
        fetch = ["apt-get", *self._options(), "download", *packages]
        shell.run(fetch, what=f"download from {self.suite}", on_line=progress.detail, cwd=into)
        return sorted(into.glob("*.deb"))
