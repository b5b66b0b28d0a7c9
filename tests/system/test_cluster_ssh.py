"""How `kubestrap cluster` reaches its machines: by a jump host, with keys that only an agent has, as somebody who becomes root by sudo; and whom it does not believe."""

import hashlib
import json

import pytest
import yaml

from operating import BINARY, Operator, Terminal, agent, give_package
from test_reset import HOSTS, is_as_before, names

USER = "useradd -m -s /bin/bash -p '*' ops && cp -r /root/.ssh /home/ops/ && chown -R ops /home/ops/.ssh"
# sshd is reached from the jump host alone. Forwarding takes no root there.
WALL = "iptables -I INPUT -p tcp --dport 22 ! -s {jump} -j REJECT"
CONFIG = """\
Host jump
  HostName {jump}
Host {network}.* !{jump}
  ProxyJump jump
Host *
  User ops
  UserKnownHostsFile {known}
"""


class Behind:
    """Machines behind a jump host, and a desk whose user is `ops` everywhere."""

    def __init__(self, lab, folder, *names: str):
        self.machines = [lab.machine(name) for name in names]
        self.jump = lab.machine("jump", images=False)
        for machine in (*self.machines, self.jump):
            machine.sh(USER)
            # Who has failed to log in often is shut out for a while, and is told no cause any more: here that is what is tried.
            machine.sh("echo 'PerSourcePenalties no' >/etc/ssh/sshd_config.d/penalties.conf && systemctl restart ssh")
        for machine in self.machines:
            give_package(machine, "sudo")
            machine.sh(WALL.format(jump=self.jump.address))
        self.operator = Operator(lab, folder)
        self.operator.describe(self.machines)
        ssh = json.loads(lab.call("status", "-o", "json"))["ssh"]
        self.key, self.known = ssh["key"], folder / "known_hosts"
        self.known.write_text(open(ssh["knownHosts"]).read())
        network = self.jump.address.rsplit(".", 1)[0]
        self.config = folder / "ssh.config"
        self.config.write_text(CONFIG.format(jump=self.jump.address, network=network, known=self.known))

    def may_become_root(self) -> None:
        for machine in self.machines:
            machine.write("/etc/sudoers.d/ops", "ops ALL=(ALL) NOPASSWD: ALL\n", "440")

    def key_of(self, machine) -> str:
        (line,) = [line for line in self.known.read_text().splitlines() if line.split()[0].endswith(f",{machine.address}")]
        return line.split()[2]


@pytest.fixture(scope="module")
def behind(lab, tmp_path_factory):
    return Behind(lab, tmp_path_factory.mktemp("desk"), "n1", "w1")


@pytest.fixture(scope="module")
def keys(behind):
    """The agent, without which nobody is let in."""
    with agent(behind.key) as socket:
        yield socket


@pytest.fixture
def desk(behind, keys):
    behind.operator.environment["SSH_AUTH_SOCK"] = keys
    return behind


@pytest.mark.long
def test_keys_of_an_agent_lead_through_a_jump_host_to_a_user_who_becomes_root_by_sudo(desk):
    n1, w1 = desk.machines
    asked = desk.operator.must("plan", code=1)
    assert asked.out.count("is not root there, and may not become it: sudo: a password is required") == 2 and "NOPASSWD in /etc/sudoers.d" in asked.out, str(asked)
    desk.may_become_root()
    w1.run("rm", "-r", "/usr/bin/kubestrap", "/usr/lib/kubestrap")
    before = desk.jump.digests("/etc", "/home", "/root", "/tmp", "/usr/bin")
    made = desk.operator.must("apply", "--yes", "-o", "json")
    assert [step["step"] for step in made.json["steps"] if step["host"] == "w1"] == ["copy kubestrap", "copy kubestrap's image", "preflight --fix", "join"]
    assert names(n1, "nodes") == {"n1", "w1"}
    assert w1.run("stat", "-c", "%U %a", "/usr/bin/kubestrap") == "root 755\n"
    assert w1.digests("/usr/bin/kubestrap") == {"/usr/bin/kubestrap": hashlib.sha256(BINARY.read_bytes()).hexdigest()}
    assert "nothing to do: n1, w1" in desk.operator.must("apply", "--yes", "--exit-code").err
    # Nothing stays on the way, and no agent is lent to anybody.
    assert desk.jump.digests("/etc", "/home", "/root", "/tmp", "/usr/bin") == before
    for machine in (*desk.machines, desk.jump):
        assert machine.sh("ls -d /tmp/ssh-* /tmp/kubestrap-* 2>/dev/null || true") == ""
    desk.operator.must("destroy", "--yes")
    for machine in desk.machines:
        is_as_before(machine, but=HOSTS)


@pytest.mark.long
def test_many_machines_behind_one_jump_host_are_all_reached_at_once(desk):
    """A jump host's sshd lets ten be on their way in at a time by itself, and drops some of those that come beyond."""
    desk.may_become_root()
    n1 = desk.machines[0]
    n1.sh("echo 'MaxStartups 200' >/etc/ssh/sshd_config.d/many.conf && systemctl restart ssh")
    told = list(yaml.safe_load_all(desk.operator.file.read_text()))
    config = desk.config.read_text()
    others = [f"many{each}" for each in range(2, 33)]
    file, before = told[0], desk.operator.file.read_text()
    file["hosts"] = [file["hosts"][0]] + [{"name": name, "address": f"192.0.2.{each}", "role": "worker", "ssh": {"host": name}} for each, name in enumerate(others, 2)]
    try:
        desk.operator.file.write_text(yaml.safe_dump_all(told, sort_keys=False))
        desk.config.write_text(f"Host many*\n  HostName {n1.address}\n  ProxyJump jump\n{config}")
        planned = desk.operator.must("plan", "-o", "json").json
    finally:
        desk.operator.file.write_text(before)
        desk.config.write_text(config)
    assert [(host["name"], host["error"]) for host in planned["hosts"] if "error" in host] == []
    assert len(planned["hosts"]) == 32


def trouble(desk, name: str) -> tuple[str, str]:
    """What a plan has to say of a machine, and what it advises."""
    planned = desk.operator.run("plan", "-o", "json")
    (host,) = [host for host in planned.json["hosts"] if host["name"] == name]
    return host.get("error", ""), host.get("hint", "")


@pytest.fixture
def told(desk):
    """What is changed of the desk's files is as before, afterwards."""
    desk.may_become_root()
    before = {file: file.read_text() for file in (desk.config, desk.known)}
    yield desk
    for file, text in before.items():
        file.write_text(text)


def test_a_machine_whose_host_key_has_changed_is_refused_and_named(told):
    n1, w1 = told.machines
    text = told.known.read_text()
    told.known.write_text(text.replace(told.key_of(w1), told.key_of(n1)))
    line = 1 + [w1.address in each for each in text.splitlines()].index(True)
    error, hint = trouble(told, "w1")
    assert error == f"it cannot be reached: the host key of {w1.address} has changed: {told.known}:{line} has another"
    assert "somebody else answers in its place" in hint and f"ssh-keygen -R {w1.address}" in hint
    assert trouble(told, "n1") == ("", "")
    before = w1.digests("/etc", "/usr/bin", "/var/lib/kubestrap", "/home", "/root")
    shown = told.operator.run("status")
    assert shown.code == 0 and f"the host key of {w1.address} has changed" in shown.out, str(shown)
    assert w1.digests("/etc", "/usr/bin", "/var/lib/kubestrap", "/home", "/root") == before


def test_why_the_way_over_a_jump_host_leads_nowhere_is_told(told):
    jump, (n1, w1) = told.jump, told.machines
    # Its key is another, nobody knows it, it does not let the user in; or it does, and the machine behind it is not there.
    text = told.known.read_text()
    told.known.write_text(text.replace(told.key_of(jump), told.key_of(n1)))
    error, hint = trouble(told, "w1")
    assert f"the host key of {jump.address} has changed: {told.known}:" in error and f"ssh-keygen -R {jump.address}" in hint
    told.known.write_text("".join(line for line in text.splitlines(keepends=True) if jump.address not in line))
    error, hint = trouble(told, "w1")
    assert error == "it cannot be reached: Host key verification failed." and "known_hosts" in hint
    told.known.write_text(text)
    jump.run("mv", "/home/ops/.ssh", "/home/ops/.kept")
    error, hint = trouble(told, "w1")
    jump.run("mv", "/home/ops/.kept", "/home/ops/.ssh")
    assert error == f"it cannot be reached: ops@{jump.address}: Permission denied (publickey)." and "ssh-add" in hint
    w1.run("systemctl", "stop", "ssh")
    error, _ = trouble(told, "w1")
    w1.run("systemctl", "start", "ssh")
    assert "Connection refused" in error, error


def test_on_a_terminal_nobody_is_asked_by_a_jump_host_either(told):
    told.known.write_text("".join(line for line in told.known.read_text().splitlines(keepends=True) if told.jump.address not in line))
    terminal = Terminal(told.operator, "plan", columns=200)
    for _ in terminal.screens():
        pass
    assert terminal.lines[0] == "n1: it cannot be reached: Host key verification failed.", terminal.lines
    assert not any("Are you sure" in line for line in terminal.lines), terminal.lines


def test_without_the_agent_s_keys_it_is_told_to_load_them(told):
    del told.operator.environment["SSH_AUTH_SOCK"]
    error, hint = trouble(told, "w1")
    assert f"ops@{told.jump.address}: Permission denied" in error and "load the key with ssh-add" in hint
