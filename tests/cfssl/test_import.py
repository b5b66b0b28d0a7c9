"""The requests of a whole control plane, signed by others: cfssl, openssl, kubestrap itself. What comes back is imported, kept by init, and
good in the eyes of the real kubeadm. And keys with requests as the real kubeadm makes them, each signed for the other."""

import base64
import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from machine import CONFIG, Machine

LEAVES = ["apiserver", "apiserver-kubelet-client", "front-proxy-client", "etcd-server", "etcd-peer", "etcd-healthcheck-client", "apiserver-etcd-client"]
KUBECONFIGS = ["admin.conf", "super-admin.conf", "kubelet.conf", "controller-manager.conf", "scheduler.conf"]
AUTHORITIES = ["ca", "front-proxy-ca", "etcd-ca"]


def shell(script: str, folder: Path, **variables) -> None:
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


CFSSL = """
for authority in ca front-proxy-ca etcd-ca; do cfssl gencert -initca $authority.json | cfssljson -bare $authority; done
sign() { authority=$1; shift; for name; do cfssl gencert -ca=$authority.pem -ca-key=$authority-key.pem -config=policy.json -profile=$name $name.json | cfssljson -bare $name; done; }
"""
OPENSSL = """
for authority in ca front-proxy-ca etcd-ca; do
  openssl ecparam -name prime256v1 -genkey -noout -out $authority.key
  openssl req -x509 -new -key $authority.key -days 3650 -subj "/CN=Corporate $authority" -out $authority.crt -addext keyUsage=critical,keyCertSign,cRLSign
done
sign() {
  authority=$1; shift
  for name; do
    request -i $name.json > $name.answer
    usages=$(python3 -c 'import json, sys; print(",".join({"server auth": "serverAuth", "client auth": "clientAuth"}[one] for one in json.load(open("policy.json"))["signing"]["profiles"][sys.argv[1]]["usages"] if "auth" in one))' $name)
    printf 'basicConstraints=critical,CA:FALSE\\nkeyUsage=critical,digitalSignature,keyEncipherment\\nextendedKeyUsage=%s\\n' $usages > extensions
    { openssl req -in $name.csr -noout -text | grep -A1 'Subject Alternative Name' || true; } | tail -1 | sed 's/IP Address:/IP:/g; s/^ */subjectAltName=/' >> extensions
    openssl x509 -req -in $name.csr -CA $authority.crt -CAkey $authority.key -CAcreateserial -days 365 -sha256 -extfile extensions -out $name.crt
    mv $name-key.pem $name.key
    rm -f $name.pem
  done
}
request() { kubestrap certs genkey $2 | kubestrap certs cfssljson -bare ${2%.json}; }
"""
ALL = f"""
sign ca apiserver apiserver-kubelet-client {" ".join(KUBECONFIGS)}
sign front-proxy-ca front-proxy-client
sign etcd-ca etcd-server etcd-peer etcd-healthcheck-client apiserver-etcd-client
"""


def sign(by: str, folder: Path, kubestrap: Path, tools: Path) -> None:
    programs = {"kubestrap": f'"{kubestrap}" "$@"', "cfssljson": f'"{tools}/cfssljson" "$@"', "cfssl": f'"{tools}/cfssl" "$@"'}
    if by == "kubestrap":
        programs |= {"cfssljson": f'"{kubestrap}" certs cfssljson "$@"', "cfssl": f'"{kubestrap}" certs "$@"'}
    functions = "".join(f"{name}() {{ {command}; }}\n" for name, command in programs.items())
    shell(functions + (OPENSSL if by == "openssl" else CFSSL) + ALL, folder)


def certificate(machine: Machine, name: str) -> x509.Certificate:
    path = machine.file(f"/etc/kubernetes/{name}")
    if name.endswith(".conf"):
        return x509.load_pem_x509_certificate(base64.b64decode(yaml.safe_load(path.read_text())["users"][0]["user"]["client-certificate-data"]))
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize("by", ["kubestrap", "cfssl", "openssl"])
def test_requests_signed_by_others_make_a_control_plane(by, machine, kubestrap, tools, kubeadm):
    machine.run("certs", "requests", "/requests", "--config", "/setup.yaml")
    folder = machine.file("/requests")
    assert {one.name for one in folder.iterdir()} == {f"{name}.json" for name in [*AUTHORITIES, *LEAVES, *KUBECONFIGS, "policy"]}
    again = machine.try_("certs", "requests", "/requests", "--config", "/setup.yaml")
    assert again.returncode == 2 and again.stderr.count("is there already") == 16, again.stderr
    sign(by, folder, kubestrap, tools)
    for key in ("ca", "front-proxy-ca", "etcd-ca"):  # they stay where they were made
        for name in (f"{key}-key.pem", f"{key}.key"):
            (folder / name).unlink(missing_ok=True)

    planned = machine.run("certs", "import", "/requests", "--config", "/setup.yaml", "--dry-run")
    assert "PRIVATE KEY" not in planned and not machine.file("/etc/kubernetes").exists()
    machine.run("certs", "import", "/requests", "--config", "/setup.yaml")
    machine.run("init", "phase", "certs", "sa", "--config", "/setup.yaml")
    for phase, done in machine.phases("--dry-run", "--exit-code").items():
        assert done.returncode == 0, f"{phase}: {done.stdout}{done.stderr}"
    assert machine.try_("certs", "import", "/requests", "--config", "/setup.yaml", "--exit-code").returncode == 0
    for key in machine.file("/etc/kubernetes").rglob("*.key"):
        assert key.stat().st_mode & 0o777 == 0o600
    judged = json.loads(subprocess.run([kubeadm, "certs", "check-expiration", "-o", "json", "--cert-dir", machine.file("/etc/kubernetes/pki"), "--config", kubeadms(machine)],
                                       stdout=subprocess.PIPE, check=True).stdout)
    found = {one["name"]: one for one in judged["certificates"]}
    for name in LEAVES:
        assert not found[name].get("missing") and found[name]["externallyManaged"], name
    # A leaf that is lost cannot be made here, which init says before it touches anything.
    machine.file("/etc/kubernetes/pki/apiserver.crt").unlink()
    assert "ca.key is absent" in machine.phases()["certs"].stderr


def kubeadms(machine: Machine, algorithm: str = "ECDSA-P256") -> Path:
    """The configuration with folders that the real kubeadm finds from outside."""
    file = machine.root / "kubeadm.yaml"
    file.write_text(CONFIG.replace("ALGORITHM", algorithm) + f"certificatesDir: {machine.file('/etc/kubernetes/pki')}\n")
    return file


@pytest.mark.parametrize("algorithm", ["ECDSA-P256", "RSA-2048"])
def test_keys_and_requests_are_those_of_kubeadm(algorithm, machine, kubeadm):
    machine.configure(algorithm)
    machine.run("certs", "generate-csr", "--config", "/setup.yaml", "--cert-dir", "/ours/pki", "--kubeconfig-dir", "/ours")
    theirs = machine.file("theirs")
    subprocess.run([kubeadm, "certs", "generate-csr", "--config", kubeadms(machine, algorithm), "--cert-dir", theirs / "pki", "--kubeconfig-dir", theirs],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ours = machine.file("ours")
    names = lambda folder: {str(one.relative_to(folder)): oct(one.stat().st_mode) for one in folder.rglob("*") if one.is_file()}  # noqa: E731
    assert names(ours) == names(theirs)
    for name in names(theirs):
        assert content(ours / name) == content(theirs / name), name
    again = machine.try_("certs", "generate-csr", "--config", "/setup.yaml", "--cert-dir", "/ours/pki", "--kubeconfig-dir", "/ours")
    assert again.returncode == 2 and again.stderr.count("is there already") == 24


def content(file: Path):
    """What a key, a request or a kubeconfig says, but for its chance."""
    if file.name.endswith(".csr"):
        request = x509.load_pem_x509_csr(file.read_bytes())
        return request.subject.rfc4514_string(), [(one.oid, one.critical, one.value) for one in request.extensions], type(request.public_key()), request.signature_hash_algorithm.name
    if file.name.endswith(".conf"):
        said = yaml.safe_load(file.read_text())
        key = base64.b64decode(said["users"][0]["user"].pop("client-key-data"))
        if file.name == "kubelet.conf":  # kubeadm's init has the node's own API server in it, and its generate-csr the cluster's endpoint; ours the same in both
            assert said["clusters"][0]["cluster"].pop("server") in ("https://192.0.2.11:6443", "https://api.example.org:6443")
        return said, key.splitlines()[0]
    return file.read_bytes().splitlines()[0], serialization.load_pem_private_key(file.read_bytes(), None).key_size


@pytest.mark.parametrize("made_by", ["kubestrap", "kubeadm"])
def test_keys_and_requests_of_either_are_signed_elsewhere_and_imported(made_by, machine, kubeadm):
    pki, folder = machine.file("/etc/kubernetes/pki"), machine.file("/etc/kubernetes")
    if made_by == "kubestrap":
        machine.run("certs", "generate-csr", "--config", "/setup.yaml")
    else:
        subprocess.run([kubeadm, "certs", "generate-csr", "--config", kubeadms(machine), "--cert-dir", pki, "--kubeconfig-dir", folder], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    signed = machine.file("/signed")
    signed.mkdir()
    shell(r"""
      mkdir etcd
      usages() { case $1 in apiserver) echo serverAuth;; etcd/server|etcd/peer) echo serverAuth,clientAuth;; *) echo clientAuth;; esac; }
      for authority in ca front-proxy-ca etcd/ca; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/fd/3 -days 3650 -subj "/CN=corporate ${authority/\//-}" -out $authority.crt -addext keyUsage=critical,keyCertSign 3> key-of-$(basename $authority)-$(dirname $authority)
      done
      sign() {
        printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=%s\n' $(usages $2) > extensions
        { openssl req -in "$3" -noout -text | grep -A1 'Subject Alternative Name' || true; } | tail -1 | sed 's/IP Address:/IP:/g; s/^ */subjectAltName=/' >> extensions
        openssl x509 -req -in "$3" -CA $1.crt -CAkey key-of-$(basename $1)-$(dirname $1) -CAcreateserial -days 365 -extfile extensions -out $2.crt
      }
      for csr in $(cd $PKI; find . -name '*.csr' | sed 's,./,,'); do
        name=${csr%.csr}
        case $name in front-proxy-client) authority=front-proxy-ca;; etcd/*|apiserver-etcd-client) authority=etcd/ca;; *) authority=ca;; esac
        sign $authority $name $PKI/$csr
      done
      for csr in $(cd $CONF; ls *.conf.csr); do sign ca ${csr%.csr} $CONF/$csr; done
    """, signed, PKI=str(pki), CONF=str(folder))
    machine.run("certs", "import", "/signed", "--config", "/setup.yaml")
    machine.run("init", "phase", "certs", "sa", "--config", "/setup.yaml")
    for phase, done in machine.phases("--dry-run", "--exit-code").items():
        assert done.returncode == 0, f"{phase}: {done.stdout}{done.stderr}"
    assert certificate(machine, "admin.conf").subject.rfc4514_string() == "CN=kubernetes-admin,O=kubeadm:cluster-admins"


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_touched(machine, kubestrap, tools):
    machine.run("certs", "requests", "/requests", "--config", "/setup.yaml")
    folder = machine.file("/requests")
    sign("kubestrap", folder, kubestrap, tools)
    text = {one.name: one.read_text() for one in folder.glob("*.pem")}
    crl = folder / "crl"
    shell("openssl ecparam -name prime256v1 -genkey -noout -out other.key; touch index.txt; echo 01 > serial; openssl req -x509 -new -key other.key -subj /CN=other -out other.crt; "
          "printf '[ca]\\ndefault_ca=x\\n[x]\\ndatabase=index.txt\\ndefault_md=sha256\\n' > c; openssl ca -config c -gencrl -crldays 30 -keyfile other.key -cert other.crt -out crl", folder)
    wrong = {
        "apiserver.pem": text["apiserver.pem"][: len(text["apiserver.pem"]) // 2],                # cut off
        "apiserver-kubelet-client.pem": text["admin.conf.pem"],                                  # of another
        "front-proxy-client.pem": crl.read_text(),                                               # a revocation list
        "etcd-server.pem": text["etcd-server-key.pem"], "etcd-server-key.pem": text["etcd-server.pem"],  # swapped
        "etcd-peer.pem": (folder / "other.crt").read_text(),                                     # of a foreign authority
        "etcd-healthcheck-client.pem": text["etcd-healthcheck-client.pem"].replace("\n", "\r\n"),  # from another system: fine
        "scheduler.conf-key.pem": text["controller-manager.conf-key.pem"],                       # not its key
        "ca.pem": text["ca.pem"] + text["front-proxy-ca.pem"],                                   # a bundle: its first is the authority
        "admin.conf.pem": "", "super-admin.conf-key.pem": "no key",
    }
    for name, content in wrong.items():
        (folder / name).write_text(content)
    (folder / "apiserver-key.pem").chmod(0o644)
    (folder / "etcd-perr.pem").write_text(text["etcd-peer.pem"])
    for name in ("other.key", "other.crt"):
        (folder / name).unlink()
    told = machine.try_("certs", "import", "/requests", "--config", "/setup.yaml")
    assert told.returncode == 3, told.stderr
    for part in ["apiserver.pem: ", "apiserver-kubelet-client.pem: is for O=kubeadm:cluster-admins, CN=kubernetes-admin, not CN=kube-apiserver-kubelet-client",
                 "apiserver-kubelet-client.pem: does not belong to the key /requests/apiserver-kubelet-client-key.pem",
                 "front-proxy-client.pem: holds no certificate, but X509 CRL", "etcd-server.pem: holds no certificate, but EC PRIVATE KEY",
                 "etcd-peer.pem: is signed by CN=other, and does not lead to etcd-ca",
                 "scheduler.conf.pem: does not belong to the key /requests/scheduler.conf-key.pem", "admin.conf.pem: holds no certificate",
                 "super-admin.conf-key.pem: holds no private key", "apiserver-key.pem can be read by others", "etcd-perr.pem is of no certificate"]:
        assert part in told.stderr, f"{part} is not in\n{told.stderr}"
    assert "etcd-healthcheck-client" not in told.stderr and "PRIVATE KEY--" not in told.stderr
    assert not machine.file("/etc/kubernetes").exists()


def test_what_is_lacking_and_cannot_be_signed_here_is_told_at_once(machine, kubestrap, tools):
    machine.run("certs", "requests", "/requests", "--config", "/setup.yaml")
    folder = machine.file("/requests")
    sign("kubestrap", folder, kubestrap, tools)
    for name in ["ca-key.pem", "etcd-ca-key.pem", "apiserver.pem", "etcd-peer.pem", "admin.conf.pem", "front-proxy-client.pem"]:
        (folder / name).unlink()
    (folder / "apiserver-key.pem").unlink()
    told = machine.try_("certs", "import", "/requests", "--config", "/setup.yaml")
    assert told.returncode == 3, told.stderr
    for part in ["/etc/kubernetes/pki/apiserver.crt: is lacking, and cannot be signed here: the key of ca is kept elsewhere", "/etc/kubernetes/admin.conf: is lacking",
                 "etcd-peer-key.pem: is there without its certificate"]:
        assert part in told.stderr, told.stderr
    assert "front-proxy-client.crt: is lacking" not in told.stderr  # its authority's key is brought


def test_init_makes_what_the_requests_ask_for(machine):
    machine.run("certs", "requests", "/requests", "--config", "/setup.yaml")
    folder = machine.file("/requests")

    def edit(name: str, **members) -> None:
        document = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(document | members))

    edit("apiserver.json", hosts=["extra.example.org"], names=[{"C": "DE", "OU": "Platform", "O": "Example"}], key={"algo": "rsa", "size": 2048})
    edit("ca.json", CN="our cluster", ca={"expiry": "1000h"})
    policy = json.loads((folder / "policy.json").read_text())
    policy["signing"]["profiles"]["etcd-peer"]["expiry"] = "240h"
    (folder / "policy.json").write_text(json.dumps(policy))
    with machine.file("setup.yaml").open("a") as config:
        config.write("pki: {requests: /requests, policy: /requests/policy.json}\n")
    for done in machine.phases().values():
        assert done.returncode == 0, done.stderr
    made = certificate(machine, "pki/apiserver.crt")
    assert made.subject.rfc4514_string() == "CN=kube-apiserver,OU=Platform,O=Example,C=DE"
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert "extra.example.org" in names and "api.example.org" in names and made.public_key().key_size == 2048
    assert certificate(machine, "pki/ca.crt").subject.rfc4514_string() == "CN=our cluster"
    life = lambda one: (one.not_valid_after_utc - one.not_valid_before_utc).total_seconds() / 3600  # noqa: E731
    assert 999 < life(certificate(machine, "pki/ca.crt")) < 1001 and 239 < life(certificate(machine, "pki/etcd/peer.crt")) < 241
    for phase, done in machine.phases("--dry-run", "--exit-code").items():
        assert done.returncode == 0, f"{phase}: {done.stdout}{done.stderr}"
    (folder / "apiservr.json").write_text('{"CN": "x"}')
    edit("scheduler.conf.json", CN="somebody")
    told = machine.phases()["certs"]
    assert told.returncode == 2 and "there is no certificate apiservr (expected apiserver)" in told.stderr and '"somebody" is another user' in told.stderr


def test_no_core_file_has_a_key_in_it(kubestrap):
    def dumps(*command) -> bool:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.dup2(reading, 0)
            os.chdir("/tmp")
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            os.execv(command[0], command)
        os.close(reading)
        while Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0] != str(command[0]).encode() or "pipe_read" not in Path(f"/proc/{child}/wchan").read_text():
            time.sleep(0.01)
        os.kill(child, signal.SIGABRT)
        status = os.waitpid(child, 0)[1]
        os.close(writing)
        return os.WCOREDUMP(status)

    if not dumps("/bin/cat"):
        pytest.skip("this machine makes no core files")
    assert not dumps(str(kubestrap), "certs", "genkey", "-")
