"""What is compared of two certificates."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa


def facts(pem: str) -> dict:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    lifetime = certificate.not_valid_after - certificate.not_valid_before
    return {
        "subject": [[(a.oid.dotted_string, a.value) for a in sorted(rdn, key=lambda a: (a.oid.dotted_string, a.value))] for rdn in certificate.subject.rdns],
        "extensions": {each.oid.dotted_string: (each.critical, extension(each)) for each in certificate.extensions},
        "key": key(certificate.public_key()),
        "signature": certificate.signature_algorithm_oid.dotted_string,
        "lifetime": lifetime.total_seconds(),
        "version": certificate.version.name,
    }


def extension(each) -> object:
    value = each.value
    match value:
        case x509.SubjectAlternativeName():
            return sorted((type(name).__name__, str(name.value)) for name in value)
        case x509.ExtendedKeyUsage():
            return sorted({usage.dotted_string for usage in value})
        case x509.BasicConstraints():
            return value.ca, value.path_length
        case x509.SubjectKeyIdentifier() | x509.AuthorityKeyIdentifier():
            return "of the key"  # the keys differ
        case x509.CertificatePolicies():
            return sorted(policy.policy_identifier.dotted_string for policy in value)
        case x509.UnrecognizedExtension():
            return value.value.hex()
    return value.public_bytes().hex()


def key(public) -> tuple:
    if isinstance(public, rsa.RSAPublicKey):
        return "rsa", public.key_size, public.public_numbers().e
    if isinstance(public, ec.EllipticCurvePublicKey):
        return "ecdsa", public.curve.name
    assert isinstance(public, ed25519.Ed25519PublicKey)
    return ("ed25519",)


def begins(pem: str) -> float:
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_before.timestamp()
