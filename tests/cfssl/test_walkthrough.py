"""A published walk-through's command lines, with nothing but the names of the programs replaced: Kubernetes' own page on making certificates by
hand (kubernetes.io, tasks/administer-cluster/certificates, section cfssl) and CoreOS' page on self-signed ones for etcd. The requests between
them are what the pages ask their reader to write."""

import json
import subprocess

import pytest
from cryptography import x509

KUBERNETES = """
cfssl print-defaults config > config.json
cfssl print-defaults csr > csr.json
cfssl gencert -initca ca-csr.json | cfssljson -bare ca
cfssl gencert -ca=ca.pem -ca-key=ca-key.pem --config=ca-config.json -profile=kubernetes server-csr.json | cfssljson -bare server
"""
ETCD = """
cfssl gencert -initca ca-csr.json | cfssljson -bare ca -
echo '{"CN":"coreos1","hosts":[""],"key":{"algo":"rsa","size":2048}}' | cfssl gencert -ca=ca.pem -ca-key=ca-key.pem -config=ca-config.json -profile=server -hostname="192.168.122.68,ext.example.com,coreos1.local,coreos1" - | cfssljson -bare coreos1
echo '{"CN":"client","hosts":[""],"key":{"algo":"rsa","size":2048}}' | cfssl gencert -ca=ca.pem -ca-key=ca-key.pem -config=ca-config.json -profile=client - | cfssljson -bare client
"""
SUBJECT = [{"C": "US", "ST": "CA", "L": "San Francisco", "O": "Example", "OU": "Kubernetes"}]
PROFILES = {name: {"usages": ["signing", "key encipherment", *usages], "expiry": "8760h"}
            for name, usages in {"kubernetes": ["server auth", "client auth"], "server": ["server auth"], "client": ["client auth"]}.items()}
FILES = {
    "ca-config.json": {"signing": {"default": {"expiry": "8760h"}, "profiles": PROFILES}},
    "ca-csr.json": {"CN": "kubernetes", "key": {"algo": "rsa", "size": 2048}, "names": SUBJECT},
    "server-csr.json": {"CN": "kube-apiserver", "hosts": ["127.0.0.1", "10.0.0.5", "10.96.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc.cluster.local"],
                        "key": {"algo": "rsa", "size": 2048}, "names": SUBJECT},
}


@pytest.mark.parametrize("script, leaves", [(KUBERNETES, {"server": "kube-apiserver"}), (ETCD, {"coreos1": "coreos1", "client": "client"})], ids=["kubernetes", "etcd"])
@pytest.mark.parametrize("by", ["cfssl", "kubestrap"])
def test_walk_through(script, leaves, by, kubestrap, tools, tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(json.dumps(content))
    names = {"cfssljson": f"{tools}/cfssljson", "cfssl": f"{tools}/cfssl"}
    if by == "kubestrap":
        names = {"cfssljson": f"{kubestrap} certs cfssljson", "cfssl": f"{kubestrap} certs"}
    functions = "".join(f'{name}() {{ {program} "$@"; }}\n' for name, program in names.items())
    result = subprocess.run(["bash", "-euo", "pipefail", "-c", functions + script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stderr
    for leaf, name in leaves.items():
        assert x509.load_pem_x509_certificate((tmp_path / f"{leaf}.pem").read_bytes()).subject.rfc4514_string().startswith(f"CN={name}")
        assert (tmp_path / f"{leaf}-key.pem").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / f"{leaf}.csr").exists()
        subprocess.run(["openssl", "verify", "-CAfile", "ca.pem", f"{leaf}.pem"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
