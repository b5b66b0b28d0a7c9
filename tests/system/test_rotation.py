"""`kubestrap certs rotate-ca` on real components: with requests all the while, and a driver that is killed."""

import pytest

from test_front import with_front
from test_join import CERTIFICATE_KEY, join, join_words
from test_pivot import cold_start, hosted, is_self_hosted, pivot, probes, three_control_planes
from testbed import Probe

AUTHORITIES = ("front-proxy-ca", "etcd-ca", "ca", "sa")
KUBECTL = ("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl")
PKI = "/etc/kubernetes/pki"
FILES = {"sa": "sa.pub", "front-proxy-ca": "front-proxy-ca.crt", "etcd-ca": "etcd/ca.crt", "ca": "ca.crt"}
CHAINS = {
    "front-proxy-ca": ("front-proxy-client",),
    "etcd-ca": ("etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client"),
    "ca": ("apiserver", "apiserver-kubelet-client"),
}
CONTROL_PLANES_PORT, WORKERS_PORT = 6445, 6443

pytestmark = pytest.mark.long


def rotate(machine, authority: str, *flags: str):
    done = machine.try_("kubestrap", "certs", "rotate-ca", authority, *flags, timeout=1200)
    assert done.code == 0, str(done)
    return done


def trusted(machine, authority: str) -> list[str]:
    """The authority's file, by its PEM blocks."""
    return [block for block in machine.read(f"{PKI}/{FILES[authority]}").split("-----BEGIN ") if block.strip()]


def is_of_one(control_planes, workers, authority: str) -> None:
    """All of it is of one authority, nothing is left of the way there, and the cluster works by it."""
    first = control_planes[0]
    for machine in control_planes:
        assert len(trusted(machine, authority)) == 1
        assert trusted(machine, authority) == trusted(first, authority)
        assert machine.try_("test", "-e", f"/var/lib/kubestrap/rotation/{authority}").code != 0
        for name in CHAINS.get(authority, ()):
            machine.run("openssl", "verify", "-CAfile", f"{PKI}/{FILES[authority]}", f"{PKI}/{name}.crt")
    if authority == "ca":
        for machine in (*control_planes, *workers):
            assert trusted(machine, "ca") == trusted(first, "ca")
            machine.run("openssl", "verify", "-CAfile", f"{PKI}/ca.crt", "/var/lib/kubelet/pki/kubelet-client-current.pem")
    assert first.kubectl("get", "--raw", "/readyz") == "ok"
    first.wait_nodes_ready()


def tokens_are_new(first) -> None:
    """Nobody waits here for the hour in which pods get other tokens: those that the former key has signed are made anew at once."""
    first.kubectl("-n", "kube-system", "rollout", "restart", "daemonset/kube-proxy", "deployment/coredns")
    first.wait_ready()


def none_failed_twice(asked: list[Probe], least: int, may_fail: bool = False) -> None:
    for probe in asked:
        result = probe.end()
        assert result["requests"] > least and (may_fail or not result["failedTwice"]), f"{probe.what}: {result['failedTwice'][:3]}"


class Workload:
    """A pod that was there before, with its token and the authority that it got."""

    def __init__(self, control_plane, node):
        self.node, self.server = node, f"https://{control_plane.address}:6443"
        control_plane.start_pod("workload", node.name)
        self.volumes = f"/var/lib/kubelet/pods/{control_plane.get('pod', 'workload')['metadata']['uid']}/volumes/kubernetes.io~projected/kube-api-access-*"
        node.sh(f"cp {self.volumes}/ca.crt /root/once.crt")  # as one that reads it once, when it begins

    def works(self) -> None:
        token = f'-H "Authorization: Bearer $(cat {self.volumes}/token)"'
        for authority in (f"{self.volumes}/ca.crt", "/root/once.crt"):
            said = self.node.sh(f"curl -s -m 10 --cacert {authority} {token} -w '%{{http_code}}' -o /dev/null {self.server}/api")
            assert said == "200", f"{authority}: {said}"


REQUESTS = "/etc/kubestrap/requests"


def with_requests(machine):
    """Certificates of this control plane say more than they would by themselves."""
    machine.write(f"{REQUESTS}/apiserver.json", '{"names": [{"O": "Example"}], "hosts": ["api.example.org"]}')
    return machine


def says_more(machine) -> bool:
    told = machine.run("openssl", "x509", "-noout", "-subject", "-ext", "subjectAltName", "-in", f"{PKI}/apiserver.crt")
    return "O=Example" in told.replace(" = ", "=") and "DNS:api.example.org" in told


def control_plane(lab):
    machine = with_requests(lab.machine("n1"))
    made = machine.init("--upload-certs", config=with_front(machine) + f"pki:\n  requests: {REQUESTS}\n")
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    return machine


def joined(first, name: str, *flags: str):
    machine = with_requests(first.lab.machine(name))
    done = join(machine, [*join_words(first), *flags])
    assert done.code == 0, str(done)
    return machine


# ---- a control plane and a worker


@pytest.fixture(scope="module")
def two(lab):
    first = control_plane(lab)
    worker = joined(first, "w1")
    lab.install_pod_network(first)
    first.wait_ready()
    yield first, worker
    lab.reset(first, worker)


@pytest.fixture(scope="module")
def workload(two):
    return Workload(*two)


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_a_plan_touches_nothing(two, authority):
    first, _ = two
    before = first.digests("/etc/kubernetes")
    planned = first.try_("kubestrap", "certs", "rotate-ca", authority, "--drop-former", "--plan", "-o", "json")
    assert planned.code == 0 and planned.json["kind"] == "OperationPlan", str(planned)
    assert f"n1: the next {authority} alone is trusted" in [step["name"] for step in planned.json["steps"]]
    assert first.digests("/etc/kubernetes") == before


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_both_are_trusted_and_then_the_next_one_alone(two, workload, authority):
    first, worker = two
    former = trusted(first, authority)
    asked = Probe(worker, WORKERS_PORT, stored=True, trusting=True)
    rotate(first, authority)
    workload.works()
    assert len(trusted(first, authority)) == 2
    again = first.try_("kubestrap", "certs", "rotate-ca", authority)
    assert again.code == 3 and "under way" in again.err, str(again)
    rotate(first, authority, "--resume", "--drop-former", "--soak", "0s")
    asked.end()
    is_of_one([first], [worker], authority)
    assert trusted(first, authority) != former
    if authority == "sa":
        tokens_are_new(first)
    else:
        workload.works()


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_what_has_begun_is_taken_back(two, authority):
    first, worker = two
    former = trusted(first, authority)
    rotate(first, authority)
    rotate(first, authority, "--abort")
    is_of_one([first], [worker], authority)
    assert trusted(first, authority) == former


def killed_again_and_again(machines, worker, authority: str, stride: int) -> None:
    """After every so-many-th thing that the driver says; it goes on, or back. On one control plane its API server may just be made anew then."""
    first = machines[0]
    former, kills, flags = trusted(first, authority), 0, ()
    for nth in range(1, 600, stride):
        said = first.stop("certs", "rotate-ca", authority, *flags, "--drop-former", "--soak", "0s", nth=nth)
        if "ended 0" in said:
            break
        assert "ended 137" in said, said
        kills += 1
        first.until("the API server is ready", lambda: first.try_(*KUBECTL, "get", "--raw", "/readyz").code == 0)
        under_way = first.try_("test", "-e", f"/var/lib/kubestrap/rotation/{authority}/next.crt").code == 0
        if under_way and len(trusted(first, authority)) == 2 and kills % 2:
            rotate(first, authority, "--abort")
            assert trusted(first, authority) == former
            under_way = False
        flags = ("--resume",) if under_way else ()
    if first.try_("test", "-e", f"/var/lib/kubestrap/rotation/{authority}/next.crt").code == 0:
        rotate(first, authority, "--resume", "--drop-former", "--soak", "0s")
    print(f"{authority}: {kills} kills")
    if authority == "sa":
        tokens_are_new(first)
    is_of_one(machines, [worker], authority)
    assert kills > 3


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_a_driver_that_is_killed_again_and_again_goes_on_or_back(two, authority):
    first, worker = two
    killed_again_and_again([first], worker, authority, stride=2)


def test_a_worker_joins_while_both_are_trusted_by_what_was_said_before(two):
    first, worker = two
    words = join_words(first)
    rotate(first, "ca")
    late = first.lab.machine("w2")
    done = join(late, words)
    assert done.code == 0, str(done)
    first.until("it is a node", lambda: first.get("node", "w2"))
    first.lab.install_pod_network(first)
    first.wait_nodes_ready()
    rows = {one["name"]: one for one in late.try_("kubestrap", "certs", "status", "-o", "json").json["items"]}
    assert set(rows) == {"ca", "kubelet.conf", "kubelet-client", "kubelet-serving"}
    assert not [row for row in rows.values() if row["missing"] or not row["chain"]["valid"]], rows
    rotate(first, "ca", "--resume", "--drop-former", "--soak", "0s")
    is_of_one([first], [worker, late], "ca")
    removed = first.try_("kubestrap", "node", "remove", "w2", "--yes")
    assert removed.code == 0, str(removed)
    first.lab.reset(late)


# ---- three control planes and a worker: nobody is without an answer


@pytest.fixture(scope="module")
def four(lab):
    first = control_plane(lab)
    others = [joined(first, name, "--control-plane", "--certificate-key", CERTIFICATE_KEY) for name in ("n2", "n3")]
    worker = joined(first, "w1")
    lab.install_pod_network(first)
    first.wait_ready()
    return [first, *others], worker


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_over_three_control_planes_no_request_fails_twice(four, authority):
    machines, worker = four
    former = trusted(machines[0], authority)
    workload = Workload(machines[0], worker)
    asked = [Probe(worker, WORKERS_PORT, stored=True, trusting=True), Probe(machines[1], CONTROL_PLANES_PORT, stored=True, trusting=True)]
    rotate(machines[0], authority)
    workload.works()
    rotate(machines[0], authority, "--resume", "--drop-former", "--soak", "0s")
    none_failed_twice(asked, 100)
    is_of_one(machines, [worker], authority)
    assert trusted(machines[0], authority) != former


def test_certificates_say_what_their_requests_say_on_each_control_plane(four):
    """Also after the authority was rotated, where the tests before have done that."""
    assert all(says_more(machine) for machine in four[0])


def test_a_driver_over_three_control_planes_that_is_killed_goes_on_or_back(four):
    machines, worker = four
    killed_again_and_again(machines, worker, "ca", stride=19)


# ---- a control plane that runs in its own cluster


def reads_what_there_is(first, machines) -> None:
    """Components run by their DaemonSets, and would come back by the standbys: those that stand by name files that exist."""
    for machine in machines:
        machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine))
        for file in machine.sh("grep -rhoE '/etc/kubernetes/pki/[^ \"]+' /etc/kubernetes/kubestrap/standby | sort -u").split():
            machine.run("test", "-e", file)
    first.until("status finds nothing wrong", lambda: first.try_("kubestrap", "status", "--exit-code").code == 0)


@pytest.fixture(scope="module")
def own(lab):
    first = lab.machine("n1")
    made = first.init(config=hosted(first))
    assert made.code == 0, str(made)
    worker = joined(first, "w1")
    lab.install_pod_network(first)
    first.wait_ready()
    pivot(first)
    yield first, worker
    lab.reset(first, worker)


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_a_control_plane_in_its_own_cluster_follows(own, authority):
    first, worker = own
    former = trusted(first, authority)
    workload = Workload(first, worker)
    asked = [Probe(worker, WORKERS_PORT, stored=True, trusting=True), *probes(first)]
    rotate(first, authority)
    workload.works()
    rotate(first, authority, "--resume", "--drop-former", "--soak", "0s")
    none_failed_twice(asked, 10, may_fail=authority == "etcd-ca")  # whose one member is away for a while
    if authority == "sa":
        tokens_are_new(first)
    is_of_one([first], [worker], authority)
    assert trusted(first, authority) != former
    reads_what_there_is(first, [first])
    cold_start(first)


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_a_control_plane_in_its_own_cluster_goes_back(own, authority):
    first, worker = own
    former = trusted(first, authority)
    rotate(first, authority)
    rotate(first, authority, "--abort")
    is_of_one([first], [worker], authority)
    assert trusted(first, authority) == former
    reads_what_there_is(first, [first])


@pytest.fixture(scope="module")
def three_of_their_own(lab):
    machines = three_control_planes(lab)
    pivot(machines[0])
    return machines[:3], machines[3]


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_over_three_control_planes_in_their_own_cluster_no_request_fails_twice(three_of_their_own, authority):
    machines, worker = three_of_their_own
    former = trusted(machines[0], authority)
    asked = [Probe(worker, WORKERS_PORT, stored=True, trusting=True), *(Probe(machine, 6443, stored=True, trusting=True) for machine in machines)]
    rotate(machines[0], authority)
    rotate(machines[0], authority, "--resume", "--drop-former", "--soak", "0s")
    none_failed_twice(asked, 10)
    if authority == "sa":
        tokens_are_new(machines[0])
    is_of_one(machines, [worker], authority)
    assert trusted(machines[0], authority) != former
    reads_what_there_is(machines[0], machines)
