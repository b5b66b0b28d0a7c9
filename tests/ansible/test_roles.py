"""What roles tell kubestrap, by a program that pretends to be it, on machines that are all this one."""

import json
import subprocess
import sys

import pytest

from pretender import Pretender


@pytest.fixture
def machines(ansible, tmp_path):
    """Plays one role on n1, n2 and w1, one after the other unless said otherwise: the words of each command, in order. `changed` of it has how many tasks changed a host."""
    pretender, told = Pretender(tmp_path), tmp_path / "told.json"
    groups = {"kubestrap_control_planes": {"hosts": {"n1": {}, "n2": {}}}, "kubestrap_workers": {"hosts": {"w1": {}}}}
    (tmp_path / "hosts.json").write_text(json.dumps(groups))

    def play(role: str, answers: dict, *flags: str, serial: int = 1, **variables) -> list[list[str]]:
        pretender.answer(answers)
        own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "kubestrap_program": str(pretender.path)}
        played = {"hosts": "all", "serial": serial, "gather_facts": False, "vars": own | variables, "roles": [f"kubestrap.kubestrap.{role}"]}
        (tmp_path / "play.json").write_text(json.dumps([played]))
        ansible.must("ansible-playbook", "-i", tmp_path / "hosts.json", tmp_path / "play.json", *flags, env=ansible.environment | ansible.telling(told))
        play.changed = {host: one["changed"] for host, one in json.loads(told.read_text())["hosts"].items()}
        return [words for words, _ in pretender.told]

    return play


APPLY = ["upgrade", "apply", "v1.37.2", "--yes", "--exit-code", "-o", "json"]
NODE = ["upgrade", "node", "--exit-code", "-o", "json"]


# ---- upgrades


def test_a_plain_control_plane_that_began_the_upgrade_is_through_by_it(machines):
    assert machines("upgrade", {}) == [APPLY, NODE, NODE]


def test_pods_may_be_ended_by_the_drain_of_a_node_and_not_by_the_upgrade_of_the_cluster(machines):
    forced = [*NODE[:2], "--force", *NODE[2:]]
    assert machines("upgrade", {}, kubestrap_upgrade_force=True) == [APPLY, forced, forced]


def test_a_node_waits_until_the_one_before_it_is_back(machines):
    away = {"code": 3, "err": "error: 1 problem\n  EtcdHealthy: 1 of 2 members of etcd do not answer\n"}
    silent = {"code": 1, "err": "error: the cluster's configuration cannot be read: connection refused\n"}
    done = {"changed": True, "changes": []}
    told = machines("upgrade", {"upgrade node": [away, silent, done]}, "--limit", "n1,n2")
    assert told == [APPLY, NODE, NODE, NODE] and machines.changed == {"n1": 0, "n2": 1}


def test_what_a_further_control_plane_will_get_is_told_beforehand_though_the_cluster_has_its_former_version(machines):
    waits = {"upgrade apply": {"changed": True, "changes": []}, "upgrade node": {"to": "v1.36.3", "changed": False, "changes": []}}
    machines("upgrade", waits, "--check")
    assert machines.changed == {"n1": 1, "n2": 1, "w1": 0}
    machines("upgrade", {}, "--check")
    assert machines.changed == {"n1": 0, "n2": 0, "w1": 0}


@pytest.mark.parametrize("steps", [[], [{"name": "kube-apiserver: revision 2"}]])
def test_behind_a_roll_the_control_plane_that_drove_it_gets_its_kubelets_settings_like_the_others(machines, steps):
    rolled = {"node": {}, "changed": bool(steps), "steps": steps, "warnings": []}
    assert machines("upgrade", {"upgrade apply": rolled}) == [APPLY, NODE, NODE, NODE]


# ---- joins


def test_control_planes_join_at_the_same_time_where_that_is_asked_for(machines):
    token = {"token": "abcdef.0123456789abcdef", "apiServerEndpoint": "192.0.2.11:6443", "caCertHashes": ["sha256:0"], "changed": True}
    answers = {"token list": {"items": []}, "token create": token, "join": {"changed": True, "changes": [], "meets": 2}}
    told = machines("join", answers, "--limit", "n1,n2", "--forks", "2", serial=2, kubestrap_control_planes_at_once=2, kubestrap_node_address="192.0.2.12")
    assert [words[:2] for words in told] == [["token", "list"], ["token", "create"], ["init", "phase"], ["join", "--config"], ["join", "--config"]]


# ---- what comes from a bundle


@pytest.fixture
def bundle(tmp_path):
    """One in which there is a kubestrap, as `kubestrap bundle create` packs it."""
    (tmp_path / "parts/bin").mkdir(parents=True)
    inside = Pretender(tmp_path / "parts")
    inside.path.rename(tmp_path / "parts/bin/kubestrap")
    subprocess.run(["tar", "--zstd", "-C", tmp_path / "parts", "-cf", tmp_path / "x.bundle", "bin/kubestrap"], check=True)
    return tmp_path / "x.bundle", inside


def test_kubestrap_itself_comes_out_of_the_bundle_where_the_machine_has_none(machines, bundle, tmp_path):
    file, inside = bundle
    program, place = tmp_path / "machine/kubestrap", tmp_path / "machine/state/cluster.bundle"
    program.parent.mkdir()
    machines("bundle", {}, kubestrap_program=str(program), kubestrap_bundle=str(place), kubestrap_bundle_source=str(file))
    assert place.read_bytes() == file.read_bytes() and program.stat().st_mode & 0o777 == 0o755
    assert [words for words, _ in inside.told] == [["bundle", "load", str(place), "--exit-code", "-o", "json"]] * 3


def test_a_program_that_is_brought_counts_before_that_of_the_bundle(machines, bundle, tmp_path):
    file, inside = bundle
    own = Pretender(tmp_path)
    asked = machines("bundle", {}, kubestrap_program=str(tmp_path / "machine-kubestrap"), kubestrap_binary=str(own.path), kubestrap_bundle=str(file))
    assert asked == [["bundle", "load", str(file), "--without", "kubestrap", "--exit-code", "-o", "json"]] * 3 and not inside.told


def test_without_a_bundle_nothing_is_loaded(machines):
    assert machines("bundle", {}) == []


def test_a_bundle_is_loaded_before_a_node_is_upgraded_by_it(machines, bundle):
    file = str(bundle[0])
    loaded = ["phase", "bundle", "--bundle", file, "--exit-code", "-o", "json"]
    apply, node = [*APPLY[:3], "--offline", "--bundle", file, *APPLY[3:]], [*NODE[:2], "--offline", "--bundle", file, *NODE[2:]]
    told = machines("upgrade", {}, "--limit", "n1", kubestrap_bundle=file, kubestrap_offline=True)
    assert told == [["upgrade", "apply", *loaded], apply, ["upgrade", "node", *loaded], node]


def test_without_a_bundle_a_machine_that_is_off_keeps_no_other_from_being_upgraded(ansible, tmp_path):
    away = {"ansible_connection": "ssh", "ansible_ssh_executable": "false"}
    off = {"kubestrap_control_planes": {"hosts": {"n1": away}}, "kubestrap_workers": {"hosts": {"w1": away}}}
    (tmp_path / "hosts.json").write_text(json.dumps(off))
    said = ansible.run("ansible-playbook", "-i", tmp_path / "hosts.json", "kubestrap.kubestrap.upgrade").stdout
    first, *others = said.split("PLAY [Upgrade ")
    assert "UNREACHABLE" not in first and len(others) == 2 and "UNREACHABLE" in others[0], said
