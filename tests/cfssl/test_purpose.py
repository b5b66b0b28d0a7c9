"""Every certificate of a control plane, for what it is there for, in the eyes of Go's x509 (a small program of ours) and of OpenSSL: those that
init makes, with every kind of key, those that were signed elsewhere, and those of kubeadm renewed by kubestrap and the other way round."""

import base64
import json
import subprocess

import pytest
import yaml
from cryptography import x509
from machine import CONFIG
from test_import import KUBECONFIGS, LEAVES, kubeadms, sign

# The certificate, the authority that its peers trust, what it is good for, and the names by which it is asked for.
API_NAMES = ["n1", "kubernetes", "kubernetes.default.svc.cluster.local", "10.96.0.1", "192.0.2.11", "203.0.113.9", "api.example.org"]
ETCD_NAMES = ["n1", "localhost", "192.0.2.11", "127.0.0.1", "::1"]
PURPOSES = [
    ("pki/apiserver.crt", "ca", "server", API_NAMES),
    ("pki/apiserver-kubelet-client.crt", "ca", "client", []),
    ("pki/front-proxy-client.crt", "front-proxy-ca", "client", []),
    ("pki/etcd/server.crt", "etcd/ca", "server", ETCD_NAMES),
    ("pki/etcd/server.crt", "etcd/ca", "client", []),
    ("pki/etcd/peer.crt", "etcd/ca", "server", ETCD_NAMES),
    ("pki/etcd/peer.crt", "etcd/ca", "client", []),
    ("pki/etcd/healthcheck-client.crt", "etcd/ca", "client", []),
    ("pki/apiserver-etcd-client.crt", "etcd/ca", "client", []),
    *[(name, "ca", "client", []) for name in KUBECONFIGS],
]
AUTHORITIES = ["ca", "front-proxy-ca", "etcd/ca"]


def text(folder, name: str) -> str:
    if name.endswith(".conf"):
        return base64.b64decode(yaml.safe_load((folder / name).read_text())["users"][0]["user"]["client-certificate-data"]).decode()
    return (folder / name).read_text()


def checks(folder) -> list[dict]:
    authority = {name: (folder / f"pki/{name}.crt").read_text() for name in AUTHORITIES}
    made = [{"Name": f"{name} as {purpose}", "Chain": text(folder, name), "Authority": authority[by], "Purpose": purpose, "Hosts": hosts} for name, by, purpose, hosts in PURPOSES]
    return made + [{"Name": name, "Chain": authority[name], "Purpose": "authority"} for name in AUTHORITIES]


def by_go(verify, made: list[dict]) -> list[str]:
    return subprocess.run([verify], input=json.dumps(made), stdout=subprocess.PIPE, text=True).stdout.splitlines()


def by_openssl(folder, made: list[dict]) -> list[str]:
    """OpenSSL's own judgement, with -x509_strict."""
    told = []
    for one in made:
        if one["Purpose"] == "authority":
            continue
        chain, authority = folder / "chain", folder / "authority"
        chain.write_text(one["Chain"])
        authority.write_text(one["Authority"])
        for host in one["Hosts"] or [""]:
            words = ["-verify_ip" if host.replace(".", "").isdigit() or ":" in host else "-verify_hostname", host] if host else []
            done = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", authority, "-untrusted", chain, "-purpose", f"ssl{one['Purpose']}", *words, chain], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                told.append(f"{one['Name']} {host}: {done.stdout}")
                break
    return told


def judge(machine, verify, tmp_path):
    made = checks(machine.file("/etc/kubernetes"))
    assert len(made) == 17
    assert by_go(verify, made) == []
    assert by_openssl(tmp_path, made) == []


@pytest.mark.parametrize("algorithm", ["ECDSA-P256", "ECDSA-P384", "RSA-2048"])
def test_what_init_makes_is_good_for_its_purpose(algorithm, machine, verify, tmp_path):
    machine.configure(algorithm)
    for done in machine.phases().values():
        assert done.returncode == 0, done.stderr
    judge(machine, verify, tmp_path)
    # And for nothing else: the judges do see what is wrong.
    made = checks(machine.file("/etc/kubernetes"))
    wrong = [one | {"Purpose": "client"} for one in made if one["Name"] == "pki/apiserver.crt as server"]
    wrong += [one | {"Purpose": "server"} for one in made if one["Name"] == "admin.conf as client"]
    wrong += [one | {"Hosts": ["elsewhere.example.org"]} for one in made if one["Name"].endswith("as server")]
    wrong += [made[0] | {"Authority": made[3]["Authority"]}]
    assert len(by_go(verify, wrong)) == len(wrong) == len(by_openssl(tmp_path, wrong))


@pytest.mark.parametrize("by", ["cfssl", "openssl"])
def test_what_others_have_signed_is_good_for_its_purpose(by, machine, verify, kubestrap, tools, tmp_path):
    machine.run("certs", "requests", "/requests", "--config", "/setup.yaml")
    sign(by, machine.file("/requests"), kubestrap, tools)
    machine.run("certs", "import", "/requests", "--config", "/setup.yaml")
    judge(machine, verify, tmp_path)


def test_kubeadm_and_kubestrap_renew_what_the_other_made(machine, verify, kubeadm, tmp_path):
    config, folder = kubeadms(machine), machine.file("/etc/kubernetes")
    serials = lambda: {name: x509.load_pem_x509_certificate(text(folder, name).encode()).serial_number for name, *_ in PURPOSES}  # noqa: E731
    for done in machine.phases().values():
        assert done.returncode == 0, done.stderr
    ours = serials()
    for name in LEAVES:  # kubeconfigs lie where --rootfs alone would find them, which takes a chroot
        subprocess.run([kubeadm, "certs", "renew", name, "--config", config, "--cert-dir", folder / "pki"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    theirs = serials()
    assert {name for name in ours if ours[name] != theirs[name]} == {name for name, *_ in PURPOSES if name.startswith("pki/")}
    judge(machine, verify, tmp_path)
    for phase, done in machine.phases("--dry-run", "--exit-code").items():
        assert done.returncode == 0, f"{phase}: {done.stdout}{done.stderr}"
    expirations = json.loads(subprocess.run([kubeadm, "certs", "check-expiration", "-o", "json", "--config", config, "--cert-dir", folder / "pki"], stdout=subprocess.PIPE, check=True).stdout)
    own = json.loads(machine.run("certs", "check-expiration", "-o", "json", "--config", "/setup.yaml"))
    ends = lambda said: {one["name"]: one["expirationDate"] for one in said["certificates"] + said["certificateAuthorities"] if not one["name"].endswith(".conf")}  # noqa: E731
    assert ends(expirations) == ends(own)


def test_kubestrap_takes_kubeadms_over(machine, verify, kubeadm, tmp_path):
    """That kubestrap renews those of a kubeadm control plane that runs is in tests/system."""
    config, folder = kubeadms(machine), machine.file("/etc/kubernetes")
    subprocess.run([kubeadm, "init", "phase", "certs", "all", "--config", config], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([kubeadm, "init", "phase", "kubeconfig", "all", "--config", config, "--kubeconfig-dir", folder], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    judge(machine, verify, tmp_path)
    for phase, done in machine.phases("--dry-run", "--exit-code").items():
        assert done.returncode == 0, f"{phase}: {done.stdout}{done.stderr}"
    for name in ("pki/apiserver.crt", "admin.conf"):
        (folder / name).unlink()
    for done in machine.phases().values():
        assert done.returncode == 0, done.stderr
    judge(machine, verify, tmp_path)
