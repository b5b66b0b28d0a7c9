"""The lab's own promises: `up` makes a cluster and is then a no-op, goes on after it was killed, stands beside another lab; `down` leaves nothing."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from testbed import COMMANDS, Lab, Machine

STATE = Path(os.environ.get("KUBESTRAP_LAB_STATE") or "/var/lib/kubestrap-lab")


@pytest.fixture
def labs(lab):
    """Two more labs, named after the tests' own."""
    made = [Lab(f"{lab.name}-a"), Lab(f"{lab.name}-b")]
    for one in made:
        one.call("down")
    yield made
    for one in made:
        one.call("down")


def begin_up(lab: Lab, *words: str) -> subprocess.Popen:
    return subprocess.Popen([COMMANDS / "up", "--name", lab.name, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def ends_well(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, err
    return out


def kill_at(process: subprocess.Popen, step: str) -> None:
    """SIGKILL to the command itself, as soon as it has said that it is at this step; what it has begun goes on without it."""
    said = []
    for line in process.stderr:
        said.append(line)
        if step in line:
            break
    else:
        raise AssertionError(f"up did not come to {step!r}:\n{''.join(said)}")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def identities(lab: Lab) -> dict[str, tuple]:
    """What a lab's machines and nodes are, so that others in their place are noticed."""
    nodes = {node["metadata"]["name"]: node for node in Machine(lab, "n1").get("nodes")["items"]}
    return {name: (one["pid"], nodes[name]["metadata"]["uid"], nodes[name]["status"]["nodeInfo"]["bootID"])
            for name, one in lab.status().items()}


def left_over(lab: Lab) -> list[str]:
    """All on this host that carries the lab's name, or belongs to it."""
    mark = f"lab-{lab.name}"
    found = [f"mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines()
             if f"{STATE}/{lab.name}/" in line or f"/run/netns/{mark}" in line]
    found += [f"network namespace {name}" for name in os.listdir("/run/netns") if name.split(".")[0] == mark] if Path("/run/netns").exists() else []
    found += [f"cgroup {path}" for path in [*Path("/sys/fs/cgroup").glob(mark), *Path("/sys/fs/cgroup").glob(f"*/{mark}")]]
    found += [f"folder {path}" for path in (STATE / lab.name, STATE / ".locks" / lab.name) if path.exists()]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            has_ended = "\nState:\tZ" in (folder / "status").read_text()  # and waits for the host's PID 1 to notice
            if not has_ended and any(line.split(":", 2)[2].startswith(f"/{mark}/") for line in (folder / "cgroup").read_text().splitlines()):
                found.append(f"process {folder.name} {(folder / 'comm').read_text().strip()}")
        except OSError:
            continue  # it has ended meanwhile
    return found


def links() -> set[str]:
    return {link["ifname"] for link in json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)}


@pytest.mark.long
def test_labs_come_up_side_by_side_go_on_after_a_kill_and_leave_nothing(labs):
    first, second = labs
    own_links = links()
    undisturbed, killed = begin_up(first), begin_up(second)
    kill_at(killed, "kubestrap init")
    shown = ends_well(undisturbed)
    assert "Ready" in shown
    assert "coredns" in shown
    assert "Ready" in ends_well(begin_up(second))  # goes on

    before = identities(first)
    assert before["n1"] != identities(second)["n1"]
    assert first.status()["n1"]["address"] != second.status()["n1"]["address"]
    again = ends_well(begin_up(first))
    assert "Ready" in again
    assert identities(first) == before

    assert left_over(first)  # what is looked for is there as long as the lab stands
    first.call("down")
    assert left_over(first) == []
    assert identities(second)["n1"], "the other lab stands"
    second.call("down")
    assert left_over(second) == []
    assert links() == own_links


@pytest.mark.long
def test_a_lab_of_many_machines_comes_up_and_leaves_nothing(labs):
    first, _ = labs
    ends_well(begin_up(first, "--control-planes", "3", "--workers", "1"))
    assert sorted(identities(first)) == ["n1", "n2", "n3", "w1"]
    before = identities(first)
    ends_well(begin_up(first))
    assert identities(first) == before
    first.call("down")
    assert left_over(first) == []
