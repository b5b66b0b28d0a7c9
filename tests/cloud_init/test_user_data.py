"""What `kubestrap cluster cloud-init` prints is user data that cloud-init takes, without a word against it."""

import subprocess
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/cluster.yaml"
# Labels, taints, flags and documents, as many as a file may have.
LARGE = """\
apiVersion: kubestrap.io/v1alpha1
kind: Cluster
offline: true
hosts:
- {name: n1, address: 192.0.2.11, role: control-plane, labels: {zone: a}}
- {name: n2, address: 192.0.2.12, role: control-plane, taints: []}
- {name: n3, address: 192.0.2.13, role: control-plane}
- {name: w1, address: 192.0.2.51, role: worker, taints: [{key: dedicated, value: db, effect: NoSchedule}]}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration: {kubeletExtraArgs: [{name: v, value: '2'}], ignorePreflightErrors: [Swap]}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
networking: {podSubnet: 10.8.0.0/16}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 64
"""


@pytest.fixture
def print_for(program, tmp_path):
    """The user data of a host of that file, with all that it may be given; a file."""
    (tmp_path / "token").write_text("abcdef.0123456789abcdef\n")
    (tmp_path / "key").write_text("ab" * 32 + "\n")
    given = ["--token-file", "token", "--discovery-token-ca-cert-hash", "sha256:" + "0" * 64]

    def run(host: str, file: Path, *flags: str) -> Path:
        done = subprocess.run([program, "cluster", "cloud-init", host, "-f", file, *flags], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        made = tmp_path / "user-data"
        made.write_text(done.stdout)
        return made

    run.token, run.key = given, [*given, "--certificate-key-file", "key"]
    return run


@pytest.fixture(params=["example", "large"])
def file(request, tmp_path) -> Path:
    (tmp_path / "cluster.yaml").write_text(LARGE if request.param == "large" else EXAMPLE.read_text())
    return tmp_path / "cluster.yaml"


def valid(done: subprocess.CompletedProcess) -> bool:
    return done.returncode == 0 and done.stdout.startswith("Valid schema") and len(done.stdout.splitlines()) == 1


def test_that_of_a_first_control_plane_is_valid(print_for, judged, file):
    said = judged(print_for("n1", file))
    assert valid(said), said.stdout


@pytest.mark.parametrize("keyed", [True, False])
def test_that_of_a_control_plane_that_joins_is_valid(print_for, judged, file, keyed):
    said = judged(print_for("n2", file, *(print_for.key if keyed else [])))
    assert valid(said), said.stdout


@pytest.mark.parametrize("token", [True, False])
def test_that_of_a_worker_is_valid(print_for, judged, file, token):
    said = judged(print_for("w1", file, *(print_for.token if token else [])))
    assert valid(said), said.stdout


def test_what_would_not_be_valid_is_found(print_for, judged, file):
    made = print_for("n1", file)
    for was, becomes in (("permissions:", "mode:"), ("#cloud-config", "#config"), ("runcmd:", "runcmd: once\nother:")):
        wrong = made.with_name("wrong")
        wrong.write_text(made.read_text().replace(was, becomes, 1))
        assert wrong.read_text() != made.read_text()
        said = judged(wrong)
        assert said.returncode != 0 and "Invalid" in said.stdout, said.stdout
