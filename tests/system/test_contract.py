"""What is held against real servers without a cluster: our CRI client and the container runtime of a lab machine."""

import os
import re
import subprocess

from kubelab import versions
from testbed import ROOT, VERSION


def newest_program(name: str) -> str:
    built = [path for preset in ("dev", "asan") if (path := ROOT / "build" / preset / "tests/contract" / name).exists()]
    assert built, f"{name} is not built: ./build.sh dev"
    return str(max(built, key=lambda path: path.stat().st_mtime))


def test_the_cri_client_agrees_with_a_real_containerd(lab):
    machine = lab.machine("n1")
    machine.until("containerd answers", lambda: machine.try_("ctr", "version").code == 0)
    pid = lab.status()["n1"]["pid"]
    pause = f"registry.k8s.io/pause:{versions.kubernetes(VERSION).pause}"
    # A socket is found by its path, whatever namespaces lie between.
    surroundings = os.environ | {
        "KUBESTRAP_CRI_SOCKET": f"unix:///proc/{pid}/root/run/containerd/containerd.sock",
        "KUBESTRAP_CRI_IMAGE": pause,
    }
    done = subprocess.run([newest_program("test_contract_cri")], env=surroundings, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped: KUBESTRAP_" not in done.stdout, done.stdout
    assert re.search(r"containerd v?2\.", done.stdout), done.stdout  # as the machine's runtime calls itself
    assert pause in machine.run("ctr", "-n", "k8s.io", "images", "ls", "-q")
