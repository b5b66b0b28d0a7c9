"""Many workers that join one control plane at the same time. They are light: runtime and kubelet are real, and no pod comes to them."""

import base64
import subprocess

import pytest

from test_join import IGNORED, join, join_words
from testbed import Machine

SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
# Says that it is there, and joins when there is a line on its input.
TOGETHER = 'echo there; read -r line; exec kubestrap "$@"'


@pytest.fixture(scope="module")
def first(lab):
    machine = lab.machine("n1")
    machine.give_pod_network()
    made = machine.init("--skip-phases", "addon/kube-proxy")
    assert made.code == 0, str(made)
    machine.wait_nodes_ready()
    return machine


def subject(request) -> str:
    pem = base64.b64decode(request["spec"]["request"])
    return subprocess.run(["openssl", "req", "-noout", "-subject", "-nameopt", "RFC2253"], input=pem, capture_output=True, check=True).stdout.decode().strip()


def standing(request) -> tuple[set[str], bool]:
    """Of what it was judged, and whether it has its certificate."""
    return {each["type"] for each in request["status"].get("conditions", [])}, "certificate" in request["status"]


@pytest.mark.long
@pytest.mark.parametrize("count", [5, 20])
def test_workers_that_join_at_the_same_time_all_become_nodes(first, count):
    lab = first.lab
    names = [f"w{number}" for number in range(1, count + 1)]
    for kind in ("nodes", "csr"):
        first.kubectl("delete", kind, "--field-selector=metadata.name!=n1")
    lab.call("machine", "--fresh", "--no-images", *names)
    workers = [Machine(lab, name) for name in names]
    for worker in workers:
        worker.give_pod_network()
    words = join_words(first)
    running = [worker.popen("sh", "-c", TOGETHER, "sh", *words, IGNORED, "--node-name", worker.name, stdin=subprocess.PIPE) for worker in workers]
    for process in running:
        assert process.stdout.readline() == "there\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    said = {process: process.communicate(timeout=300) for process in running}
    failed = ["".join(texts) for process, texts in said.items() if process.returncode != 0]
    assert not failed, f"{len(failed)} of {count} failed:\n" + "\n".join(failed)

    first.until("all have registered", lambda: len(first.get("nodes")["items"]) == count + 1)
    first.wait_nodes_ready()
    assert {node["metadata"]["name"] for node in first.get("nodes")["items"]} == {"n1", *names}
    # One request of each, approved and signed; none denied, none that waits. The control plane's kubelet has its first certificate renewed.
    requests = [each for each in first.get("csr")["items"] if each["spec"]["signerName"] == SIGNER and each["spec"]["username"] != "system:node:n1"]
    assert sorted(map(subject, requests)) == sorted(f"subject=CN=system:node:{name},O=system:nodes" for name in names)
    assert [standing(each) for each in requests] == [({"Approved"}, True)] * count
    for worker in workers:
        assert worker.try_("test", "-e", "/etc/kubernetes/bootstrap-kubelet.conf").code == 1
    again = join(workers[-1], words, "--exit-code")
    assert again.code == 0, str(again)
    lab.off(*workers)
