"""What roles tell kubestrap, by a program that pretends to be it, on machines that are all this one."""

import json
import sys

import pytest

from pretender import Pretender


@pytest.fixture
def machines(ansible, tmp_path):
    """Plays one role on n1, n2 and w1, one after the other: the words of each command, in order."""
    pretender = Pretender(tmp_path)
    (tmp_path / "bin").mkdir()
    kubectl = tmp_path / "bin/kubectl"
    kubectl.write_text("#!/bin/sh\n")
    kubectl.chmod(0o755)
    groups = {"kubestrap_control_planes": {"hosts": {"n1": {}, "n2": {}}}, "kubestrap_workers": {"hosts": {"w1": {}}}}
    (tmp_path / "hosts.json").write_text(json.dumps(groups))

    def play(role: str, answers: dict, *flags: str, **variables) -> list[list[str]]:
        pretender.answer(answers)
        own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "kubestrap_program": str(pretender.path)}
        told = {"hosts": "all", "serial": 1, "gather_facts": False, "vars": own | variables, "roles": [f"kubestrap.kubestrap.{role}"]}
        (tmp_path / "play.json").write_text(json.dumps([told]))
        environment = ansible.environment | {"PATH": f"{tmp_path / 'bin'}:{ansible.environment['PATH']}"}
        ansible.must("ansible-playbook", "-i", tmp_path / "hosts.json", tmp_path / "play.json", *flags, env=environment)
        return [words for words, _ in pretender.told]

    return play


APPLY = ["upgrade", "apply", "v1.37.2", "--yes", "--exit-code", "-o", "json"]
NODE = ["upgrade", "node", "--exit-code", "-o", "json"]


def test_a_plain_control_plane_that_began_the_upgrade_is_through_by_it(machines):
    assert machines("upgrade", {}) == [APPLY, NODE, NODE]


@pytest.mark.parametrize("steps", [[], [{"name": "kube-apiserver: revision 2"}]])
def test_behind_a_roll_the_control_plane_that_drove_it_gets_its_kubelets_settings_like_the_others(machines, steps):
    rolled = {"node": {}, "changed": bool(steps), "steps": steps, "warnings": []}
    assert machines("upgrade", {"upgrade apply": rolled}) == [APPLY, NODE, NODE, NODE]
