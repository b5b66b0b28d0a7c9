"""Distribution packages by the host's own apt, unpacked beside each other. Nothing is installed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kubelab import shell

SETTINGS = ["-qq", "-o", "APT::Sandbox::User=root"]
STATE = ("/var/lib/apt/lists", "/etc/apt")
REMEDY = "does `apt-get update` reach the distribution's archive?"


@dataclass(frozen=True)
class Package:
    """One package as the archive has it now."""

    file: str  # libc6_2.36-9+deb12u14_amd64.deb
    digest: str

    @property
    def name(self) -> str:
        return self.file.split("_")[0]

    @property
    def version(self) -> str:
        return self.file.split("_")[1].replace("%3a", ":")


def state() -> str:
    """Changes with apt's lists and sources, and so with what `resolve` may answer."""
    files = [file for folder in STATE for file in Path(folder).rglob("*") if file.is_file()]
    return " ".join(sorted(f"{file}:{file.stat().st_mtime_ns}" for file in files))


def update() -> None:
    """For a machine whose lists are missing, or name packages that the archive has no more."""
    shell.run(["apt-get", "update", "-qq"], what="apt-get update", remedy=REMEDY)


def architecture() -> str:
    return shell.run(["dpkg", "--print-architecture"]).strip()


def owners(libraries: list[str]) -> list[str]:
    """The packages that brought these libraries to the host, which linked a program with them."""
    native = architecture()
    said = shell.run(["dpkg-query", "-S", *(f"*/{name}" for name in libraries)])
    found = re.findall(rf"^(\S+?)(?::{native})?: /(?:usr/)?lib/[^/]+/[^/]+$", said, flags=re.M)
    return sorted({name for name in found if ":" not in name})


def resolve(wanted: list[str]) -> list[Package]:
    """What an empty system would get with these."""
    plan = shell.run(
        ["apt-get", *SETTINGS, "-s", "install", "--no-install-recommends", "-o", "Dir::State::status=/dev/null", *wanted],
        what=f"apt's plan for {' '.join(wanted)}",
        remedy=REMEDY,
    )
    exact = [f"{name}={version}" for name, version in re.findall(r"^Inst (\S+) \((\S+)", plan, flags=re.M)]
    asked = ["apt-get", *SETTINGS, "download", "--print-uris", *exact]
    uris = shell.run(asked, what="the packages' addresses", remedy=REMEDY)
    found = [Package(file, digest) for file, digest in re.findall(r"^'.*' (\S+) \d+ (\S+)$", uris, flags=re.M)]
    return sorted(found, key=lambda package: package.file)


def unpack(packages: list[Package], into: Path) -> dict[str, Path]:
    """Downloads the packages (apt checks their signatures); a folder for each, by name."""
    debs = into / "debs"
    debs.mkdir()
    exact = [f"{package.name}={package.version}" for package in packages]
    shell.run(["apt-get", *SETTINGS, "download", *exact], what="the download of packages", remedy=REMEDY, cwd=debs)
    trees = {}
    for package in packages:
        trees[package.name] = into / package.name
        shell.run(["dpkg-deb", "-x", debs / package.file, trees[package.name]])
    return trees

