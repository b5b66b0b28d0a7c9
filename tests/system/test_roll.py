"""A control plane that runs in its own cluster gets another version, and other settings, by a roll: no request fails, and what is bad goes back."""

import json
import re
import time

import pytest

from kubelab import versions as kubelab_versions
import workloads
from test_pivot import SERVICE, begin_self_hosted, cold_start, finds_nothing_wrong, is_self_hosted, none_failed, pivot, probes, three_control_planes
from testbed import Probe

OLD, NEW = "1.36.3", "1.37.2"
LEADER_MOVES = re.compile("status 500: .*(leader changed|no leader|proposal dropped|previous leader failure)")
MEMBER_GOES = re.compile("status 500: .*(error reading from server|transport is closing|server stopped|raft: stopped)")
ETCD = kubelab_versions.KUBERNETES[NEW].etcd_image


def stored(node) -> str:
    return node.kubectl("-n", "kube-system", "get", "configmap", "kubeadm-config", "-o", "jsonpath={.data.ClusterConfiguration}")


def with_arguments(configuration: str, component: str, **arguments: str) -> str:
    lines = "".join(f"\n  - {{name: {name.replace('_', '-')}, value: '{value}'}}" for name, value in arguments.items())
    changed, count = re.subn(rf"^{component}: {{}}$", f"{component}:\n  extraArgs:{lines}", configuration, flags=re.MULTILINE)
    assert count == 1, configuration
    return changed


def reconfigure(node, configuration: str):
    began = time.monotonic()
    done = node.try_("kubestrap", "reconfigure", "-f", "-", "--yes", input=configuration, timeout=900)
    print(f"reconfigure: exit code {done.code} after {time.monotonic() - began:.1f} s")
    return done


def revisions(node) -> dict[str, str]:
    sets = node.get("daemonsets", "-n", "kube-system", "-l", "kubestrap.io/component")["items"]
    return {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["annotations"]["kubestrap.io/revision"] for each in sets}


def remains(node) -> str:
    """What was tried out, and not taken away."""
    return node.kubectl("-n", "kube-system", "get", "pods,daemonsets", "-l", "kubestrap.io/rehearsal", "-o", "name") + node.kubectl(
        "-n", "kube-system", "get", "pods,daemonsets", "-l", "kubestrap.io/canary", "-o", "name"
    )


def versions(node) -> set[str]:
    return {pod["spec"]["containers"][0]["image"].rsplit(":")[-1] for pod in node.get("pods", "-n", "kube-system", "-l", "kubestrap.io/component")["items"]}


def etcd_images(node) -> set[str]:
    return {pod["spec"]["containers"][0]["image"].rsplit(":")[-1] for pod in node.get("pods", "-n", "kube-system", "-l", "component=etcd")["items"]}


def ends_as_before(node, configuration: str, *told: str) -> None:
    """A change that cannot be: it is told why, no request fails, and the revisions that ran run on."""
    images = versions(node)
    asked = probes(node)
    done = reconfigure(node, configuration)
    none_failed(asked, least=10)
    assert done.code == 1, str(done)
    for words in told:
        assert words in done.err, done.err
    node.until("the control plane runs as before", lambda: is_self_hosted(node))
    assert versions(node) == images
    assert remains(node) == ""
    assert stored(node) != configuration


def writes_went_on(written: Probe, moves: int) -> None:
    """Writes while etcd's leader moves may be refused, for as long as the disk takes to keep who leads; and, at each move of a member of etcd, the one that is
    under way at the member which goes. Nothing else may refuse one."""
    result = written.end()
    refused = [each["error"] for each in result["failed"] if not LEADER_MOVES.search(each["error"])]
    print(f"{result['requests']} writes, {len(result['failed'])} refused, longest gap {result['longestGap']:.2f} s")
    assert result["requests"] > 100 and all(MEMBER_GOES.search(error) for error in refused) and len(refused) <= moves, refused


@pytest.fixture(scope="module")
def node(lab):
    machine = lab.machine("n1", OLD, also=(NEW,))
    begin_self_hosted(lab, machine, version=OLD)
    assert "layout: hosted" in machine.kubectl("-n", "kube-system", "get", "configmap", "kubestrap-config", "-o", "yaml")
    machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine))
    return machine


def test_what_a_roll_cannot_change_is_refused(node):
    configuration = stored(node)
    refused = reconfigure(node, configuration.replace("podSubnet: 10.244.0.0/16", "podSubnet: 10.245.0.0/16"))
    assert refused.code == 3
    assert "networking.podSubnet" in refused.err


def test_a_flag_that_nobody_knows_is_found_before_anything_is_changed(node):
    before = revisions(node)
    ends_as_before(node, with_arguments(stored(node), "scheduler", no_such_flag="1"), "unknown flag: --no-such-flag", "nothing was changed")
    assert revisions(node) == before


PLAN = "/root/plan.json"


def test_a_plan_tells_all_changes_and_is_refused_where_something_else_would_be_done(node):
    before = revisions(node)
    planned = node.try_("kubestrap", "upgrade", "plan", f"v{NEW}", "--save", PLAN, "-o", "json", "--exit-code")
    assert planned.code == 4, str(planned)
    said = planned.json
    assert (said["from"], said["to"]) == (f"v{OLD}", f"v{NEW}")
    assert not [each for each in said["findings"] if each["severity"] == "error"]
    assert {(each["name"], each["currentVersion"]) for each in said["components"]} >= {("kube-apiserver", f"v{OLD}"), ("kubelet", f"v{OLD}")}
    assert said["steps"][0]["name"] == "every node tries the new command lines"
    diffs = {each["subject"]: each.get("diff", "") for each in said["changes"] if each["verb"] != "keep"}
    for component in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        assert re.search(rf"^\+.*{component}:v{NEW}$", diffs[f"DaemonSet kube-system/{component}"], re.MULTILINE), diffs
    assert f"v{NEW}" in node.run("kubestrap", "upgrade", "diff", f"v{NEW}")
    back = node.try_("kubestrap", "upgrade", "apply", "v1.36.1", "--yes")
    assert back.code == 3 and "goes back" in back.err, str(back)
    was = stored(node)
    node.kubectl("-n", "kube-system", "patch", "configmap", "kubeadm-config", "-p", json.dumps({"data": {"ClusterConfiguration": with_arguments(was, "scheduler", v="2")}}))
    refused = node.try_("kubestrap", "upgrade", "apply", PLAN, "--yes")
    assert refused.code == 3 and "DaemonSet kube-system/kube-scheduler would be changed in another way" in refused.err, str(refused)
    node.kubectl("-n", "kube-system", "patch", "configmap", "kubeadm-config", "-p", json.dumps({"data": {"ClusterConfiguration": was}}))
    assert revisions(node) == before


def test_an_upgrade_of_a_minor_version_loses_no_request(node):
    node.run("kubestrap", "upgrade", "apply", f"v{NEW}", "--dry-run", "--yes")
    asked, written = [*probes(node), Probe(node, 6443, stored=True)], Probe(node, 6443, writes=True)
    began = time.monotonic()
    done = node.try_("kubestrap", "upgrade", "apply", PLAN, "--yes", "--soak", "15s", timeout=900)
    print(f"upgrade: {time.monotonic() - began:.1f} s")
    assert done.code == 0, str(done)
    none_failed(asked)
    writes_went_on(written, moves=2)
    assert versions(node) == {f"v{NEW}"}
    assert etcd_images(node) == {ETCD}
    assert f"kubernetesVersion: v{NEW}" in stored(node)
    assert remains(node) == ""
    node.until("it runs in its own cluster", lambda: is_self_hosted(node))
    again = node.run("kubestrap", "upgrade", "apply", f"v{NEW}", "--yes", "-o", "json")
    assert '"changed": false' in again
    workloads.work(node, "n1")


def test_its_kubelet_follows_and_the_node_takes_pods_again(node):
    newer = f"/opt/kubernetes/{NEW}/kubelet"
    began = time.monotonic()
    asked = Probe(node, 6443)
    refused = node.try_("kubestrap", "upgrade", "node", "--kubelet", newer)
    assert refused.code == 3 and "on-n1" in refused.err, str(refused)  # of which nobody makes another
    done = node.try_("kubestrap", "upgrade", "node", "--kubelet", newer, "--drain-timeout", "60s", "--force", timeout=400)
    assert done.code == 0, str(done)
    node.until("the node tells of its new kubelet", lambda: node.get("node", "n1")["status"]["nodeInfo"]["kubeletVersion"] == f"v{NEW}")
    node.until("it runs in its own cluster", lambda: is_self_hosted(node))
    node.until("all is ready", lambda: node.wait_ready() is None)
    result = asked.end()
    print(f"upgrade node: {time.monotonic() - began:.1f} s; {len(result['failed'])} of {result['requests']} requests failed, longest gap {result['longestGap']:.2f} s")
    assert not node.get("node", "n1")["spec"].get("unschedulable")
    finds_nothing_wrong(node)


@pytest.mark.long
def test_other_settings_lose_no_request(node):
    asked = probes(node)
    done = reconfigure(node, with_arguments(stored(node), "apiServer", event_ttl="2h"))
    assert done.code == 0, str(done)
    none_failed(asked)
    assert "--event-ttl=2h" in node.kubectl("-n", "kube-system", "get", "daemonset", "kube-apiserver", "-o", "yaml")
    assert "event-ttl" in stored(node)
    back = reconfigure(node, re.sub(r"apiServer:\n  extraArgs:\n(  .*\n)+", "apiServer: {}\n", stored(node)))
    assert back.code == 0, str(back)


@pytest.mark.long
def test_an_image_that_cannot_be_had_is_found_before_anything_is_changed(node):
    before = revisions(node)
    ends_as_before(node, stored(node).replace("imageRepository: registry.k8s.io", "imageRepository: nowhere.invalid"), "does not begin on n1", "nothing was changed")
    assert revisions(node) == before


@pytest.mark.long
def test_an_api_server_that_ends_goes_back(node):
    ends_as_before(node, with_arguments(stored(node), "apiServer", audit_policy_file="/nowhere"), "it has ended 2 times", "/nowhere")


@pytest.mark.long
def test_an_api_server_that_finds_no_etcd_goes_back(node):
    ends_as_before(node, with_arguments(stored(node), "apiServer", etcd_servers="https://127.0.0.1:9"), "kube-apiserver")


@pytest.mark.long
def test_a_controller_manager_that_leads_and_does_nothing_is_followed_by_the_old_one(node):
    ends_as_before(node, with_arguments(stored(node), "controllerManager", controllers="*,-daemonset-controller"), "leads, and does not do its work")


@pytest.mark.long
def test_the_standby_follows_once_the_revision_has_lasted(node):
    wanted = revisions(node)

    def standbys() -> dict[str, str]:
        report = node.get("lease", "-n", "kube-system", "kubestrap-guard-n1")["metadata"]["annotations"]["kubestrap.io/guard"]
        return {name: component["standby"] for name, component in json.loads(report)["components"].items()}

    node.until("it is the standby", lambda: standbys() == wanted, patience=200)


def begin(node, configuration: str):
    node.write("/root/wanted.yaml", configuration)
    return node.popen("kubestrap", "reconfigure", "-f", "/root/wanted.yaml", "--yes")


def begin_revision(node, configuration: str):
    """A roll of the scheduler that has got as far as to a new revision."""
    before = revisions(node)["kube-scheduler"]
    driver = begin(node, configuration)
    node.until("a new revision has come", lambda: revisions(node)["kube-scheduler"] != before)
    return driver


def kill(node, driver) -> None:
    node.sh("kill -9 $(pidof kubestrap | tr ' ' '\\n' | while read p; do grep -qz reconfigure /proc/$p/cmdline && echo $p; done)")
    driver.wait(timeout=30)


def goes_on(node, configuration: str, verbose: bool) -> None:
    done = reconfigure(node, configuration)
    assert done.code == 0, str(done)
    assert ("name: v" in stored(node)) == verbose
    assert ("--v=2" in node.kubectl("-n", "kube-system", "get", "daemonset", "kube-scheduler", "-o", "yaml")) == verbose
    node.until("it runs in its own cluster", lambda: is_self_hosted(node))
    assert remains(node) == ""


def test_a_roll_whose_driver_is_killed_goes_on(node):
    wanted = with_arguments(stored(node), "scheduler", v="2")
    asked = probes(node)
    driver = begin(node, wanted)
    node.until("it is rehearsed", lambda: remains(node) != "")
    kill(node, driver)
    kill(node, begin_revision(node, wanted))
    goes_on(node, wanted, verbose=True)
    none_failed(asked)


@pytest.mark.long
def test_a_roll_that_loses_its_power_goes_on(node):
    wanted = re.sub(r"scheduler:\n  extraArgs:\n(  .*\n?)+", "scheduler: {}\n", stored(node))
    driver = begin_revision(node, wanted)
    cold_start(node)
    driver.wait(timeout=30)
    goes_on(node, wanted, verbose=False)


@pytest.fixture(scope="module")
def three(lab):
    machines = three_control_planes(lab, OLD, also=(NEW,))
    pivot(machines[0])
    return machines


@pytest.mark.long
def test_an_upgrade_of_three_nodes_loses_no_request(three):
    first = three[0]
    asked = [Probe(machine, 6443, stored=True) for machine in three] + [Probe(three[3], 443, host=SERVICE)]
    written = Probe(first, 6443, writes=True)
    began = time.monotonic()
    done = first.try_("kubestrap", "upgrade", "apply", f"v{NEW}", "--yes", "--soak", "15s", timeout=2400)
    print(f"upgrade: {time.monotonic() - began:.1f} s")
    assert done.code == 0, str(done)
    none_failed(asked)
    writes_went_on(written, moves=6)
    assert versions(first) == {f"v{NEW}"}
    assert etcd_images(first) == {ETCD}
    members = json.loads(first.run("kubestrap", "etcd", "status", "-o", "json"))["members"]
    assert sorted(each["name"] for each in members if each["role"] != "learner") == ["n1", "n2", "n3"], members
    assert remains(first) == ""
    workloads.work(first, *(each.name for each in three))
    for node in three[:3]:
        node.until("it runs in its own cluster", lambda: is_self_hosted(node))
        assert node.try_("test", "-e", "/etc/kubernetes/manifests/etcd-second.yaml").code == 1


ETCDCTL = ("etcdctl", "--endpoints=https://127.0.0.1:2379", "--cacert=/etc/kubernetes/pki/etcd/ca.crt", "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt",
           "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key")


def hashes(node, *words: str) -> dict[str, tuple[int, int, int]]:
    """Of each member, by etcd's own program: the revision that it is at, that to which it is compacted, and the hash of what lies between."""
    said = json.loads(node.kubectl("-n", "kube-system", "exec", f"etcd-{node.name}", "--", *ETCDCTL, "endpoint", "hashkv", "--cluster", *words, "-w", "json"))
    return {each["Endpoint"]: (each["HashKV"]["header"]["revision"], each["HashKV"].get("compact_revision", 0), each["HashKV"]["hash"]) for each in said}


def hashes_at_one_revision(node, count: int) -> set[int]:
    """Of so many members, once all of them are compacted to the same revision, between which and the one revision the hash is made."""
    at = min(revision for revision, _, _ in hashes(node).values())
    found = hashes(node, "--rev", str(at))
    assert len(found) == count and len({compacted for _, compacted, _ in found.values()}) == 1, found
    print(f"at revision {at}: {found}")
    return {each for _, _, each in found.values()}


@pytest.mark.long
def test_after_it_each_member_of_etcd_has_the_same_data(three):
    first = three[0]
    assert etcd_images(first) == {ETCD}
    same = first.until("all are compacted alike", lambda: hashes_at_one_revision(first, 3))
    assert len(same) == 1, same
