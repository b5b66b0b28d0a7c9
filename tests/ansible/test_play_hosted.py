"""Control planes that run in their own clusters, as the collection makes them, upgrades them and takes them away."""

import json
import re

import pytest

from test_pivot import is_kept_by_files, is_self_hosted
from test_play import content, ready, succeeded, take_away_what_the_lab_made, versions
from test_reset import HOSTS, is_as_before, names
from test_roll import ETCD, etcd_images
from test_roll import versions as component_versions
from testbed import OLDER, VERSION, Machine

pytestmark = [pytest.mark.lab, pytest.mark.long]

SELF_HOSTED = ("-e", "kubestrap_self_hosted=true")
NEWER = ("-e", f"kubestrap_kubernetes_version=v{VERSION}", "-e", f"kubestrap_new_kubelet=/opt/kubernetes/{VERSION}/kubelet")
THREE = ("n1", "n2", "n3")


def kept(machine) -> dict[str, str]:
    """What a play may change: not what the guard keeps for itself."""
    return {path: digest for path, digest in content(machine).items() if not path.startswith("/etc/kubernetes/kubestrap/")}


def machines_of(lab, *chosen: str, kubernetes: tuple[str, ...] = ()) -> list[Machine]:
    """Bare ones, and no others."""
    lab.call("down")
    lab.call("machine", "--fresh", *kubernetes, *chosen)
    return [Machine(lab, name) for name in chosen]


def steps_of(play) -> list[str]:
    """Those of the last time that the role init was played."""
    return [each["name"] for each in play.of("Make the cluster")["n1"]["steps"]]


def names_of_daemon_sets(first) -> str:
    return first.kubectl("-n", "kube-system", "get", "daemonsets", "-l", "kubestrap.io/component", "-o", "name")


# ---- one, with a worker


@pytest.fixture(scope="module")
def one(ansible, lab):
    made = machines_of(lab, "n1", "w1", kubernetes=("--kubernetes", OLDER, "--also-images", VERSION))
    ansible.inventory(lab, ["n1"], ["w1"], kubestrap_kubernetes_version=f"v{OLDER}", kubestrap_layout="hosted")
    return made


def test_before_there_is_a_cluster_a_play_that_looks_says_that_it_would_run_its_own_control_plane(ansible, lab, one):
    before = [content(machine) for machine in one]
    looked = ansible.play(lab, "site", "--check", "--diff", *SELF_HOSTED)
    assert looked.code == 0 and all(looked.changed.values()), str(looked)
    made = looked.of("Make the cluster")["n1"]
    assert made["steps"] == [] and "would pass into its own cluster" in made["msg"], made
    assert "/etc/kubernetes/manifests/kubestrap-guard.yaml" in made["diff"]["prepared"]
    assert [content(machine) for machine in one] == before


def test_a_control_plane_of_static_pods_passes_into_its_cluster_by_the_steps_that_were_told(ansible, lab, one):
    n1 = one[0]
    made = ansible.play(lab, "site")
    assert made.code == 0, str(made)
    ready(lab, n1)
    n1.until("it is static pods", lambda: is_kept_by_files(n1))
    before = [kept(machine) for machine in one]
    looked = ansible.play(lab, "site", "--check", "--diff", *SELF_HOSTED)
    succeeded(looked, n1=1, w1=0)
    told = [each for each in steps_of(looked) if not each.startswith("wait until")]
    assert "n1: marked for the DaemonSets" in told
    assert all(f"{each}\n" in looked.of("Make the cluster")["n1"]["diff"]["prepared"] for each in told)
    assert names_of_daemon_sets(n1) == "" and [kept(machine) for machine in one] == before

    passed = ansible.play(lab, "site", *SELF_HOSTED)
    succeeded(passed, n1=1, w1=0)
    assert set(told) <= set(steps_of(passed))
    n1.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(n1))


def test_a_second_play_changes_nothing_and_foresees_nothing(ansible, lab, one):
    ansible.inventory(lab, ["n1"], ["w1"], kubestrap_kubernetes_version=f"v{OLDER}", kubestrap_self_hosted=True)
    for flags in ((), ("--check", "--diff")):
        again = ansible.play(lab, "site", *flags)
        succeeded(again, n1=0, w1=0)
        assert steps_of(again) == []


def test_an_upgrade_is_told_beforehand_step_by_step_and_nothing_is_touched(ansible, lab, one):
    n1 = one[0]
    before = [kept(machine) for machine in one]
    refused = ansible.play(lab, "site", *NEWER)
    assert refused.code == 2 and "play kubestrap.kubestrap.upgrade" in refused.out, str(refused)
    looked = ansible.play(lab, "upgrade", *NEWER, "--check", "--diff")
    succeeded(looked, n1=2, w1=1)
    roll = looked.of("Upgrade the cluster")["n1"]
    assert roll["steps"][0]["name"] == "every node tries the new command lines"
    assert re.search(rf"^\+ *image: registry.k8s.io/kube-apiserver:v{VERSION}", roll["diff"]["prepared"], re.MULTILINE), str(looked)
    assert all(each["name"] in roll["diff"]["prepared"] for each in roll["steps"])
    assert [kept(machine) for machine in one] == before
    assert component_versions(n1) == {f"v{OLDER}"} and versions(n1) == dict.fromkeys(("n1", "w1"), f"v{OLDER}")


def test_it_is_upgraded_by_a_roll_and_its_kubelets_follow(ansible, lab, one):
    n1 = one[0]
    done = ansible.play(lab, "upgrade", *NEWER)
    succeeded(done, n1=2, w1=1)
    roll = done.of("Upgrade the cluster")["n1"]
    assert roll["steps"] and "api_gap" not in roll and roll["node"]["name"] == "n1"
    n1.until("both nodes tell of their new kubelets", lambda: versions(n1) == dict.fromkeys(("n1", "w1"), f"v{VERSION}"))
    n1.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(n1))
    n1.until("all is ready", lambda: n1.wait_ready() is None)
    assert component_versions(n1) == {f"v{VERSION}"} and etcd_images(n1) == {ETCD}
    assert not [node for node in n1.get("nodes")["items"] if node["spec"].get("unschedulable")]
    for playbook in ("upgrade", "site"):
        succeeded(ansible.play(lab, playbook, *NEWER), n1=0, w1=0)


def test_both_machines_are_bare_again(ansible, lab, one):
    n1 = one[0]
    take_away_what_the_lab_made(*one)
    ending = "-e", "kubestrap_end_cluster=true"
    succeeded(ansible.play(lab, "reset", *ending, "--check"), n1=1, w1=1)
    assert names(n1, "nodes") == {"n1", "w1"} and is_self_hosted(n1)
    succeeded(ansible.play(lab, "reset", *ending), n1=1, w1=1)
    for machine in one:
        is_as_before(machine, but=HOSTS)
    succeeded(ansible.play(lab, "reset", *ending), n1=0, w1=0)


# ---- three

AT_ONCE = ("-e", "kubestrap_control_planes_at_once=2")
# What a control plane that joins writes among its first and its last: before it is its turn at etcd, and long after.
FIRST, LAST = "/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/kubelet.conf"


@pytest.fixture(scope="module")
def three(ansible, lab):
    made = machines_of(lab, *THREE)
    ansible.inventory(lab, list(THREE), kubestrap_self_hosted=True)
    return made


def written(machine, path: str) -> float:
    return float(machine.run("stat", "-c", "%.Y", path))


def test_two_control_planes_join_the_first_one_at_the_same_time_and_all_pass_into_their_cluster(ansible, lab, three):
    n1, n2, n3 = three
    made = ansible.play(lab, "site", *AT_ONCE)
    assert made.code == 0, str(made)
    # All machines of the lab have one clock.
    for each, other in ((n2, n3), (n3, n2)):
        assert written(each, FIRST) < written(other, LAST), "they have joined one after the other"
    # The first one had passed before the others came.
    marked = [each for each in steps_of(made) if "marked for the DaemonSets" in each]
    assert sorted(marked) == ["n2: marked for the DaemonSets", "n3: marked for the DaemonSets"], steps_of(made)
    ready(lab, n1)
    for machine in three:
        machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine))
    n1.until("all is ready", lambda: n1.wait_ready() is None)
    members = json.loads(n1.run("kubestrap", "etcd", "status", "-o", "json"))["members"]
    assert sorted(each["name"] for each in members if each["role"] != "learner") == list(THREE), members


def test_a_second_play_changes_nothing_on_three(ansible, lab, three):
    for flags in (AT_ONCE, (), ("--check", "--diff")):
        again = ansible.play(lab, "site", *flags)
        succeeded(again, **dict.fromkeys(THREE, 0))
        assert steps_of(again) == []


def test_all_three_are_bare_again(ansible, lab, three):
    take_away_what_the_lab_made(*three)
    succeeded(ansible.play(lab, "reset", "-e", "kubestrap_end_cluster=true"), **dict.fromkeys(THREE, 1))
    for machine in three:
        is_as_before(machine, but=HOSTS)
