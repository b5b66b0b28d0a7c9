"""Whether a cluster does for its users what it is there for: after an upgrade, and whatever else it went through."""

import json

from kubelab import versions
from test_join import works_across_nodes
from testbed import PATIENCE


def deployment(name: str, greeting: str) -> str:
    container = {
        "name": "test",
        "image": versions.TEST_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["testtool", "serve", ":8080"],
        "env": [{"name": "GREETING", "value": greeting}],
        "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 0, "tolerations": [{"operator": "Exists"}], "containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})


def rolls_out(first) -> None:
    """A Deployment, and another revision of it."""
    for greeting in ("first", "second"):
        first.kubectl("apply", "-f", "-", input=deployment("rolled", greeting))
        first.kubectl("rollout", "status", "deployment/rolled", f"--timeout={PATIENCE}s", timeout=PATIENCE + 20)
    assert first.in_pod("deployment/rolled", "sh", "-c", "echo $GREETING").strip() == "second"
    first.kubectl("delete", "deployment", "rolled")


def keeps_volumes(first, pod: str) -> None:
    """What the cluster puts into a pod, and what the pod writes into a volume of its own."""
    assert "BEGIN CERTIFICATE" in first.in_pod(pod, "cat", "/authorities/ca.crt")
    assert first.in_pod(pod, "sh", "-c", "echo kept >/memory/note && cat /memory/note").strip() == "kept"


def work(first, *names: str) -> None:
    """Pod to pod and by service on every pair of these nodes, DNS, logs, exec, a rollout, a volume."""
    works_across_nodes(first, *names)
    rolls_out(first)
    keeps_volumes(first, f"on-{names[0]}")
