"""Joins that must not succeed: each ends with its own error, soon, and leaves neither machine nor cluster otherwise than they were."""

import base64
import contextlib
import hashlib
import hmac
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from test_join import CERTIFICATE_KEY, STATE, etcd_members, join, join_words, with_endpoint
from testbed import CONFIG

AS_CONTROL_PLANE = ("--control-plane", "--certificate-key", CERTIFICATE_KEY)
IMPOSTORS_PORT = "7443"


@pytest.fixture(scope="module")
def first(lab):
    machine = lab.machine("n1")
    machine.give_pod_network()
    made = machine.init("--upload-certs", config=with_endpoint(machine))
    assert made.code == 0, str(made)
    machine.wait_ready()
    return machine


@pytest.fixture(scope="module")
def machine(first):
    return first.lab.machine("n2")


def of_cluster(control_plane) -> dict[str, list[str]]:
    """Names of all that a join could leave there. Tokens go by themselves."""
    kinds = "nodes", "csr", "leases -n kube-system", "leases -n kube-node-lease", "secrets -n kube-system", "pods -n kube-system"
    names = {kind: control_plane.kubectl("get", *kind.split(), "-o", "name").split() for kind in kinds}
    names["secrets -n kube-system"] = [name for name in names["secrets -n kube-system"] if "/bootstrap-token-" not in name]
    return names | {"etcd": sorted(etcd_members(control_plane).items())}


def of_machine(machine) -> tuple[dict[str, str], str]:
    """Its files, of which folders say nothing by their time, and what runs in containers. The lab's kubelet starts again and again by itself."""
    folders = [path for path in (*STATE, "/etc/cni") if machine.try_("test", "-e", path).code == 0]
    files = {path: what for path, what in machine.listing(*folders).items() if not what.startswith("d ")}
    return files, machine.run("ctr", "-n", "k8s.io", "tasks", "ls", "-q")


def refused(first, machine, words, *expected: str, code: int = 1, within: float = 20) -> float:
    """How long it took."""
    before = of_machine(machine), of_cluster(first)
    began = time.monotonic()
    result = join(machine, words, timeout=150)
    took = time.monotonic() - began
    assert result.code == code, str(result)
    for text in expected:
        assert text in result.err, str(result)
    assert took < within, f"{took:.1f} s\n{result}"
    print(f"{took:.1f} s: {result.err.strip().splitlines()[-1]}")
    assert (of_machine(machine), of_cluster(first)) == before, str(result)
    return took


# ---- what had been there, and is there no more


@pytest.mark.long
def test_a_token_that_expired_and_was_removed_is_refused(first, machine):
    words = join_words(first, "--ttl", "2s")
    secret = f"bootstrap-token-{words[words.index('--token') + 1].split('.')[0]}"
    first.until("it is removed", lambda: secret not in first.kubectl("get", "secrets", "-n", "kube-system", "-o", "name"))
    refused(first, machine, words, "does not know the token", "it is mistyped, has expired, or was deleted", "token create")


@contextlib.contextmanager
def controllers_stand_still(control_plane):
    """So that nobody removes what has expired. The controller-manager loses its Lease meanwhile, ends when it goes on, and comes back."""
    process = control_plane.sh("pgrep -o -x kube-controller").strip()
    control_plane.run("kill", "-STOP", process)
    try:
        yield
    finally:
        control_plane.run("kill", "-CONT", process)
        healthz = "curl", "-sk", "https://127.0.0.1:10257/healthz"
        control_plane.until("the controller-manager is back", lambda: control_plane.try_(*healthz).out == "ok")


def test_a_token_that_expired_and_is_still_there_is_refused(first, machine):
    words = join_words(first, "--ttl", "10s")
    name = words[words.index("--token") + 1].split(".")[0]
    first.until("it is signed for", lambda: f"jws-kubeconfig-{name}" in first.get("configmap", "cluster-info", "-n", "kube-public")["data"])
    with controllers_stand_still(first):
        expires = first.get("secret", f"bootstrap-token-{name}", "-n", "kube-system")["data"]["expiration"]
        moment = first.run("date", "-d", base64.b64decode(expires).decode(), "+%s")
        time.sleep(max(0.0, float(moment) + 1 - time.time()))
        refused(first, machine, words, "does not accept the bootstrap token", "it has expired", "token create")


def test_uploaded_certificates_that_are_gone_are_told_of(first, machine):
    words = [*join_words(first), *AS_CONTROL_PLANE]
    machine.write("/root/certificates.yaml", first.kubectl("-n", "kube-system", "get", "secret", "kubeadm-certs", "-o", "yaml"), "600")
    first.kubectl("-n", "kube-system", "delete", "secret", "kubeadm-certs")
    gone = "the cluster keeps no uploaded certificates", "/etc/kubernetes/pki/sa.key", "/etc/kubernetes/pki/etcd/ca.crt", "upload-certs --upload-certs"
    try:
        refused(first, machine, words, *gone, code=3)
        handed = join(machine, words, "--certificates-file", "/root/certificates.yaml", "--dry-run")
        assert handed.code == 0 and "/etc/kubernetes/pki/ca.key" in handed.out, str(handed)
    finally:
        first.run("kubestrap", "init", "phase", "upload-certs", "--upload-certs", "--config", CONFIG)


# ---- somebody between


@contextlib.contextmanager
def impostor(lab, tmp_path, cluster_info: dict, certificate: Path):
    """Its address, on the switch between the machines, and what it was asked."""
    known = json.loads(lab.call("status", "-o", "json"))["machines"][0]
    address = known["address"].rsplit(".", 1)[0] + ".1"
    (tmp_path / "cluster-info.json").write_text(json.dumps(cluster_info))
    program = [sys.executable, Path(__file__).with_name("impostor.py"), address, IMPOSTORS_PORT, certificate, tmp_path / "cluster-info.json"]
    asked: list[str] = []
    with subprocess.Popen(["ip", "netns", "exec", f"lab-{lab.name}", *program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "serving\n"
            yield f"{address}:{IMPOSTORS_PORT}", asked
        finally:
            process.terminate()
            asked += process.stdout.read().splitlines()


@pytest.fixture
def authority(tmp_path) -> Path:
    """A certificate that is its own authority, and its key."""
    file = tmp_path / "impostor.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=kubernetes".split()
    subprocess.run([*words, "-addext", "subjectAltName=DNS:kubernetes", "-keyout", file, "-out", tmp_path / "ca.crt"], check=True, stderr=subprocess.DEVNULL)
    file.write_bytes(file.read_bytes() + (tmp_path / "ca.crt").read_bytes())
    return file


def with_authority(cluster_info: dict, certificate: Path) -> dict:
    """The same, but that it names another authority."""
    kubeconfig = yaml.safe_load(cluster_info["data"]["kubeconfig"])
    kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(certificate.with_name("ca.crt").read_bytes()).decode()
    return cluster_info | {"data": cluster_info["data"] | {"kubeconfig": yaml.safe_dump(kubeconfig)}}


def signed(cluster_info: dict, token: str) -> dict:
    """As whoever knows the token can sign it."""

    def encoded(text: bytes) -> str:
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()

    name, secret = token.split(".")
    header = encoded(json.dumps({"alg": "HS256", "kid": name}, separators=(",", ":")).encode())
    signature = hmac.digest(secret.encode(), f"{header}.{encoded(cluster_info['data']['kubeconfig'].encode())}".encode(), hashlib.sha256)
    return cluster_info | {"data": cluster_info["data"] | {f"jws-kubeconfig-{name}": f"{header}..{encoded(signature)}"}}


FORGERIES = {
    "its own authority, and the signature of the cluster": "signature of cluster-info",
    "its own authority, and a signature by the token": "the authority of the cluster is sha256:",
    "what the cluster has, with a certificate of its own": "shows a certificate that the cluster's authority has not signed",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_man_in_the_middle_is_not_believed_and_learns_no_secret(first, machine, tmp_path, authority, forgery):
    words = join_words(first)
    token = words[words.index("--token") + 1]

    def genuine():
        found = first.get("configmap", "cluster-info", "-n", "kube-public")
        return found if f"jws-kubeconfig-{token.split('.')[0]}" in found["data"] else None

    shown = first.until("the token is signed for", genuine)
    if "its own authority" in forgery:
        shown = with_authority(shown, authority)
    if "by the token" in forgery:
        shown = signed(shown, token)
    with impostor(first.lab, tmp_path, shown, authority) as (server, asked):
        words[words.index(f"{first.address}:6443")] = server
        refused(first, machine, words, FORGERIES[forgery], "somebody")
    # It is read without verification, whereby nothing may be said that is worth knowing.
    assert asked and {line.split(" ", 1)[1] for line in asked} == {"no credentials"}, asked
    assert not any(part in line for line in asked for part in token.split(".")), asked


# ---- firewalls


@contextlib.contextmanager
def blocked(*rules: tuple):
    """Packets to port 2380 of these machines that come from those addresses are dropped."""
    words = [(machine, ("INPUT", "-p", "tcp", "--dport", "2380", "-s", source, "-j", "DROP")) for machine, source in rules]
    for machine, rule in words:
        machine.run("iptables", "-I", *rule)
    try:
        yield
    finally:
        for machine, rule in words:
            machine.run("iptables", "-D", *rule)


WAYS = "to the machine that joins", "from it", "both ways"


@pytest.fixture(scope="module", params=WAYS)
def unreached(first, machine, request):
    """A join of a control plane whose etcd and the other one do not get through, and what was there before and after it; then the way is open."""
    first.lab.reset(machine)
    first.kubectl("delete", "node", machine.name, "--ignore-not-found")
    rules = [(machine, first.address)] * (request.param != "from it") + [(first, machine.address)] * (request.param != "to the machine that joins")
    words = [*join_words(first), *AS_CONTROL_PLANE]
    before = of_machine(machine), of_cluster(first)
    began = time.monotonic()
    with blocked(*rules):
        result = join(machine, words, timeout=300)
    print(f"{request.param}: {time.monotonic() - began:.1f} s: {result.err[result.err.rindex('error: '):]}")
    return {"words": words, "result": result, "seconds": time.monotonic() - began, "before": before, "after": (of_machine(machine), of_cluster(first))}


@pytest.mark.long
def test_a_control_plane_whose_etcd_is_not_reached_is_told_so_soon(unreached):
    result = unreached["result"]
    assert result.code == 3, str(result)
    assert "PeersReachable: port 2380 of " in result.err and "firewalls between control planes" in result.err, str(result)
    assert unreached["seconds"] < 60, f"{unreached['seconds']:.1f} s\n{result}"


@pytest.mark.long
def test_a_control_plane_whose_etcd_is_not_reached_leaves_no_member(unreached):
    assert unreached["after"][1]["etcd"] == [("n1", False)], str(unreached["result"])


@pytest.mark.long
def test_a_control_plane_whose_etcd_is_not_reached_leaves_machine_and_cluster_as_they_were(unreached):
    assert unreached["after"] == unreached["before"], str(unreached["result"])


@pytest.mark.long
def test_a_control_plane_whose_etcd_is_reached_again_joins(first, machine, unreached):
    joined = join(machine, unreached["words"])
    assert joined.code == 0, str(joined)
    assert etcd_members(first) == {"n1": False, "n2": False}
    left = machine.try_("kubestrap", "reset", "--force")
    assert left.code == 0, str(left)
    assert etcd_members(first) == {"n1": False}
