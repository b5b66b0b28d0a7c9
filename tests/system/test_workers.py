"""Workers get the kubelet of the cluster's version from one place: their pods move once each, a budget that holds one is named, and a driver that is killed is followed by another."""

import json
import threading
import time

import pytest

from kubelab import versions
from test_join import IGNORED, join, join_words
from test_pivot import hosted
from testbed import OLDER, VERSION

pytestmark = pytest.mark.long
KUBELET = f"/opt/kubernetes/{VERSION}/kubelet"
WORKERS = ("w1", "w2", "w3")
MARK = "kubestrap.io/upgrade-workers"


def deployment(name: str, replicas: int, available: int) -> str:
    """Pods that serve, and a budget that wants so many of them."""
    labels = {"app": name}
    container = {"name": "test", "image": versions.TEST_IMAGE, "imagePullPolicy": "Never", "command": ["testtool", "serve", ":8080"],
                 "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1}}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
         "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                  "template": {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}}},
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": f"{name}-budget"},
         "spec": {"minAvailable": available, "selector": {"matchLabels": labels}}}]})


class Followed:
    """The names of all pods with a label that there have been."""

    def __init__(self, node, label: str):
        self.names: set[str] = set()
        self.process = node.popen("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", "get", "pods", "-l", label, "-w", "-o", "name")
        threading.Thread(target=lambda: self.names.update(line.strip() for line in self.process.stdout), daemon=True).start()

    def end(self) -> set[str]:
        self.process.kill()
        self.process.wait(10)
        return self.names


def kubelets(node) -> dict[str, str]:
    return {each["metadata"]["name"]: each["status"]["nodeInfo"]["kubeletVersion"] for each in node.get("nodes")["items"] if each["metadata"]["name"] in WORKERS}


def closed(node) -> set[str]:
    return {each["metadata"]["name"] for each in node.get("nodes")["items"] if each["spec"].get("unschedulable")}


def marks(node) -> dict[str, str]:
    found = {each["metadata"]["name"]: each["metadata"].get("annotations", {}).get(MARK) for each in node.get("nodes")["items"]}
    return {name: mark for name, mark in found.items() if mark is not None}


def upgrade(node, *words: str, timeout: float = 900):
    began = time.monotonic()
    done = node.try_("kubestrap", "upgrade", "workers", "--kubelet", KUBELET, IGNORED, "--yes", *words, timeout=timeout)
    print(f"upgrade workers {' '.join(words)}: exit code {done.code} after {time.monotonic() - began:.1f} s")
    return done


@pytest.fixture(scope="module")
def node(lab):
    """A control plane, and three workers with the older kubelet: a single pod is on the first of them, the others are on the other two."""
    first = lab.machine("n1")
    made = first.init(config=hosted(first))
    assert made.code == 0, str(made)
    for name in WORKERS:
        joined = join(lab.machine(name, OLDER, also=(VERSION,)), join_words(first), timeout=400)
        assert joined.code == 0, str(joined)
    lab.install_pod_network(first)
    first.wait_ready()
    for name, replicas, available, others in (("held", 1, 1, ("w2", "w3")), ("web", 6, 5, ("w1",))):
        first.kubectl("cordon", *others)
        first.kubectl("apply", "-f", "-", input=deployment(name, replicas, available))
        first.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s", timeout=140)
        first.kubectl("uncordon", *others)
    first.until("the budgets are known", lambda: all(each.get("status", {}).get("expectedPods") for each in first.get("pdb")["items"]))
    return first


@pytest.fixture(scope="module")
def followed(node):
    return Followed(node, "app=web")


def test_a_dry_run_shows_the_steps_and_what_holds(node, followed):
    before = node.get("nodes")["items"]
    planned = node.try_("kubestrap", "upgrade", "workers", "--kubelet", KUBELET, "--dry-run", "-o", "json")
    assert planned.code == 0, str(planned)
    assert planned.json["to"] == f"v{VERSION}" and planned.json["changed"], str(planned)
    assert planned.json["steps"][0]["name"] == "w1: is closed, and its pods move", planned.json
    assert "disruption budget held-budget" in planned.err, planned.err
    assert [each["spec"] for each in node.get("nodes")["items"]] == [each["spec"] for each in before]


def test_what_keeps_a_worker_from_it_is_told_of_all_before_any_pod_has_moved(node, followed):
    pods = node.kubectl("get", "pods", "-o", "name")
    refused = node.try_("kubestrap", "upgrade", "workers", "--kubelet", "/nowhere/kubelet", IGNORED, "--yes", timeout=300)
    assert refused.code == 1, str(refused)
    for name in WORKERS:
        assert f"{name}: there is no /nowhere/kubelet on it" in refused.err, str(refused)
    assert node.kubectl("get", "pods", "-o", "name") == pods
    assert not closed(node) and not marks(node)


def test_a_budget_that_holds_a_pod_is_named_and_all_take_pods_again(node, followed):
    held = upgrade(node, "--drain-timeout", "15s")
    assert held.code == 1, str(held)
    assert "default/held-" in held.err and "disruption budget held-budget" in held.err, held.err
    assert set(kubelets(node).values()) == {f"v{OLDER}"}  # the one with the fewest pods went first
    assert not closed(node) and not marks(node)


def test_a_driver_that_is_killed_is_followed_by_another_and_every_pod_has_moved_once(node, followed):
    node.kubectl("delete", "pdb", "held-budget")
    driver = node.popen("kubestrap", "upgrade", "workers", "--kubelet", KUBELET, IGNORED, "--yes")
    node.until("one is through, another has its turn, and the third is closed ahead of its own", lambda: sorted(marks(node).values()) == ["ahead", "turn"])
    assert kubelets(node)["w1"] == f"v{VERSION}"
    node.sh("kill -9 $(pidof kubestrap | tr ' ' '\\n' | while read p; do grep -qz workers /proc/$p/cmdline && echo $p; done)")
    driver.wait(timeout=30)
    done = upgrade(node, "--parallel", "2", "-o", "json")
    assert done.code == 0, str(done)
    assert set(kubelets(node).values()) == {f"v{VERSION}"}
    assert not closed(node) and not marks(node)
    assert node.kubectl("-n", "kube-system", "get", "pods", "-l", "kubestrap.io/node-op", "-o", "name") == ""
    node.wait_ready()
    names = followed.end()
    print(f"{len(names)} pods in all, for 6 that were to be upgraded around")
    assert len(names) == 12, names  # each of them was made anew once
    again = upgrade(node, "-o", "json")
    assert again.code == 0 and not again.json["changed"], str(again)
