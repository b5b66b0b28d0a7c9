"""Rolls that meet trouble in the worst moment: the new revision dies or hangs, power goes, the driver is killed. Each ends with the old or the new one serving."""

import contextlib
import json
import re
import threading
import time

import pytest

from test_faults import Writer
from test_pivot import begin_self_hosted, cold_start, is_self_hosted, none_failed, pivot, probes
from test_pivot_recovery import WEBHOOK
from test_reset import members
from test_roll import ETCD, NEW, OLD, ends_as_before, etcd_images, reconfigure, remains, revisions, stored, versions
from test_surviving import API_SERVER, BLUE, GREEN, SCHEDULER, answers, is_well, ready_slots, three_control_planes, with_event_ttl

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def node(lab):
    machine = lab.machine("n1", OLD, also=(NEW,))
    begin_self_hosted(lab, machine, version=OLD)
    is_well(machine)
    return machine


def template(node, component: str = API_SERVER) -> str:
    return node.kubectl("-n", "kube-system", "get", "daemonset", component, "-o", "jsonpath={.spec.template}")


@contextlib.contextmanager
def trouble(node, script: str, *words: str):
    """A script that runs on the machine meanwhile."""
    running = node.popen("bash", "-c", script, "sh", *words)
    try:
        yield
    finally:
        running.kill()
        running.wait(10)


# The newer API server is killed KILLS times, each time SECONDS after it has become ready.
KILLED = r"""
slot=$1 seconds=$2 kills=$3
while [ $kills -gt 0 ]; do
  if [ "$(curl -sk -m 1 https://$slot:6443/readyz)" = ok ]; then
    sleep $seconds
    kill -9 $(pgrep -f "^kube-apiserver .*--bind-address=$slot( |\$)") && kills=$((kills - 1))
  fi
  sleep 0.5
done
"""
# It is stopped as soon as it has bound its port, whenever the kubelet makes another one.
HANGING = r"""
slot=$1
while sleep 0.2; do
  ss -Hltn "src $slot:6443" | grep -q . && pkill -STOP -f "^kube-apiserver .*--bind-address=$slot( |\$)"
done
"""


def other_slot(node) -> str:
    (serving,) = ready_slots(node)
    return GREEN if serving == BLUE else BLUE


def test_an_api_server_that_binds_and_hangs_goes_back(node):
    slot = other_slot(node)
    with trouble(node, HANGING, slot):
        ends_as_before(node, with_event_ttl(stored(node), "2h"), "kube-apiserver")
    node.try_("pkill", "-CONT", "-x", API_SERVER)
    is_well(node)


OTHER = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {{kubeconfig: {kubeconfig}}}
profiles:
- schedulerName: nobody
"""


def test_a_scheduler_that_leads_and_binds_nothing_is_followed_by_the_old_one(node):
    """It works for pods that ask for another scheduler."""
    kubeconfig = re.search(r"--kubeconfig=([^\"]+)", template(node, SCHEDULER)).group(1)
    node.write("/etc/kubernetes/other/scheduler.yaml", OTHER.format(kubeconfig=kubeconfig))
    told = """scheduler:
  extraArgs:
  - {name: config, value: /etc/kubernetes/other/scheduler.yaml}
  extraVolumes:
  - {name: other, hostPath: /etc/kubernetes/other, mountPath: /etc/kubernetes/other, readOnly: true, pathType: Directory}
"""
    configuration = stored(node)
    assert "\nscheduler: {}\n" in configuration
    ends_as_before(node, configuration.replace("scheduler: {}\n", told), "leads, and does not do its work")
    is_well(node)


def test_a_webhook_that_nobody_answers_for_keeps_a_roll_from_beginning(node):
    """Who is to try the new command line cannot be made."""
    before = revisions(node)
    node.kubectl("apply", "-f", "-", input=json.dumps(WEBHOOK))
    ends_as_before(node, with_event_ttl(stored(node), "2h"))
    assert revisions(node) == before
    node.run("kubestrap", "doctor", "--disable-webhook", "policy")
    is_well(node)


@pytest.mark.parametrize("moment", range(0, 40, 4))
def test_a_roll_that_loses_its_power_at_any_moment_goes_on(node, moment):
    wanted = with_event_ttl(stored(node), f"{100 + moment}m")
    writer = Writer(node, 6443, outside=True)
    node.write("/root/wanted.yaml", wanted)
    driver = node.popen("kubestrap", "reconfigure", "-f", "/root/wanted.yaml", "--yes")
    time.sleep(moment)
    cold_start(node)
    driver.wait(timeout=30)
    done = reconfigure(node, wanted)
    assert done.code == 0, str(done)
    assert f"--event-ttl={100 + moment}m" in template(node)
    is_well(node)
    writer.lost_nothing()
    assert remains(node) == ""


KILL_DRIVER = "kill -9 $(pidof kubestrap | tr ' ' '\\n' | while read p; do grep -qz reconfigure /proc/$p/cmdline && echo $p; done)"


THEN = ["again", "back", "nothing"]


@pytest.mark.parametrize("then", THEN)
@pytest.mark.parametrize("moment", [2, 6, 10, 16])
def test_a_driver_that_is_killed_at_any_moment_leaves_a_control_plane_that_serves(node, moment, then):
    """Then the same command goes on, another one goes back, or nobody does anything."""
    before = stored(node)
    ttl = f"{THEN.index(then) + 2}{moment:02}m"  # another one each time
    wanted = with_event_ttl(before, ttl)
    asked, writer = probes(node), Writer(node, 6443)
    node.write("/root/wanted.yaml", wanted)
    driver = node.popen("kubestrap", "reconfigure", "-f", "/root/wanted.yaml", "--yes")
    time.sleep(moment)
    node.sh(KILL_DRIVER)
    driver.wait(timeout=30)
    if then == "nothing":
        node.until("it is whole by itself", lambda: is_self_hosted(node), patience=300)
    done = reconfigure(node, before if then == "back" else wanted)
    assert done.code == 0, str(done)
    is_well(node)
    for result in [probe.end() for probe in asked]:
        assert not result["failedTwice"], result
    writer.lost_nothing()
    assert (f"--event-ttl={ttl}" in template(node)) == (then != "back")
    assert remains(node) == ""


GUARD = "/etc/kubernetes/manifests/kubestrap-guard.yaml"
KILL_UPGRADE = KILL_DRIVER.replace("reconfigure", "apply")


@contextlib.contextmanager
def guard_with(node, flag: str):
    """The guard of the node with one more flag."""
    before = node.read(GUARD)
    node.write(GUARD, re.sub(r"^( *)- --slot-port=.*$", rf"\g<0>\n\g<1>- {flag}", before, flags=re.MULTILINE), "600")
    try:
        node.until("the guard has it", lambda: node.try_("pgrep", "-f", f"^kubestrap guard run .*{flag}").code == 0)
        yield
    finally:
        node.write(GUARD, before, "600")
        node.until("the guard has it no more", lambda: node.try_("pgrep", "-f", "^kubestrap guard run").code == 0 and node.try_("pgrep", "-f", f"^kubestrap guard run .*{flag}").code)


def revision_of(node) -> str:
    return json.loads(template(node))["metadata"]["annotations"]["kubestrap.io/revision"]


def may_put_back(node) -> bool:
    return "kubestrap:guard-put-back" in node.kubectl("-n", "kube-system", "get", "rolebindings", "-o", "name")


def test_a_bad_upgrade_whose_driver_is_killed_goes_back_by_itself(node):
    """The new API server hangs, its driver is gone, and nobody does anything."""
    before, slot = revision_of(node), other_slot(node)
    assert not may_put_back(node)
    with guard_with(node, "--put-back=60s"), trouble(node, HANGING, slot):
        asked, writer = probes(node), Writer(node, 6443)
        driver = node.popen("kubestrap", "upgrade", "apply", f"v{NEW}", "--yes", "--soak", "15s")
        threading.Thread(target=driver.communicate, daemon=True).start()
        node.until("a new revision has come", lambda: revision_of(node) != before, patience=300)
        assert may_put_back(node)
        node.sh(KILL_UPGRADE)
        driver.wait(timeout=30)
        began = time.monotonic()
        node.until("the revision before is in force again", lambda: revision_of(node) == before, patience=300)
        print(f"put back {time.monotonic() - began:.1f} s after the driver was killed, with 60 s instead of ten minutes")
        none_failed(asked)
        writer.lost_nothing()
        node.until("it says so", lambda: "RolledBack" in node.read("/run/kubestrap/guard.json"))
    node.try_("pkill", "-CONT", "-x", API_SERVER)
    node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node), patience=300)
    assert versions(node) == {f"v{OLD}"}
    assert f"kubernetesVersion: v{OLD}" in stored(node)
    tidied = reconfigure(node, stored(node))
    assert tidied.code == 0, str(tidied)
    assert remains(node) == "" and not may_put_back(node)
    is_well(node)


def test_an_api_server_that_ends_half_a_minute_after_it_was_ready_goes_back(node):
    """In the soak of another minor version, when it is the only one."""
    writer = Writer(node, 6443)
    with trouble(node, KILLED, other_slot(node), "30", "2"):
        done = node.try_("kubestrap", "upgrade", "apply", f"v{NEW}", "--yes", "--soak", "180s", timeout=1500)
    assert done.code == 1 and "it has ended 2 times" in done.err, str(done)
    is_well(node)
    writer.lost_nothing()
    assert versions(node) == {f"v{OLD}"}
    assert remains(node) == ""


# ---- three of them


@pytest.fixture(scope="module")
def three(lab):
    machines = three_control_planes(lab, OLD, also=(NEW,))
    pivot(machines[0])
    return machines


def follower_with_two_members(machines):
    """The machine, where it is not the first one, and both vote: four do then."""
    said = machines[0].try_("kubestrap", "etcd", "status", "-o", "json", timeout=30)
    roles = {each["name"]: each["role"] for each in said.json["members"]} if said.code == 0 else {}
    here = [each for each in machines[1:] if sorted(roles.get(name) or "" for name in (each.name, f"{each.name}-second")) == ["voter", "voter"]]
    return here[0] if here and len(roles) == 4 else None


def test_power_of_one_node_then_of_one_whose_etcd_has_two_members_and_then_of_all_in_the_middle_of_an_upgrade(three):
    """Of those that do not drive, and of all. With two of four members etcd has no majority until their machine is back. The command, run again whenever it has ended, comes to the end."""
    nodes = three[:3]
    first, second = nodes[:2]
    upgrade = ("kubestrap", "upgrade", "apply", f"v{NEW}", "--yes", "--soak", "15s")
    writer = Writer(first, 6443, outside=True)

    def begun():
        driver = first.popen(*upgrade)
        threading.Thread(target=driver.communicate, daemon=True).start()
        return driver

    def revision() -> str:
        return json.loads(template(first))["metadata"]["annotations"]["kubestrap.io/revision"]

    drivers = [begun()]

    def comes_to(what: str, question):
        def seen():
            if drivers[-1].poll() is not None:
                drivers.append(begun())
            return question()

        return first.until(what, seen, patience=1500)

    def without(node) -> None:
        first.lab.off(node)
        time.sleep(20)
        first.lab.on(node)

    before = revision()
    comes_to("a new revision has come", lambda: revision() != before)
    without(second)
    moving = comes_to("a follower's etcd has two members", lambda: follower_with_two_members(nodes))
    began = time.monotonic()
    without(moving)
    first.until("the API answers", lambda: answers(first))
    print(f"power of {moving.name} lost for 20 s, with two of etcd's four members: the API answers after {time.monotonic() - began:.1f} s in all")
    before = first.until("a revision is told", revision)
    comes_to("it goes on", lambda: revision() != before)
    first.lab.off(*nodes)
    first.lab.on(*nodes)
    first.until("the API answers", lambda: answers(first))
    print(f"the command was run {len(drivers)} times")
    done = first.try_(*upgrade, timeout=2400)
    assert done.code == 0, str(done)
    for node in nodes:
        is_well(node)
    writer.lost_nothing()
    assert versions(first) == {f"v{NEW}"}
    assert etcd_images(first) == {ETCD}
    assert members(first) == {"n1", "n2", "n3"}
    assert remains(first) == ""


# ---- the disk

# Folders of a machine on a file system of their own, which can be full while etcd and the runtime have room.
SMALL = """
mkdir /disk; mount -t tmpfs -o size=8m disk /disk
for folder in "$@"; do mkdir -p "/disk$folder" "$folder"; mount --bind "/disk$folder" "$folder"; done
"""
FILL = "dd if=/dev/zero of=/disk/filling bs=1k 2>/dev/null; df /disk | grep -q 100%"
# It is full as soon as the API server gets another revision.
FILL_IN_THE_MIDDLE = """
revision() { kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get daemonset kube-apiserver -o jsonpath='{.metadata.generation}'; }
before=$(revision)
while now=$(revision); [ -z "$now" ] || [ "$now" = "$before" ]; do sleep 0.2; done
""" + FILL


@pytest.fixture(scope="module")
def small(lab):
    machine = lab.machine("n2", OLD, also=(NEW,))
    machine.sh(SMALL, "/etc/kubernetes", "/var/lib/kubestrap")
    begin_self_hosted(lab, machine, version=OLD)
    is_well(machine)
    return machine


def test_an_upgrade_on_a_disk_that_takes_no_more_leaves_what_serves_and_goes_on_with_room_again(small):
    upgrade = ("kubestrap", "upgrade", "apply", f"v{NEW}", "--yes", "--soak", "10s")
    asked, writer = probes(small), Writer(small, 6443)
    small.sh(FILL)
    full = small.try_(*upgrade, timeout=900)
    assert full.code == 1 and "No space left on device" in full.err, str(full)
    assert answers(small)
    small.run("rm", "/disk/filling")

    with trouble(small, FILL_IN_THE_MIDDLE):
        full = small.try_(*upgrade, timeout=900)
    small.sh("df /disk | grep -q 100%")
    assert full.code == 1 and "No space left on device" in full.err, str(full)
    assert answers(small)
    small.run("rm", "/disk/filling")

    done = small.try_(*upgrade, timeout=900)
    assert done.code == 0, str(done)
    none_failed(asked)
    writer.lost_nothing()
    assert versions(small) == {f"v{NEW}"}
    assert remains(small) == ""
    is_well(small)
