"""The real cfssl and kubestrap get the same requests, policies and flags; what they answer is compared."""

import json
import subprocess

import pytest
from certificates import begins, facts
from pairs import PAIRS, Pair


@pytest.fixture(scope="module")
def authority(tools, tmp_path_factory):
    """cfssl's own, with a path length that lets intermediates live."""
    folder = tmp_path_factory.mktemp("authority")
    request = json.dumps({"CN": "authority", "key": {"algo": "ecdsa", "size": 256}, "ca": {"pathlen": 5}})
    made = subprocess.run([tools / "cfssl", "gencert", "-initca", "-"], input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    answer = json.loads(made.stdout)
    (folder / "ca.pem").write_text(answer["cert"])
    (folder / "ca-key.pem").write_text(answer["key"])
    (folder / "ca-key.pem").chmod(0o600)
    return folder


def write(path, content) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def run(program: list, pair: Pair, folder, authority):
    write(folder / "csr.json", pair.request)
    words = list(pair.flags)
    if pair.config is not None:
        write(folder / "config.json", pair.config)
        words += ["-config=config.json"]
    command = {
        "gencert": ["gencert", f"-ca={authority}/ca.pem", f"-ca-key={authority}/ca-key.pem", *words, "csr.json"],
        "initca": ["gencert", "-initca", *words, "csr.json"],
        "selfsign": ["selfsign", *words, "leaf.example.org", "csr.json"],
    }[pair.command]
    return subprocess.run([*program, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_same_answer(pair, kubestrap, tools, authority, tmp_path):
    theirs = run([tools / "cfssl"], pair, tmp_path, authority)
    ours = run([kubestrap, "certs"], pair, tmp_path, authority)
    if pair.stricter:
        assert theirs.returncode == 0, "cfssl refuses it by now: move the pair\n" + theirs.stderr
        assert ours.returncode == 2 and ours.stdout == "" and pair.stricter in ours.stderr, ours.stderr
        return
    if pair.refused:
        assert theirs.returncode != 0, theirs.stdout
        assert ours.returncode in (1, 2) and ours.stdout == "" and ours.stderr.startswith("error: "), ours.stderr
        assert "PRIVATE KEY" not in ours.stderr
        return
    assert theirs.returncode == 0, theirs.stderr
    assert ours.returncode == 0, ours.stderr
    theirs, ours = json.loads(theirs.stdout), json.loads(ours.stdout)
    assert sorted(ours) == sorted(theirs)
    assert facts(ours["cert"]) == facts(theirs["cert"])
    assert abs(begins(ours["cert"]) - begins(theirs["cert"])) <= 60  # of whole minutes; the two are not run in the same one


def test_there_are_enough_pairs():
    assert len([pair for pair in PAIRS if not pair.stricter]) >= 40 and len([pair for pair in PAIRS if pair.refused]) >= 10


@pytest.mark.parametrize("size", [256, 384])
def test_each_signs_the_others_request(size, kubestrap, tools, authority, tmp_path):
    """`genkey` of one, `sign` of the other, with another subject beside it."""
    write(tmp_path / "csr.json", {"CN": "a", "hosts": ["a.example.org"], "key": {"algo": "ecdsa", "size": size}, "names": [{"O": "x", "L": "y"}]})
    write(tmp_path / "subject.json", {"CN": "b", "names": [{"O": "z"}]})
    programs = {"kubestrap": [kubestrap, "certs"], "cfssl": [tools / "cfssl"]}
    found = []
    for maker, signer in (("kubestrap", "cfssl"), ("cfssl", "kubestrap")):
        call = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "check": True}
        made = json.loads(subprocess.run([*programs[maker], "genkey", "csr.json"], **call).stdout)
        write(tmp_path / "a.csr", made["csr"])
        flags = [f"-ca={authority}/ca.pem", f"-ca-key={authority}/ca-key.pem"]
        for subject in ([], ["subject.json"]):
            signed = json.loads(subprocess.run([*programs[signer], "sign", *flags, "a.csr", *subject], **call).stdout)
            found.append(facts(signed["cert"]))
    assert found[:2] == found[2:]


FOREIGN = "/C=DE/O=Example/CN=foreign.example.org"
FOREIGN_EXTENSIONS = ["subjectAltName=DNS:foreign.example.org,IP:10.1.2.3,email:a@example.org,URI:spiffe://example.org/x", "1.2.3.4.5=ASN1:UTF8String:asked for"]
KEYS_ONLY = {"PublicKey": True, "PublicKeyAlgorithm": True, "SignatureAlgorithm": True}
SIGNING = {
    "a profile": ({"usages": ["client auth"], "expiry": "24h"}, []),
    "other names": ({}, ["-hostname=a.example.org,10.9.9.9"]),
    "extensions are copied": ({"copy_extensions": True}, []),
    "nothing but the key may be the request's": ({"CSRWhitelist": KEYS_ONLY}, ["-hostname=a.example.org"]),
    "the subject may be the request's": ({"CSRWhitelist": KEYS_ONLY | {"Subject": True}}, []),
    "names of hosts may be the request's": ({"CSRWhitelist": KEYS_ONLY | {"Subject": True, "DNSNames": True}}, []),
    "addresses may be the request's": ({"CSRWhitelist": KEYS_ONLY | {"IPAddresses": True, "EmailAddresses": True, "URIs": True}}, []),
    "an authority": ({"usages": ["cert sign"], "ca_constraint": {"is_ca": True, "max_path_len": 1}}, []),
    "a fixed time": ({"not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z"}, []),
}


@pytest.mark.parametrize("name", SIGNING)
def test_a_request_of_foreign_make_is_signed_alike(name, kubestrap, tools, authority, tmp_path):
    profile, flags = SIGNING[name]
    extensions = [word for each in FOREIGN_EXTENSIONS for word in ("-addext", each)]
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem", "-subj", FOREIGN, *extensions, "-out", "a.csr"],
                   cwd=tmp_path, stderr=subprocess.DEVNULL, check=True)
    usual = {"expiry": "8760h", "usages": ["signing", "server auth"]}
    write(tmp_path / "config.json", {"signing": {"default": usual, "profiles": {"p": usual | profile}}})
    words = [f"-ca={authority}/ca.pem", f"-ca-key={authority}/ca-key.pem", "-config=config.json", "-profile=p", *flags]
    signed = {}
    for program in ([tools / "cfssl"], [kubestrap, "certs"]):
        done = subprocess.run([*program, "sign", *words, "a.csr"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        signed[program[0].name] = facts(json.loads(done.stdout)["cert"])
    assert signed["kubestrap"] == signed["cfssl"]


def test_certinfo_has_what_cfssl_tells(kubestrap, tools, authority):
    theirs = json.loads(subprocess.run([tools / "cfssl", "certinfo", "-cert", authority / "ca.pem"], stdout=subprocess.PIPE, check=True).stdout)
    ours = json.loads(subprocess.run([kubestrap, "certs", "certinfo", "-cert", authority / "ca.pem"], stdout=subprocess.PIPE, check=True).stdout)
    assert {key: ours[key] for key in theirs} == theirs
