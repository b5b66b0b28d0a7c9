"""The images of a cluster, made from the components: one OCI archive each.

A change of this file makes them anew.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from . import components, golang, oci, paths, rootfs, shell, store, versions

SOURCES = paths.SOURCES / "images"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
IPTABLES_NAMES = [f"{family}{what}" for family in ("iptables", "ip6tables") for what in ("", "-save", "-restore")]
BUSYBOX_NAMES = "sh cat ls sleep echo ps env test true false".split()


def names(version: str) -> dict[str, str]:
    """The references of the images that a version's machines have: the ones kubeadm writes into manifests."""
    row = versions.kubernetes(version)
    programs = {program: f"registry.k8s.io/{program}:v{row.version}" for program in (*CONTROL_PLANE, "kube-proxy")}
    return programs | {
        "etcd": f"registry.k8s.io/etcd:{row.etcd_image}",
        "coredns": f"registry.k8s.io/coredns/coredns:{row.coredns}",
        "pause": f"registry.k8s.io/pause:{row.pause}",
        "test": versions.TEST_IMAGE,
    }


def _archive_key(row: versions.Kubernetes) -> str:
    recipe = [Path(oci.__file__).read_bytes(), Path(__file__).read_bytes()]
    return f"{row.version}-{store.digest(components.name(row), rootfs.base_key(), SOURCES, *recipe)}"


def archives(version: str, progress) -> Path:
    """The folder with one OCI archive for each image of a Kubernetes version."""
    row = versions.kubernetes(version)

    def build(into: Path) -> None:
        scratch = into / "scratch"
        scratch.mkdir()
        for image in _describe(row, components.make(version, progress), rootfs.base(progress), scratch, progress):
            progress.detail(f"writing {image.reference}")
            oci.write(image, into / (image.reference.replace("/", "_").replace(":", "_") + ".tar"))
        shutil.rmtree(scratch)

    folder = store.make("images", _archive_key(row), build=build, progress=progress)
    store.prune(folder)
    store.point_at(folder.with_name(row.version), folder.name)
    return folder


def _describe(row: versions.Kubernetes, binaries: Path, base: Path, scratch: Path, progress) -> list[oci.Image]:
    """What each image holds; its programs lie where upstream's images have them."""
    name = names(row.version)
    described = [oci.Image(name[one], {f"/usr/local/bin/{one}": binaries / one}) for one in CONTROL_PLANE]
    described.append(_kube_proxy(name["kube-proxy"], binaries, base))
    etcd = {f"/usr/local/bin/{program}": binaries / program for program in ("etcd", "etcdctl", "etcdutl")}
    described.append(oci.Image(name["etcd"], etcd))
    described.append(oci.Image(name["coredns"], {"/coredns": binaries / "coredns"}, entrypoint=["/coredns"]))
    pause = scratch / "pause"
    shell.run(["gcc", "-Os", "-static", "-s", "-o", pause, SOURCES / "pause.c"], what="the build of pause")
    described.append(oci.Image(name["pause"], {"/pause": pause}, entrypoint=["/pause"]))
    tool = scratch / "testtool"
    shell.run(
        [golang.program(progress), "build", "-trimpath", "-ldflags", "-s -w", "-o", tool, "."],
        what="the build of the test tool",
        cwd=SOURCES / "testtool",
        env=golang.environment("readonly"),
    )
    described.append(
        oci.Image(
            name["test"],
            {"/bin/testtool": tool, "/bin/busybox": base / "usr/bin/busybox"},
            command=["/bin/sh"],
            links={f"/bin/{applet}": "busybox" for applet in BUSYBOX_NAMES},
        )
    )
    return described


def _kube_proxy(reference: str, binaries: Path, base: Path) -> oci.Image:
    """kube-proxy runs iptables, nft, ipset and conntrack, and iptables loads plugins: all with their libraries.

    A plugin whose library is missing fails late: only the first service with two endpoints needs libxt_statistic.so.
    """
    programs = ["/usr/sbin/xtables-nft-multi", "/usr/sbin/nft", "/usr/sbin/conntrack", "/usr/sbin/ipset"]
    plugins = sorted(base.glob("usr/lib/*/xtables/*.so"))
    inside = programs + ["/" + str(plugin.relative_to(base)) for plugin in plugins]
    said = shell.run(["chroot", base, "ldd", *inside], what="the list of kube-proxy's libraries")
    libraries = set(re.findall(r"(?:=> |^\s+)(/\S+\.so\S*) \(", said, flags=re.M))
    files = {"/usr/local/bin/kube-proxy": binaries / "kube-proxy", "/etc/protocols": base / "etc/protocols"}
    for path in [*inside, *libraries]:
        files[path] = (base / path.lstrip("/")).resolve()
    links = {f"/usr/sbin/{name}": "xtables-nft-multi" for name in IPTABLES_NAMES}
    return oci.Image(reference, files, links=links)
