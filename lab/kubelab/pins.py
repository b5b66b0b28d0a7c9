"""Writes the go.mod and go.sum files that pin the components (lab/modules/). Run once for each new version:

    cd lab && python3 -m kubelab.pins 1.37.2
    cd lab && python3 -m kubelab.pins metallb       # an add-on (addons.py)

Builds use these files read-only, so a module whose content has changed since fails its checksum.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from . import addons, components, golang, versions
from .errors import LabError
from .progress import Silent

SILENT = Silent()
STAGING = re.compile(r"(k8s\.io/[a-z-]+) => \./staging/src/k8s\.io/[a-z-]+")


def download(module: str, version: str) -> Path:
    """The folder of a module in Go's module cache."""
    golang.run("mod", "download", f"{module}@{version}", cwd=Path("/"), progress=SILENT)
    cache = golang.run("env", "GOMODCACHE", cwd=Path("/"), progress=SILENT).strip()
    return Path(cache, f"{module}@{version}")


def write_kubernetes(row: versions.Kubernetes) -> None:
    """Kubernetes' own go.mod: same versions of everything, the staging folders as the modules they are published as."""
    upstream = download("k8s.io/kubernetes", f"v{row.version}")
    folder = components.module_folder(row.version, "kubernetes")
    text = (upstream / "go.mod").read_text()
    text = re.sub(r"^module .*", "module kubestrap.io/lab/kubernetes", text, count=1, flags=re.M)
    text = STAGING.sub(rf"\1 => \1 v0.{row.version.removeprefix('1.')}", text)
    text += f"\nrequire k8s.io/kubernetes v{row.version}\n"
    settle(folder, text, upstream / "go.sum", components.KUBERNETES_PACKAGES)


def write_extras(row: versions.Kubernetes) -> None:
    """etcd and CoreDNS on Kubernetes' versions of shared modules: what was compiled for it is used again."""
    upstream = download("k8s.io/kubernetes", f"v{row.version}")
    folder = components.module_folder(row.version, "extras")
    text = (upstream / "go.mod").read_text()
    shared = [
        line.split()[:2]
        for block in re.findall(r"^require \((.*?)^\)", text, flags=re.M | re.S)
        for line in block.strip().splitlines()
    ]
    staged = {match[1] for match in STAGING.finditer(text)}
    text = re.sub(r"^module .*", "module kubestrap.io/lab/extras", text, count=1, flags=re.M)
    text = STAGING.sub(rf"\1 => \1 v0.{row.version.removeprefix('1.')}", text)
    text = "".join(line for line in text.splitlines(keepends=True) if "go.etcd.io/etcd/" not in line)
    etcd = ["api", "client/pkg", "client", "server", "pkg", "etcdctl", "etcdutl"]
    text += "\nrequire (\n" + "".join(f"\tgo.etcd.io/etcd/{part}/v3 {row.etcd}\n" for part in etcd)
    text += f"\tgithub.com/coredns/coredns {row.coredns}\n)\n\nreplace (\n"
    for module, version in shared:
        if not module.startswith("go.etcd.io/etcd/") and module not in staged:
            text += f"\t{module} => {module} {version}\n"
    settle(folder, text + ")\n", upstream / "go.sum", components.EXTRAS_PACKAGES)


def write_tools() -> None:
    """Tools that follow no Kubernetes version."""
    text = f"module kubestrap.io/lab/tools\n\ngo 1.24\n\nrequire github.com/cloudflare/cfssl {versions.CFSSL}\n"
    settle(components.module_folder("tools"), text, None, components.TOOLS_PACKAGES)


NOT_OURS = re.compile(r"^(?:toolchain .*|tool (?:\([^)]*\)|.*)|replace \S+ => \./.*|module .*)\n", flags=re.M)


def write_addon(name: str) -> None:
    """An add-on's own go.mod: same versions of everything but of what cannot be had."""
    row = addons.ADDONS[name]
    upstream = download(row.module, row.version)
    text = f"module kubestrap.io/lab/addons/{name}\n\n" + NOT_OURS.sub("", (upstream / "go.mod").read_text())
    for module, instead in ({one.module: "./" + one.folder for one in row.without} | row.replaced).items():
        text = re.sub(rf"^\s*{re.escape(module)} => .*\n", "", text, flags=re.M)
        text += f"\nreplace {module} => {instead}\n"
    text += f"\nrequire {row.module} {row.version}\n"
    folder = components.module_folder("addons", name)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(scratch, "sources")
        addons.lay_out(name, sources, SILENT)
        settle(sources, text, upstream / "go.sum", list(row.programs))
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(sources / file, folder / file)


def settle(folder: Path, mod: str, sums: Path | None, packages: list[str]) -> None:
    """Lets go complete go.mod and go.sum for these packages."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text(mod)
    (folder / "go.sum").unlink(missing_ok=True)
    if sums:
        shutil.copyfile(sums, folder / "go.sum")
    golang.run("list", "-deps", *packages, cwd=folder, mode="mod", progress=SILENT)


def main(arguments: list[str]) -> None:
    for name in [each for each in arguments if each in addons.ADDONS]:
        write_addon(name)
    for version in [each for each in arguments if each not in addons.ADDONS]:
        row = versions.kubernetes(version)
        write_kubernetes(row)
        write_extras(row)
    if not set(arguments) & set(addons.ADDONS):
        write_tools()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LabError as error:
        sys.exit(f"{error}\n{error.evidence}")
