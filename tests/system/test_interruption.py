"""Init that is killed, interrupted or loses power goes on from there, and ends as one that was not."""

import re
import time

import pytest
from testbed import CONFIG

MOMENTS = [
    ("[certs/apiserver]", 0),
    ("[etcd/local]", 0),
    ("service kubelet", 1.5),
    ("[upload-config/kubeadm]", 0),
    ("[addon/coredns]", 0),
]
SPREAD = [
    ("[addon/coredns]", 0.01),
    ("[preflight]", 0),
    ("[preflight]", 0.005),
    ("[certs/ca]", 0.001),
    ("[certs/front-proxy-ca]", 0),
    ("[certs/etcd-peer]", 0.002),
    ("[certs/sa]", 0),
    ("[kubeconfig/admin]", 0),
    ("[kubeconfig/kubelet]", 0.001),
    ("[kubeconfig/scheduler]", 0),
    ("[control-plane/apiserver]", 0),
    ("[control-plane/scheduler]", 0.001),
    ("kubeadm-flags.env", 0),
    ("config.yaml", 0),
    ("service kubelet", 0),
    ("service kubelet", 0.3),
    ("service kubelet", 0.8),
    ("service kubelet", 2.5),
    ("service kubelet", 3.5),
    ("the API server answers", 0),
    ("kubeadm:cluster-admins", 0),
    ("[upload-config/kubelet]", 0.005),
    ("[mark-control-plane]", 0),
    ("[bootstrap-token]", 0.02),
    ("[kubelet-finalize", 0),
    ("[addon/kube-proxy]", 0.005),
]


@pytest.fixture(scope="module")
def machine(lab):
    return lab.machine("n1")


@pytest.fixture
def bare(machine):
    machine.lab.reset(machine)
    machine.give_pod_network()
    return machine


def ends_as_if_nothing_had_been(machine) -> None:
    """The same command again makes a Ready cluster, and a third run finds nothing to do."""
    again = machine.init()
    assert again.code == 0, str(again)
    machine.wait_nodes_ready()
    third = machine.init("--exit-code", "-o", "json")
    assert third.code == 0, str(third)
    assert {change["verb"] for change in third.json["changes"]} == {"keep"}
    tokens = machine.get("secrets", "-n", "kube-system", "--field-selector=type=bootstrap.kubernetes.io/token")["items"]
    assert len(tokens) == 1
    left = [path for path in machine.listing("/etc/kubernetes", "/var/lib/kubelet/config.yaml") if is_temporary(path)]
    assert left == []


def is_temporary(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.startswith(".") or not re.fullmatch(r"[\w-]+(\.(crt|key|pub|conf|yaml))?", name)


@pytest.mark.parametrize(
    ("text", "delay"), MOMENTS + [pytest.param(*one, marks=pytest.mark.long) for one in SPREAD], ids=lambda value: str(value)
)
def test_init_that_was_killed_goes_on(bare, text, delay):
    bare.write(CONFIG, bare.config())
    said = bare.stop("init", "--config", CONFIG, text=text, delay=delay)
    assert text in said, said
    assert "ended 137" in said, f"it was not killed in time:\n{said}"
    ends_as_if_nothing_had_been(bare)


def test_an_interrupt_ends_init_with_a_clear_line(bare):
    bare.write(CONFIG, bare.config())
    process = bare.popen("sh", "-c", f"echo $$ >/run/init; exec kubestrap init --config {CONFIG}")
    said = []
    for line in process.stderr:
        said.append(line)
        if "service kubelet" in line:
            break
    pid = bare.read("/run/init").strip()
    begun = time.monotonic()
    bare.run("kill", "-INT", pid)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(said) + rest
    assert time.monotonic() - begun < 15
    assert out == ""
    assert "interrupted" in rest.splitlines()[0] + rest.splitlines()[-1], rest
    assert '"interrupted"' in bare.read("/var/lib/kubestrap/journal").splitlines()[-1]
    ends_as_if_nothing_had_been(bare)


def test_a_machine_that_loses_power_comes_back_ready(bare):
    done = bare.init()
    assert done.code == 0, str(done)
    bare.lab.call("power-off", bare.name)
    bare.lab.call("power-on", bare.name)
    bare.until("the API server answers", lambda: bare.kubectl("get", "--raw", "/readyz") == "ok")
    begun = bare.run("stat", "-c", "%Y", "/proc/1").strip()
    bare.until("the kubelet is back", lambda: lease_renewed_after(bare, float(begun)))
    bare.wait_ready()
    again = bare.init("--exit-code")
    assert again.code == 0, str(again)


def lease_renewed_after(machine, moment: float) -> bool:
    renewed = machine.get("lease", machine.name, "-n", "kube-node-lease")["spec"]["renewTime"]
    return float(machine.run("date", "-d", renewed, "+%s")) > moment


def test_power_that_goes_while_init_runs_is_no_matter(bare):
    bare.write(CONFIG, bare.config())
    process = bare.popen("kubestrap", "init", "--config", CONFIG)
    for line in process.stderr:
        if "[control-plane/apiserver]" in line:
            break
    bare.lab.call("power-off", bare.name)
    process.communicate(timeout=60)
    bare.lab.call("power-on", bare.name)
    ends_as_if_nothing_had_been(bare)
