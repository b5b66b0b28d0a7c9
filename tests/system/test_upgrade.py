"""`kubestrap upgrade` in the plain layout, from the older to the newer Kubernetes: real components before and after, and the real kubeadm's word."""

import json
import time

import pytest

import workloads
from test_certs import shown
from test_join import ADMIN, CERTIFICATE_KEY, IGNORED, etcd_members, join, join_words, with_endpoint
from test_pivot import finds_nothing_wrong
from testbed import OLDER, VERSION, Machine, Probe, pod_with_service

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
MANIFESTS = "/etc/kubernetes/manifests"
FOLDERS = ("/etc/kubernetes", "/var/lib/kubelet/config.yaml", "/var/lib/kubestrap")
GAP = 20  # seconds; kubeadm needs 110 on the same machine


def images(machine) -> dict[str, str]:
    """Component -> tag of the image that its container has."""
    pods = machine.get("pods", "-n", "kube-system", "-l", "tier=control-plane", f"--field-selector=spec.nodeName={machine.name}")["items"]
    return {pod["metadata"]["labels"]["component"]: pod["spec"]["containers"][0]["image"].rsplit(":", 1)[1] for pod in pods}


def expected(version: str) -> dict[str, str]:
    etcd = {"1.36.3": "3.6.8-0", "1.37.2": "3.7.0-0"}[version]
    return {name: etcd if name == "etcd" else f"v{version}" for name in COMPONENTS}


def stored_version(machine) -> str:
    text = machine.get("configmap", "-n", "kube-system", "kubeadm-config")["data"]["ClusterConfiguration"]
    return next(line.split(": ")[1] for line in text.splitlines() if line.startswith("kubernetesVersion"))


def older_node(lab, name: str = "n1"):
    """A bare machine with the older version's programs and both versions' images."""
    lab.call("machine", "--fresh", "--kubernetes", OLDER, "--also-images", VERSION, name)
    return Machine(lab, name)


@pytest.fixture(scope="module")
def node(lab):
    machine = older_node(lab)
    short = ("\nclusterName: kubernetes", "\ncertificateValidityPeriod: 720h\nclusterName: kubernetes")
    made = machine.init(config=machine.config(short, version=OLDER))
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    machine.wait_ready()
    # With a longer life the certificates, which were made just now, are due.
    text = machine.get("configmap", "-n", "kube-system", "kubeadm-config")["data"]["ClusterConfiguration"]
    assert "certificateValidityPeriod: 720h0m0s" in text
    longer = {"data": {"ClusterConfiguration": text.replace("Period: 720h0m0s", "Period: 8760h0m0s")}}
    machine.kubectl("-n", "kube-system", "patch", "configmap", "kubeadm-config", "--type=merge", "-p", json.dumps(longer))
    machine.kubectl("create", "configmap", "before", "--from-literal=written=before")
    return machine


def test_a_plan_tells_all_and_touches_nothing(node):
    before = node.digests(*FOLDERS)
    planned = node.try_("kubestrap", "upgrade", "plan", "-o", "json", "--exit-code")
    assert planned.code == 4, str(planned)
    plan = planned.json
    assert (plan["from"], plan["to"]) == (f"v{OLDER}", f"v{VERSION}")
    assert {"name": "etcd", "node": "n1", "currentVersion": "3.6.8-0", "newVersion": "3.7.0-0"} in plan["components"]
    assert not [one for one in plan["findings"] if one["severity"] == "error"], plan["findings"]
    diffs = "".join(one.get("diff", "") for one in plan["changes"])
    for line in ("-    image: registry.k8s.io/etcd:3.6.8-0", "+    image: registry.k8s.io/etcd:3.7.0-0", f"+    kubernetesVersion: v{VERSION}", "coredns:v1.14.6"):
        assert line in diffs, diffs
    shown = node.run("kubestrap", "upgrade", "diff")
    assert "+    image: registry.k8s.io/etcd:3.7.0-0" in shown and f"kube-proxy:v{VERSION}" in shown
    assert node.digests(*FOLDERS) == before


def test_what_the_rules_of_versions_forbid_is_refused(node):
    refused = node.try_("kubestrap", "upgrade", "apply", "v1.38.0", "--yes")
    assert refused.code == 2 and "1.38.0 is not supported" in refused.err, str(refused)


def patch(node, component: str, document: dict) -> str:
    folder = f"/root/patches-{component}"
    node.write(f"{folder}/{component}+strategic.json", json.dumps(document))
    return folder


def ends_with_the_old_version(node, *says: str, patches: str) -> None:
    began = time.monotonic()
    failed = node.try_("kubestrap", "upgrade", "apply", f"v{VERSION}", "--yes", "--patches", patches, IGNORED)
    took = time.monotonic() - began
    assert failed.code == 1, str(failed)
    for text in (*says, "what this phase had begun was taken back"):
        assert text in failed.err, str(failed)
    print(f"{patches}: taken back after {took:.1f} s")
    assert node.kubectl("get", "--raw", "/readyz") == "ok"
    assert stored_version(node) == f"v{OLDER}"
    old = expected(OLDER)
    for component in COMPONENTS:
        text = node.read(f"{MANIFESTS}/{component}.yaml")
        assert component == "etcd" or f":{old[component]}" in text, text
    node.kubectl("create", "configmap", patches.rsplit("/", 1)[1].lower())


def test_a_flag_that_the_api_server_does_not_know_is_taken_back(node):
    container = {"name": "kube-apiserver", "command": ["kube-apiserver", "--no-such-flag=1"]}
    ends_with_the_old_version(node, "unknown flag", patches=patch(node, "kube-apiserver", {"spec": {"containers": [container]}}))


@pytest.mark.long
def test_an_image_of_etcd_that_cannot_be_had_is_taken_back(node):
    container = {"name": "etcd", "image": "registry.k8s.io/etcd:9.9.9-0"}
    ends_with_the_old_version(node, "etcd", patches=patch(node, "etcd", {"spec": {"containers": [container]}}))


def test_the_upgrade_goes_through_with_a_short_gap(node):
    asked = Probe(node, 6443, host=node.address, path="/readyz")  # which asks etcd, too
    certificates = shown(node)
    began = time.monotonic()
    done = node.try_("kubestrap", "upgrade", "apply", f"v{VERSION}", "--yes", "-o", "json", IGNORED, timeout=400)
    took = time.monotonic() - began
    probed = asked.end()
    assert done.code == 0, str(done)
    result = done.json
    print(f"upgrade apply: {took:.1f} s; {result['apiGap']}")
    assert result["changed"] is True
    assert probed["longestGap"] < GAP, probed["longestGap"]
    node.until("every pod of the control plane is told of", lambda: images(node) == expected(VERSION))
    assert stored_version(node) == f"v{VERSION}"
    assert not set(shown(node).values()) & set(certificates.values())  # each has been renewed
    assert json.loads(node.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"] == f"v{VERSION}"
    node.wait_ready()
    dns = node.get("deployment", "-n", "kube-system", "coredns")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert dns.endswith(":v1.14.6")


def test_what_was_written_before_is_there_and_the_cluster_works(node):
    assert node.get("configmap", "before")["data"] == {"written": "before"}
    node.get("configmap", "patches-kube-apiserver")
    node.start_pod("after", "n1")
    node.until("the API server reaches the kubelet", lambda: "serving :8080" in node.kubectl("logs", "after"))
    workloads.work(node, "n1")
    finds_nothing_wrong(node)
    assert "etcd.db" in node.run("ls", "/var/lib/kubestrap/upgrade")
    assert node.run("ls", "/var/lib/kubestrap/upgrade").split() == ["etcd.db"]


def test_a_second_upgrade_changes_nothing(node):
    again = node.try_("kubestrap", "upgrade", "apply", f"v{VERSION}", "--yes", "--exit-code", IGNORED)
    assert again.code == 0, str(again)


def test_kubeadm_agrees(node):
    judged = node.try_(*ADMIN, f"/opt/kubernetes/{VERSION}/kubeadm", "upgrade", "plan", f"v{VERSION}", IGNORED)
    assert judged.code == 0, str(judged)
    assert f"Cluster version: {VERSION}" in judged.out, judged.out
    assert "kubeadm upgrade apply" not in judged.out, judged.out  # it offers nothing


def test_a_kubelet_is_swapped_and_the_node_takes_pods_again(node):
    words = ("kubestrap", "upgrade", "node", "--kubelet", f"/opt/kubernetes/{VERSION}/kubelet", "--drain-timeout", "60s", IGNORED)
    refused = node.try_(*words)
    assert refused.code == 3 and "default/after" in refused.err and "--force" in refused.err, str(refused)
    assert not node.get("node", "n1")["spec"].get("unschedulable")
    swapped = node.try_(*words, "--force")
    assert swapped.code == 0, str(swapped)
    node.until("the node tells of its new kubelet", lambda: node.get("node", "n1")["status"]["nodeInfo"]["kubeletVersion"] == f"v{VERSION}")
    # A new kubelet may make the static pods anew, and the API server that comes back does not know who may do what at first.
    node.until("the API server is ready", lambda: node.kubectl("get", "--raw", "/readyz") == "ok")
    node.until("the node takes pods", lambda: not node.get("node", "n1")["spec"].get("unschedulable"))
    node.until("all is ready", lambda: node.wait_ready() is None)


# ---- three control planes and a worker


def coredns_tag(machine) -> str:
    return machine.get("deployment", "-n", "kube-system", "coredns")["spec"]["template"]["spec"]["containers"][0]["image"].rsplit(":", 1)[1]


@pytest.fixture(scope="module")
def cluster(lab, node):
    lab.off(node)
    first, *others = [older_node(lab, name) for name in ("n1", "n2", "n3", "w1")]
    made = first.init("--upload-certs", config=with_endpoint(first, OLDER))
    assert made.code == 0, str(made)
    for machine in others:
        more = ("--control-plane", "--certificate-key", CERTIFICATE_KEY) if machine.name.startswith("n") else ()
        joined = join(machine, join_words(first), *more, timeout=400)
        assert joined.code == 0, str(joined)
    lab.install_pod_network(first)
    first.wait_ready()
    return [first, *others]


@pytest.mark.long
def test_one_control_plane_after_the_other_while_a_peer_is_broken(cluster):
    n1, n2, n3, w1 = cluster
    n3.run("systemctl", "stop", "kubelet")
    n1.until("n3 is not Ready", lambda: "Unknown" in str(n1.get("node", "n3")["status"]["conditions"]))
    asked = Probe(n2, 6443, host=n2.address)
    done = n1.try_("kubestrap", "upgrade", "apply", f"v{VERSION}", "--yes", IGNORED, timeout=400)
    assert done.code == 0, str(done)
    assert "wait for the other control planes: n2 has v1.36.3, n3 has v1.36.3" in done.out, str(done)
    print(f"another node's API server meanwhile: {len(asked.end()['failed'])} failed")
    n3.run("systemctl", "start", "kubelet")
    n1.until("n3 is Ready", lambda: n1.kubectl("wait", "--for=condition=Ready", "node/n3", "--timeout=5s"))
    assert coredns_tag(n1) == "v1.14.2"
    for machine in (n2, n3):
        done = machine.try_("kubestrap", "upgrade", "node", IGNORED, timeout=400)
        assert done.code == 0, str(done)
        print(machine.name, done.err.splitlines()[-1])
    assert coredns_tag(n1) == "v1.14.6"
    for machine in (n1, n2, n3):
        machine.until("its pods are told of", lambda: images(machine) == expected(VERSION))
    assert etcd_members(n1) == {"n1": False, "n2": False, "n3": False}
    done = w1.try_("kubestrap", "upgrade", "node", IGNORED)
    assert done.code == 0, str(done)
    n1.wait_ready()


def start_owned_pod(machine, name: str, node: str) -> None:
    """A pod of a ReplicaSet, on that node: what takes its place waits while the node is closed."""
    pod = json.loads(pod_with_service(name, node))["items"][0]
    template = {"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}
    template["spec"].pop("nodeName")
    template["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    template["spec"]["tolerations"] = []
    made = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}}
    machine.kubectl("apply", "-f", "-", input=json.dumps(made))
    machine.until(f"{name} is ready", lambda: machine.get("replicaset", name)["status"].get("readyReplicas") == 1)


@pytest.mark.long
def test_a_budget_that_holds_a_pod_is_named(cluster):
    n1, *_, w1 = cluster
    start_owned_pod(n1, "held", "w1")
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "keeper"},
              "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "held"}}}}
    n1.kubectl("apply", "-f", "-", input=json.dumps(budget))
    n1.until("the budget is known", lambda: n1.get("pdb", "keeper").get("status", {}).get("expectedPods") == 1)
    w1.write("/root/admin.conf", n1.read("/etc/kubernetes/admin.conf"), "600")
    words = ("kubestrap", "upgrade", "node", "--kubelet", f"/opt/kubernetes/{VERSION}/kubelet", "--kubeconfig", "/root/admin.conf", IGNORED)
    held = w1.try_(*words, "--drain-timeout", "10s")
    assert held.code == 1 and "disruption budget keeper" in held.err, str(held)
    assert "takes pods again" in held.err and not n1.get("node", "w1")["spec"].get("unschedulable"), str(held)
    n1.kubectl("delete", "pdb", "keeper")
    done = w1.try_(*words, "--drain-timeout", "60s")
    assert done.code == 0, str(done)
    n1.until("the node tells of its new kubelet", lambda: n1.get("node", "w1")["status"]["nodeInfo"]["kubeletVersion"] == f"v{VERSION}")
    assert not n1.get("node", "w1")["spec"].get("unschedulable")
