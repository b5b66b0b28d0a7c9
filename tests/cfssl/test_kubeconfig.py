"""`kubestrap kubeconfig user` beside the real kubeadm's, and `kubeconfig create` in files that others read."""

import base64
import subprocess

import pytest
import yaml
from cryptography import x509
from test_import import kubeadms


@pytest.fixture
def cluster(machine):
    machine.run("init", "phase", "certs", "ca", "--config", "/setup.yaml")
    return machine


def parts(text: str):
    """The document without its chance, and what its certificate says."""
    said = yaml.safe_load(text)
    user = said["users"][0]["user"]
    if "client-certificate-data" not in user:
        return said, None, text
    made = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    key = base64.b64decode(user["client-key-data"]).splitlines()[0]
    shape = [line.split("-data: ")[0] for line in text.split("\n")]
    user["client-certificate-data"] = user["client-key-data"] = ""
    extensions = [(one.oid, one.critical, one.value) for one in made.extensions]
    return said, (made.subject, made.issuer, extensions, key, made.not_valid_after_utc.replace(second=0, minute=0)), shape


@pytest.mark.parametrize("flags", [["--client-name", "jane"], ["--client-name=jane", "--org=a,b", "--org", "c"], ["--client-name", "jane", "--token", "abc"],
                                   ["--client-name", "jane", "--validity-period", "50h"]], ids=" ".join)
def test_it_is_kubeadms(flags, cluster, kubeadm):
    ours = cluster.run("kubeconfig", "user", "--config", "/setup.yaml", *flags)
    theirs = subprocess.run([kubeadm, "kubeconfig", "user", "--config", kubeadms(cluster), *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    assert parts(ours) == parts(theirs)


def test_what_kubeadm_refuses(cluster):
    for flags in ([], ["--client-name", "jane", "--validity-period", "1y"]):
        assert cluster.try_("kubeconfig", "user", "--config", "/setup.yaml", *flags).returncode != 0
    cluster.file("/etc/kubernetes/pki/ca.key").unlink()
    told = cluster.try_("kubeconfig", "user", "--config", "/setup.yaml", "--client-name", "jane")
    assert told.returncode == 1 and "ca.key is absent" in told.stderr


def test_a_short_lived_one_is_put_among_others(cluster, kubeadm):
    file = cluster.file("/home/config")
    file.parent.mkdir()
    file.write_text("# mine\napiVersion: v1\nkind: Config\ncurrent-context: old # stays\nclusters:\n- name: old # of 2019\n  cluster: {server: 'https://old.example.org'}\n"
                    "contexts:\n- {name: old, context: {cluster: old, user: me}}\nusers:\n- name: me\n  user: {token: mine}\n")
    file.chmod(0o644)
    for _ in range(2):
        cluster.run("kubeconfig", "create", "--config", "/setup.yaml", "--user", "jane", "--group", "dev", "--group", "ops", "--namespace", "shop", "--file", "/home/config")
        text = file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
        assert all(part in text for part in ("# mine\n", "current-context: old # stays", "name: old # of 2019"))
        said = yaml.safe_load(text)
        assert [one["name"] for one in said["contexts"]] == ["old", "jane@kubernetes"]
        assert said["contexts"][1]["context"] == {"cluster": "kubernetes", "namespace": "shop", "user": "jane@kubernetes"}
        made = x509.load_pem_x509_certificate(base64.b64decode(said["users"][1]["user"]["client-certificate-data"]))
        assert made.subject.rfc4514_string() in ("CN=jane,O=dev+O=ops", "CN=jane,O=ops+O=dev")
        assert 24 < (made.not_valid_after_utc - made.not_valid_before_utc).total_seconds() / 3600 < 24.2
    seen = subprocess.run([kubeadm.with_name("kubectl"), "--kubeconfig", file, "config", "get-contexts", "-o", "name"], stdout=subprocess.PIPE, text=True, check=True)
    assert seen.stdout.split() == ["jane@kubernetes", "old"]
    cluster.run("kubeconfig", "create", "--config", "/setup.yaml", "--user", "jane", "--ttl", "1h", "--use", "--file", "/home/config")
    assert yaml.safe_load(file.read_text())["current-context"] == "jane@kubernetes"


def test_another_cluster_of_the_same_name_is_not_overwritten(cluster):
    file = cluster.file("/home/config")
    file.parent.mkdir()
    before = "kind: Config\nclusters:\n- name: kubernetes\n  cluster: {server: 'https://old.example.org', certificate-authority-data: QQ==}\n"
    file.write_text(before)
    told = cluster.try_("kubeconfig", "create", "--config", "/setup.yaml", "--user", "jane", "--file", "/home/config")
    assert told.returncode == 1 and "https://old.example.org" in told.stderr and "--cluster-name" in told.stderr
    assert file.read_text() == before
    cluster.run("kubeconfig", "create", "--config", "/setup.yaml", "--user", "jane", "--file", "/home/config", "--cluster-name", "new")
    assert [one["name"] for one in yaml.safe_load(file.read_text())["clusters"]] == ["kubernetes", "new"]
