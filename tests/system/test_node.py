"""Nodes that are taken out of a cluster from one place, whether they run or are gone."""

import json
import shlex

import pytest

from test_join import IGNORED
from test_pivot import three_control_planes
from test_reset import is_as_before, members, names

SERVERS = "/var/lib/kubestrap-front/apiservers.cfg"


@pytest.mark.long
def test_nodes_that_are_gone_and_nodes_that_run_are_removed(lab):
    first, second, third, worker = three_control_planes(lab)
    assert members(first) == {"n1", "n2", "n3"}
    unknown = first.run("kubestrap", "node", "remove", "n9", "--yes")
    assert unknown == ""

    lab.off(second)
    first.until("n2 is missed", lambda: "NotReady" in first.kubectl("get", "node", "n2", "--no-headers"))
    refused = first.try_("kubestrap", "node", "remove", "n3", "--yes")
    assert refused.code == 3 and "without it 2 members of etcd are left, of which 2 have to answer: n1 answers" in refused.err, str(refused)
    planned = first.run("kubestrap", "node", "remove", "n2", "--dry-run")
    assert planned == "n2: what the cluster knows of it is taken away\n"
    done = first.try_("kubestrap", "node", "remove", "n2", "--yes", "-o", "json")
    assert done.code == 0 and done.json["changed"], str(done)
    assert "etcd has 2 members now" in done.err
    assert members(first) == {"n1", "n3"}
    assert names(first, "nodes") == {"n1", "n3", "w1"}
    assert not {"n2", "kubestrap-guard-n2"} & (names(first, "leases -n kube-node-lease") | names(first, "leases -n kube-system"))
    first.until("the worker's balancer has forgotten n2", lambda: "server n2 " not in worker.read(SERVERS))

    for node, left in ((third, {"n1", "w1"}), (worker, {"n1"})):
        done = first.try_("kubestrap", "node", "remove", node.name, "--yes", timeout=300)
        assert done.code == 0, str(done)
        assert names(first, "nodes") == left
        node.until("its reset is over", lambda: node.try_("systemctl", "is-active", "kubestrap-reset").out.strip() == "inactive")
        is_as_before(node)
    assert members(first) == {"n1"}
    last = first.try_("kubestrap", "node", "remove", "n1", "--yes")
    assert last.code == 3 and "n1 is this machine" in last.err, str(last)
    assert first.kubectl("get", "--raw", "/readyz") == "ok"


def replaced(first, *words: str):
    """`node replace` as it runs, and the words with which the new machine joins."""
    running = first.popen("kubestrap", "node", "replace", *words, "--yes", "-o", "json")
    for line in running.stderr:
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "invitation":
            return running, shlex.split(event["joinCommand"])[1:]
    raise AssertionError(f"it did not say how the new machine joins, and ended with {running.wait(10)}")


def ended(running) -> None:
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, out + err


@pytest.mark.long
def test_nodes_that_are_gone_and_nodes_that_run_are_replaced(lab):
    first, second, third, worker = three_control_planes(lab)
    first.kubectl("label", "node", "n2", "w1", "disk=ssd")
    first.kubectl("taint", "node", "n2", "w1", "gpu=yes:PreferNoSchedule")
    refused = first.try_("kubestrap", "node", "replace", "w1", "--yes")
    assert refused.code == 2 and "w1 runs: its successor needs another name" in refused.err, str(refused)

    lab.off(second)
    first.until("n2 is missed", lambda: "NotReady" in first.kubectl("get", "node", "n2", "--no-headers"))
    planned = first.run("kubestrap", "node", "replace", "n2", "--dry-run")
    assert planned == "n2: its labels and taints are kept for n2\nn2: what the cluster knows of it is taken away\nwait until n2 is a node\n"
    running, words = replaced(first, "n2")
    assert members(first) == {"n1", "n3"}
    running.kill()  # the driver is lost; what it kept is not
    running.wait(10)
    running, words = replaced(first, "n2")
    second = lab.machine("n2")
    joined = second.try_("kubestrap", *words, IGNORED, timeout=300)
    assert joined.code == 0, str(joined)
    lab.install_pod_network(first)
    ended(running)
    assert members(first) == {"n1", "n2", "n3"}

    successor = lab.machine("w2")
    running, words = replaced(first, "w1", "--by", "w2")
    joined = successor.try_("kubestrap", *words, IGNORED, timeout=300)
    assert joined.code == 0, str(joined)
    lab.install_pod_network(first)
    ended(running)
    assert names(first, "nodes") == {"n1", "n2", "n3", "w2"}
    worker.until("its reset is over", lambda: worker.try_("systemctl", "is-active", "kubestrap-reset").out.strip() == "inactive")
    is_as_before(worker)
    for node in ("n2", "w2"):
        seen = first.get("node", node)
        assert seen["metadata"]["labels"]["disk"] == "ssd" and "gpu" in {taint["key"] for taint in seen["spec"]["taints"]}
    assert "kubestrap-replacement" not in first.kubectl("get", "configmaps", "-n", "kube-system", "-o", "name")
