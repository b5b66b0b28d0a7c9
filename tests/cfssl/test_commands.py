"""cfssl's commands of kubestrap as they are typed, with one dash and two: lists of requests, what certificates say and whether they hold, authorities
made anew, answers put into files; and what is left when standard output or a disk takes no more. The judges are openssl and the real cfssl."""

import base64
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from certificates import facts
from cryptography import x509

KEY = {"algo": "ecdsa", "size": 256}
LINES = [{"name": "web", "CN": "web.example.org", "hosts": ["web.example.org", "10.0.0.1"], "key": KEY, "names": [{"O": "Example"}]},
         {"CN": "db", "hosts": ["db.example.org"], "key": {"algo": "ecdsa", "size": 384}},
         {"name": "old", "CN": "old.example.org", "hosts": ["old.example.org"], "key": {"algo": "rsa", "size": 2048}}]
SIGNED = ["-ca", "ca.pem", "-ca-key", "ca-key.pem"]
POLICY = {"signing": {"default": {"expiry": "24h", "usages": ["server auth"]}, "profiles": {
    "client": {"expiry": "24h", "usages": ["client auth"]},
    "between": {"expiry": "24h", "usages": ["cert sign", "crl sign"], "ca_constraint": {"is_ca": True}},
    "ended": {"expiry": "24h", "not_before": "2020-01-01T00:00:00Z", "not_after": "2021-01-01T00:00:00Z", "usages": ["server auth"]}}}}


@dataclass
class Certs:
    """`kubestrap certs` in a folder that has an authority."""

    binary: Path
    folder: Path
    dash: str = "-"

    def run(self, *words, **more) -> subprocess.CompletedProcess:
        typed = [re.sub("^-(?=[a-z]{2})", self.dash, str(word)) for word in words]
        usual = {"cwd": self.folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.run([self.binary, "certs", *typed], **(usual | more))

    def ok(self, *words, **more) -> str:
        done = self.run(*words, **more)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def refused(self, code: int, *words, **more) -> str:
        """What it says on standard error."""
        done = self.run(*words, **more)
        assert done.returncode == code, f"{words} ended with {done.returncode}: {done.stderr}"
        assert not done.stdout and "error: " in done.stderr
        self.tells_no_key(done.stderr)
        return done.stderr

    def tells_no_key(self, text: str) -> None:
        assert "PRIVATE KEY--" not in text, text
        for file in self.folder.rglob("*-key.pem*"):
            assert not any(line in text for line in file.read_text().split("\n")[1:-2] if len(line) > 20), text

    def put(self, name: str, content) -> str:
        (self.folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return name

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def leaf(self, name: str, *words, by: str = "ca", **request) -> str:
        self.put(f"{name}.json", {"CN": name, "hosts": [f"{name}.example.org"], "key": KEY} | request)
        self.put("policy.json", POLICY)
        self.ok("gencert", "-ca", f"{by}.pem", "-ca-key", f"{by}-key.pem", "-config", "policy.json", *words, f"{name}.json", "-bare", name)
        return f"{name}.pem"

    def names(self) -> set[str]:
        return {str(one.relative_to(self.folder)) for one in self.folder.rglob("*")}


@pytest.fixture
def certs(request, kubestrap, tmp_path) -> Certs:
    made = Certs(kubestrap, tmp_path, getattr(request, "param", "-"))
    made.put("ca.json", {"CN": "authority", "key": KEY, "names": [{"O": "Example"}], "ca": {"expiry": "1000h"}})
    made.put("csr.json", {"CN": "leaf", "hosts": ["leaf.example.org"], "key": KEY})
    made.ok("gencert", "-initca", "ca.json", "-bare", "ca")
    return made


both = pytest.mark.parametrize("certs", ["-", "--"], indirect=True, ids=["one dash", "two dashes"])


def openssl(*words, **more) -> str:
    return subprocess.run(["openssl", *words], stdout=subprocess.PIPE, check=True, text=True, **more).stdout


def belongs(certificate: str, key: str) -> bool:
    return openssl("x509", "-noout", "-pubkey", input=certificate) == openssl("pkey", "-pubout", input=key)


def holds(certificate: str, authority: Path) -> bool:
    words = ["openssl", "verify", "-x509_strict", "-CAfile", authority]
    return subprocess.run(words, input=certificate, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True).returncode == 0


def lines(documents: list) -> str:
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in documents)


def cfssl(tools: Path, *words, **more) -> str:
    return subprocess.run([tools / "cfssl", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, **more).stdout


# ---- lists


@both
@pytest.mark.parametrize("source", ["names.jsonl", "-"], ids=["a file", "standard input"])
def test_a_list_is_answered_line_by_line(source, certs, tools):
    text = lines(LINES[:1] + [""] + LINES[1:])
    certs.put("names.jsonl", text)
    answers = [json.loads(line) for line in certs.ok("gencert", "-list", source, *SIGNED, input=text).splitlines()]
    assert [one["name"] for one in answers] == ["web", "db", "old"]
    serials = {x509.load_pem_x509_certificate(one["cert"].encode()).serial_number for one in answers}
    assert len(serials) == 3
    for wanted, made in zip(LINES, answers):
        assert set(made) == {"name", "cert", "csr", "key"}
        assert holds(made["cert"], certs.folder / "ca.pem") and belongs(made["cert"], made["key"])
        assert openssl("req", "-verify", "-noout", "-pubkey", input=made["csr"], stderr=subprocess.DEVNULL) == openssl("pkey", "-pubout", input=made["key"])
        request = {key: value for key, value in wanted.items() if key != "name"}
        theirs = json.loads(cfssl(tools, "gencert", *SIGNED, "-", cwd=certs.folder, input=json.dumps(request)))
        assert facts(made["cert"]) == facts(theirs["cert"])


@both
def test_a_list_is_put_into_files(certs):
    certs.put("names.jsonl", lines(LINES))
    (certs.folder / "out").mkdir()
    before = certs.names()
    assert certs.ok("gencert", "-list", "names.jsonl", *SIGNED, "-bare", "out/x-") == ""
    assert certs.names() - before == {f"out/x-{name}{end}" for name in ("web", "db", "old") for end in (".pem", "-key.pem", ".csr")}
    for name in ("web", "db", "old"):
        made = certs.read(f"out/x-{name}.pem")
        assert holds(made, certs.folder / "ca.pem") and belongs(made, certs.read(f"out/x-{name}-key.pem"))
        assert (certs.folder / f"out/x-{name}-key.pem").stat().st_mode & 0o777 == 0o600


def test_policy_profile_and_names_are_of_the_whole_list(certs):
    certs.put("policy.json", POLICY)
    said = certs.ok("gencert", "-list", "-", *SIGNED, "-config", "policy.json", "-profile", "client", "-hostname", "a.example.org", input=lines(LINES[:2]))
    for line in said.splitlines():
        made = facts(json.loads(line)["cert"])
        assert made["lifetime"] == 24 * 3600 and made["extensions"]["2.5.29.17"][1] == [("DNSName", "a.example.org")]


def test_all_that_is_wrong_with_a_list_is_told_at_once(certs):
    wrong = [LINES[0], LINES[0] | {"CN": "twice"}, '{"name": "c", nonsense', {"hosts": ["x"]}, {"name": "d", "hots": ["x"], "hosts": ["localhost:80"]}, "",
             {"name": "x/y"}, {"name": "e", "ca": {"expiry": "1h"}}, [], {"name": "f", "key": {"algo": "rsa", "size": 512}}, LINES[1]]
    certs.put("names.jsonl", lines(wrong))
    before = certs.names()
    for bare in ([], ["-bare", "out/"]):
        told = certs.refused(2, "gencert", "-list", "names.jsonl", *SIGNED, *bare)
        for part in ['2: name: "web" is there twice', "3: is not JSON", "4: name: is missing", "5: hots: is not known", '5: hosts[0]: "localhost:80"',
                     "7: name: cannot be the name of a file", "8: ca: ", "9: is not an object", "10: key"]:
            assert f"names.jsonl:{part}" in told, f"{part} is not in\n{told}"
        assert not re.search("names.jsonl:(1|6|11):", told), told
        assert certs.names() == before


@pytest.mark.parametrize("text", ["", "\n", " \n\t\n\n"], ids=["no octet", "an empty line", "blank lines"])
def test_an_empty_list_is_an_error(text, certs):
    assert "standard input: has no request" in certs.refused(2, "gencert", "-list", "-", *SIGNED, input=text)
    assert "names.jsonl: has no request" in certs.refused(2, "gencert", "-list", certs.put("names.jsonl", text), *SIGNED)


@both
@pytest.mark.parametrize("more", [["csr.json"], ["-initca"], ["-renewca"], ["-cn", "x"], ["csr.json", "-cn", "x"]], ids=" ".join)
def test_a_list_stands_alone(more, certs):
    before = certs.names() | {certs.put("names.jsonl", lines(LINES[:1]))}
    assert "--list" in certs.refused(2, "gencert", "-list", "names.jsonl", *SIGNED, *more)
    certs.refused(2, "gencert", "-list", "names.jsonl", *SIGNED, *more, "-bare", "out")
    assert certs.names() == before


LOSSES = {"a key's file is another's certificate": [{"name": "a"}, {"name": "a-key"}], "the other way round": [{"name": "a-key"}, {"name": "a"}],
          "a name with a NUL": [{"name": "a\0b"}], "a revocation list": [{"name": "a", "crl_url": "http://x.example.org"}]}


@pytest.mark.parametrize("wrong", LOSSES.values(), ids=LOSSES)
def test_a_list_that_would_lose_something_is_refused(wrong, certs):
    """Of two names one would write its certificate over the other's key; a file's name would end at the NUL; a leaf's crl_url is refused elsewhere, too."""
    before = certs.names()
    told = certs.refused(2, "gencert", "-list", "-", *SIGNED, "-bare", "out/", input=lines([{"CN": "x", "key": KEY} | one for one in wrong]))
    assert f"standard input:{len(wrong)}: " in told and certs.names() == before


def test_a_list_without_what_it_needs(certs):
    assert "there is no file names.jsonl" in certs.refused(2, "gencert", "-list", "names.jsonl", *SIGNED)
    certs.put("names.jsonl", lines(LINES[:1]))
    assert "--ca" in certs.refused(2, "gencert", "-list", "names.jsonl")
    assert "--ca-key" in certs.refused(2, "gencert", "-list", "names.jsonl", "-ca", "ca.pem")
    assert "no profile x" in certs.refused(2, "gencert", "-list", "names.jsonl", *SIGNED, "-profile", "x")
    certs.ok("gencert", "-initca", "ca.json", "-bare", "other")
    assert "do not belong together" in certs.refused(1, "gencert", "-list", "names.jsonl", "-ca", "ca.pem", "-ca-key", "other-key.pem")


# ---- bundle-verify


@pytest.fixture
def chain(certs) -> Certs:
    """Certificates of many kinds: behind another authority, of a foreign one, for clients only, ended."""
    certs.leaf("between", "-profile", "between", hosts=[])
    certs.leaf("leaf", by="between")
    certs.ok("gencert", "-initca", "ca.json", "-bare", "foreign")
    certs.leaf("stranger", by="foreign")
    certs.leaf("direct", hosts=["direct.example.org", "10.0.0.1"])
    certs.leaf("client", "-profile", "client")
    certs.leaf("ended", "-profile", "ended")
    certs.put("chain.pem", certs.read("leaf.pem") + certs.read("between.pem"))
    return certs


JUDGED = {  # what kubestrap is asked, and openssl
    "good": (["direct.pem"], ["direct.pem"], True),
    "the authority itself": (["ca.pem"], ["ca.pem"], True),
    "one between, in a file of its own": (["-intermediates", "between.pem", "leaf.pem"], ["-untrusted", "between.pem", "leaf.pem"], True),
    "one between, behind the leaf": (["chain.pem"], ["-untrusted", "chain.pem", "leaf.pem"], True),
    "one between is lacking": (["leaf.pem"], ["leaf.pem"], False),
    "another one between": (["-intermediates", "foreign.pem", "leaf.pem"], ["-untrusted", "foreign.pem", "leaf.pem"], False),
    "a foreign one": (["stranger.pem"], ["stranger.pem"], False),
    "a foreign one that brings its authority": (["-intermediates", "foreign.pem", "stranger.pem"], ["-untrusted", "foreign.pem", "stranger.pem"], False),
    "ended": (["ended.pem"], ["ended.pem"], False),
    "a server": (["-purpose", "server", "direct.pem"], ["-purpose", "sslserver", "direct.pem"], True),
    "no server": (["-purpose", "server", "client.pem"], ["-purpose", "sslserver", "client.pem"], False),
    "a client": (["-purpose", "client", "client.pem"], ["-purpose", "sslclient", "client.pem"], True),
    "no client": (["-purpose", "client", "direct.pem"], ["-purpose", "sslclient", "direct.pem"], False),
    "its name": (["-hostname", "direct.example.org", "direct.pem"], ["-verify_hostname", "direct.example.org", "direct.pem"], True),
    "another name": (["-hostname", "elsewhere.example.org", "direct.pem"], ["-verify_hostname", "elsewhere.example.org", "direct.pem"], False),
    "its address": (["-hostname", "10.0.0.1", "direct.pem"], ["-verify_ip", "10.0.0.1", "direct.pem"], True),
    "another address": (["-hostname", "10.0.0.2", "direct.pem"], ["-verify_ip", "10.0.0.2", "direct.pem"], False),
}


@both
def test_bundle_verify_judges_as_openssl_does(chain):
    for name, (ours, theirs, good) in JUDGED.items():
        judge = subprocess.run(["openssl", "verify", "-CAfile", "ca.pem", *theirs], cwd=chain.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert (judge.returncode == 0) == good, f"{name}: {judge.stdout}{judge.stderr}"
        done = chain.run("bundle-verify", "-ca", "ca.pem", *ours)
        assert done.returncode == (0 if good else 1), f"{name}: {done.stdout}{done.stderr}"
        assert done.stdout.startswith(f"{ours[-1]}: ") and (done.stdout == f"{ours[-1]}: good\n") == good, f"{name}: {done.stdout}"


def test_bundle_verify_looks_at_each_and_says_it_in_json(chain):
    chain.put("two.pem", chain.read("ca.pem") + chain.read("foreign.pem"))
    chain.put("user.conf", kubeconfig(chain, "client"))
    done = chain.run("bundle-verify", "--ca", "ca.pem", "-o", "json", "direct.pem", "stranger.pem", "user.conf")
    said = json.loads(done.stdout)
    assert done.returncode == 1 and said["kind"] == "BundleVerification"
    found = [(one["file"], one["valid"], "reason" in one) for one in said["items"]]
    assert found == [("direct.pem", True, False), ("stranger.pem", False, True), ("user.conf", True, False)]
    assert chain.ok("bundle-verify", "--ca", "two.pem", "direct.pem", "stranger.pem") == "direct.pem: good\nstranger.pem: good\n"


def test_what_bundle_verify_refuses(certs):
    for words in (["ca.pem"], ["-ca", "ca.pem"], ["-ca", "absent.pem", "ca.pem"], ["-ca", "ca.pem", "absent.pem"], ["-ca", "ca.pem", "-purpose", "x", "ca.pem"],
                  ["-ca", "ca.pem", "-intermediates", "absent.pem", "ca.pem"]):
        certs.refused(2, "bundle-verify", *words)
    assert "holds no certificate" in certs.refused(1, "bundle-verify", "-ca", "ca.pem", "ca-key.pem")
    assert "holds no certificate" in certs.refused(1, "bundle-verify", "-ca", "ca-key.pem", "ca.pem")


# ---- certinfo


def kubeconfig(certs: Certs, name: str, **user) -> str:
    data = lambda file: base64.b64encode(certs.read(file).encode()).decode()  # noqa: E731
    user = user or {"client-certificate-data": data(f"{name}.pem"), "client-key-data": data(f"{name}-key.pem")}
    cluster = {"server": "https://api.example.org:6443", "certificate-authority-data": data("ca.pem")}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
                           "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": user}]})


def agrees(ours: str, theirs: str) -> None:
    """That nothing cfssl says is lacking or different."""
    said, wanted = json.loads(ours), json.loads(theirs)
    assert {key: said.get(key) for key in wanted} == wanted


@both
def test_certinfo_of_a_certificate(certs, tools):
    file = certs.leaf("leaf", hosts=["leaf.example.org", "10.0.0.1"], names=[{"O": "Example", "C": "DE"}])
    said = certs.ok("certinfo", file)
    agrees(said, cfssl(tools, "certinfo", "-cert", file, cwd=certs.folder))
    assert json.loads(said)["is_ca"] is False and json.loads(said)["usages"][-1] == "server auth" and json.loads(said)["days_left"] == 0
    assert said == certs.ok("certinfo", "-cert", file) == certs.ok("certinfo", "-", input=certs.read(file))
    assert yaml.safe_load(certs.ok("certinfo", file, "-o", "yaml")) == json.loads(said)
    chain = json.loads(certs.ok("certinfo", certs.put("chain.pem", certs.read(file) + certs.read("ca.pem"))))
    assert [one["subject"]["common_name"] for one in chain.pop("chain")] == ["authority"] and chain == json.loads(said)
    names = ["x.example.org", "10.0.0.2", "a@example.org", "spiffe://example.org/x"]
    assert json.loads(certs.ok("certinfo", certs.leaf("other", hosts=names)))["sans"] == names  # cfssl leaves out the last two


@both
def test_certinfo_of_a_request(certs, tools):
    certs.put("csr.json", {"CN": "leaf", "hosts": ["leaf.example.org", "10.0.0.1"], "key": {"algo": "rsa", "size": 2048}, "names": [{"O": "Example"}]})
    certs.ok("genkey", "csr.json", "-bare", "leaf")
    said = json.loads(certs.ok("certinfo", "-csr", "leaf.csr"))
    theirs = json.loads(cfssl(tools, "certinfo", "-csr", "leaf.csr", cwd=certs.folder))
    assert said["subject"]["common_name"] == theirs["Subject"]["CommonName"] and [said["subject"]["organization"]] == theirs["Subject"]["Organization"]
    assert said["sans"] == theirs["DNSNames"] + theirs["IPAddresses"]
    assert said["key"] == {"algo": "rsa", "size": theirs["PublicKey"]["N"].bit_length()}
    assert said["pem"] == certs.read("leaf.csr") and said["extensions"] == [".".join(map(str, one["Id"])) for one in theirs["Extensions"]]
    assert said == json.loads(certs.ok("certinfo", "-csr", "-", input=certs.read("leaf.csr")))


@both
def test_certinfo_of_a_kubeconfig(certs):
    said = certs.ok("certinfo", certs.leaf("jane", "-profile", "client", names=[{"O": "dev"}]))
    assert said == certs.ok("certinfo", certs.put("user.conf", kubeconfig(certs, "jane"))) == certs.ok("certinfo", "-cert", "user.conf")
    assert said == certs.ok("certinfo", "-", input=certs.read("user.conf"))
    named = {"client-certificate": str(certs.folder / "jane.pem"), "client-key": str(certs.folder / "jane-key.pem")}
    assert said == certs.ok("certinfo", certs.put("named.conf", kubeconfig(certs, "jane", **named)))
    token = certs.put("token.conf", kubeconfig(certs, "jane", token="not to be told"))
    assert "has no client certificate" in (told := certs.refused(1, "certinfo", token)) and "not to be told" not in told


def test_a_kubeconfigs_files_are_looked_for_beside_it(certs):
    """As kubectl does."""
    said = certs.ok("certinfo", certs.leaf("jane", "-profile", "client"))
    certs.put("user.conf", kubeconfig(certs, "jane", **{"client-certificate": "jane.pem", "client-key": "jane-key.pem"}))
    (certs.folder / "elsewhere").mkdir()
    assert said == certs.ok("certinfo", "../user.conf", cwd=certs.folder / "elsewhere")


@both
def test_certinfo_of_a_server(certs, tools):
    certs.leaf("server", hosts=["localhost", "127.0.0.1"])
    words = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "server.pem", "-key", "server-key.pem", "-cert_chain", "ca.pem"]
    server = subprocess.Popen(words, cwd=certs.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = next(line.split()[1] for line in server.stdout if line.startswith("ACCEPT "))
        said = certs.ok("certinfo", "-remote", address)
        assert said == certs.ok("certinfo", "-domain", address) == certs.ok("certinfo", f"-remote={address.replace('127.0.0.1', 'localhost')}")
        agrees(said, cfssl(tools, "certinfo", "-domain", address))
    finally:
        server.kill()
        server.communicate()
    certs.put("chain.pem", certs.read("server.pem") + certs.read("ca.pem"))
    assert said == certs.ok("certinfo", "chain.pem")
    assert f"{address} shows no certificate" in certs.refused(1, "certinfo", "-remote", address)


def test_what_certinfo_refuses(certs):
    certs.ok("genkey", "csr.json", "-bare", "leaf")
    for words in ([], ["ca.pem", "ca.pem"], ["ca.pem", "-csr", "leaf.csr"], ["-cert", "ca.pem", "-remote", "127.0.0.1:1"],
                  ["absent.pem"], ["-csr", "absent.csr"]):
        certs.refused(2, "certinfo", *words)
    for words in (["leaf.csr"], ["-csr", "ca.pem"], ["ca-key.pem"], ["-csr", "ca-key.pem"], [certs.put("half.pem", certs.read("ca.pem")[:200])]):
        certs.refused(1, "certinfo", *words)
    key = base64.b64encode(certs.read("ca-key.pem").encode()).decode()
    certs.refused(1, "certinfo", certs.put("swapped.conf", kubeconfig(certs, "ca", **{"client-certificate-data": key})))


# ---- authorities made anew


@both
def test_an_authority_is_renewed(certs, tools):
    leaf = certs.read(certs.leaf("leaf"))
    ours = json.loads(certs.ok("gencert", "-renewca", *SIGNED))
    theirs = json.loads(cfssl(tools, "gencert", "-renewca", *SIGNED, cwd=certs.folder))
    assert set(ours) == set(theirs) == {"cert"}
    assert facts(ours["cert"]) == facts(theirs["cert"]) == facts(certs.read("ca.pem"))
    assert belongs(ours["cert"], certs.read("ca-key.pem")) and ours["cert"] != certs.read("ca.pem")
    assert holds(leaf, certs.folder / certs.put("renewed.pem", ours["cert"]))
    key, names = certs.read("ca-key.pem"), certs.names()
    assert certs.ok("gencert", "-renewca", *SIGNED, "-bare", "ca") == ""  # over the former one, with the same key
    assert certs.names() == names and certs.read("ca-key.pem") == key and belongs(certs.read("ca.pem"), key) and holds(leaf, certs.folder / "ca.pem")


def test_an_authority_comes_from_the_environment_or_a_named_file(certs, tools):
    known = {"CA": certs.read("ca.pem"), "KEY": certs.read("ca-key.pem"), "PATH": "/usr/bin:/bin"}
    for words in (["-ca", "env:CA", "-ca-key", "env:KEY"], ["-ca", "file:ca.pem", "-ca-key", "file:ca-key.pem"]):
        own = json.loads(certs.ok("gencert", *words, "csr.json", env=known))
        theirs = subprocess.run([tools / "cfssl", "gencert", *words, "csr.json"], cwd=certs.folder, env=known, stdout=subprocess.PIPE, check=True)
        assert facts(own["cert"]) == facts(json.loads(theirs.stdout)["cert"])
    assert "the environment has no NOTHING" in certs.refused(2, "gencert", "-ca", "env:NOTHING", "-ca-key", "env:KEY", "csr.json", env=known)


def test_what_is_no_authority_is_not_renewed(certs):
    certs.leaf("leaf")
    certs.ok("gencert", "-initca", "ca.json", "-bare", "other")
    assert "no certificate of an authority" in certs.refused(1, "gencert", "-renewca", "-ca", "leaf.pem", "-ca-key", "leaf-key.pem")
    assert "do not belong together" in certs.refused(1, "gencert", "-renewca", "-ca", "ca.pem", "-ca-key", "other-key.pem")
    assert "--ca-key" in certs.refused(2, "gencert", "-renewca", "-ca", "ca.pem")
    certs.refused(1, "gencert", "-renewca", "-ca", "ca-key.pem", "-ca-key", "ca.pem")


@both
@pytest.mark.parametrize("key", [KEY, {"algo": "rsa", "size": 2048}], ids=["ecdsa", "rsa"])
def test_an_authority_is_made_of_a_key_that_is_there(key, certs, tools):
    certs.put("ca.json", {"CN": "authority", "key": key, "names": [{"O": "Example"}], "ca": {"expiry": "500h"}})
    certs.ok("gencert", "-initca", "ca.json", "-bare", "own")
    leaf = certs.read(certs.leaf("leaf", by="own"))
    words = ["gencert", "-initca", "-ca-key", "own-key.pem", "ca.json"]
    ours, theirs = json.loads(certs.ok(*words)), json.loads(cfssl(tools, *words, cwd=certs.folder))
    assert set(ours) == set(theirs) == {"cert", "csr"}
    assert facts(ours["cert"]) == facts(theirs["cert"]) == facts(certs.read("own.pem"))
    assert belongs(ours["cert"], certs.read("own-key.pem")) and holds(leaf, certs.folder / certs.put("anew.pem", ours["cert"]))
    key, names = certs.read("own-key.pem"), certs.names()
    certs.ok(*words, "-bare", "own")
    assert certs.names() == names and certs.read("own-key.pem") == key and holds(leaf, certs.folder / "own.pem")
    certs.refused(1, "gencert", "-initca", "-ca-key", "own.pem", "ca.json")
    certs.refused(2, "gencert", "-initca", "-ca-key", "absent.pem", "ca.json")


# ---- cfssljson


@pytest.fixture
def answer(certs) -> Certs:
    """One answer, bare and as cfssl's server wraps it."""
    said = json.loads(certs.ok("gencert", *SIGNED, "csr.json"))
    certs.put("answer.json", said)
    wrapped = {"certificate": said["cert"], "certificate_request": said["csr"], "private_key": said["key"]}
    certs.put("wrapped.json", {"success": True, "result": wrapped, "errors": [], "messages": []})
    certs.put("failed.json", {"success": False, "result": None, "errors": [{"code": 1, "message": "x"}], "messages": []})
    certs.put("request.json", certs.ok("genkey", "csr.json"))
    certs.put("signed.json", {"cert": said["cert"], "csr": said["csr"]})
    certs.put("nothing.json", {})
    return certs


def written(folder: Path, command: list, **more):
    """The exit code, standard output, and the files with their modes."""
    folder.mkdir()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    return done.returncode, done.stdout, {one.name: (one.read_text(), one.stat().st_mode) for one in folder.iterdir()}


@pytest.mark.parametrize("words", [
    "-bare -f ../answer.json leaf", "-f ../answer.json -bare leaf", "--bare -f ../answer.json leaf", "-bare -f ../answer.json", "-bare -f ../request.json leaf",
    "-bare -f ../signed.json leaf", "-f ../wrapped.json", "-f ../wrapped.json leaf", "-bare -f=../answer.json leaf",
    "--bare --f ../answer.json leaf", "--f=../wrapped.json leaf", "-bare -stdout -f ../answer.json",
    "--bare --stdout -f ../answer.json leaf", "-stdout -f ../wrapped.json", "-bare -stdout -f ../request.json",
    "-bare -stdout -f ../signed.json", "-bare -stdout=true -f ../answer.json", "-bare -stdout=false -f ../answer.json leaf"])
def test_cfssljson_writes_the_same(words, answer, tools):
    theirs = written(answer.folder / "theirs", [tools / "cfssljson", *words.split()])
    ours = written(answer.folder / "ours", [answer.binary, "certs", "cfssljson", *words.split()])
    assert theirs[0] == 0 and ours == theirs


@both
def test_cfssljson_reads_standard_input(answer, tools):
    for number, words in enumerate((["-bare", "leaf"], ["-bare", "-stdout"])):
        typed = [word.replace("-", answer.dash, 1) for word in words]
        theirs = written(answer.folder / f"theirs{number}", [tools / "cfssljson", *typed], input=answer.read("answer.json"))
        ours = written(answer.folder / f"ours{number}", [answer.binary, "certs", "cfssljson", *typed], input=answer.read("answer.json"))
        assert theirs[0] == 0 and ours == theirs


@pytest.mark.parametrize("words, code", [("-f failed.json leaf", 1), ("-bare -f absent.json leaf", 2), ("-bare -f ca.pem leaf", 2),
                                         ("-bare -f ca-key.pem leaf", 2), ("-bare -f csr.json", 1), ("-bare -f nothing.json", 1),
                                         ("-bare -f answer.json leaf other", 2)])
def test_what_cfssljson_refuses(words, code, answer):
    before = answer.names()
    answer.refused(code, "cfssljson", *words.split())
    assert answer.names() == before


DAMAGES = {"cut off": lambda head, tail: head, "a line break": lambda head, tail: f"{head}\n{tail}", "a wrong escape": lambda head, tail: f"{head}\\x{tail}",
           "twice": lambda head, tail: head + tail + head + tail}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_answer_tells_no_key(damage, answer):
    text = answer.read("answer.json")
    within = text.index("PRIVATE KEY") + 200
    answer.put("damaged.json", damage(text[:within], text[within:]))
    before = answer.names()
    key = json.loads(text)["key"].split("\n")[1:-2]
    for words in (["cfssljson", "-bare", "-f", "damaged.json", "leaf"], ["gencert", "-list", "damaged.json", *SIGNED], ["gencert", "-initca", "damaged.json"]):
        told = answer.run(*words)
        assert told.returncode == 2 and not told.stdout and "damaged.json" in told.stderr, told.stderr
        assert not any(line in told.stderr for line in key) and "PRIVATE KEY--" not in told.stderr, told.stderr
    assert answer.names() == before


# ---- nowhere to write


PRINTS = [["gencert", *SIGNED, "csr.json"], ["gencert", "-initca", "ca.json"], ["gencert", "-renewca", *SIGNED], ["gencert", "-list", "names.jsonl", *SIGNED],
          ["genkey", "csr.json"], ["sign", *SIGNED, "leaf.csr"], ["selfsign", "leaf.example.org", "csr.json"], ["certinfo", "ca.pem"],
          ["certinfo", "-csr", "leaf.csr"], ["bundle-verify", "-ca", "ca.pem", "ca.pem"], ["print-defaults", "csr"], ["print-defaults", "config"],
          ["cfssljson", "-bare", "-stdout", "-f", "answer.json"]]


@pytest.mark.parametrize("words", PRINTS, ids=lambda words: " ".join(word for word in words if word not in SIGNED))
def test_standard_output_that_takes_nothing_is_an_error(words, certs):
    certs.put("names.jsonl", lines(LINES[:2]))
    certs.put("answer.json", certs.ok("gencert", *SIGNED, "csr.json"))
    certs.ok("genkey", "csr.json", "-bare", "leaf")
    with open("/dev/full", "w") as full:
        done = certs.run(*words, stdout=full)
    assert done.returncode == 1 and "error: " in done.stderr, f"{done.returncode}: {done.stderr}"
    assert "standard output" in done.stderr and "No space left" in done.stderr, done.stderr
    certs.tells_no_key(done.stderr)


def test_a_long_list_into_a_full_output_is_an_error(certs):
    """More than one buffer: the first writes fail long before the end."""
    certs.put("names.jsonl", lines([LINES[0] | {"name": f"n{i}"} for i in range(60)]))
    with open("/dev/full", "w") as full:
        done = certs.run("gencert", "-list", "names.jsonl", *SIGNED, stdout=full)
    assert done.returncode == 1 and "standard output" in done.stderr, f"{done.returncode}: {done.stderr}"
    certs.tells_no_key(done.stderr)


@both
@pytest.mark.parametrize("by", ["gencert", "cfssljson"])
def test_a_former_authority_is_kept(by, certs):
    former = certs.read("ca.pem"), certs.read("ca-key.pem")
    leaf, names = certs.read(certs.leaf("leaf")), certs.names()
    if by == "gencert":
        done = certs.run("gencert", "-initca", "ca.json", "-bare", "ca")
    else:
        done = certs.run("cfssljson", "-bare", "ca", input=certs.ok("gencert", "-initca", "ca.json"))
    assert done.returncode == 0 and certs.names() - names == {"ca.pem.old", "ca-key.pem.old"}, f"{done.stderr}\n{certs.names() - names}"
    assert (certs.read("ca.pem.old"), certs.read("ca-key.pem.old")) == former and belongs(*former) and holds(leaf, certs.folder / "ca.pem.old")
    assert (certs.folder / "ca-key.pem.old").stat().st_mode & 0o777 == (certs.folder / "ca-key.pem").stat().st_mode & 0o777 == 0o600
    assert "ca-key.pem.old" in done.stderr and "ca.pem.old" in done.stderr
    certs.tells_no_key(done.stderr)
    assert certs.read("ca-key.pem") != former[1] and belongs(certs.read("ca.pem"), certs.read("ca-key.pem"))


@pytest.fixture
def small(certs):
    """The authority on a file system of 64 KiB."""
    disk = Certs(certs.binary, certs.folder / "small", certs.dash)
    disk.folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk.folder], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        for name in ("ca.pem", "ca-key.pem", "ca.csr", "ca.json", "csr.json"):
            disk.put(name, certs.read(name))
        disk.put("names.jsonl", lines([LINES[0] | {"name": f"n{i}"} for i in range(12)]))
        yield disk
    finally:
        subprocess.run(["umount", disk.folder], check=True)


WRITES = {"an authority": ("ca", ["gencert", "-initca", "ca.json"]), "a leaf": ("leaf", ["gencert", *SIGNED, "csr.json"])}


@pytest.mark.parametrize("what", WRITES)
def test_a_full_disk_leaves_what_was_there(what, small):
    """With room for one file less than are to be written, and for two less, and so on down to none."""
    name, words = WRITES[what]
    small.ok(*words, "-bare", name)
    for old in small.folder.glob("*.old"):
        old.unlink()
    former, names = (small.read(f"{name}.pem"), small.read(f"{name}-key.pem")), small.names() | {"full"}
    assert belongs(*former)
    failed = 0
    full = small.folder / "full"
    while True:
        with full.open("wb", buffering=0) as file:
            with pytest.raises(OSError):
                while True:
                    file.write(bytes(4096))
            file.truncate(file.tell() - 4096 * failed)
        done = small.run(*words, "-bare", name)
        if done.returncode == 0:
            break
        failed += 1
        assert done.returncode == 1 and "No space left" in done.stderr and "make room" in done.stderr, f"{done.returncode}: {done.stderr}"
        small.tells_no_key(done.stderr)
        assert (small.read(f"{name}.pem"), small.read(f"{name}-key.pem")) == former, done.stderr
        assert small.names() == names, f"left behind: {small.names() ^ names}"
    assert failed >= 3 and belongs(small.read(f"{name}.pem"), small.read(f"{name}-key.pem"))
    assert what != "an authority" or (small.read(f"{name}.pem.old"), small.read(f"{name}-key.pem.old")) == former


def test_nothing_is_said_to_be_kept_that_is_not(small):
    subprocess.run(["mount", "-o", "remount,ro", small.folder], check=True)
    assert "kept" not in (told := small.refused(1, "gencert", "-initca", "ca.json", "-bare", "ca")), told


def test_a_list_on_a_full_disk_leaves_whole_pairs(small):
    told = small.refused(1, "gencert", "-list", "names.jsonl", *SIGNED, "-bare", "")
    assert "No space left" in told
    made = {one.name for one in small.folder.glob("n*") if one.name != "names.jsonl"}
    assert not [one for one in made if not one.endswith((".pem", ".csr"))], made
    for certificate in (one for one in made if one.endswith(".pem") and not one.endswith("-key.pem")):
        assert belongs(small.read(certificate), small.read(certificate.replace(".pem", "-key.pem")))


@pytest.mark.parametrize("what", WRITES)
def test_a_folder_that_cannot_be_written(what, small):
    name, words = WRITES[what]
    small.ok(*words, "-bare", name)
    before = {file: small.read(file) for file in small.names()}
    subprocess.run(["mount", "-o", "remount,ro", small.folder], check=True)
    for bare in (name, "new", "deeper/new"):
        told = small.refused(1, *words, "-bare", bare)
        assert str(small.folder) in told and "Read-only file system" in told, told
    assert {file: small.read(file) for file in small.names()} == before and belongs(before[f"{name}.pem"], before[f"{name}-key.pem"])


def test_a_folder_that_is_none(certs):
    names = certs.names()
    for words in (["gencert", "-initca", "ca.json"], ["gencert", *SIGNED, "csr.json"], ["gencert", "-list", "names.jsonl", *SIGNED]):
        certs.put("names.jsonl", lines(LINES[:1]))
        assert "Not a directory" in certs.refused(1, *words, "-bare", "ca.json/x")
    assert certs.names() == names | {"names.jsonl"}
