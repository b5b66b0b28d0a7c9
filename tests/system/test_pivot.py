"""Layout hosted: the control plane passes into its own cluster and back without a failed request, and comes back from a power loss by itself."""

import time

import pytest

from kubelab import documents
from test_join import CERTIFICATE_KEY, join, join_words
from testbed import VERSION, Probe

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
SERVICE = "10.96.0.1"
MANIFESTS = "/etc/kubernetes/manifests"


def hosted(machine, version: str = VERSION) -> str:
    return machine.config(version=version, layout=None)


def probes(machine) -> list[Probe]:
    """On the front of the node, by both of its addresses, and on the service, as pods have it."""
    return [Probe(machine, 6443), Probe(machine, 6443, host=machine.address), Probe(machine, 443, host=SERVICE)]


def none_failed(asked: list[Probe], least: int = 100) -> None:
    ended = [(probe.what, probe.end()) for probe in asked]
    for what, result in ended:
        assert result["requests"] > least
        failed = result["failed"]
        assert not failed, f"{what}: {len(failed)} of {result['requests']} failed, from {failed[0]} to {failed[-1]}"


def pods(machine) -> dict[str, tuple[str, bool]]:
    """Name -> hosting and readiness of the control plane's pods on this node."""
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["labels"]["kubestrap.io/hosting"],
            all(each["ready"] for each in pod["status"].get("containerStatuses", [])),
        )
        for pod in machine.get("pods", "-n", "kube-system", "-l", "kubestrap.io/component", f"--field-selector=spec.nodeName={machine.name}")["items"]
    }


def promoted(machine) -> list[str]:
    return machine.sh(f"ls {MANIFESTS} | grep ^rescue- || true").split()


def is_self_hosted(machine) -> bool:
    """Three ready pods of DaemonSets, and no other left."""
    return not promoted(machine) and sorted(pods(machine).values()) == [("self", True)] * 3


def is_kept_by_files(machine) -> bool:
    return len(promoted(machine)) == 3 and sorted(pods(machine).values()) == [("rescue", True)] * 3


def finds_nothing_wrong(machine) -> None:
    machine.until("status finds nothing wrong", lambda: machine.try_("kubestrap", "status", "--exit-code").code == 0)


@pytest.fixture(scope="module")
def node(lab):
    machine = lab.machine("n1")
    made = machine.init(config=hosted(machine))
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    machine.wait_ready()
    return machine


def pivot(node, command: str = "pivot") -> str:
    began = time.monotonic()
    done = node.try_("kubestrap", command, timeout=600)
    assert done.code == 0, str(done)
    print(f"{command}: {time.monotonic() - began:.1f} s")
    return done.err


def begin_self_hosted(lab, machine, **config) -> None:
    """In one go, and before there is a pod network."""
    made = machine.init("--self-hosted", config=machine.config(layout=None, **config), timeout=600)
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    machine.wait_ready()


def test_a_hosted_control_plane_begins_with_static_pods_in_slots(node):
    node.until("its static pods are ready", lambda: is_kept_by_files(node))
    listening = node.run("ss", "-Hltn")
    assert "127.64.43.3:6443" in listening
    assert f"{node.address}:6443" in listening
    finds_nothing_wrong(node)
    assert [each["hosting"] for each in node.try_("kubestrap", "status", "-o", "json").json["components"]] == ["static"] * 3


def connections_of_guard(machine) -> list[str]:
    """Both ends of those that it has to components in their slots."""
    lines = machine.run("ss", "-Htnp", "state", "established", "dst", "127.64.43.0/24").splitlines()
    return sorted(" ".join(line.split()[2:4]) for line in lines if '"kubestrap"' in line)


def test_the_guard_keeps_its_connections(node):
    def same() -> bool:
        before = connections_of_guard(node)
        time.sleep(3)  # as many turns of it
        return len(before) == 3 and connections_of_guard(node) == before

    node.until("it asks by the connections that it has", same)


def test_pivot_says_its_steps_before_it_does_them(node):
    planned = node.run("kubestrap", "pivot", "--dry-run").splitlines()
    assert planned[1] == "n1: marked for the DaemonSets"
    assert "daemonsets" not in node.kubectl("-n", "kube-system", "get", "daemonsets", "-l", "kubestrap.io/component", "-o", "name")


def test_pivot_loses_no_request(node):
    asked = probes(node)
    pivot(node)
    none_failed(asked)
    node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node))


def test_a_second_pivot_and_a_second_init_change_nothing(node):
    before = node.get("daemonsets", "-n", "kube-system", "-l", "kubestrap.io/component")["items"]
    again = node.run("kubestrap", "pivot", "-o", "json")
    assert '"changed": false' in again
    done = node.init(config=hosted(node))
    assert done.code == 0, str(done)
    after = node.get("daemonsets", "-n", "kube-system", "-l", "kubestrap.io/component")["items"]
    assert [each["metadata"]["generation"] for each in after] == [each["metadata"]["generation"] for each in before]
    node.until("it is self-hosted still", lambda: is_self_hosted(node))


def test_renewed_certificates_are_taken_up_and_nothing_is_made_anew(node):
    def ended():
        shown = node.try_("kubestrap", "certs", "check-expiration", "-o", "json").json["certificates"]
        return {one["name"]: one["expirationDate"] for one in shown}

    before, asked, running = ended(), probes(node), container_ids(node)
    assert "guard.conf" in before
    done = node.try_("kubestrap", "certs", "renew", "all")
    assert done.code == 0, str(done)
    assert not set(before.items()) & set(ended().items())
    guard = ("logs", "-n", "kube-system", "kubestrap-guard-n1")
    node.until("the guard goes by its new one", lambda: "going on with other credentials" in node.kubectl(*guard))
    node.start_pod("after", "n1")  # scheduler and controller-manager work, and the API server reaches the kubelet
    node.until("the API server reaches the kubelet", lambda: "serving :8080" in node.kubectl("logs", "after"))
    node.run("sleep", "5")  # on a quiet machine all of it is over before there were requests enough to judge by
    none_failed(asked)
    assert container_ids(node) >= running
    finds_nothing_wrong(node)


def container_ids(machine) -> set[str]:
    return set(machine.run("ctr", "-n", "k8s.io", "tasks", "ls", "-q").split())


def cold_start(*nodes) -> None:
    """All of them lose their power in the same moment, and get it back."""
    nodes[0].lab.off(*nodes)
    began = time.monotonic()
    nodes[0].lab.on(*nodes)
    for node in nodes:
        node.until("the API answers", lambda: node.try_("curl", "-sk", "-m", "2", "https://127.0.0.1:6443/readyz").out == "ok")
    print(f"API after {time.monotonic() - began:.1f} s")
    for node in nodes:
        node.until("it is self-hosted again", lambda: is_self_hosted(node))
    print(f"self-hosted after {time.monotonic() - began:.1f} s")


def test_it_comes_back_from_a_power_loss_by_itself(node):
    cold_start(node)
    finds_nothing_wrong(node)


@pytest.mark.long
@pytest.mark.parametrize("round", range(20))
def test_it_comes_back_every_time(node, round):
    cold_start(node)


def test_unpivot_and_pivot_lose_no_request(node):
    asked = probes(node)
    pivot(node, "unpivot")
    node.until("only static pods are left", lambda: is_kept_by_files(node))
    pivot(node)
    none_failed(asked)
    node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node))


@pytest.mark.long
def test_ten_times_unpivot_and_pivot_lose_no_request(node):
    """One run of clients over all of it."""
    asked = probes(node)
    for _ in range(10):
        pivot(node, "unpivot")
        node.until("only static pods are left", lambda: is_kept_by_files(node))
        pivot(node)
        node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node))
    none_failed(asked)
    finds_nothing_wrong(node)


def three_control_planes(lab, version: str = VERSION, also: tuple[str, ...] = (), config=hosted):
    """And a worker, w1, the last of the list. `config` makes the documents of the first from it and the version."""
    machines = [lab.machine(name, version, also=also) for name in ("n1", "n2", "n3", "w1")]
    first = machines[0]
    made = first.init("--upload-certs", config=documents.with_certificate_key(config(first, version), CERTIFICATE_KEY))
    assert made.code == 0, str(made)
    lab.install_pod_network(first)
    for machine in machines[1:]:
        words = join_words(first)
        if machine.name.startswith("n"):
            words = [*words, "--control-plane", "--certificate-key", CERTIFICATE_KEY]
        joined = join(machine, words)
        assert joined.code == 0, str(joined)
    lab.install_pod_network(first)
    first.wait_ready()
    return machines


@pytest.fixture(scope="module")
def three(lab):
    return three_control_planes(lab)


@pytest.mark.long
def test_pivot_of_three_nodes_loses_no_request(three):
    asked = [Probe(machine, 6443) for machine in three] + [Probe(three[3], 443, host=SERVICE)]
    pivot(three[0])
    none_failed(asked)
    for node in three[:3]:
        node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node))


@pytest.mark.long
@pytest.mark.parametrize("round", range(3))
def test_three_nodes_come_back_from_a_power_loss_by_themselves(three, round):
    cold_start(*three[:3])


@pytest.mark.long
def test_unpivot_of_three_nodes_loses_no_request(three):
    asked = [Probe(machine, 6443) for machine in three] + [Probe(three[3], 443, host=SERVICE)]
    pivot(three[0], "unpivot")
    none_failed(asked)
    for node in three[:3]:
        node.until("only static pods are left", lambda: is_kept_by_files(node))
