"""Pairs of a certificate request and a signing policy. Both programs are given the same bytes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

LEAF = {"CN": "leaf.example.org", "hosts": ["leaf.example.org", "10.1.2.3"], "key": {"algo": "ecdsa", "size": 256}, "names": [{"O": "Example"}]}
PROFILE = {"expiry": "8760h", "usages": ["signing", "key encipherment", "server auth", "client auth"]}


@dataclass
class Pair:
    name: str
    request: dict | str
    config: dict | str | None = None
    flags: list[str] = field(default_factory=list)
    command: str = "gencert"  # or initca, selfsign
    refused: bool = False  # by both
    stricter: str = ""  # why kubestrap refuses what cfssl lets pass


def request(**changes) -> dict:
    made = copy.deepcopy(LEAF) | changes
    return {key: value for key, value in made.items() if value is not None}


def config(profile: dict | None = None, default: dict | None = None) -> dict:
    return {"signing": {"default": default or PROFILE, "profiles": {"p": PROFILE | (profile or {})}}}


P = ["-profile=p"]

PAIRS = [
    # ---- requests
    Pair("as it is", request()),
    Pair("no names at all", request(hosts=[])),
    Pair("an empty name, as scripts write it", request(hosts=[""]), flags=["-hostname=a.example.org"]),
    Pair("rsa 2048", request(key={"algo": "rsa", "size": 2048})),
    Pair("rsa 3072", request(key={"algo": "rsa", "size": 3072})),
    Pair("ecdsa 384", request(key={"algo": "ecdsa", "size": 384})),
    Pair("ecdsa 521", request(key={"algo": "ecdsa", "size": 521})),
    Pair("ed25519", request(key={"algo": "ed25519", "size": 256})),
    Pair("no key member", request(key=None)),
    Pair("only the size", request(key={"size": 384})),
    Pair("every member of a name", request(names=[{"C": "DE", "ST": "Bayern", "L": "München", "O": "Example GmbH", "OU": "Kubernetes"}])),
    Pair("two names", request(names=[{"O": "a", "OU": "x"}, {"O": "b", "OU": "y"}])),
    Pair("no common name", request(CN=None)),
    Pair("a serial number", request(serialnumber="SN-1")),
    Pair("a mail address in the subject", request(names=[{"E": "a@example.org"}])),
    Pair("an object identifier in the subject", request(names=[{"O": "x", "OID": {"1.3.6.1.4.1.311.60.2.1.3": "DE"}}])),
    Pair("mail addresses, URIs, IPv6", request(hosts=["a@example.org", "spiffe://example.org/x", "https://example.org", "fd00::1", "*.example.org"])),
    Pair("names in small letters", {"cn": "small", "HOSTS": ["a.example.org"]}),
    Pair("neither subject nor critical names", request(CN=None, names=[], hosts=["only.example.org"])),
    Pair("delegation", request(delegation_enabled=True)),
    # ---- flags
    Pair("hostname in place of hosts", request(), flags=["-hostname=a.example.org,10.9.9.9"]),
    Pair("another common name", request(), flags=["-cn=other"]),
    # ---- policies
    Pair("a profile", request(), config({"usages": ["signing", "client auth"], "expiry": "24h"}), P),
    Pair("the default of a policy", request(), config(default={"expiry": "48h", "usages": ["signing", "server auth"]})),
    Pair("a policy without default", request(), {"signing": {"profiles": {"p": PROFILE}}}),
    Pair("every key usage", request(), config({"usages": ["signing", "content commitment", "key encipherment", "data encipherment", "key agreement", "cert sign", "crl sign", "encipher only", "decipher only"]}), P),
    Pair("every extended usage", request(), config({"usages": ["any", "server auth", "client auth", "code signing", "email protection", "s/mime", "ipsec end system", "ipsec tunnel", "ipsec user", "timestamping", "ocsp signing", "microsoft sgc", "netscape sgc"]}), P),
    Pair("backdate", request(), config({"backdate": "1h30m"}), P),
    Pair("fixed dates", request(), config({"not_before": "2026-01-01T00:00:00Z", "not_after": "2031-06-01T12:30:00Z"}), P),
    Pair("a hundred years", request(), config({"expiry": "876000h"}), P),
    Pair("URLs", request(), config({"ocsp_url": "http://ocsp.example.org", "crl_url": "http://crl.example.org/a.crl", "issuer_urls": ["http://ca.example.org/ca.crt"]}), P),
    Pair("URLs of the default", request(), config(default=PROFILE | {"ocsp_url": "http://ocsp.example.org", "crl_url": "http://crl.example.org/d.crl"}), P),
    Pair("a revocation list by flag", request(), config({"crl_url": "http://crl.example.org/a.crl"}), ["-profile=p", "-crl=http://crl.example.org/b.crl"]),
    Pair("ocsp no check", request(), config({"ocsp_no_check": True}), P),
    Pair("certificate policies", request(), config({"policies": [{"ID": "1.2.3.4.1"}, {"ID": "1.2.3.4.2"}]}), P),
    Pair("an intermediate authority", request(), config({"usages": ["cert sign", "crl sign"], "ca_constraint": {"is_ca": True, "max_path_len": 2}}), P),
    Pair("an intermediate authority that signs no other", request(), config({"usages": ["cert sign"], "ca_constraint": {"is_ca": True, "max_path_len": 0, "max_path_len_zero": True}}), P),
    Pair("extensions are copied", request(extensions=[{"Id": [1, 2, 3, 4, 5], "Critical": False, "Value": "BQA="}]), config({"copy_extensions": True}), P),
    Pair("extensions are not copied", request(extensions=[{"Id": [1, 2, 3, 4, 5], "Critical": False, "Value": "BQA="}]), config(), P),
    Pair("a white list", request(hosts=["a.example.org", "10.0.0.9", "x@example.org"]), config({"CSRWhitelist": {"Subject": True, "PublicKeyAlgorithm": True, "PublicKey": True, "SignatureAlgorithm": True, "DNSNames": True}}), P),
    # ---- authorities
    Pair("an authority", request(hosts=None, CN="ca"), command="initca"),
    Pair("an authority of ten years", request(CN="ca", ca={"expiry": "87600h"}), command="initca"),
    Pair("an authority with a path length", request(CN="ca", ca={"pathlen": 3}), command="initca"),
    Pair("an authority that signs leaves only", request(CN="ca", ca={"pathlen": 0, "pathlenzero": True}), command="initca"),
    Pair("a backdated authority", request(CN="ca", ca={"backdate": "48h", "expiry": "100h"}), command="initca"),
    Pair("an authority with a revocation list", request(CN="ca", crl_url="http://crl.example.org/ca.crl"), command="initca"),
    Pair("an rsa authority", request(CN="ca", key={"algo": "rsa", "size": 4096}), command="initca"),
    Pair("a self-signed one", request(), command="selfsign"),
    Pair("a self-signed one by policy", request(), config(default={"expiry": "72h", "usages": ["signing", "server auth"]}), command="selfsign"),
    # ---- refused by both
    Pair("an rsa key that is too weak", request(key={"algo": "rsa", "size": 1024}), refused=True),
    Pair("an rsa key that is too large", request(key={"algo": "rsa", "size": 16384}), refused=True),
    Pair("a curve that there is not", request(key={"algo": "ecdsa", "size": 255}), refused=True),
    Pair("an algorithm that there is not", request(key={"algo": "dsa", "size": 2048}), refused=True),
    Pair("only the algorithm, and the size of another", request(key={"algo": "rsa"}), refused=True),
    Pair("a size in words", request(key={"algo": "rsa", "size": "2048"}), refused=True),
    Pair("ca for a leaf", request(ca={"expiry": "1h"}), refused=True),
    Pair("an authority without subject", {"CN": "", "hosts": []}, command="initca", refused=True),
    Pair("an authority whose life is no duration", request(ca={"expiry": "1 year"}), command="initca", refused=True),
    Pair("a name in other letters", request(hosts=["münchen.example.org"]), refused=True),
    Pair("hosts that are no list", request(hosts="a.example.org"), refused=True),
    Pair("no JSON", "CN: leaf\n", refused=True),
    Pair("half a file", '{"CN": "leaf", "hosts": [', refused=True),
    Pair("an empty file", "", refused=True),
    Pair("an object identifier that is none", request(names=[{"OID": {"a.b": "x"}}]), refused=True),
    Pair("no signing member", request(), {"default": PROFILE}, refused=True),
    Pair("no expiry", request(), {"signing": {"default": {"usages": ["signing"]}}}, refused=True),
    Pair("expiry that is no duration", request(), config({"expiry": "1y"}), P, refused=True),
    Pair("a profile without usages", request(), {"signing": {"default": PROFILE, "profiles": {"p": {"expiry": "1h"}}}}, P, refused=True),
    Pair("a default without usages is used", request(), {"signing": {"default": {"expiry": "1h"}}}, refused=True),
    Pair("only unknown usages", request(), config({"usages": ["server-auth"]}), P, refused=True),
    Pair("a policy that is no JSON", request(), "signing: {}", refused=True),
    Pair("a remote that there is not", request(), config({"remote": "elsewhere"}), P, refused=True),
    Pair("a white list without the key", request(), config({"CSRWhitelist": {"Subject": True}}), P, refused=True),
    Pair("a qualifier that there is not", request(), config({"policies": [{"ID": "1.2.3", "Qualifiers": [{"Type": "x", "Value": "y"}]}]}), P, refused=True),
    # ---- refused by kubestrap alone: cfssl passes over what it does not know, or signs what nobody would accept
    Pair("an unknown member of a request", request(host=["a"]), stricter="host"),
    Pair("an unknown member of a policy", request(), config({"usage": ["signing"]}), P, stricter="usage"),
    Pair("one unknown usage among known ones", request(), config({"usages": ["signing", "server-auth"]}), P, stricter="server-auth"),
    Pair("a profile that there is not", request(), config(), ["-profile=kubernets"], stricter="kubernets"),
    Pair("a name with a port", request(hosts=["localhost:8080"]), stricter="localhost:8080"),
    Pair("a member twice", '{"CN": "a", "CN": "b"}', stricter="CN"),
    Pair("an end before the beginning", request(), config({"expiry": "-1h"}), P, stricter="expiry"),
    Pair("two path lengths", request(CN="ca", ca={"pathlen": 1, "pathlenzero": True}), command="initca", stricter="pathlenzero"),
    Pair("a name white list", request(), config({"name_whitelist": ".*"}), P, stricter="name_whitelist"),
    Pair("lints", request(), config({"lint_error_level": "fatal"}), P, refused=True),
    Pair("a key of cfssl's server", request(), {"signing": {"default": PROFILE | {"auth_key": "k"}}, "auth_keys": {"k": {"type": "standard", "key": "00112233445566778899aabbccddeeff"}}}, stricter="auth_key"),
]
