"""What modules ask of kubestrap and make of its answers, by a program that pretends to be it."""

import json
import sys

import pytest

from pretender import Pretender


@pytest.fixture
def module(ansible, tmp_path):
    """Runs one: what it asked, and what it returned."""
    pretender = Pretender(tmp_path)

    def run(name: str, answers: dict, *flags: str, **arguments) -> tuple[list, dict]:
        pretender.answer(answers)
        given = json.dumps({"program": str(pretender.path)} | arguments)
        environment = ansible.environment | {"ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline", "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
        done = ansible.run("ansible", "localhost", "-m", f"kubestrap.kubestrap.{name}", "-a", given, *flags, env=environment)
        (line,) = [each for each in done.stdout.splitlines() if " => {" in each]
        return [words for words, _ in pretender.told], json.loads(line.split(" => ", 1)[1])

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
    assert said["changed"] and said["steps"] == PIVOT
    _, said = module("kubestrap_init", {"init": unchanged, "pivot": unchanged}, "--check", self_hosted=True)
    assert not said["changed"]


def test_init_asks_for_no_steps_where_there_is_no_cluster_yet(module):
    asked, said = module("kubestrap_init", {"init": {"changed": True, "changes": [], "steps": []}}, "--check", self_hosted=True)
    assert said["changed"] and not any(words[0] == "pivot" for words in asked)


def test_init_says_nothing_of_it_to_those_who_do_not_ask(module):
    asked, said = module("kubestrap_init", {})
    assert asked == [["init", "--exit-code", "-o", "json"]] and "steps" not in said
