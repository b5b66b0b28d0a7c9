"""`endpoint.mode: vip`: an address that is on one control plane node whose API server is ready, and goes to another one when it is not any more."""

import pytest

from kubelab import documents
from test_join import CERTIFICATE_KEY, join, join_words
from testbed import Probe

SHARED = 200  # the last number of the address


def address_of(machine) -> str:
    return machine.address.rsplit(".", 1)[0] + f".{SHARED}"


def with_vip(machine, layout: str = "plain") -> str:
    wish = f"apiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nlayout: {layout}\nendpoint:\n  mode: vip\n  vip:\n    address: {address_of(machine)}\n"
    return documents.with_certificate_key(machine.config(layout=None), CERTIFICATE_KEY) + "---\n" + wish


def holders(*machines) -> list[str]:
    return [machine.name for machine in machines if f" {address_of(machine)}/32 " in machine.run("ip", "-4", "-o", "address")]


def ready(machine) -> str:
    """What the API server says by the virtual address, verified by the cluster's authority."""
    return machine.try_("curl", "-s", "-m", "2", "--cacert", "/etc/kubernetes/pki/ca.crt", f"https://{address_of(machine)}:6443/readyz").out


@pytest.fixture(scope="module")
def three(lab):
    first = lab.machine("n1")
    made = first.init("--upload-certs", config=with_vip(first))
    assert made.code == 0, str(made)
    assert f"kubestrap join {address_of(first)}:6443" in made.out
    second, worker = lab.machine("n2"), lab.machine("w1")
    for machine, words in ((second, [*join_words(first), "--control-plane", "--certificate-key", CERTIFICATE_KEY]), (worker, join_words(first))):
        assert f"{address_of(first)}:6443" in words, words
        joined = join(machine, words)
        assert joined.code == 0, str(joined)
    lab.install_pod_network(first)
    first.wait_ready()
    return first, second, worker


def test_one_node_has_the_address_and_others_reach_an_api_server_there(three):
    first, second, worker = three
    assert holders(first, second) == [first.name]
    assert ready(worker) == "ok"
    # The names in the certificate, and what joining machines are told.
    said = first.get("-n", "kube-public", "configmap", "cluster-info")["data"]["kubeconfig"]
    assert f"server: https://{address_of(first)}:6443" in said
    again = first.init("--exit-code", "--dry-run", config=with_vip(first))
    assert again.code == 0, str(again)


def test_the_address_goes_where_an_api_server_is_ready_and_stays_there(three):
    first, second, worker = three
    asked = Probe(worker, 6443, host=address_of(first))
    first.run("mv", "/etc/kubernetes/manifests/kube-apiserver.yaml", "/root/")
    first.until("the other node has the address", lambda: holders(first, second) == [second.name])
    first.until("it leads to an API server", lambda: ready(worker) == "ok")
    first.run("mv", "/root/kube-apiserver.yaml", "/etc/kubernetes/manifests/")
    first.until("both API servers are ready", lambda: first.wait_nodes_ready() is None)
    asked.end()
    assert holders(first, second) == [second.name]


@pytest.mark.long
def test_it_outlives_a_machine_that_vanishes(three):
    first, second, worker = three
    third = first.lab.machine("n3")
    joined = join(third, [*join_words(first), "--control-plane", "--certificate-key", CERTIFICATE_KEY])
    assert joined.code == 0, str(joined)
    first.lab.install_pod_network(first)
    first.wait_ready()
    (name,) = holders(first, second, third)
    left = [machine for machine in (first, second, third) if machine.name != name]
    asked = Probe(worker, 6443, host=address_of(first))
    first.lab.call("power-off", name)
    worker.until("another node has the address", lambda: len(holders(*left)) == 1)
    worker.until("it leads to an API server", lambda: ready(worker) == "ok")
    asked.end()
    first.lab.call("power-on", name)
    left[0].wait_nodes_ready()
    assert len(holders(first, second, third)) == 1
    assert name not in holders(first, second, third)
    third.run("kubestrap", "reset", "--force", timeout=300)


def test_after_a_reset_nothing_of_it_is_left(three):
    first, second, worker = three
    second.run("kubestrap", "reset", "--force", timeout=300)
    assert holders(second) == []
    assert second.try_("test", "-e", "/etc/kubernetes/manifests/kubestrap-vip.yaml").code != 0
    first.until("the other node has the address", lambda: holders(first) == [first.name])
    first.until("it leads to an API server", lambda: ready(worker) == "ok")


@pytest.mark.long
def test_in_the_layout_hosted_the_balancer_answers_there_and_pivot_loses_no_request(lab):
    lab.call("down")  # the machines of the other scenarios
    machine, worker = lab.machine("n1"), lab.machine("w1")
    made = machine.init(config=with_vip(machine, "hosted"))
    assert made.code == 0, str(made)
    assert holders(machine) == [machine.name]
    joined = join(worker, join_words(machine))
    assert joined.code == 0, str(joined)
    lab.install_pod_network(machine)
    machine.wait_ready()
    asked = Probe(worker, 6443, host=address_of(machine))
    pivoted = machine.try_("kubestrap", "pivot", timeout=600)
    result = asked.end()
    assert pivoted.code == 0, str(pivoted)
    assert result["requests"] > 100 and not result["failed"], result["failed"][:3]
