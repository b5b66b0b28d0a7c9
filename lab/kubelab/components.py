"""Builds the Kubernetes components from the Go module proxy, pinned by lab/modules/; never twice for one recipe."""

from __future__ import annotations

import re
from pathlib import Path

from . import golang, paths, shell, store, versions

KUBERNETES_COMMANDS = (
    "kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl"
).split()
KUBERNETES_PACKAGES = [f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES_COMMANDS]

# Built in one module, one by one: the names of two of these packages are not the names of their programs.
EXTRAS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
    "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
    "coredns": "kubestrap.io/lab/extras/coredns",
}
EXTRAS_PACKAGES = list(EXTRAS.values())
TOOLS_PACKAGES = ["github.com/cloudflare/cfssl/cmd/cfssl", "github.com/cloudflare/cfssl/cmd/cfssljson"]

# What upstream's release build stamps. Without it kubeadm takes itself for v1.0.0. The date is fixed, so that the same
# sources give the same bytes.
STAMPED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
BUILD_DATE = "2026-01-01T00:00:00Z"


def module_folder(*parts: str) -> Path:
    return paths.SOURCES.joinpath("modules", *parts)


def make(version: str, progress) -> Path:
    """The folder with the binaries of this Kubernetes and its etcd and CoreDNS."""
    row = versions.kubernetes(version)
    folder = store.make(
        "components", name(row), build=lambda into: _build_kubernetes(row, into, progress), progress=progress
    )
    store.point_at(folder.with_name(row.version), folder.name)
    return folder


def make_tools(progress) -> Path:
    """The folder with the tools that follow no Kubernetes version."""
    key = store.digest(module_folder("tools"), " ".join(TOOLS_PACKAGES))
    folder = store.make(
        "components", f"tools-{key}", build=lambda into: _build_tools(into, progress), progress=progress
    )
    store.point_at(folder.with_name("tools"), folder.name)
    return folder


def have(version: str) -> bool:
    return store.have("components", name(versions.kubernetes(version)))


def name(row: versions.Kubernetes) -> str:
    recipe = store.digest(
        module_folder(row.version), stamp(row), " ".join(KUBERNETES_PACKAGES), repr(sorted(EXTRAS.items()))
    )
    return f"{row.version}-{recipe}"


def stamp(row: versions.Kubernetes) -> str:
    facts = {
        "gitVersion": f"v{row.version}",
        "gitMajor": "1",
        "gitMinor": row.minor,
        "gitTreeState": "clean",
        "gitCommit": f"v{row.version}",
        "buildDate": BUILD_DATE,
    }
    settings = [f"-X {package}.{key}={value}" for package in STAMPED for key, value in facts.items()]
    return " ".join(["-s", "-w", *settings])


def _build_kubernetes(row: versions.Kubernetes, into: Path, progress) -> None:
    folder = module_folder(row.version, "kubernetes")
    build(folder, KUBERNETES_PACKAGES, f"{into}/", f"Kubernetes {row.version}", progress, ldflags=stamp(row))
    for program, package in EXTRAS.items():
        build(module_folder(row.version, "extras"), [package], str(into / program), program, progress)


def _build_tools(into: Path, progress) -> None:
    build(module_folder("tools"), TOOLS_PACKAGES, f"{into}/", "cfssl", progress)


def build(folder: Path, packages: list[str], output: str, what: str, progress, ldflags: str = "-s -w") -> None:
    """One `go build`, which names each package as it gets to it: that is the progress shown."""
    progress.detail(f"{what}: reading the modules (downloads what is missing)")
    total = len(golang.run("list", "-deps", *packages, cwd=folder, progress=progress).split())
    progress.detail(f"{what}: compiling what the Go build cache lacks, linking")
    log = paths.cache("logs", f"build-{what.replace(' ', '-')}.log")
    seen = 0

    def on_line(line: str) -> None:
        nonlocal seen
        if re.fullmatch(r"[\w./~-]+", line):
            seen += 1
            progress.detail(f"{what}: compiled {seen} packages of at most {total}, linking follows")
        else:
            progress.detail(f"{what}: {line}")

    shell.run(
        [golang.program(progress), "build", "-v", "-trimpath", "-ldflags", ldflags, "-o", output, *packages],
        what=f"the build of {what}",
        isolated=True,
        on_line=on_line,
        log=log,
        remedy="a wrong checksum means that a module's content changed; anything else stands in the log",
        cwd=folder,
        env=golang.environment("readonly"),
    )
