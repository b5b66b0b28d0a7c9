"""`kubestrap join`: workers and control planes, into clusters of kubestrap's and of kubeadm's, and what must not join."""

import base64
import json
import shlex
import subprocess

import pytest

from kubelab import documents
from testbed import VERSION

IGNORED = "--ignore-preflight-errors=SystemVerification"
CERTIFICATE_KEY = "0123456789abcdef" * 4
JOIN_CONFIG = "/root/join.yaml"
STATE = ("/etc/kubernetes", "/var/lib/kubelet", "/var/lib/etcd")


def join_words(control_plane, *flags: str, program: str = "kubestrap") -> list[str]:
    """The arguments of the command that joins a machine, as the cluster prints it."""
    shown = control_plane.run(*ADMIN, program, "token", "create", "--print-join-command", *flags)
    return shlex.split(shown)[1:]


ADMIN = ("env", "KUBECONFIG=/etc/kubernetes/admin.conf")


def join(machine, words, *flags: str, program: str = "kubestrap", **more):
    return machine.try_(program, *words, IGNORED, "--node-name", machine.name, *flags, **more)


def with_endpoint(machine, version: str = VERSION) -> str:
    """The lab's documents for a cluster that further control planes can join."""
    endpoint = f"\ncontrolPlaneEndpoint: {machine.address}:6443\nclusterName: kubernetes"
    return documents.with_certificate_key(machine.config(("\nclusterName: kubernetes", endpoint), version=version), CERTIFICATE_KEY)


def etcd_members(control_plane) -> dict[str, bool]:
    """Name -> whether it is a learner."""
    said = control_plane.kubectl(
        "-n", "kube-system", "exec", f"etcd-{control_plane.name}", "--", "etcdctl", "--endpoints=https://127.0.0.1:2379",
        "--cacert=/etc/kubernetes/pki/etcd/ca.crt", "--cert=/etc/kubernetes/pki/etcd/server.crt",
        "--key=/etc/kubernetes/pki/etcd/server.key", "member", "list", "-w", "json",
    )
    return {member["name"]: member.get("isLearner", False) for member in json.loads(said)["members"]}


@pytest.fixture(scope="module")
def first(lab):
    machine = lab.machine("n1")
    made = machine.init("--upload-certs", config=with_endpoint(machine))
    assert made.code == 0, str(made)
    return machine


# ---- what must not join: nothing is written, neither here nor in the cluster


@pytest.fixture(scope="module")
def worker(first):
    return first.lab.machine("w1")


def refused(machine, words, *expected: str, code: int = 1) -> None:
    def state():
        # Of a folder in which a kubelet works, only what a join writes there.
        ours = [f"/var/lib/kubelet/{name}" for name in ("config.yaml", "instance-config.yaml", "kubeadm-flags.env")]
        works = machine.try_("test", "-e", ours[0]).code == 0
        paths = [path for path in STATE if path != "/var/lib/kubelet"] + ours if works else STATE
        return machine.listing(*(path for path in paths if machine.try_("test", "-e", path).code == 0))

    before = state()
    result = join(machine, words, timeout=60)
    assert result.code == code, str(result)
    for text in expected:
        assert text in result.err, str(result)
    assert state() == before


def test_a_token_with_a_wrong_secret_is_refused(first, worker):
    words = join_words(first)
    at = words.index("--token") + 1
    refused(worker, [*words[:at], words[at][:7] + "0" * 16, *words[at + 1 :]], "signature of cluster-info", "kubestrap token list")


def test_a_token_that_the_cluster_does_not_know_is_refused(first, worker):
    words = join_words(first)
    at = words.index("--token") + 1
    refused(worker, [*words[:at], "zzzzzz.0123456789abcdef", *words[at + 1 :]], "does not know the token zzzzzz", "token create")


def test_another_authority_than_the_pinned_one_is_refused(first, worker):
    words = join_words(first)
    at = words.index("--discovery-token-ca-cert-hash") + 1
    refused(worker, [*words[:at], "sha256:" + "0" * 64, *words[at + 1 :]], "the authority of the cluster is sha256:", "somebody stands between")


def test_a_certificate_key_of_the_wrong_length_is_refused(first, worker):
    refused(worker, [*join_words(first), "--control-plane", "--certificate-key", "abc"], "certificateKey", code=2)


def test_a_certificate_key_of_another_upload_is_refused(first, worker):
    refused(worker, [*join_words(first), "--control-plane", "--certificate-key", "f" * 64], "does not open the uploaded certificates")


def test_a_control_plane_without_the_shared_files_is_told_all_that_is_missing(first, worker):
    refused(worker, [*join_words(first), "--control-plane"], "/etc/kubernetes/pki/sa.key", "/etc/kubernetes/pki/etcd/ca.crt", code=3)


def test_the_name_of_a_ready_node_is_refused(first, worker):
    first.lab.install_pod_network(first)
    first.wait_nodes_ready()
    result = worker.try_("kubestrap", *join_words(first), IGNORED, "--node-name", "n1")
    assert result.code == 3, str(result)
    assert "a Ready node n1 already" in result.err


# ---- what joins


@pytest.fixture(scope="module")
def shifted(worker, tmp_path_factory):
    """The environment of a program whose clock is ten minutes ahead."""
    library = tmp_path_factory.mktemp("clock") / "shifted.so"
    source = """
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        int clock_gettime(clockid_t clock, struct timespec *now) {
          int result = (int)syscall(SYS_clock_gettime, clock, now);
          if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += 600;
          return result;
        }
    """
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, text=True, check=True)
    worker.sh("base64 -d >/root/shifted.so", input=base64.b64encode(library.read_bytes()).decode())
    return "env", "LD_PRELOAD=/root/shifted.so"


def test_a_clock_that_differs_from_the_clusters_is_told_before_joining(first, worker, shifted):
    judged = "kubestrap", "preflight", "join", "-o", "json", IGNORED, "--control-plane-endpoint", f"{first.address}:6443"
    said = {finding["name"]: finding for finding in worker.try_(*judged).json["findings"]}
    assert "API server" not in said.get("Clock", {"evidence": ""})["evidence"], said
    result = worker.try_(*shifted, *judged)
    said = {finding["name"]: finding for finding in result.json["findings"]}
    assert result.code == 3 and said["Clock"]["severity"] == "error", str(result)
    assert f"ahead of that of the API server at https://{first.address}:6443" in said["Clock"]["evidence"], said


def test_a_copy_of_a_node_is_told_to_who_may_list_the_nodes(first, worker):
    own = worker.read("/etc/machine-id")
    worker.write("/root/admin.conf", first.read("/etc/kubernetes/admin.conf"), "600")
    dry = "kubestrap", "join", "--dry-run", IGNORED, "--node-name", worker.name, "--discovery-file", "/root/admin.conf"
    try:
        worker.write("/etc/machine-id", first.read("/etc/machine-id"), "444")
        result = worker.try_(*dry)
    finally:
        worker.write("/etc/machine-id", own, "444")
    assert result.code == 0 and "the node n1 of this cluster has the same machine id" in result.out, str(result)
    assert "machine id" not in worker.try_(*dry).out


def test_a_dry_run_of_join_touches_nothing(first, worker):
    before = worker.listing("/etc", "/var/lib", but=("/var/lib/containerd", "/var/lib/systemd"))
    shown = join(worker, join_words(first), "--dry-run", "--exit-code")
    assert shown.code == 4, str(shown)
    assert "[kubelet-start] will create kubeconfig /etc/kubernetes/bootstrap-kubelet.conf" in shown.out
    assert worker.listing("/etc", "/var/lib", but=("/var/lib/containerd", "/var/lib/systemd")) == before


@pytest.fixture(scope="module")
def joined_worker(first, worker):
    words = join_words(first)
    token = words.pop(words.index("--token") + 1)
    words.remove("--token")
    result = join(worker, words, "--token-file", "-", input=token + "\n")
    assert result.code == 0, str(result)
    return worker


def test_a_worker_joins_and_a_second_run_changes_nothing(first, joined_worker):
    first.until("w1 is a node", lambda: first.get("node", "w1"))
    assert "/etc/kubernetes/bootstrap-kubelet.conf" not in joined_worker.listing("/etc/kubernetes")
    again = join(joined_worker, join_words(first), "-o", "json", "--exit-code")
    assert again.code == 0, str(again)
    assert {change["verb"] for change in again.json["changes"]} == {"keep"}


def test_a_node_of_one_cluster_is_not_taken_into_another(first, joined_worker):
    words = join_words(first)
    at = words.index("--discovery-token-ca-cert-hash") + 1
    refused(joined_worker, [*words[:at], "sha256:" + "0" * 64, *words[at + 1 :]], "a node of another cluster already", code=3)


@pytest.fixture(scope="module")
def control_planes(first, joined_worker):
    """Two further ones, joining at the same time: they take turns."""
    lab = first.lab
    lab.call("machine", "--fresh", "n2", "n3")
    from testbed import Machine

    others = [Machine(lab, name) for name in ("n2", "n3")]
    words = join_words(first, "--certificate-key", CERTIFICATE_KEY)
    running = [other.popen("kubestrap", *words, IGNORED, "--node-name", other.name) for other in others]
    for process in running:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
    lab.install_pod_network(first)
    first.wait_ready()
    return [first, *others]


def test_two_control_planes_that_join_at_once_take_turns(control_planes):
    first = control_planes[0]
    assert etcd_members(first) == {"n1": False, "n2": False, "n3": False}
    for machine in control_planes:
        assert machine.kubectl("get", "--raw", "/readyz") == "ok"
        node = first.get("node", machine.name)
        assert "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]
        assert [taint["key"] for taint in node["spec"]["taints"]] == ["node-role.kubernetes.io/control-plane"]


def test_a_second_run_on_a_control_plane_changes_nothing(control_planes):
    for machine in control_planes[1:]:
        again = join(machine, join_words(control_planes[0], "--certificate-key", CERTIFICATE_KEY), "-o", "json", "--exit-code")
        assert again.code == 0, str(again)
        assert {change["verb"] for change in again.json["changes"]} == {"keep"}


def works_across_nodes(first, *names: str) -> None:
    """Pods on these nodes reach each other by address and by service, which takes DNS; and their logs and shells are reached."""
    addresses = {name: first.start_pod(f"on-{name}", name) for name in names}
    for source in addresses:
        for target, address in addresses.items():
            for url in (f"http://{address}:8080/", f"http://on-{target}.default.svc.cluster.local/"):
                answer = first.until(f"{source} reaches {url}", lambda: first.in_pod(f"on-{source}", "testtool", "get", url), 30)
                assert f"pod=on-{target}" in answer
        assert "serving :8080" in first.kubectl("logs", f"on-{source}")


def test_pods_services_names_logs_and_exec_work_across_nodes(control_planes, joined_worker):
    works_across_nodes(control_planes[0], "n1", "n3", "w1")


def test_kubeadm_joins_the_same_cluster(control_planes, lab):
    first = control_planes[0]
    machine = lab.machine("w2")
    done = join(machine, join_words(first), program="kubeadm")
    assert done.code == 0, str(done)
    first.until("w2 is a node", lambda: first.get("node", "w2"))
