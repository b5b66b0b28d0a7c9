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
from testbed import STOP

pytestmark = pytest.mark.long

UPGRADE = ("upgrade", "apply", f"v{NEW}", "--yes")
# Steps, as lines of theirs begin: the second member comes, before API servers know its place; it takes the part of the first one, which makes room; and the way home.
BESIDE, MAKES_ROOM, HOME = "beside the one that runs]", "beside the one that runs, which makes room]", "in its own place again]"
STEPS = (BESIDE, MAKES_ROOM, HOME)
OWN, SECOND = f"{MANIFESTS}/etcd.yaml", f"{MANIFESTS}/etcd-second.yaml"
BOTH = 'until [ -e "$1" ] && [ -e "$2" ]; do sleep 0.02; done'
STANDS_STILL = "for p in $(pidof kubestrap); do grep -qzx apply /proc/$p/cmdline && grep -q '^State:.*stopped' /proc/$p/status && exit; done; exit 1"


@pytest.fixture
def fresh(lab):
    machine = lab.machine("n1", OLD, also=(NEW,))
    begin_self_hosted(lab, machine, version=OLD)
    machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine), patience=300)
    return machine


class Driver:
    """A run that goes on while a test looks on, and what it has said so far. It stands still from the line on that holds `until`, where that is given."""

    def __init__(self, node, *words: str, until: str = ""):
        self.node, self.lines = node, []
        standing = ("bash", "-c", "exec >&2" + STOP, "sh", "STOP", "", until, "1", "0")
        self.process = node.popen(*standing, *words) if until else node.popen("kubestrap", *words)
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
    """An upgrade with two members, in that step of etcd's; both vote by then, but on the way home. The one that makes room does so within moments: there the driver stands still."""
    short = ("-v", "1") if step == MAKES_ROOM else ()  # it tells of what is as it should be, too, which is all that comes before
    driver = Driver(node, *UPGRADE, "--soak", "15s", *short, until=step if short else "")
    node.until(step, lambda: driver.says(step), patience=400)
    node.sh(BOTH, OWN, SECOND)  # at once: the way home is short
    if step == MAKES_ROOM:
        node.until("the driver stands still", lambda: node.try_("bash", "-c", STANDS_STILL).code == 0)
    if step != HOME:
        node.until("both members vote", lambda: driver.says(step) and sorted(members(node).values()) == ["leader", "voter"])
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
    """Once in each step in which there are two."""
    asked, writer = probes(fresh), Writer(fresh, 6443)
    for step in STEPS:
        in_the_middle(fresh, step).kill()
        time.sleep(20)  # nobody does anything
        print(f"killed in the step {step!r}: {members(fresh)}")
        assert len(members(fresh)) == 2 and answers(fresh)
    upgrade(fresh)
    none_failed(asked)
    refused_by_moves_alone(writer.lost_nothing(), moves=2)
    is_upgraded(fresh)


def test_power_that_goes_while_etcd_has_two_members_leaves_a_control_plane_that_comes_back_and_the_same_command_goes_on(fresh):
    """Once in each step in which there are two: API servers know one place of it, both, and both again."""
    writer = Writer(fresh, 6443, outside=True)
    for step in STEPS:
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


@pytest.mark.parametrize("step", [BESIDE, MAKES_ROOM], ids=["comes", "makes-room"])
def test_an_upgrade_is_taken_back_while_etcd_has_two_members_and_while_it_soaks_and_goes_through_then(fresh, step):
    asked, writer = probes(fresh), Writer(fresh, 6443)
    in_the_middle(fresh, step).kill()
    roll_back(fresh)
    driver = Driver(fresh, *UPGRADE, "--soak", "5m")
    fresh.until("it soaks", lambda: driver.says("has lasted for"), patience=400)
    driver.kill()
    roll_back(fresh)
    upgrade(fresh)
    none_failed(asked)
    refused_by_moves_alone(writer.lost_nothing(), moves=2)
    is_upgraded(fresh)
