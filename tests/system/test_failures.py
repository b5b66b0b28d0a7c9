"""What goes wrong ends soon, with cause, evidence and remedy; and the corrected command succeeds on the same machine."""

import contextlib
import subprocess
import time
from datetime import datetime, timezone

import pytest
from testbed import CONFIG, VERSION

SOON = 20  # seconds, from when the evidence was first written; that waits end so soon is the promise that is tested here


@pytest.fixture(scope="module")
def machine(lab):
    return lab.machine("n1")


@pytest.fixture
def bare(machine):
    machine.lab.reset(machine)
    machine.give_pod_network()
    return machine


class FirstSight:
    """Looks on a machine, while something else runs there, for the first line that holds a text, among the logs of static pods and of the
    kubelet, those too that it wrote but ended too soon after for the journal to learn their unit. Lines of a container that ended are gone when
    the container after the next one has begun, so they cannot be looked for later."""

    SCRIPT = r"""
    while :; do
      grep -rhF -- "$1" /var/log/pods 2>/dev/null | sort | awk -v since="$3" '$1 >= since {print; found = 1; exit} END {exit !found}' && exit
      journalctl _SYSTEMD_UNIT=kubelet.service + _TRANSPORT=stdout SYSLOG_IDENTIFIER=kubelet --since "@$2" -o short-unix -q --no-pager |
        grep -m 1 -F -- "$1" && exit
      sleep 0.3
    done"""

    def __init__(self, machine, text: str):
        begun = datetime.now(timezone.utc)
        stamp = begun.strftime("%Y-%m-%dT%H:%M:%S")
        self.text = text
        self.process = machine.popen("bash", "-c", self.SCRIPT, "sh", text, str(int(begun.timestamp())), stamp)

    def moment(self) -> float:
        """When that line was written, by its own stamp."""
        try:
            line, _ = self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"no log holds {self.text!r}") from None
        stamp = line.split()[0]
        if "T" not in stamp:
            return float(stamp)
        seconds, fraction = stamp.rstrip("Z").split(".")
        return datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc).timestamp() + float("0." + fraction)


def fails(machine, *says: str, since: str | None = None, code: int = 1, flags: tuple[str, ...] = (), **init) -> str:
    """An init that must fail and say all of `says`, soon after a line with `since` has come up in a log; its error."""
    sight = FirstSight(machine, since) if since else None
    result = machine.init(*flags, **init)
    assert result.code == code, str(result)
    assert result.out == ""
    error = result.err[result.err.index("error: "):]
    for text in says:
        assert text in error, f"{text!r} is not in:\n{error}"
    if sight:
        took = result.said_at("error: ") - sight.moment()
        print(f"{since!r}: told {took:.1f} s after it was written first")
        assert 0 <= took < SOON, f"told after {took:.1f} s: {result}"
    assert "try: " in error or code in (2, 3), error
    return error


def succeeds(machine, **init) -> None:
    """The corrected init, on the machine as the failed one left it."""
    result = machine.init(**init)
    assert result.code == 0, str(result)
    again = machine.init("--exit-code", **init)
    assert again.code == 0, str(again)


# ---- images


def test_a_repository_that_cannot_be_reached_is_told_before_anything_is_made(bare):
    wrong = bare.config(("\nclusterName:", "\nimageRepository: registry.invalid/k8s\nclusterName:"))
    begun = time.monotonic()
    error = fails(bare, "registry.invalid/k8s/", since=None, code=1, config=wrong)
    assert time.monotonic() - begun < SOON
    assert "try: " in error, error
    assert "/etc/kubernetes/pki" not in bare.listing("/etc")
    succeeds(bare)


def test_an_image_tag_that_is_nowhere_is_told(bare):
    never = ("imagePullPolicy: IfNotPresent", "imagePullPolicy: Never")
    tag = ("\nclusterName:", "\netcd:\n  local:\n    imageTag: 9.9.9-0\nclusterName:")
    wrong = bare.config(never, tag)
    error = fails(bare, "Images: ", "registry.k8s.io/etcd:9.9.9-0", since=None, code=3, config=wrong)
    assert "try: " in error, error
    assert "/etc/kubernetes/pki" not in bare.listing("/etc")
    # Who insists is told by what comes of it.
    insists = ("--ignore-preflight-errors=Images",)
    fails(bare, "registry.k8s.io/etcd:9.9.9-0", "cannot be had", "evidence: ", flags=insists, config=wrong)
    succeeds(bare)


# ---- components


def extra_args(component: str, name: str, value: str) -> tuple[str, str]:
    text = f"extraArgs:\n    - name: {name}\n      value: '{value}'"
    where = f"etcd:\n  local:\n    {text.replace('    -', '    -')}" if component == "etcd" else f"{component}:\n    {text}"
    return ("\nclusterName:", f"\n{where}\nclusterName:")


def test_a_flag_that_the_api_server_does_not_know_is_told(bare):
    wrong = bare.config(extra_args("apiServer", "no-such-flag", "1"))
    fails(bare, "kube-apiserver was given a flag that it does not know", "evidence: ", "no-such-flag", "extraArgs", since="no-such-flag", config=wrong)
    succeeds(bare)


@pytest.mark.long
def test_a_value_that_the_api_server_refuses_is_told(bare):
    wrong = bare.config(extra_args("apiServer", "event-ttl", "soon"))
    fails(bare, "kube-apiserver", "evidence: ", "event-ttl", since="event-ttl", config=wrong)
    succeeds(bare)


def test_a_cause_that_nobody_foresaw_is_told_by_the_line_that_tells_it(bare):
    wrong = bare.config(extra_args("apiServer", "authorization-mode", "Nonsense"))
    fails(bare, "kube-apiserver ends again and again", "evidence: ", "Nonsense", "/var/log/pods/", since="Nonsense", config=wrong)
    succeeds(bare)


@pytest.mark.long
def test_a_flag_that_etcd_does_not_know_is_told(bare):
    wrong = bare.config(extra_args("etcd", "no-such-flag", "1"))
    fails(bare, "etcd was given a flag that it does not know", "evidence: ", "no-such-flag", since="no-such-flag", config=wrong)
    succeeds(bare)


AUDIT = """\napiServer:
  extraArgs:
    - name: audit-policy-file
      value: /etc/audit/policy.yaml
  extraVolumes:
    - name: audit
      hostPath: /etc/audit
      mountPath: /etc/audit
      readOnly: true
      pathType: DirectoryOrCreate
clusterName:"""


@pytest.mark.long
def test_what_was_mended_beside_the_configuration_is_tried_at_once(bare):
    config = bare.config(("\nclusterName:", AUDIT))
    missing = "/etc/audit/policy.yaml: no such file"
    fails(bare, "kube-apiserver misses a file", "evidence: ", "/etc/audit/policy.yaml", since=missing, config=config)
    time.sleep(35)  # the kubelet tries the pod again ever less often: after 10, 20, 40, 80, 160, 300 seconds
    fails(bare, "kube-apiserver misses a file", "evidence: ", "/etc/audit/policy.yaml", config=config)
    bare.write("/etc/audit/policy.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}]\n")
    begun = time.monotonic()
    succeeds(bare, config=config)
    assert time.monotonic() - begun < 3 * SOON


@pytest.mark.long
@pytest.mark.parametrize(("field", "name"), [("controllerManager", "kube-controller-manager"), ("scheduler", "kube-scheduler")])
def test_a_flag_that_another_component_does_not_know_is_told(bare, field, name):
    wrong = bare.config(extra_args(field, "no-such-flag", "1"))
    fails(bare, f"{name} was given a flag that it does not know", "evidence: ", "no-such-flag", since="no-such-flag", config=wrong)
    succeeds(bare)


# ---- kubelet


@pytest.mark.long
def test_a_kubelet_that_refuses_its_configuration_is_told(bare):
    wrong = bare.config(("\ncgroupDriver: systemd", "\ncgroupDriver: systemd\nfeatureGates:\n  NoSuchGate: true"))
    fails(bare, "kubelet", "evidence: ", "NoSuchGate", since="NoSuchGate", config=wrong)
    succeeds(bare)


BROKEN = """#!/bin/sh
case " $* " in *" --version "*) exec /opt/kubernetes/{version}/kubelet --version ;; esac
echo "kubelet: error while loading shared libraries: libsystemd.so.9: cannot open shared object file" >&2
exit 127
"""


def test_a_kubelet_that_ends_at_once_is_told(bare):
    bare.sh("systemctl stop kubelet; rm /usr/bin/kubelet")
    bare.write("/usr/bin/kubelet", BROKEN.format(version=VERSION), "755")
    fails(bare, "kubelet", "evidence: ", "libsystemd.so.9", "journalctl -u kubelet", since="libsystemd.so.9")
    bare.sh('cp "/opt/kubernetes/$1/kubelet" /usr/bin/kubelet.new && mv /usr/bin/kubelet.new /usr/bin/kubelet', VERSION)
    succeeds(bare)


# ---- the machine


def test_a_taken_port_is_told_with_who_has_it(bare):
    bare.run("systemd-run", "--unit", "squatter", "socat", "TCP-LISTEN:6443,fork", "PIPE")
    bare.until("the port is taken", lambda: bare.sh("ss -Hltn sport = :6443"))
    pid = bare.run("systemctl", "show", "squatter", "-p", "MainPID", "--value").strip()
    fails(bare, "6443", "socat", pid, since=None, code=3)
    bare.run("systemctl", "stop", "squatter")
    succeeds(bare)


def take(machine, port: int) -> None:
    machine.run("systemd-run", "--unit", "squatter", "socat", f"TCP-LISTEN:{port},fork,reuseaddr", "PIPE")
    machine.until("the port is taken", lambda: machine.sh(f"ss -Hltn sport = :{port}"))


# Ports that preflight does not look at, or was told to ignore.


@pytest.mark.long
def test_a_port_that_etcd_finds_taken_ends_the_wait(bare):
    take(bare, 2381)
    fails(bare, "etcd cannot listen: its port is taken", "evidence: ", ":2381: bind: address already in use", "ss -ltnp", since=":2381: bind")
    bare.run("systemctl", "stop", "squatter")
    succeeds(bare)


def test_a_port_that_the_kubelet_finds_taken_ends_the_wait(bare):
    take(bare, 10250)
    fails(bare, "the kubelet cannot listen: its port is taken", "evidence: ", ":10250: bind: address already in use", "ss -ltnp",
          since=":10250: bind", flags=("--ignore-preflight-errors=Port-10250",))
    bare.run("systemctl", "stop", "squatter")
    succeeds(bare)


def test_a_container_runtime_that_does_not_run_is_told(bare):
    bare.run("systemctl", "stop", "containerd")
    error = fails(bare, "containerd", since=None, code=3)
    assert "systemctl" in error, error
    bare.run("systemctl", "start", "containerd")
    succeeds(bare)


def test_all_that_speaks_against_a_machine_is_told_at_once(bare):
    bare.sh("mkdir -p /var/lib/etcd/member; touch /var/lib/etcd/member/snap; systemctl disable --now kubelet 2>&1")
    bare.write("/etc/kubernetes/manifests/kube-scheduler.yaml", "kind: Pod\n")
    bare.run("systemd-run", "--unit", "squatter", "socat", "TCP-LISTEN:10259,fork", "PIPE")
    bare.until("the port is taken", lambda: bare.sh("ss -Hltn sport = :10259"))
    fails(bare, "/var/lib/etcd", "/etc/kubernetes/manifests/kube-scheduler.yaml", "10259", since=None, code=3)
    assert "/etc/kubernetes/pki" not in bare.listing("/etc")
    bare.sh("systemctl stop squatter; rm -r /var/lib/etcd /etc/kubernetes/manifests")
    succeeds(bare)


# ---- the configuration


def test_all_mistakes_of_a_configuration_are_told_at_once(machine):
    wrong = machine.config(
        ("bindPort: 6443", "bindPort: 77777"),
        ("podSubnet: 10.244.0.0/16", "podSubnets: 10.244.0.0/16"),
        ("serviceSubnet: 10.96.0.0/12", "serviceSubnet: 10.96.0.0/99"),
        ("dnsDomain: cluster.local", "dnsDomain: cluster_local"),
        (f"kubernetesVersion: v{VERSION}", "kubernetesVersion: v1.12.0"),
    )
    machine.run("systemctl", "stop", "kubelet")  # one of an earlier scenario may come to its certificate now
    before = machine.digests("/etc", "/var/lib/kubelet")
    error = fails(machine, "5 problems", since=None, code=2, config=wrong)
    lines = wrong.splitlines()
    for text, field in (
        ("bindPort: 77777", "localAPIEndpoint.bindPort"),
        ("podSubnets:", "networking.podSubnets"),
        ("10.96.0.0/99", "networking.serviceSubnet"),
        ("cluster_local", "networking.dnsDomain"),
        ("v1.12.0", "kubernetesVersion"),
    ):
        number = next(number for number, line in enumerate(lines, 1) if text in line)
        told = [line for line in error.splitlines() if field in line and f"{CONFIG}:{number}" in line]
        assert told, f"{CONFIG}:{number} {field} is not in:\n{error}"
    assert "podSubnet" in error  # what was meant
    after = machine.digests("/etc", "/var/lib/kubelet")
    assert after == before


def test_an_unknown_flag_is_told_with_what_was_meant(machine):
    told = machine.try_("kubestrap", "init", "--pod-network-cdir", "10.244.0.0/16")
    assert told.code == 2, str(told)
    assert "--pod-network-cidr" in told.err
    assert told.out == ""


# ---- two at once


@contextlib.contextmanager
def stopped(machine, pid: str):
    """A process that stands still meanwhile."""
    machine.run("kill", "-STOP", pid)
    try:
        yield
    finally:
        machine.run("kill", "-CONT", pid)


def test_a_second_kubestrap_is_told_who_is_at_work(bare):
    bare.write(CONFIG, bare.config())
    # a child of a shell: what runs it from outside would stand still with it, and not go on
    first = bare.popen("sh", "-c", f"kubestrap init --config {CONFIG} & echo $! >/run/first; wait $!")
    for line in first.stderr:
        if "[certs/ca]" in line:
            break
    pid = bare.read("/run/first").strip()
    with stopped(bare, pid):
        second = bare.try_("kubestrap", "init", "--config", CONFIG)
        year = bare.run("date", "+%Y-").strip()
    said = first.communicate(timeout=120)
    assert second.code == 1, str(second)
    for text in ("kubestrap", "init", pid, year):
        assert text in second.err, f"{text!r} is not in:\n{second.err}"
    assert first.returncode == 0, said
