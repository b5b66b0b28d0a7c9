"""Nodes that are taken out of a cluster from one place, whether they run or are gone."""

import pytest

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
