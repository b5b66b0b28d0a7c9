"""What modules ask of kubestrap and make of its answers, by a program that pretends to be it."""

import json
import re
import sys
from pathlib import Path

import pytest

from pretender import Pretender

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def module(ansible, tmp_path):
    """Runs one: what it asked, and what it returned."""
    pretender = Pretender(tmp_path)

    def run(name: str, answers: dict, *flags: str, **arguments) -> tuple[list, dict]:
        pretender.answer(answers)
        task = {f"kubestrap.kubestrap.{name}": {"program": str(pretender.path)} | arguments}
        (tmp_path / "play.json").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        told = tmp_path / "told.json"
        environment = ansible.environment | ansible.telling(told) | {"ANSIBLE_PYTHON_INTERPRETER": sys.executable}
        done = ansible.run("ansible-playbook", "-i", "localhost,", "-c", "local", tmp_path / "play.json", *flags, env=environment)
        assert told.exists(), done.stdout
        (only,) = json.loads(told.read_text())["results"]
        return [words for words, _ in pretender.told], only["result"] | {"failed": only["outcome"] == "failed"}

    return run


PIVOT = [{"name": "n1: marked for the DaemonSets"}]


def test_init_lets_the_control_plane_pass_into_its_own_cluster(module):
    asked, said = module("kubestrap_init", {"init": {"changed": True, "changes": [], "steps": PIVOT}}, self_hosted=True)
    assert asked == [["init", "--self-hosted", "--exit-code", "-o", "json"]]
    assert said["changed"] and said["steps"] == PIVOT


def test_init_says_beforehand_which_steps_there_would_be_where_a_control_plane_stands(module):
    unchanged = {"changed": False, "changes": [], "steps": []}
    asked, said = module("kubestrap_init", {"init": unchanged, "pivot": {"changed": True, "steps": PIVOT}}, "--check", self_hosted=True)
    assert asked == [["init", "--self-hosted", "--dry-run", "--exit-code", "-o", "json"], ["pivot", "--dry-run", "-o", "json"]]
    assert said["changed"] and said["steps"] == PIVOT and "diff" not in said
    _, said = module("kubestrap_init", {"init": unchanged, "pivot": {"changed": True, "steps": PIVOT}}, "--check", "--diff", self_hosted=True)
    assert said["diff"]["prepared"] == "what there would be\nn1: marked for the DaemonSets\n"
    _, said = module("kubestrap_init", {"init": unchanged, "pivot": unchanged}, "--check", self_hosted=True)
    assert not said["changed"]


def test_init_asks_for_no_steps_where_there_is_no_cluster_yet(module):
    asked, said = module("kubestrap_init", {"init": {"changed": True, "changes": [], "steps": []}}, "--check", self_hosted=True)
    assert said["changed"] and not any(words[0] == "pivot" for words in asked) and "would pass into its own cluster" in said["msg"]


def test_init_says_nothing_of_it_to_those_who_do_not_ask(module):
    asked, said = module("kubestrap_init", {})
    assert asked == [["init", "--exit-code", "-o", "json"]] and "steps" not in said


# ---- upgrades, of both layouts

STEPS = [{"name": "kube-apiserver: revision 2"}]
ROLLED = {"from": "v1.36.3", "to": "v1.37.2", "node": {"name": "n1", "role": "control-plane"}, "changed": True, "steps": STEPS, "warnings": ["etcd keeps its version"]}
CHANGE = {"phase": "control-plane", "verb": "update", "subject": "file x", "reason": "differs"}
GAP = {"requests": 20, "failed": 2, "longestSeconds": 1.5, "totalSeconds": 1.5}


def test_a_roll_tells_its_steps_and_no_gap(module):
    asked, said = module("kubestrap_upgrade", {"upgrade apply": ROLLED}, version="v1.37.2")
    assert asked == [["upgrade", "apply", "v1.37.2", "--yes", "--exit-code", "-o", "json"]]
    assert said["changed"] and said["steps"] == STEPS and said["changes"] == [] and "api_gap" not in said
    assert said["node"]["name"] == "n1" and said["warnings"] == ["etcd keeps its version"]


def test_a_plain_control_plane_tells_its_changes_and_its_gap(module):
    answer = {"from": "v1.36.3", "to": "v1.37.2", "node": {}, "changed": True, "changes": [CHANGE], "warnings": [], "apiGap": GAP}
    _, said = module("kubestrap_upgrade", {"upgrade apply": answer}, version="v1.37.2")
    assert said["changed"] and said["changes"] == [CHANGE] and said["api_gap"] == GAP and "steps" not in said


def test_a_roll_is_told_beforehand_with_its_changes(module):
    plan = {"from": "v1.36.3", "to": "v1.37.2", "changed": True, "changes": [CHANGE | {"diff": "+x"}], "steps": STEPS, "findings": []}
    asked, said = module("kubestrap_upgrade", {"upgrade apply": plan}, "--check", "--diff", version="v1.37.2")
    assert [words[3:] for words in asked] == [["--dry-run"], ["--dry-run", "--exit-code", "-o", "json"]]
    assert said["changed"] and said["steps"] == STEPS and said["changes"] == plan["changes"] and said["diff"]["prepared"] == "what there would be\n"


def test_what_stands_in_the_way_of_a_roll_is_told_beforehand_too(module):
    finding = {"name": "EtcdHealthy", "severity": "error", "evidence": "1 of 3 members answers", "remedy": "look at etcd"}
    plan = {"from": "v1.36.3", "to": "v1.37.2", "changed": True, "changes": [], "steps": [], "findings": [finding], "code": 3}
    for flags in (["--check"], ["--check", "--diff"]):
        _, said = module("kubestrap_upgrade", {"upgrade apply": plan}, *flags, version="v1.37.2")
        assert said["failed"] and said["refused"] and "EtcdHealthy: 1 of 3 members answers (look at etcd)" in said["msg"]


def test_a_control_plane_that_is_not_in_its_own_cluster_is_refused_in_the_programs_words(module):
    words = "error: this control plane of layout hosted is not in its own cluster yet\n  try: run kubestrap pivot first\n"
    _, said = module("kubestrap_upgrade", {"upgrade": {"code": 3, "err": words}}, version="v1.37.2")
    assert said["failed"] and said["refused"] and "run kubestrap pivot first" in said["msg"]


def refused(*problems: str) -> dict:
    told = "".join(f"  {each}\n    try: something\n" for each in problems)
    return {"upgrade": {"code": 3, "err": f"warning: NodesReady: w2 is away\nerror: {len(problems)} problems\n{told}  while in phase preflight\n"}}


SILENT = {"upgrade": {"code": 1, "err": "error: the cluster's configuration cannot be read: connection refused\n  try: look at it\n"}}
NO_NODE = {"upgrade": {"code": 1, "err": "error: the cluster's configuration cannot be read: /etc/kubernetes/kubelet.conf is absent\n"}}


@pytest.mark.parametrize("answers, passing", [
    (refused("EtcdHealthy: 1 of 2 members of etcd do not answer: https://192.0.2.11:2379"), True),
    (refused("EtcdHealthy: etcd is not healthy", "ControlPlaneNodesReady: this node (n2) is not Ready"), True),
    (refused("EtcdHealthy: etcd is not healthy", "PodsAlone: default/web"), False),
    (refused("VersionSkew: from v1.35.1 to v1.37.2 leaves out a minor version"), False),
    (SILENT, True),
    (NO_NODE, False),
    ({"upgrade": {"code": 1, "err": "error: the kubelet is not healthy\n"}}, False),
])
def test_what_may_pass_by_itself_is_told_from_what_does_not(module, answers, passing):
    _, said = module("kubestrap_upgrade", answers)
    assert said["failed"] and said["passing"] == passing, said


def test_what_passes_by_itself_is_what_cluster_apply_waits_for():
    told = {}
    exec(re.search(r"^PASSING = .*\nUNREAD, .*$", (ROOT / "ansible/plugins/module_utils/program.py").read_text(), re.MULTILINE)[0], told)
    gates = re.search(r"passing\[\] = \{(.*)\};", (ROOT / "cmd/cluster_steps.cpp").read_text())[1]
    assert told["PASSING"] == set(re.findall(r'"(\w+)"', gates))
    setup = (ROOT / "cmd/upgrade_setup.cpp").read_text()
    assert f'"{told["UNREAD"]}: {{}}"' in setup and f'" {told["ABSENT"]}"' in setup


@pytest.mark.parametrize("cluster, told", [("v1.36.3", "cannot be told before"), ("v1.37.2", None)])
def test_a_kubelet_that_waits_for_its_version_of_the_cluster_is_no_failure_beforehand(module, tmp_path, cluster, told):
    kubelet = tmp_path / "kubelet"
    kubelet.write_text("#!/bin/sh\necho Kubernetes v1.37.2\n")
    kubelet.chmod(0o755)
    answers = {"upgrade node": {"to": cluster, "changed": False, "changes": []}}
    if cluster == "v1.36.3":
        answers["upgrade node --kubelet"] = {"code": 3, "err": "error: a kubelet is never newer than the API servers\n"}
    _, said = module("kubestrap_upgrade", answers, "--check", kubelet=str(kubelet))
    assert said["changed"] == bool(told) and (not told or told in said["msg"])
    _, said = module("kubestrap_upgrade", answers, kubelet=str(kubelet))
    assert said["failed"] == bool(told)


def test_pods_that_nobody_makes_anew_end_where_that_is_asked_for_and_nothing_else_is_forced(module):
    answers = {"upgrade node": {"to": "v1.37.2", "changed": False, "changes": []}, "upgrade apply": ROLLED}
    asked, said = module("kubestrap_upgrade", answers, force=True)
    assert asked == [["upgrade", "node", "--force", "--exit-code", "-o", "json"]] and not said["changed"]
    asked, _ = module("kubestrap_upgrade", answers, force=False)
    assert asked == [["upgrade", "node", "--exit-code", "-o", "json"]]
    asked, said = module("kubestrap_upgrade", answers, version="v1.37.2", force=True)
    assert said["failed"] and asked == []


# ---- bundles


def test_a_bundle_that_was_not_brought_yet_is_no_failure_beforehand(module, tmp_path):
    for name in ("kubestrap_init", "kubestrap_upgrade", "kubestrap_bundle"):
        where = {"path" if name == "kubestrap_bundle" else "bundle": str(tmp_path / "absent")}
        asked, said = module(name, {}, "--check", **where)
        assert asked == [] and said["changed"] and "not on this machine yet" in said["msg"], name


def test_what_a_bundle_brings_to_an_upgrade_counts_and_beforehand_is_all_that_can_be_told(module, tmp_path):
    (tmp_path / "x.bundle").touch()
    brought = {"phase": "bundle", "verb": "create", "subject": "image registry.k8s.io/pause:3.10.2", "reason": "missing"}
    answers = {"upgrade node phase bundle": {"changed": True, "changes": [brought]}, "upgrade node": {"to": "v1.37.2", "changed": False, "changes": []}}
    _, said = module("kubestrap_upgrade", answers, bundle=str(tmp_path / "x.bundle"))
    assert said["changed"] and said["changes"] == [brought]
    asked, said = module("kubestrap_upgrade", answers, "--check", bundle=str(tmp_path / "x.bundle"))
    assert said["changed"] and said["changes"] == [brought] and len(asked) == 1


def test_what_a_bundle_has_is_loaded_but_for_what_is_left_out(module, tmp_path):
    (tmp_path / "x.bundle").touch()
    asked, _ = module("kubestrap_bundle", {}, path=str(tmp_path / "x.bundle"), without=["kubelet", "kubestrap"])
    assert asked == [["bundle", "load", str(tmp_path / "x.bundle"), "--without", "kubelet,kubestrap", "--exit-code", "-o", "json"]]
