"""Control planes of the plain layout that are upgraded at the same moment take turns: one waits and says for whom, also when that one dies meanwhile. etcd has its majority all the while, and the API
is there."""

import json
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import datetime

import pytest

from test_faults import Writer
from test_join import CERTIFICATE_KEY, IGNORED, etcd_members, join, join_words, with_endpoint
from test_pivot import finds_nothing_wrong
from test_roll import LEADER_MOVES
from test_upgrade import coredns_tag, expected, images, older_node, stored_version
from testbed import OLDER, VERSION, Probe

pytestmark = pytest.mark.long

TURN = "it is this node's turn (kubestrap-control-plane)"
KILL = "for p in $(pidof kubestrap); do grep -qzx upgrade /proc/$p/cmdline && kill -9 $p && echo $p; done; :"


@pytest.fixture
def machines(lab):
    """Three control planes, the first of which has been given the newer version."""
    first, *others = [older_node(lab, name) for name in ("n1", "n2", "n3")]
    made = first.init("--upload-certs", config=with_endpoint(first, OLDER))
    assert made.code == 0, str(made)
    for machine in others:
        joined = join(machine, join_words(first), "--control-plane", "--certificate-key", CERTIFICATE_KEY, timeout=400)
        assert joined.code == 0, str(joined)
    lab.install_pod_network(first)
    first.wait_ready()
    done = first.try_("kubestrap", "upgrade", "apply", f"v{VERSION}", "--yes", IGNORED, timeout=400)
    assert done.code == 0, str(done)
    return [first, *others]


class Upgrade:
    """`upgrade node` on a machine, which goes on while a test looks on."""

    def __init__(self, machine, *flags: str):
        self.machine, self.began, self.told, self.out = machine, time.monotonic(), [], ""
        self.process = machine.popen("kubestrap", "upgrade", "node", "-o", "json", IGNORED, *flags)
        self.readers = [threading.Thread(target=self._hear, daemon=True), threading.Thread(target=self._read, daemon=True)]
        for reader in self.readers:
            reader.start()

    def _hear(self) -> None:
        self.told.extend(self.process.stderr)

    def _read(self) -> None:
        self.out = self.process.stdout.read()

    def waited(self) -> list[str]:
        """What it said of who has the turn, as often as it did."""
        records = [json.loads(line) for line in list(self.told) if line.startswith("{")]
        seen = [each["seen"] for each in records if each["event"] == "waiting" and each["subject"] == TURN]
        return [each for each in seen if " has it since " in each]

    def waited_for(self) -> set[str]:
        return {each.split(" ")[0] for each in self.waited()}

    def ended(self, timeout: float) -> int:
        code = self.process.wait(timeout)
        for reader in self.readers:
            reader.join(10)
        print(f"upgrade node on {self.machine.name}: exit code {code} after {time.monotonic() - self.began:.1f} s, waited for {sorted(self.waited_for()) or 'nobody'}")
        return code

    def ends_well(self, timeout: float = 600) -> None:
        assert self.ended(timeout) == 0, "".join(self.told)
        result = json.loads(self.out)
        assert result["node"]["name"] == self.machine.name and result["changed"] is True, result


# Says when nobody listens where etcd's clients come any more, and when somebody does again, until its input ends.
PRESENCE = r"""
before=
while read -r -t 0.1 _; [ $? -gt 128 ]; do
  now=$(ss -Hltn 'sport = :2379' | grep -q . && echo here || echo away)
  [ $now = "$before" ] || echo "$(date +%s.%N) $now"
  before=$now
done
"""


@dataclass
class Absence:
    begin: float
    end: float


class Member:
    """Of etcd on a machine: when it was away. Clocks of the lab's machines are one."""

    def __init__(self, machine):
        self.process = machine.popen("bash", "-c", PRESENCE, stdin=subprocess.PIPE)

    def absences(self) -> list[Absence]:
        out, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, err
        changes = [(float(moment), state) for moment, state in (line.split() for line in out.splitlines())]
        assert changes[0][1] == changes[-1][1] == "here", changes
        return [Absence(moment, changes[at + 1][0]) for at, (moment, state) in enumerate(changes) if state == "away"]


def lease(machine) -> dict:
    return machine.get("lease", "-n", "kube-system", "kubestrap-control-plane")["spec"]


def holder(machine) -> str:
    return lease(machine).get("holderIdentity", "")


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


class Clients:
    """Of the first control plane's API server, which is upgraded already: they ask for what takes a majority of etcd's members."""

    def __init__(self, first):
        self.asked, self.writer = Probe(first, 6443, host=first.address, stored=True), Writer(first, 6443)

    def were_served(self) -> None:
        """Whoever asks twice is answered; the first time only a leader of etcd that moves may be in the way."""
        result = self.asked.end()
        self.writer.lost_nothing()
        assert result["requests"] > 100 and not result["failedTwice"], result
        assert all(LEADER_MOVES.search(each["error"]) for each in result["failed"]), result


def are_upgraded(machines) -> None:
    first = machines[0]
    for machine in machines:
        machine.until("its pods are told of", lambda: images(machine) == expected(VERSION))
    assert stored_version(first) == f"v{VERSION}"
    assert coredns_tag(first) == "v1.14.6"  # addons wait for the last one
    assert etcd_members(first) == {"n1": False, "n2": False, "n3": False}
    assert holder(first) == ""
    first.wait_ready()
    finds_nothing_wrong(first)


def test_two_that_are_upgraded_at_the_same_moment_take_turns_and_neither_etcd_nor_the_api_is_missed(machines):
    first, *others = machines
    clients, members = Clients(first), {machine.name: Member(machine) for machine in others}
    runs = [Upgrade(machine) for machine in others]
    for run in runs:
        run.ends_well()
    clients.were_served()
    (waited,) = [run for run in runs if run.waited()]  # the other one had its turn at once
    (had,) = [run for run in runs if run is not waited]
    assert waited.waited_for() == {had.machine.name}
    assert " at the longest" in waited.waited()[0]
    before, after = (members[run.machine.name].absences() for run in (had, waited))
    print(f"away: {had.machine.name} {before}, then {waited.machine.name} {after}")
    assert before and after and max(each.end for each in before) < min(each.begin for each in after)
    are_upgraded(machines)


# Of these times, with that for a component once more, is the one for which a node that died has its turn: three minutes instead of thirteen.
SHORT = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: UpgradeConfiguration
timeouts: {controlPlaneComponentHealthCheck: 1m, upgradeManifests: 1m}
"""


def test_who_waits_for_one_that_was_killed_has_its_turn_when_the_lease_has_run_out_and_the_killed_one_goes_on(machines):
    first, *others = machines
    clients = Clients(first)
    for machine in others:
        machine.write("/root/short.yaml", SHORT)
    runs = {machine.name: Upgrade(machine, "--config", "/root/short.yaml") for machine in others}
    killed = runs.pop(first.until("somebody has the turn", lambda: holder(first)))
    (waits,) = runs.values()
    assert killed.machine.sh(KILL).strip()
    assert killed.ended(30) not in (0, 1), "".join(killed.told)
    left = lease(first)
    assert (left["holderIdentity"], left["leaseDurationSeconds"]) == (killed.machine.name, 180)
    waits.ends_well(timeout=900)
    assert waits.waited_for() == {killed.machine.name}
    assert seconds(lease(first)["acquireTime"]) >= seconds(left["acquireTime"]) + left["leaseDurationSeconds"]
    again = Upgrade(killed.machine, "--config", "/root/short.yaml")
    assert again.ended(600) == 0, "".join(again.told)
    clients.were_served()
    are_upgraded(machines)
