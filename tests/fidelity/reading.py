"""What a run left behind, as a tree of plain values: chance is replaced by what it means."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the former is ten times as fast
PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n?", re.S)
OID = x509.oid.ExtensionOID
DOCUMENTS_IN_CONFIG_MAPS = {"kubeadm-config", "kubelet-config", "kube-proxy", "kubestrap-config", "cluster-info"}


class Reader:
    """Reads the root folder of one run that began at `began`."""

    def __init__(self, root: Path, began: datetime, certificate_key: str):
        self.root, self.began, self.certificate_key = root, began, certificate_key

    # ---- files

    def files(self, but: set[str]) -> dict[str, object]:
        """Every file and folder that was not there before; `but` are paths."""
        tree = {}
        for path in sorted(self.root.rglob("*")):
            name = "/" + str(path.relative_to(self.root))
            if name in but or path.is_symlink():
                continue
            mode = f"{stat.S_IMODE(path.stat().st_mode):04o}"
            if path.is_dir():
                tree[f"folder {name}"] = {"mode": mode}
            else:
                tree[f"file {name}"] = {"mode": mode, **self.content(path)}
        return tree

    def content(self, path: Path) -> dict[str, object]:
        data = path.read_bytes()
        if path.suffix in (".crt", ".key", ".pub"):
            return {"PEM": self.pem(data)}
        if path.suffix == ".conf":
            return {"kubeconfig": self.kubeconfig(yaml.load(data, LOADER))}
        if path.suffix == ".yaml":
            return {"document": yaml.load(data, LOADER)}
        if path.suffix == ".env":
            return {"text": data.decode()}
        return {"digest": hashlib.sha256(data).hexdigest()}

    def kubeconfig(self, document: dict) -> dict:
        """The document with embedded files replaced by what they are."""
        for kind in ("clusters", "users"):
            for entry in document.get(kind) or ():
                inner = entry[kind[:-1]]
                for key in [key for key in inner if key.endswith("-data")]:
                    inner[key] = self.pem(base64.b64decode(inner[key]))
        return document

    # ---- keys and certificates

    def pem(self, data: bytes) -> list[dict]:
        blocks = [match for match in PEM.finditer(data)]
        assert b"".join(match[0] for match in blocks) == data, "there is more than PEM blocks"
        return [{"label": match[1].decode(), **self.block(match[1].decode(), match[0])} for match in blocks]

    def block(self, label: str, data: bytes) -> dict[str, object]:
        if label == "CERTIFICATE":
            return self.certificate(x509.load_pem_x509_certificate(data))
        if label == "PUBLIC KEY":
            return {"key": key_name(serialization.load_pem_public_key(data))}
        return {"key": key_name(serialization.load_pem_private_key(data, None).public_key())}

    def certificate(self, one: x509.Certificate) -> dict[str, object]:
        return {
            "version": one.version.name,
            "subject": one.subject.rfc4514_string(),
            "issuer": one.issuer.rfc4514_string(),
            "key": key_name(one.public_key()),
            "signature": one.signature_algorithm_oid._name,
            "serial number": "positive, of at most 63 bits" if 0 < one.serial_number < 2**63 else one.serial_number,
            "begins": rounded(moment(one, "before") - self.began),
            "ends": rounded(moment(one, "after") - self.began),
            "extensions": {extension.oid._name: self.extension(one, extension) for extension in one.extensions},
        }

    def extension(self, one: x509.Certificate, extension: x509.Extension) -> dict[str, object]:
        value, oid = extension.value, extension.oid
        if oid == OID.SUBJECT_ALTERNATIVE_NAME:
            said = [f"{type(name).__name__}:{name.value}" for name in value]
        elif oid == OID.EXTENDED_KEY_USAGE:
            said = [usage._name for usage in value]
        elif oid == OID.KEY_USAGE:
            said = [name for name in ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                                      "key_agreement", "key_cert_sign", "crl_sign") if getattr(value, name)]
        elif oid == OID.BASIC_CONSTRAINTS:
            said = f"CA:{value.ca} path length:{value.path_length}"
        elif oid == OID.SUBJECT_KEY_IDENTIFIER:
            said = "of 20 bytes" if len(value.digest) == 20 else value.digest.hex()
        elif oid == OID.AUTHORITY_KEY_IDENTIFIER:
            said = f"{one.issuer.rfc4514_string()}'s" if value.key_identifier in self.authority_ids() else "nobody's"
        else:
            said = repr(value)
        return {"critical": extension.critical, "says": said}

    def authority_ids(self) -> set[bytes]:
        ids = set()
        for path in self.root.rglob("*ca.crt"):
            for match in PEM.finditer(path.read_bytes()):
                extensions = x509.load_pem_x509_certificate(match[0]).extensions
                ids.add(extensions.get_extension_for_oid(OID.SUBJECT_KEY_IDENTIFIER).value.digest)
        return ids

    # ---- objects

    def objects(self, documents: list[dict], known_tokens: set[str]) -> dict[str, object]:
        tree = {}
        for document in documents:
            meta = document["metadata"]
            for key in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
                meta.pop(key, None)
            if document["kind"] == "Secret":
                document = self.secret(document, known_tokens)
            if document["kind"] == "Node":
                document["spec"]["taints"].sort(key=lambda taint: taint["key"])  # a set
            if document["kind"] == "ConfigMap" and meta["name"] in DOCUMENTS_IN_CONFIG_MAPS:
                document["data"] = {key: self.embedded(text) for key, text in document["data"].items()}
                self.without_hash(meta)
            place = f"{meta['namespace']}/" if meta.get("namespace") else ""
            tree[f"{document['kind']} {place}{meta['name']}"] = document
        return tree

    def embedded(self, text: str) -> object:
        document = yaml.load(text, LOADER)
        return self.kubeconfig(document) if isinstance(document, dict) and document.get("kind") == "Config" else document

    @staticmethod
    def without_hash(meta: dict) -> None:
        """Of a text whose document is compared anyway; that there is one says who made the document."""
        for key in meta.get("annotations", {}):
            if key.endswith(".hash"):
                meta["annotations"][key] = re.sub("[0-9a-f]{64}$", "DIGEST", meta["annotations"][key])

    def secret(self, document: dict, known_tokens: set[str]) -> dict:
        """Tokens that chance made have their form in place of their letters; sealed files are opened."""
        plain = {key: base64.b64decode(value) for key, value in (document.get("data") or {}).items()}
        if document["type"] == "bootstrap.kubernetes.io/token":
            made_up = plain["token-id"].decode() not in known_tokens
            for key, length in (("token-id", 6), ("token-secret", 16)):
                if made_up:
                    assert re.fullmatch(b"[a-z0-9]{%d}" % length, plain[key]), key
                    plain[key] = b"%d letters and digits" % length
            document["data"] = {key: value.decode() for key, value in plain.items()}
            if made_up:
                of = "certificates" if "usage-bootstrap-signing" not in plain else "joining"
                document["metadata"]["name"] = f"bootstrap-token (made up, for {of})"
            if "expiration" in document["data"]:
                moment = datetime.fromisoformat(document["data"]["expiration"].replace("Z", "+00:00"))
                document["data"]["expiration"] = rounded(moment - self.began)
        elif document["metadata"]["name"] == "kubeadm-certs":
            document["data"] = {key: self.opened(value) for key, value in plain.items()}
            for owner in document["metadata"]["ownerReferences"]:
                owner["name"], owner["uid"] = re.sub("[a-z0-9]{6}$", "ID", owner["name"]), bool(owner["uid"])
        return document

    def opened(self, sealed: bytes) -> str:
        if not sealed:
            return "nothing"
        plain = AESGCM(bytes.fromhex(self.certificate_key)).decrypt(sealed[:12], sealed[12:], None)
        for path in self.root.rglob("*"):
            if path.is_file() and path.suffix in (".crt", ".key", ".pub") and path.read_bytes() == plain:
                return f"/{path.relative_to(self.root)}"
        return "something that is in no file"


def moment(one: x509.Certificate, which: str) -> datetime:
    """Of any release of the library: newer ones warn of moments without a zone."""
    aware = getattr(one, f"not_valid_{which}_utc", None)
    return aware or getattr(one, f"not_valid_{which}").replace(tzinfo=timezone.utc)


def rounded(span: timedelta) -> str:
    """To five minutes: long keys take their time."""
    minutes = round(span.total_seconds() / 300) * 5
    return f"{minutes // 60}h{minutes % 60}m" if minutes >= 0 else f"-{-minutes // 60}h{-minutes % 60}m"


def key_name(key) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA-P{key.curve.key_size}"
    return type(key).__name__

