"""`kubestrap preflight` on real machines: what it sees, what it puts right, and that looking leaves nothing behind.

What the kernel keeps apart by namespace only (forwarding, files, containerd) is put right here; swap, modules and vm.* are
the fakes' business (tests/flow/preflight_test.cpp).
"""

import json
import os
import re
import shutil
import subprocess

import pytest
from kubelab import packages, progress
from testbed import COMMANDS, CONFIG

CONTAINERD = "/etc/containerd/config.toml"
FORWARDING = "FileContent--proc-sys-net-ipv4-ip_forward"


@pytest.fixture(scope="module")
def machine(lab):
    return lab.machine("n1")


@pytest.fixture
def n1(machine):
    """Bare each time: what one scenario left half done is nothing to the next."""
    machine.lab.reset(machine)
    machine.write(CONFIG, machine.config())
    return machine


@pytest.fixture(scope="session")
def strace():
    if not shutil.which("strace"):
        packages.install(["strace"], progress.Progress())
    return "strace"


def preflight(machine, *flags: str):
    """What it says, and the findings by name; several of a name are told apart by nobody here."""
    result = machine.try_("kubestrap", "preflight", "--config", CONFIG, "-o", "json", *flags)
    document = result.json
    assert (document["apiVersion"], document["kind"]) == ("output.kubestrap.io/v1alpha1", "Preflight")
    assert result.code == (3 if document["refused"] else 0), str(result)
    for finding in document["findings"]:
        assert finding["evidence"] and finding["remedy"], finding
    return document, {finding["name"]: finding for finding in document["findings"]}


def test_a_fit_machine_is_not_refused_for_any_purpose(n1):
    for purpose in (), ("join",), ("join", "--control-plane"):
        result = n1.try_("kubestrap", "preflight", *purpose, "--config", CONFIG)
        assert result.code == 0, str(result)
        assert not re.search("^error ", result.out, re.M), result.out
    _, findings = preflight(n1)
    # Rules, overlay mounts and namespaces were tried here, and pods are going to need all of them.
    assert not {"Iptables", "KernelFeatures", "SharedAddress", "MachineId", "DiskSpace"} & findings.keys(), findings


def test_forwarding_is_put_right_and_recorded(n1):
    n1.run("sysctl", "-w", "net.ipv4.ip_forward=0")
    document, findings = preflight(n1)
    assert document["refused"] and findings[FORWARDING]["severity"] == "error"
    assert findings[FORWARDING]["fixable"] and not document["changed"]

    planned, _ = preflight(n1, "--fix", "--dry-run")
    assert planned["changed"] and n1.read("/proc/sys/net/ipv4/ip_forward") == "0\n"

    fixed, findings = preflight(n1, "--fix")
    assert fixed["changed"] and not fixed["refused"] and FORWARDING not in findings, fixed
    assert n1.read("/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert "net.ipv4.ip_forward = 1" in n1.read("/etc/sysctl.d/99-kubestrap-ipv4-forwarding.conf")
    records = [json.loads(line) for line in n1.read("/var/lib/kubestrap/journal").splitlines()]
    (record,) = [one for one in records if one.get("target") == {"sysctl": "net.ipv4.ip_forward"}]
    assert record["before"] == {"value": "0"}

    again, _ = preflight(n1, "--fix")
    assert not again["changed"]


def test_what_containerd_does_is_asked_of_it_and_put_right_in_its_file(n1):
    before = n1.read(CONTAINERD)
    wanted = re.search(r"pause:[\d.]+", before)[0]
    n1.sh(r"sed -i 's/pause:[0-9.]*/pause:3.6/; s/SystemdCgroup = true/SystemdCgroup = false/' $1; systemctl restart containerd", CONTAINERD)
    _, findings = preflight(n1)
    assert "pause:3.6" in findings["SandboxImage"]["evidence"] and findings["SandboxImage"]["fixable"]
    assert "cgroupfs" in findings["CgroupDriver"]["evidence"] and findings["CgroupDriver"]["fixable"]

    fixed, findings = preflight(n1, "--fix")
    assert not {"SandboxImage", "CgroupDriver"} & findings.keys(), fixed
    restarts = [change for change in fixed["changes"] if change["subject"] == "service containerd"]
    assert [change["verb"] for change in restarts] == ["start"], fixed["changes"]
    after = n1.read(CONTAINERD)
    assert wanted in after and "SystemdCgroup = true" in after
    # Nothing else was touched, comments included.
    assert len(after.splitlines()) == len(before.splitlines())
    assert [line for line in after.splitlines() if "pause:" not in line] == [line for line in before.splitlines() if "pause:" not in line]


def test_only_what_the_configuration_admits_is_put_right(n1):
    n1.run("sysctl", "-w", "net.ipv4.ip_forward=0")
    kubestrap = "---\napiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nlayout: plain\npreflight:\n  fix: [{}]\n"
    n1.write(CONFIG, n1.config(layout=None) + kubestrap.format("SandboxImage"))
    fixed, findings = preflight(n1, "--fix")
    assert not fixed["changed"] and FORWARDING in findings
    n1.write(CONFIG, n1.config(layout=None) + kubestrap.format("NumCPU"))
    refused = n1.try_("kubestrap", "preflight", "--config", CONFIG, "--fix")
    assert refused.code == 2 and "NumCPU" in refused.err, str(refused)
    n1.write(CONFIG, n1.config())
    ignored, findings = preflight(n1, f"--ignore-preflight-errors={FORWARDING.lower()}")
    assert not ignored["refused"] and findings[FORWARDING]["severity"] == "warning"


def test_who_holds_a_port_is_told_by_process_and_unit(n1):
    listen = "import socket,time; s=socket.create_server(('127.0.0.1', 10259)); time.sleep(3600)"
    if n1.try_("test", "-x", "/usr/bin/python3").code == 0:
        command = ("/usr/bin/python3", "-c", listen)
    else:
        command = ("/usr/bin/perl", "-MIO::Socket::INET", "-e",
                   "my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1:10259', Listen => 1) or die; sleep 3600")
    n1.run("systemd-run", "--unit", "squatter", *command)
    try:
        found = n1.until("the port is held", lambda: preflight(n1)[1].get("Port-10259"), 30)
        assert re.search(r"held by \w+.* \(pid \d+, squatter\.service\) on 127\.0\.0\.1", found["evidence"]), found
        assert "systemctl disable --now squatter.service" in found["remedy"]
    finally:
        n1.run("systemctl", "stop", "squatter")


def test_an_address_that_a_neighbour_has_as_well_is_noticed(n1, lab):
    other = lab.machine("w1")
    device = n1.sh("ip -o route get 192.0.2.1 | sed 's/.* dev \\([^ ]*\\).*/\\1/'").strip()
    mac = other.read(f"/sys/class/net/{device}/address").strip()
    assert "SharedAddress" not in preflight(n1)[1]
    other.run("ip", "address", "add", f"{n1.address}/32", "dev", device)
    try:
        found = preflight(n1)[1]["SharedAddress"]
        assert mac in found["evidence"] and n1.address in found["evidence"], found
    finally:
        other.run("ip", "address", "del", f"{n1.address}/32", "dev", device)
        lab.off(other)


# ---- looking


def planned(machine, *before: str) -> list[str]:
    """The changes of a plan, with the name of the token that is made up anew each time left out."""
    # A disk that cannot be written is what preflight has to object to.
    flags = ("--dry-run", "--exit-code", "--ignore-preflight-errors=DiskSpace")
    shown = machine.try_(*before, "kubestrap", "init", "--config", CONFIG, *flags)
    assert shown.code == 4, str(shown)
    return [re.sub(r"bootstrap-token-\w+", "bootstrap-token", line) for line in shown.out.splitlines() if " will " in line]


def test_a_dry_run_is_the_same_where_nothing_can_be_written(n1):
    free = planned(n1)
    assert len(free) > 40
    # Every file system of the machine but /proc, /sys and /dev is read-only to this run, /tmp and /run too.
    path = n1.sh("echo $PATH").strip()
    bound = ("systemd-run", "--quiet", "--pipe", "--wait", "-p", "ReadOnlyPaths=/", "-p", f"Environment=PATH={path}")
    assert n1.try_(*bound, "touch", "/tmp/it").code != 0
    assert planned(n1, *bound) == free


WRITES = re.compile(
    r"(?P<call>open|openat|openat2|creat|mkdir|mkdirat|unlink|unlinkat|rename|renameat|renameat2|link|linkat|symlink|symlinkat"
    r"|truncate|ftruncate|mknod|mknodat|chmod|fchmod|fchmodat|chown|fchown|fchownat|lchown|utimensat)\((?P<rest>.*)"
)


def test_a_dry_run_makes_no_call_that_would_change_a_file(n1, tmp_path, strace):
    trace = tmp_path / "trace"
    command = [COMMANDS / "exec", "--name", n1.lab.name, n1.name, "--", "kubestrap", "init", "--config", CONFIG, "--dry-run"]
    calls = "execve,clone,clone3,fork,vfork,%file,ftruncate,fchmod,fchown"
    done = subprocess.run([strace, "-f", "-qq", "-s", "200", "-e", f"trace={calls}", "-o", trace, *command],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env=os.environ)
    assert done.returncode == 0, done.stderr
    ours, found = set(), []  # the processes of kubestrap but those that try things in namespaces of their own
    for line in trace.read_text().splitlines():
        pid, call = line.split(None, 1)
        if call.startswith("execve("):
            program = re.match(r'execve\("([^"]*)"', call)[1].rsplit("/", 1)[-1]
            if "= 0" in call:
                if program == "kubestrap":
                    ours.add(pid)
                elif program == "unshare":
                    ours.discard(pid)
            continue
        child = re.match(r"(?:clone|clone3|fork|vfork)\(.*= (\d+)$|<\.\.\. (?:clone|clone3|fork|vfork) resumed>.*= (\d+)$", call)
        if child and pid in ours:
            ours.add(child[1] or child[2])
        write = WRITES.match(call)
        if not write or pid not in ours:
            continue
        if write["call"].startswith("open") and not re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)", call):
            continue
        if '"/dev/null"' in call:
            continue
        found.append(line)
    assert ours, "kubestrap was not seen"
    assert found == []
