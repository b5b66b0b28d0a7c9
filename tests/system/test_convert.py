"""`kubestrap convert`: a control plane of kubeadm's, or of layout plain, becomes hosted and can move into its own cluster; and it is handed back, to the real kubeadm's content."""

import pytest

from kubelab import cgroups, documents
from test_join import ADMIN, IGNORED, join, join_words
from test_pivot import COMPONENTS, MANIFESTS, is_kept_by_files, is_self_hosted, pivot, three_control_planes
from test_vip import address_of, holders, with_vip
from testbed import VERSION, Probe

NAME = "api.kubernetes.internal"
IMAGE = "/usr/lib/kubestrap/kubestrap-image.tar"


def convert(machine, layout: str, *flags: str, timeout: float = 900):
    done = machine.try_("kubestrap", "convert", "--to", layout, "--yes", "-o", "json", *flags, timeout=timeout)
    assert done.code == 0, str(done)
    for gap in done.json["apiGaps"]:
        print(f"to {layout}: {gap}")
    return done.json


def steps(document: dict) -> list[str]:
    return [step["name"] for step in document["steps"]]


def manifests(machine) -> list[str]:
    return machine.sh(f"ls {MANIFESTS}").split()


def is_hosted(machine) -> bool:
    return is_kept_by_files(machine) and not {f"{name}.yaml" for name in COMPONENTS} & set(manifests(machine))


def server_of(machine, file: str = "kubelet.conf") -> str:
    return machine.sh(f"sed -n 's/^ *server: //p' /etc/kubernetes/{file}").strip()


def knows_image(machine) -> None:
    """kubestrap's image, which a machine that the real kubeadm has made a node does not have."""
    machine.run("ctr", "-n", "k8s.io", "images", "import", IMAGE)


def is_kubeadms(machine, version: str = VERSION) -> None:
    """The real kubeadm finds what it expects, and would go on from here."""
    assert {f"{name}.yaml" for name in (*COMPONENTS, "etcd")} <= set(manifests(machine))
    shown = machine.try_("kubeadm", "certs", "check-expiration", "-o", "json")
    assert shown.code == 0, str(shown)
    assert {one["name"] for one in shown.json["certificates"] if one.get("missing")} <= {"super-admin.conf"}  # only the first node has it
    machine.run(*ADMIN, "kubeadm", "upgrade", "plan", version, "--ignore-preflight-errors=all", "--allow-experimental-upgrades", timeout=300)


def pods_work(machine, node: str) -> None:
    """kube-proxy and the kubelet of a node go on: a pod comes up there and reaches the API server by its service."""
    machine.start_pod("proof", node)
    machine.until("the service leads there", lambda: "pod=proof" in machine.in_pod("proof", "testtool", "get", "http://proof.default.svc.cluster.local/"), 60)
    machine.kubectl("delete", "pod,service", "proof")


@pytest.fixture(scope="module")
def plain(lab):
    """A control plane of layout plain, and a worker, without balancers."""
    first, worker = lab.machine("n1"), lab.machine("w1")
    made = first.init(config=first.config())
    assert made.code == 0, str(made)
    joined = join(worker, join_words(first))
    assert joined.code == 0, str(joined)
    lab.install_pod_network(first)
    first.wait_ready()
    knows_image(worker)
    return first, worker


def test_a_dry_run_says_the_steps_and_takes_none(plain):
    first, _ = plain
    before = first.digests("/etc/kubernetes", "/etc/hosts")
    planned = first.try_("kubestrap", "convert", "--to", "hosted", "--dry-run", "-o", "json")
    assert planned.code == 0, str(planned)
    assert steps(planned.json)[1:] == ["n1: layout hosted", "w1: goes by a balancer of its own", f"cluster-info and kube-proxy go by {NAME}:6443",
                                       "the cluster's configuration says so"]
    assert first.digests("/etc/kubernetes", "/etc/hosts") == before


@pytest.mark.long
def test_plain_becomes_hosted_and_moves_into_its_own_cluster(plain):
    first, worker = plain
    assert "n1: layout hosted" in steps(convert(first, "hosted"))
    first.until("its static pods are ready", lambda: is_hosted(first))
    assert server_of(first) == server_of(worker) == f"https://{NAME}:6443"
    assert steps(convert(first, "hosted")) == []
    pods_work(first, "w1")
    probe = Probe(first, 6443)
    pivot(first)
    first.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(first))
    assert not probe.end()["failed"]
    refused = first.try_("kubestrap", "convert", "--to", "plain", "--yes")
    assert refused.code != 0 and "kubestrap unpivot" in refused.err, str(refused)


@pytest.mark.long
def test_it_is_handed_back_to_kubeadm(plain):
    first, worker = plain
    pivot(first, "unpivot")
    convert(first, "plain", "--endpoint-mode", "single")
    first.until("the nodes are Ready", lambda: first.wait_ready() is None)
    is_kubeadms(first)
    assert not [name for name in manifests(first) + manifests(worker) if "kubestrap" in name or "rescue" in name]
    assert NAME not in first.read("/etc/hosts") + worker.read("/etc/hosts")
    assert server_of(first) == server_of(worker) == f"https://{first.address}:6443"
    pods_work(first, "w1")
    assert steps(convert(first, "plain", "--endpoint-mode", "single")) == []


@pytest.fixture(scope="module")
def kubeadms(lab, plain):
    """What the real kubeadm makes of the same document, where kubestrap has never been."""
    lab.off(*plain)
    machine = lab.machine("n2")
    machine.write("/root/kubeadm.yaml", documents.init("n2", machine.address, VERSION, cgroups.version()))
    made = machine.try_("kubeadm", "init", "--config", "/root/kubeadm.yaml", IGNORED, timeout=600)
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    machine.wait_ready()
    return machine


@pytest.mark.long
def test_a_cluster_of_kubeadms_becomes_hosted(kubeadms):
    assert "n2: layout hosted" in steps(convert(kubeadms, "hosted"))
    kubeadms.until("its static pods are ready", lambda: is_hosted(kubeadms))
    pivot(kubeadms)
    kubeadms.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(kubeadms))


@pytest.mark.long
def test_and_kubeadms_again(kubeadms):
    pivot(kubeadms, "unpivot")
    convert(kubeadms, "plain")
    is_kubeadms(kubeadms)


PATCH = "metadata:\n  annotations:\n    example.org/note: kept\n"


@pytest.fixture(scope="module")
def elsewhere(lab):
    """A control plane that clients reach at an address, made with a folder of patches."""
    machine = lab.machine("n3")
    machine.write("/root/patches/kube-apiserver+merge.yaml", PATCH)
    wanted = machine.config(("clusterName: kubernetes\n", f"clusterName: kubernetes\ncontrolPlaneEndpoint: {machine.address}:6443\n"),
                            ("  bindPort: 6443\n", "  bindPort: 6443\npatches: {directory: /root/patches}\n"))
    machine.give_pod_network()
    made = machine.init(config=wanted)
    assert made.code == 0, str(made)
    machine.wait_ready()
    return machine


def note(machine) -> str:
    pods = machine.get("-n", "kube-system", "pod", "-l", "component=kube-apiserver")["items"]
    return pods[0]["metadata"]["annotations"].get("example.org/note", "") if len(pods) == 1 else ""


@pytest.mark.long
def test_patches_and_an_endpoint_that_is_an_address_are_asked_for(elsewhere):
    refused = elsewhere.try_("kubestrap", "convert", "--to", "hosted", "--yes")
    assert refused.code != 0 and f"--control-plane-endpoint {NAME}" in refused.err, str(refused)
    named = ("--control-plane-endpoint", f"{NAME}:6443")
    by_hand = elsewhere.try_("kubestrap", "convert", "--to", "hosted", "--yes", *named)
    assert by_hand.code != 0 and "example.org/note" in by_hand.err and "--patches" in by_hand.err, str(by_hand)
    assert "kube-apiserver.yaml" in manifests(elsewhere)
    convert(elsewhere, "hosted", *named, "--patches", "/root/patches")
    elsewhere.until("its static pods are ready", lambda: is_hosted(elsewhere))
    assert server_of(elsewhere) == f"https://{NAME}:6443"
    elsewhere.until("the patch is kept", lambda: note(elsewhere) == "kept")
    # Who goes by the address goes on.
    assert elsewhere.run("curl", "-s", "--cacert", "/etc/kubernetes/pki/ca.crt", f"https://{elsewhere.address}:6443/readyz") == "ok"


@pytest.mark.long
def test_a_balancer_of_the_operators_takes_the_place_of_the_nodes_own(elsewhere):
    """The name that every node has known leads to it from now on: here a line in /etc/hosts."""
    convert(elsewhere, "plain", "--endpoint-mode", "external", "--patches", "/root/patches")
    elsewhere.sh(f"echo {elsewhere.address} {NAME} >> /etc/hosts")
    elsewhere.until("the node is Ready", lambda: elsewhere.wait_ready() is None)
    is_kubeadms(elsewhere)
    assert note(elsewhere) == "kept"
    assert server_of(elsewhere, "admin.conf") == f"https://{NAME}:6443"
    assert not [name for name in manifests(elsewhere) if "kubestrap" in name]
    assert steps(convert(elsewhere, "plain", "--endpoint-mode", "external", "--patches", "/root/patches")) == []


@pytest.mark.long
def test_a_virtual_address_leads_to_either_layout(lab, elsewhere):
    lab.off(elsewhere)
    machine, other = lab.machine("n1"), lab.machine("w1")
    machine.give_pod_network()
    made = machine.init(config=with_vip(machine))
    assert made.code == 0, str(made)
    machine.wait_ready()
    other.write("/root/ca.crt", machine.read("/etc/kubernetes/pki/ca.crt"))
    for layout in ("hosted", "plain"):
        convert(machine, layout)
        assert holders(machine) == [machine.name]
        asked = other.run("curl", "-s", "-m", "2", "--cacert", "/root/ca.crt", f"https://{address_of(machine)}:6443/readyz")
        assert asked == "ok"


@pytest.fixture(scope="module")
def three(lab):
    """Three control planes and a worker of layout plain, each with a balancer."""
    return three_control_planes(lab, config=lambda first, version: first.config(("layout: plain", "layout: plain\nendpoint:\n  mode: local"), version=version))


@pytest.mark.long
def test_three_control_planes_become_hosted_and_plain_again_and_a_worker_misses_nobody(three):
    first, worker = three[0], three[3]
    for layout in ("hosted", "plain"):
        probe = Probe(worker, 6443)
        convert(first, layout)
        result = probe.end()
        print(f"to {layout}: {len(result['failed'])} of {result['requests']} failed on the worker, {len(result['failedTwice'])} twice, longest gap {result['longestGap']:.2f} s")
        assert not result["failedTwice"]
        if layout == "hosted":
            for node in three[:3]:
                node.until("its static pods are ready", lambda: is_hosted(node))
            pivot(first)
            pivot(first, "unpivot")
    for node in three[:3]:
        is_kubeadms(node)


@pytest.mark.long
@pytest.mark.parametrize("after", ["kube-apiserver.yaml", "kubestrap-front", "kubelet.conf"])
def test_one_that_was_killed_is_gone_on_with(three, after):
    """Whether or not there is an API server at that moment."""
    first = three[0]
    for layout in ("hosted", "plain"):
        first.stop("convert", "--to", layout, "--yes", text=after)
        found = {finding["name"] for finding in first.try_("kubestrap", "status", "-o", "json").json["findings"]}
        if "ApiUnreachable" in found and first.try_("test", "-e", "/var/lib/kubestrap/conversion.yaml").code == 0:
            assert "ConversionHalfway" in found
        convert(first, layout)
    first.wait_ready()
