"""Our command line beside that of the real kubeadm. No machine is needed: what is asked for touches nothing, or a folder of the test's."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kubelab import components
from testbed import ROOT, VERSION

OURS = ROOT / "build/release/kubestrap"
FACTS = ROOT / "tests/unit/cmd/kubeadm-1.37.2.txt"
EVERY_COMMANDS = {"--rootfs", "--v", "--vmodule", "-h,--help"}
HIDDEN_COMMANDS = {"alpha", "join phase check-etcd", "upgrade apply phase kubeconfig", "upgrade node phase kubeconfig"}


@pytest.fixture(scope="module")
def kubeadm() -> Path:
    if not components.have(VERSION):
        pytest.skip(f"the components of {VERSION} are not built")
    out = subprocess.run([ROOT / "lab/components", VERSION], stdout=subprocess.PIPE, text=True, check=True).stdout
    return Path(out.split()[-1]) / "kubeadm"


def run(*command) -> str:
    return subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True).stdout


# ---- the list of kubeadm's commands and flags, which the unit tests hold our own command line against


def flags_in(text: str) -> set[str]:
    """Names with letters, and the values that a help text names, in the list's notation."""
    flags = set()
    for letter, name in re.findall(r"^ {2,6}(?:-(\w), )?--([a-z0-9-]+)\b", text, re.M):
        flags.add((f"-{letter}," if letter and name != "v" else "") + f"--{name}")
    return flags


def walk(kubeadm: Path, path: str = "") -> dict[str, str]:
    """Every command that the help texts name, with its text."""
    text = run(kubeadm, *path.split(), "--help")
    found = {path: text}
    section = re.search(r"^Available Commands:\n((?:  .*\n)+)", text, re.M)
    names = [line.split()[0] for line in section[1].splitlines()] if section else []
    with ThreadPoolExecutor(max_workers=4) as pool:
        for below in pool.map(lambda name: walk(kubeadm, f"{path} {name}".strip()), (name for name in names if name != "help")):
            found |= below
    return found


def listed() -> dict[str, tuple[list[str], set[str]]]:
    """Of each command in the list: its other names and its flags, without the values that they take."""
    found = {}
    for line in FACTS.read_text().splitlines():
        if not line.startswith("#"):
            path, aliases, flags = re.fullmatch(r"([^:(]*?)(?: \(or (.*)\))?:(.*)", line).groups()
            found[path] = (aliases.split(", ") if aliases else [], {flag.split("=")[0] for flag in flags.split()})
    return found


def test_the_list_of_kubeadms_commands_and_flags_is_what_its_help_says(kubeadm):
    helps, facts = walk(kubeadm), listed()
    assert set(facts) - HIDDEN_COMMANDS == set(helps)
    for path, text in helps.items():
        aliases, flags = facts[path]
        told = re.search(r"^Aliases:\n  (.*)\n", text, re.M)
        assert aliases == (told[1].split(", ")[1:] if told else []), path
        hidden = {flag for flag in flags if flag.endswith("-extra-args")}
        assert flags - hidden == flags_in(text) - (EVERY_COMMANDS if path else set()), path


# ---- what both print


def test_the_images_are_told_in_kubeadms_words(kubeadm):
    command = ("config", "images", "list", "--kubernetes-version", f"v{VERSION}", "-o", "json")
    assert json.loads(run(OURS, *command)) == json.loads(run(kubeadm, *command))


def test_certificates_expire_when_kubeadm_says(kubeadm, tmp_path):
    run(OURS, "init", "phase", "certs", "all", "--apiserver-advertise-address", "10.0.0.11", "--rootfs", tmp_path)
    (tmp_path / "etc/kubernetes/pki/front-proxy-ca.key").unlink()  # as if that authority were kept elsewhere
    command = ("certs", "check-expiration", "--cert-dir", tmp_path / "etc/kubernetes/pki", "--kubeconfig", "/none", "-o", "json")
    ours, theirs = json.loads(run(OURS, *command)), json.loads(run(kubeadm, *command))
    for result in (ours, theirs):
        for item in result["certificates"] + result["certificateAuthorities"]:
            item.pop("residualTime")  # seconds that go by between the two
    assert ours == theirs


def test_made_up_keys_and_tokens_have_kubeadms_form(kubeadm):
    for command, form in ((("certs", "certificate-key"), r"[0-9a-f]{64}\n"), (("token", "generate"), r"[a-z0-9]{6}\.[a-z0-9]{16}\n")):
        for program in (OURS, kubeadm):
            assert re.fullmatch(form, run(program, *command)), (program, command)


# ---- what kubestrap remembers


def test_the_journal_tells_what_each_command_has_made_and_no_secret(tmp_path):
    words = ("--apiserver-advertise-address", "10.0.0.11", "--rootfs", tmp_path)
    run(OURS, "init", "phase", "certs", "all", *words)
    (tmp_path / "etc/kubernetes/pki/sa.pub").unlink()
    run(OURS, "init", "phase", "certs", "all", *words)
    told = json.loads(run(OURS, "status", "--journal", "--rootfs", tmp_path, "-o", "json"))
    first, second = told["runs"]
    assert first["command"] == "init phase certs" and first["result"] == second["result"] == "done"
    assert {"folder /etc/kubernetes/pki", "certificate ca"} <= {each["subject"] for each in first["records"]}
    assert all(each["done"] for each in first["records"])
    kept, made = ({each["target"]["path"]: each for each in second["records"]}[f"/etc/kubernetes/pki/sa.{name}"] for name in ("key", "pub"))
    assert kept["before"]["saved"].startswith("/var/lib/kubestrap/before/") and made["before"] is None
    text = run(OURS, "status", "--journal", "--rootfs", tmp_path)
    assert f"{kept['number']}  " in text and "kept as /var/lib/kubestrap/before/" in text and "create key /etc/kubernetes/pki/ca.key" in text
    assert "PRIVATE KEY" not in text + json.dumps(told)
