"""`kubestrap cluster`: many machines from one place, over ssh."""

import signal

import pytest
import yaml

from operating import Operator, counting
from test_bundle import BUNDLE, KEY, make_bare, make_bundle
from test_pivot import is_self_hosted, none_failed, pivot, probes
from test_reset import HOSTS, is_as_before, names
from testbed import OLDER, VERSION, Machine

FOLDERS = ("/etc", "/usr/bin/kubestrap", "/usr/lib/kubestrap", "/var/lib/kubelet/config.yaml", "/var/lib/kubestrap")
NAMES = ("n1", "n2", "n3", "w1")
SECRETS = r"[a-z0-9]{6}\.[a-z0-9]{16}"


def test_two_machines_become_a_cluster_and_are_bare_again(lab, tmp_path):
    n1, w1 = machines = [lab.machine("n1"), lab.machine("w1")]
    operator = Operator(lab, tmp_path)
    operator.describe(machines, labels={"w1": {"disk": "ssd", "zone": "a"}})
    w1.run("rm", "-r", "/usr/bin/kubestrap", "/usr/lib/kubestrap")
    before = {machine.name: machine.digests(*FOLDERS) for machine in machines}

    planned = operator.must("plan", "--exit-code", code=4)
    assert planned.out.endswith("  preflight --fix\n  join\n  label (disk=ssd, zone=a)\n") and "w1 (worker, " in planned.out and "  copy kubestrap (missing)\n  copy kubestrap's image (missing)\n" in planned.out
    assert {machine.name: machine.digests(*FOLDERS) for machine in machines} == before
    bare = operator.must("status", "--exit-code", code=4)
    assert bare.out.count("no node yet") == 2, str(bare)

    made = operator.must("apply", "--yes", "-o", "json")
    assert made.json["changed"] and made.json["succeeded"]
    assert [step["step"] for step in made.json["steps"] if step["host"] == "w1"] == ["copy kubestrap", "copy kubestrap's image", "preflight --fix", "join", "label"]
    assert names(n1, "nodes") == {"n1", "w1"}
    # The token is not valid any more, and lies nowhere but where join itself keeps the bootstrap kubeconfig that it has removed.
    assert "kubestrap cluster apply" not in n1.kubectl("-n", "kube-system", "get", "secrets", "-o", "yaml")
    assert w1.try_("grep", "-rEls", SECRETS, "/root", "/tmp", "/run/kubestrap", "/etc/kubernetes").out == ""
    assert not list(tmp_path.glob("kubestrap-*"))

    before = {machine.name: machine.digests(*FOLDERS) for machine in machines}
    again = operator.must("apply", "--yes", "--exit-code")
    assert "nothing to do: n1, w1" in again.err
    assert {machine.name: machine.digests(*FOLDERS) for machine in machines} == before
    status = operator.must("status", "-o", "json").json
    assert [(host["name"], host["role"], host["reached"]) for host in status["hosts"]] == [("n1", "control-plane", True), ("w1", "worker", True)]
    assert status["asked"] == "n1"

    operator.describe(machines, labels={"w1": {"disk": "hdd"}})
    operator.must("apply", "--yes")
    labels = n1.get("node", "w1")["metadata"]["labels"]
    assert labels["disk"] == "hdd" and "zone" not in labels

    # Nobody who only looks at the file ends the cluster.
    assert "was not confirmed" in operator.must("destroy", code=1).err
    gone = operator.must("destroy", "--yes", "-o", "json")
    assert [step["host"] for step in gone.json["steps"]] == ["w1", "n1"]
    for machine in machines:
        is_as_before(machine, but=HOSTS)
    operator.must("destroy", "--yes")


def test_what_keeps_from_a_machine_is_told_with_what_to_do(lab, tmp_path):
    n1 = lab.machine("n1")
    operator = Operator(lab, tmp_path)
    operator.describe([n1])
    (tmp_path / "known_hosts").write_text("")
    config = (tmp_path / "ssh.config").read_text()
    (tmp_path / "ssh.config").write_text(config.replace("UserKnownHostsFile ", "UserKnownHostsFile /dev/null\n  #"))
    unknown = operator.must("plan", code=1)
    assert "Host key verification failed" in unknown.out and "log in once by hand" in unknown.out, str(unknown)
    (tmp_path / "ssh.config").write_text(config.replace("IdentityFile ", "IdentityFile /dev/null\n  IdentitiesOnly yes\n  #"))
    refused = operator.must("apply", "--yes", code=1)
    assert "Permission denied" in refused.err and "ssh-add" in refused.err, str(refused)


def test_somebody_who_is_not_root_works_by_sudo_and_a_second_operator_is_told_of_the_first(lab, tmp_path):
    n1 = lab.machine("n1")
    operator = Operator(lab, tmp_path)
    operator.describe([n1])
    n1.sh("useradd -m -s /bin/bash -p '*' ops && cp -r /root/.ssh /home/ops/ && chown -R ops /home/ops/.ssh")
    document = list(yaml.safe_load_all(operator.file.read_text()))
    document[0]["ssh"]["user"] = "ops"
    operator.file.write_text(yaml.safe_dump_all(document, sort_keys=False))
    no = operator.must("plan", code=1)
    assert "ops is not root there, and may not become it" in no.out and "NOPASSWD" in no.out, str(no)

    operator.describe([n1])
    first = operator.start("apply")  # asks, and waits for an answer that does not come
    first.wait()
    first = operator.start("apply", "--yes")
    for line in first.stderr:
        if "n1 (control plane" in line:
            break
    second = operator.must("apply", "--yes", code=3)
    assert "is at work on this cluster since" in second.err and "--take-over" in second.err, str(second)
    taken = operator.must("apply", "--yes", "--take-over")
    out, err = first.communicate(timeout=60)
    assert first.returncode == 3 and "taken the lock over" in err, err
    assert names(n1, "nodes") == {"n1"}
    assert taken.code == 0


@pytest.mark.long
def test_three_control_planes_and_two_workers_through_interruptions_and_losses(lab, tmp_path):
    machines = [lab.machine(name) for name in ("n1", "n2", "n3", "w1", "w2")]
    n1, n2, n3, w1, w2 = machines
    operator = Operator(lab, tmp_path)
    operator.describe(machines)

    # The driver is killed while control planes join, and again when it has begun anew.
    for text in ("n1: init done", "n2: join done"):
        first = operator.start("apply", "--yes", "-v", "1")
        for line in first.stderr:
            if text in line:
                break
        first.send_signal(signal.SIGKILL)
        first.wait()
    made = operator.must("apply", "--yes")
    assert "not done" not in made.err
    lab.install_pod_network(n1)
    n1.wait_nodes_ready()
    assert names(n1, "nodes") == {"n1", "n2", "n3", "w1", "w2"}
    again = operator.must("apply", "--yes", "--exit-code")
    assert "nothing to do: n1, n2, n3, w1, w2" in again.err
    operator.must("status", "--exit-code")

    # A worker that is gone is told; out of the file it is forgotten, with --prune alone.
    lab.off(w2)
    n1.until("w2 is missed", lambda: "NotReady" in n1.kubectl("get", "node", "w2", "--no-headers"))
    unreached = operator.must("apply", "--yes", code=1)
    assert "w2: it cannot be reached" in unreached.err
    operator.describe(machines[:4])
    kept = operator.must("apply", "--yes")
    assert "in the cluster and not in the file: w2 (not Ready)" in kept.err
    operator.must("apply", "--yes", "--prune")
    assert names(n1, "nodes") == {"n1", "n2", "n3", "w1"}

    # A control plane whose machine was replaced comes back under its name.
    n3 = lab.machine("n3")
    operator.describe(machines[:4])
    n1.until("n3 is missed", lambda: "NotReady" in n1.kubectl("get", "node", "n3", "--no-headers"))
    assert operator.steps()["n3"][-2:] == ["forget", "join"]
    operator.must("apply", "--yes")
    lab.install_pod_network(n1)
    n1.wait_nodes_ready()

    # One that lives leaves.
    operator.describe([n1, n2, n3])
    operator.must("apply", "--yes", "--prune")
    assert names(n1, "nodes") == {"n1", "n2", "n3"}
    is_as_before(w1, but=HOSTS)

    operator.must("destroy", "--yes")
    for machine in (n1, n2, n3):
        is_as_before(machine, but=HOSTS)


@pytest.mark.long
def test_machines_with_nothing_become_a_cluster_from_one_bundle_and_nothing_goes_outside(lab, tmp_path):
    """Three control planes and two workers. They have no way out; and a counter on the bridge, which first shows that it counts, stays at nothing."""
    machines = [lab.machine(name, images=False) for name in ("n1", "n2", "n3", "w1", "w2")]
    n1, operator = machines[0], Operator(lab, tmp_path)
    make_bundle(n1)
    operator.fetch(n1, BUNDLE, "lab.bundle")
    key = n1.read(f"{KEY}.pub")
    for machine in machines:
        machine.write(f"{KEY}.pub", key)
        make_bare(machine)
    switch, counted = counting(lab, n1)
    for machine in machines:
        machine.run("ip", "route", "del", "default")
    operator.describe(machines, bundle="lab.bundle", offline=True)
    copied = ["copy kubestrap", "copy kubestrap's image", "copy the bundle", "bundle load", "preflight --fix"]
    assert operator.steps() == {machine.name: [*copied, "init" if machine is n1 else "join"] for machine in machines}
    operator.must("apply", "--yes", timeout=1500)
    assert names(n1, "nodes") == {machine.name for machine in machines}
    lab.install_pod_network(n1)
    n1.wait_ready()
    for node in ("w1", "w2"):
        n1.start_pod(f"from-{node}", node)
    n1.until("a service leads to the other worker", lambda: "pod=from-w2" in n1.in_pod("from-w1", "testtool", "get", "http://from-w2.default.svc.cluster.local/"), 120)
    assert operator.steps() == {}
    operator.must("destroy", "--yes")
    assert switch.packets() == counted
    for machine in machines:
        is_as_before(machine, but=HOSTS)


def versions(machine) -> dict[str, str]:
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in machine.get("nodes")["items"]}


@pytest.mark.long
def test_a_newer_version_in_the_file_upgrades_control_planes_and_the_kubelets_that_the_bundle_brings(lab, tmp_path):
    lab.call("down")  # the machines of other scenarios
    lab.call("machine", "--fresh", "--kubernetes", OLDER, "--also-images", VERSION, *NAMES)
    machines = n1, n2, _, w1 = [Machine(lab, name) for name in NAMES]
    operator = Operator(lab, tmp_path)
    operator.describe(machines, version=OLDER, layout="plain")
    operator.must("apply", "--yes")
    lab.install_pod_network(n1)
    n1.wait_ready()

    operator.describe(machines, layout="plain")
    assert operator.steps() == {"n1": ["upgrade apply"], "n2": ["upgrade node"], "n3": ["upgrade node"]}
    first = operator.start("apply", "--yes")
    for line in first.stderr:
        if "n1: upgrade apply done" in line:
            break
    first.kill()
    first.wait()
    assert f"older kubelets than v{VERSION}: {', '.join(NAMES)}" in operator.must("apply", "--yes").err
    assert operator.steps() == {}
    assert f"kube-apiserver:v{VERSION}" in n2.read("/etc/kubernetes/manifests/kube-apiserver.yaml")

    n1.sh(f"mkdir -p /root/parts/bin && cp /opt/kubernetes/{VERSION}/kubelet /root/parts/bin")
    n1.run("kubestrap", "bundle", "create", "/root/kubelet.bundle", "--from", "/root/parts", "--kubernetes-version", f"v{VERSION}")
    operator.fetch(n1, "/root/kubelet.bundle", "kubelet.bundle")
    operator.describe(machines, layout="plain", bundle="kubelet.bundle")
    assert operator.steps() == dict.fromkeys(NAMES, ["copy the bundle", "upgrade node"])
    operator.must("apply", "--yes")
    n1.until("all tell of their new kubelets", lambda: versions(n1) == dict.fromkeys(NAMES, f"v{VERSION}"))
    n1.wait_ready()
    assert operator.steps() == {}
    assert w1.try_("ls", "/etc/kubernetes/admin.conf").code != 0 and w1.sh("ls -d /run/kubestrap-* 2>/dev/null || true") == ""


@pytest.mark.long
def test_a_control_plane_in_its_own_cluster_and_a_worker_are_upgraded_from_a_bundle_with_their_kubelets(lab, tmp_path):
    lab.call("down")  # the machines of other scenarios
    lab.call("machine", "--fresh", "--kubernetes", OLDER, "--also-images", VERSION, "n1", "w1")
    machines = n1, w1 = [Machine(lab, name) for name in ("n1", "w1")]
    operator = Operator(lab, tmp_path)
    operator.describe(machines, version=OLDER)
    settings(operator, "KubestrapConfiguration", hosting="self")
    operator.must("apply", "--yes")
    lab.install_pod_network(n1)
    n1.wait_ready()
    n1.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(n1))
    assert operator.steps() == {}

    # The worker has no image of the new version but by the bundle.
    w1.sh(f"for image in $(ctr -n k8s.io images ls -q | grep -E ':v{VERSION}(@|$)|coredns:'); do ctr -n k8s.io images rm $image; done")
    n1.sh(f"mkdir -p /root/parts/bin && cp /opt/kubernetes/{VERSION}/kubelet /root/parts/bin")
    images = [each for each in n1.run("kubestrap", "config", "images", "list", "--kubernetes-version", f"v{VERSION}").split() if "/kubestrap:" not in each]
    flags = [word for image in images for word in ("--image", image)]
    n1.run("kubestrap", "bundle", "create", "/root/newer.bundle", "--from", "/root/parts", "--kubernetes-version", f"v{VERSION}", *flags, timeout=400)
    operator.fetch(n1, "/root/newer.bundle", "newer.bundle")
    operator.describe(machines, bundle="newer.bundle", offline=True)
    settings(operator, "KubestrapConfiguration", hosting="self")
    assert operator.steps() == {"n1": ["copy the bundle", "bundle load", "upgrade apply", "upgrade node"], "w1": ["copy the bundle", "bundle load", "upgrade node"]}
    operator.must("apply", "--yes", timeout=1500)
    n1.until("both tell of their new kubelets", lambda: versions(n1) == dict.fromkeys(("n1", "w1"), f"v{VERSION}"))
    n1.until("it runs in its own cluster", lambda: is_self_hosted(n1))
    n1.until("all is ready", lambda: n1.wait_ready() is None)
    assert operator.steps() == {}


def settings(operator: Operator, kind: str, **members) -> None:
    """Other members of a document of the file."""
    told = list(yaml.safe_load_all(operator.file.read_text()))
    (document,) = [each for each in told if each["kind"] == kind]
    document.update(members)
    operator.file.write_text(yaml.safe_dump_all(told, sort_keys=False))


@pytest.mark.long
def test_other_settings_in_the_file_come_to_a_cluster_that_stands(lab, tmp_path):
    machines = [lab.machine("n1"), lab.machine("w1")]
    n1 = machines[0]
    operator = Operator(lab, tmp_path)
    operator.describe(machines)
    operator.must("apply", "--yes")
    lab.install_pod_network(n1)
    n1.wait_nodes_ready()
    pivot(n1)
    n1.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(n1))
    assert operator.steps() == {}

    settings(operator, "ClusterConfiguration", apiServer={"extraArgs": [{"name": "event-ttl", "value": "2h"}], "certSANs": ["api.example.org"]})
    assert operator.steps() == {"n1": ["reconfigure"]}
    asked = probes(n1)
    operator.must("apply", "--yes")
    none_failed(asked)
    assert "--event-ttl=2h" in n1.kubectl("-n", "kube-system", "get", "daemonset", "kube-apiserver", "-o", "yaml")
    assert "DNS:api.example.org" in n1.run("openssl", "x509", "-in", "/etc/kubernetes/pki/apiserver.crt", "-noout", "-ext", "subjectAltName")
    assert operator.steps() == {}

    # A policy that is on the desk alone comes with the settings; where it was read does not count.
    policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
    for name in ("policy.yaml", "same.yaml"):
        (tmp_path / name).write_text(policy)
    settings(operator, "KubestrapConfiguration", security={"audit": {"policyFile": str(tmp_path / "policy.yaml")}})
    assert operator.steps() == {"n1": ["reconfigure"]}
    operator.must("apply", "--yes")
    assert '"level":"Metadata"' in n1.read("/var/log/kubernetes/audit/audit.log")
    settings(operator, "KubestrapConfiguration", security={"audit": {"policyFile": str(tmp_path / "same.yaml")}})
    assert operator.steps() == {}

    settings(operator, "ClusterConfiguration", apiServer={})  # which says nothing
    assert operator.steps() == {}
    settings(operator, "ClusterConfiguration", networking={"podSubnet": "10.99.0.0/16"})
    planned = operator.must("plan")
    assert "settings stay as they are: a roll cannot change networking.podSubnet" in planned.out, planned.out


@pytest.mark.long
def test_other_settings_in_the_file_come_to_plain_control_planes_one_after_the_other(lab, tmp_path):
    machines = n1, n2, w1 = [lab.machine(name) for name in ("n1", "n2", "w1")]
    operator = Operator(lab, tmp_path)
    operator.describe(machines, layout="plain")
    operator.must("apply", "--yes")
    lab.install_pod_network(n1)
    n1.wait_nodes_ready()
    assert operator.steps() == {}

    settings(operator, "ClusterConfiguration", apiServer={"extraArgs": [{"name": "event-ttl", "value": "2h"}], "certSANs": ["api.example.org"]})
    assert operator.steps() == {"n1": ["reconfigure"], "n2": ["reconfigure node"]}
    first = operator.start("apply", "--yes")
    for line in first.stderr:
        if "n1: reconfigure done" in line:
            break
    first.kill()
    first.wait()
    operator.must("apply", "--yes")
    for node in (n1, n2):
        assert "--event-ttl=2h" in node.read("/etc/kubernetes/manifests/kube-apiserver.yaml")
        assert "DNS:api.example.org" in node.run("openssl", "x509", "-in", "/etc/kubernetes/pki/apiserver.crt", "-noout", "-ext", "subjectAltName")
    assert operator.steps() == {}
