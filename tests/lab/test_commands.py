"""The commands as they are called: help, wrong arguments, exit codes."""

import os
import subprocess

import pytest
from kubelab import cli, documents, shell
from kubelab.errors import LabError
from kubelab.paths import SOURCES

COMMANDS = sorted(cli.COMMANDS)


def lab(command, *arguments):
    return subprocess.run([SOURCES / command, *arguments], capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_an_executable_that_helps(command):
    file = SOURCES / command
    assert os.access(file, os.X_OK)
    assert f'/kubelab/start" {command} "$@"' in file.read_text()
    assert command in cli.SUMMARIES


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_the_command_does(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert cli.SUMMARIES[command].split()[0] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "--control-planes", "0"], "at least 1"),
        (["up", "--workers", "-1"], "at least 1"),
        (["up", "--kubernetes", "1.12"], "no Kubernetes 1.12"),
        (["up", "--name", "No Name"], "is not a name"),
        (["machine", "n1", "--no-images", "--also-images", "1.36"], "contradict"),
        (["machine", "UPPER"], "is not a name"),
        (["power-off"], "name the machines"),
        (["power-off", "n1", "--all"], "name the machines"),
        (["components", "0.9"], "no Kubernetes 0.9"),
    ],
)
def test_wrong_arguments_end_with_2_and_a_sentence(words, said, capsys, monkeypatch):
    monkeypatch.setattr(shell, "require_root", lambda: None)
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["machine"], ["up", "--what"], ["exec"], ["status", "-o", "xml"]])
def test_arguments_that_the_parser_refuses_end_with_2(words):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2


def test_a_lab_that_is_not_there_is_an_error_with_a_remedy(capsys, monkeypatch):
    monkeypatch.setattr(shell, "require_root", lambda: None)
    assert cli.main(["status"]) == 1
    said = capsys.readouterr()
    assert "there is no lab lab" in said.err
    assert "try: ./lab/up" in said.err
    assert said.out == ""


def test_exec_of_what_is_not_there_ends_with_125(monkeypatch):
    monkeypatch.setattr(shell, "require_root", lambda: None)
    assert cli.main(["exec", "n1", "true"]) == 125


def test_the_executable_passes_arguments_and_exit_code_on():
    done = lab("components", "0.9")
    assert (done.returncode, done.stdout) == (2 if os.geteuid() == 0 else 1, "")


def test_a_failing_program_is_quoted_with_its_last_lines():
    with pytest.raises(LabError, match="the test ended with 3") as failed:
        shell.run(["sh", "-c", "echo first; echo last >&2; exit 3"], what="the test")
    assert "last" in failed.value.evidence


def test_a_program_that_hangs_is_ended_also_when_it_is_followed():
    for on_line in (None, lambda line: None):
        with pytest.raises(LabError, match="took longer than 0 s"):
            shell.run(["sleep", "5"], timeout=0.2, on_line=on_line)


def test_a_missing_program_is_named():
    with pytest.raises(LabError, match="the program no-such-program is missing"):
        shell.run(["no-such-program"])


@pytest.mark.parametrize(("cgroup_version", "there"), [(1, True), (2, False)])
def test_only_hosts_with_cgroup_v1_ignore_the_check_for_it(cgroup_version, there):
    text = documents.init("n1", "10.88.0.11", "1.37.2", cgroup_version)
    assert ("SystemVerification" in text) is there
    assert ("failCgroupV1: false" in text) is there


def test_the_documents_are_yaml_of_the_kinds_kubeadm_reads():
    yaml = pytest.importorskip("yaml")
    kinds = {}
    for version in (1, 2):
        for document in yaml.safe_load_all(documents.init("n1", "10.88.0.11", "1.37.2", version)):
            kinds[document["kind"]] = document
    assert kinds["ClusterConfiguration"]["kubernetesVersion"] == "v1.37.2"
    assert kinds["InitConfiguration"]["localAPIEndpoint"]["advertiseAddress"] == "10.88.0.11"
    assert set(kinds) == {
        "InitConfiguration",
        "ClusterConfiguration",
        "KubeletConfiguration",
        "KubeProxyConfiguration",
    }
