"""A roll that is cut off while a node's etcd has two members: its driver is killed, power goes, or somebody goes back. One member is left at the end, and every acknowledged write."""

import json
import threading
import time

import pytest

from test_faults import Writer
from test_pivot import MANIFESTS, begin_self_hosted, is_self_hosted, none_failed, probes
from test_roll import ETCD, LEADER_MOVES, MEMBER_GOES, NEW, OLD, etcd_images, remains, stored, versions
from test_roll_broken import KILL_UPGRADE
from test_surviving import answers, is_well

pytestmark = pytest.mark.long

UPGRADE = ("upgrade", "apply", f"v{NEW}", "--yes")
BESIDE, HOME = "beside the one that runs", "in its own place again"
OWN, SECOND = f"{MANIFESTS}/etcd.yaml", f"{MANIFESTS}/etcd-second.yaml"
BOTH = 'until [ -e "$1" ] && [ -e "$2" ]; do sleep 0.02; done'


@pytest.fixture
def fresh(lab):
    machine = lab.machine("n1", OLD, also=(NEW,))
    begin_self_hosted(lab, machine, version=OLD)
    machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine), patience=300)
    return machine


class Driver:
    """A run that goes on while a test looks on, and what it has said so far."""

    def __init__(self, node, *words: str):
        self.node, self.lines = node, []
        self.process = node.popen("kubestrap", *words)
        threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True).start()

    def says(self, text: str) -> bool:
        assert self.process.poll() is None, "".join(self.lines)
        return any(text in line for line in self.lines)

    def kill(self) -> None:
        self.node.sh(KILL_UPGRADE)
        self.process.wait(timeout=30)


def members(node) -> dict[str, str]:
    """Name -> role."""
    said = node.try_("kubestrap", "etcd", "members", "-o", "json", timeout=30)
    return {each["name"]: each["role"] for each in said.json["members"]} if said.code == 0 else {}


def in_the_middle(node, step: str) -> Driver:
    """An upgrade with two members, in that step of etcd's; the second one votes by then."""
    driver = Driver(node, *UPGRADE, "--soak", "15s")
    node.until(step, lambda: driver.says(step), patience=400)
    node.sh(BOTH, OWN, SECOND)  # at once: the way home is short
    if step == BESIDE:
        node.until("both members vote", lambda: driver.says(step) and list(members(node).values()) == ["leader", "voter"])
    return driver


def upgrade(node, *flags: str) -> None:
    began = time.monotonic()
    done = node.try_("kubestrap", *UPGRADE, "--soak", "15s", *flags, timeout=1200)
    assert done.code == 0, str(done)
    print(f"the same command: {time.monotonic() - began:.1f} s")


def has_one_member(node) -> None:
    assert members(node) == {node.name: "leader"}
    assert etcd_images(node) == {ETCD}
    assert node.try_("test", "-e", SECOND).code == 1


def is_upgraded(node) -> None:
    has_one_member(node)
    assert versions(node) == {f"v{NEW}"}
    assert f"kubernetesVersion: v{NEW}" in stored(node)
    assert remains(node) == ""
    is_well(node)


def refused_by_moves_alone(result: dict, moves: int) -> None:
    """As in a roll that nobody cuts off."""
    others = [each["error"] for each in result["failed"] if not LEADER_MOVES.search(each["error"])]
    assert all(MEMBER_GOES.search(error) for error in others) and len(others) <= moves, others


def test_a_driver_that_is_killed_while_etcd_has_two_members_is_missed_by_nobody_and_the_same_command_goes_on(fresh):
    """Once in each of the two moves of a member."""
    asked, writer = probes(fresh), Writer(fresh, 6443)
    for step in (BESIDE, HOME):
        in_the_middle(fresh, step).kill()
        time.sleep(20)  # nobody does anything
        print(f"killed in the step {step!r}: {members(fresh)}")
        assert len(members(fresh)) == 2 and answers(fresh)
    upgrade(fresh)
    none_failed(asked)
    refused_by_moves_alone(writer.lost_nothing(), moves=2)
    is_upgraded(fresh)


def test_power_that_goes_while_etcd_has_two_members_leaves_a_control_plane_that_comes_back_and_the_same_command_goes_on(fresh):
    writer = Writer(fresh, 6443, outside=True)
    for step in (BESIDE, HOME):
        driver = in_the_middle(fresh, step)
        fresh.lab.off(fresh)
        driver.process.wait(timeout=30)
        began = time.monotonic()
        fresh.lab.on(fresh)
        fresh.until("the API answers", lambda: answers(fresh))
        print(f"power lost in the step {step!r}: API after {time.monotonic() - began:.1f} s, {members(fresh)}")
        fresh.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(fresh), patience=300)
    upgrade(fresh)
    writer.lost_nothing()
    is_upgraded(fresh)


def roll_back(node) -> None:
    began = time.monotonic()
    done = node.try_("kubestrap", "upgrade", "rollback", timeout=900)
    print(f"rollback: {time.monotonic() - began:.1f} s")
    assert done.code == 0, str(done)
    assert versions(node) == {f"v{OLD}"}
    assert f"kubernetesVersion: v{OLD}" in stored(node)
    assert remains(node) == ""
    has_one_member(node)  # which stays new
    is_well(node)


def test_an_upgrade_is_taken_back_while_etcd_has_two_members_and_while_it_soaks_and_goes_through_then(fresh):
    asked, writer = probes(fresh), Writer(fresh, 6443)
    in_the_middle(fresh, BESIDE).kill()
    roll_back(fresh)
    driver = Driver(fresh, *UPGRADE, "--soak", "5m")
    fresh.until("it soaks", lambda: driver.says("has lasted for"), patience=400)
    driver.kill()
    roll_back(fresh)
    upgrade(fresh)
    none_failed(asked)
    refused_by_moves_alone(writer.lost_nothing(), moves=2)
    is_upgraded(fresh)
