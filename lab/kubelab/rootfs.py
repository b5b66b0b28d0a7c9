"""The machines' root file system: read-only layers that every machine's own overlay lies on.

base      Debian with a container runtime, as a machine image would have it. Slow to make.
settings  what the lab lays over it: the folder lab/rootfs/ and the list of units that stay off.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from . import packages, paths, shell, store, versions
from .errors import LabError

# What a Kubernetes machine needs, what kubestrap links against, and what an operator looks around with.
PACKAGES = (
    "systemd systemd-sysv dbus udev kmod mount procps hostname netbase iproute2 iputils-ping "
    "iptables nftables conntrack ipset ipvsadm ethtool socat openssh-server "
    "ca-certificates curl openssl jq less python3 python3-apt busybox-static "
    "libcurl4t64 libssl3t64 libarchive13t64 libzstd1 libseccomp2 libcap2"
).split()

# Units that would reach for the host's kernel (sysctls, modules, devices, debug file systems) or for hardware.
UNITS_OFF = (
    "systemd-sysctl.service systemd-modules-load.service modprobe@.service systemd-udevd.service "
    "systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd-varlink.socket "
    "systemd-udev-trigger.service "
    "systemd-udev-settle.service systemd-logind.service systemd-networkd.service systemd-timesyncd.service "
    "systemd-random-seed.service systemd-binfmt.service systemd-update-utmp.service systemd-pstore.service "
    "systemd-firstboot.service systemd-machine-id-commit.service systemd-remount-fs.service systemd-tpm2-setup.service "
    "systemd-tpm2-setup-early.service systemd-tmpfiles-clean.timer tmp.mount "
    "sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount "
    "dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount "
    "console-getty.service getty@.service getty.target serial-getty@.service container-getty@.service "
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service "
    "ssh.socket sshd@.service"
).split()

UNITS_ON = ("containerd.service", "kubelet.service", "ssh.service")

FILES = paths.SOURCES / "rootfs"


def base_key() -> str:
    return store.digest(versions.MACHINE_SUITE, versions.RUNTIME_SUITE, " ".join(PACKAGES), "recipe 1")


def base(progress) -> Path:
    return store.make("rootfs", f"base-{base_key()}", build=lambda into: _build_base(into, progress), progress=progress)


def _build_base(into: Path, progress) -> None:
    lacking = packages.missing_on_host()
    packages.install(lacking, progress)
    log = paths.cache("logs", "debootstrap.log")
    suite = versions.MACHINE_SUITE
    script = Path("/usr/share/debootstrap/scripts", suite)
    if not script.exists():  # an older debootstrap; all newer Debian suites share one script
        script = script.with_name("sid")
    include = ",".join(PACKAGES)
    shell.run(
        ["debootstrap", "--variant=minbase", f"--include={include}", suite, into, packages.archive_uri(), script],
        what=f"debootstrap of {suite}",
        isolated=True,
        on_line=progress.detail,
        log=log,
        remedy="is the Debian archive in apt's sources reachable? `apt-get update` tells",
    )
    debs = packages.NewerSuite(versions.RUNTIME_SUITE).download(
        list(versions.RUNTIME_PACKAGES), into / "var/cache/runtime", progress
    )
    _check_runtime(debs)
    policy = into / "usr/sbin/policy-rc.d"  # nothing is started in the chroot
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    inside = ["chroot", into, "dpkg", "-i", *(f"/var/cache/runtime/{deb.name}" for deb in debs)]
    shell.run(inside, what="installation of the container runtime", isolated=True, on_line=progress.detail)
    policy.unlink()
    _slim(into)
    plugins = into / "opt/cni/bin"
    plugins.mkdir(parents=True, exist_ok=True)
    for plugin in (into / "usr/lib/cni").iterdir():
        shutil.copy2(plugin, plugins / plugin.name)


def _check_runtime(debs: list[Path]) -> None:
    """The archive's newer suite moves on: newer is fine, older would fail later and stranger."""
    found = {deb.name.split("_")[0]: deb.name.split("_")[1] for deb in debs}
    for package, least in versions.RUNTIME_PACKAGES.items():
        have = tuple(int(part) for part in found.get(package, "0.0").split("~")[0].split("+")[0].split(".")[:2])
        if have < tuple(int(part) for part in least.split(".")):
            raise LabError(f"{package} is {found.get(package)}, the lab needs {least}", "see lab/kubelab/versions.py")


def _slim(into: Path) -> None:
    """Drops what no machine reads, and what every machine must have of its own."""
    for gone in ("var/cache/runtime", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        store.remove(into / gone)
    for deb in (into / "var/cache/apt").rglob("*.*"):
        if deb.is_file():
            deb.unlink()
    for key in (into / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (into / "etc/machine-id").write_text("")
    (into / "etc/hostname").unlink(missing_ok=True)
    (into / "etc/resolv.conf").unlink(missing_ok=True)


def settings(progress) -> Path:
    key = store.digest(FILES, " ".join(UNITS_OFF), " ".join(UNITS_ON), "recipe 1")
    return store.make("rootfs", f"settings-{key}", build=_build_settings, progress=progress)


def _build_settings(into: Path) -> None:
    shutil.copytree(FILES, into, dirs_exist_ok=True, symlinks=True)
    for folder in [into, *(path for path in into.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    units = into / "etc/systemd/system"
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    for unit in UNITS_OFF:
        (units / unit).symlink_to("/dev/null")
    for unit in UNITS_ON:
        (wanted / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")
    (units / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    for folder in ("etc/cni/net.d", "etc/kubernetes/manifests", "opt/kubernetes", "opt/images", "root/.kube"):
        (into / folder).mkdir(parents=True, exist_ok=True)
    (into / "root").chmod(0o700)
    # what an operator does by hand after an init; on a machine in no cluster it points at nothing
    (into / "root/.kube/config").symlink_to("/etc/kubernetes/admin.conf")
