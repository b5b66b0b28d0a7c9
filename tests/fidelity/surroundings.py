"""What both programs run in: a network and host name that are the same for every run, and a root folder for each run."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
NEWUTS, NEWNET = 0x04000000, 0x40000000
KINDS = {"uts": NEWUTS, "net": NEWNET}

# Of both families and several networks, so that every case finds the address that it advertises.
ADDRESSES = ("10.0.0.11/24", "192.0.2.7/24", "fd00:0:0:1::11/64")
GATEWAY = "10.0.0.1"

# As systemd says it of a machine with a kubelet that runs; what is asked to start or stop is not there to be started.
SYSTEMCTL = """\
#!/bin/sh
active={active}
case "$*" in
*show*systemd-resolved*) printf 'LoadState=loaded\\nUnitFileState=enabled\\nActiveState=%s\\n' $active ;;
*show*) printf 'LoadState=loaded\\nUnitFileState=enabled\\nActiveState=active\\nSubState=running\\nMainPID=1\\n' ;;
*is-active*systemd-resolved*) [ $active = active ] ;;
esac
"""


def _call(function: str, *arguments: int) -> None:
    if getattr(LIBC, function)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def own_network():
    """A network of this thread's own and what it starts: addresses, a default route, nobody else."""
    before = {kind: os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in KINDS}
    try:
        _call("unshare", NEWUTS | NEWNET)
        for words in (
            "link set lo up",
            "link add eth0 type veth peer name far0",
            "link set eth0 up",
            "link set far0 up",
            *(f"address add {one} dev eth0 {'nodad' if ':' in one else ''}" for one in ADDRESSES),
            f"route add default via {GATEWAY}",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        yield
    finally:
        for kind, descriptor in before.items():
            _call("setns", descriptor, KINDS[kind])
            os.close(descriptor)


def be_called(hostname: str) -> None:
    """Only within `own_network`: the name is this thread's and what it starts."""
    socket.sethostname(hostname)


def _libraries(program: str) -> list[str]:
    said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return [word for word in said.split() if word.startswith("/")]


def make_root(folder: Path, resolved: bool, ca_folders: tuple[str, ...]) -> Path:
    """A root folder with what kubeadm looks for beneath its own: a shell and a systemctl, folders with authorities."""
    shell = os.path.realpath("/bin/sh")
    for program in (shell, *_libraries(shell)):
        into = folder / program.lstrip("/")
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(os.path.realpath(program), into)
        into.chmod(0o755)
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin/sh").symlink_to(shell)
    systemctl = folder / "bin/systemctl"
    systemctl.write_text(SYSTEMCTL.format(active="active" if resolved else "inactive"))
    systemctl.chmod(0o755)
    getent = folder / "bin/getent"  # or kubestrap asks name servers, which are nowhere, whether the host name is known
    getent.write_text("#!/bin/sh\nexit 2\n")
    getent.chmod(0o755)
    (folder / "dev").mkdir()
    os.mknod(folder / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    for name in ca_folders:
        (folder / name.lstrip("/")).mkdir(parents=True)
    for name in ("etc/ssl/certs", "etc/kubernetes", "root", "run/lock", "tmp", "var/lib/kubelet"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder
