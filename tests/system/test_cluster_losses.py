"""`kubestrap cluster apply` through losses: a machine without power inside its join, and a desk whose kubestrap is killed anywhere. The same command comes to the end."""

import signal

import pytest

from operating import Operator
from test_join import etcd_members
from test_reset import names

pytestmark = pytest.mark.long


def follow(process, *words: str) -> bool:
    """Reads what it says until a line has these words; False: it ended before."""
    return any(all(word in line for word in words) for line in process.stderr)


def phase(name: str) -> str:
    return f'"event":"phaseBegins","phase":"{name}'


def is_whole(operator, n1, *nodes: str) -> None:
    operator.lab.install_pod_network(n1)
    n1.wait_nodes_ready()
    assert names(n1, "nodes") == set(nodes)
    assert etcd_members(n1) == {name: False for name in nodes if name.startswith("n")}
    assert f"nothing to do: {', '.join(nodes)}" in operator.must("apply", "--yes", "--exit-code").err


def test_a_machine_that_loses_power_inside_its_join_joins_when_it_is_back(lab, tmp_path):
    """A worker, and two control planes: before and after their etcd is a member."""
    machines = [lab.machine("n1")]
    n1, operator = machines[0], Operator(lab, tmp_path)
    operator.describe(machines)
    operator.must("apply", "--yes")
    lab.install_pod_network(n1)
    n1.wait_nodes_ready()
    for name, moment in (("w1", "kubelet-start"), ("n2", "etcd-join"), ("n3", "control-plane-join")):
        machines.append(lab.machine(name))
        machines.sort(key=lambda each: each.name)
        operator.describe(machines)
        first = operator.start("apply", "--yes", "-v", "1")
        assert follow(first, f"{name}: ", phase(moment)), f"{name} did not come to {moment}"
        lab.off(machines[[each.name for each in machines].index(name)])
        out, err = first.communicate(timeout=300)
        print(err)
        assert first.returncode == 1, err
        assert f"{name}: join: " in err and f"{name}: join: {{" not in err, err
        lab.call("power-on", name)
        operator.describe(machines)
        operator.must("apply", "--yes", timeout=900)
        is_whole(operator, n1, *(each.name for each in machines))
        assert n1.try_("test", "-e", "/var/lib/kubestrap/unfinished").code != 0
    operator.must("status", "--exit-code")


def test_a_desk_whose_kubestrap_is_killed_again_and_again_goes_on(lab, tmp_path):
    machines = [lab.machine(name) for name in ("n1", "n2", "n3", "w1")]
    n1, operator = machines[0], Operator(lab, tmp_path)
    for machine in machines:
        machine.run("rm", "-r", "/usr/bin/kubestrap", "/usr/lib/kubestrap")
    operator.describe(machines)
    copying = ('"event":"stepBegins"', '"host":"n1"', "copy kubestrap's image")
    for words in (copying, ("n1: ", phase("certs")), ("w1: ", phase("kubelet-start")), ("n3: ", phase("etcd-join"))):
        first = operator.start("apply", "--yes", "-v", "1", "-o", "json")
        assert follow(first, *words), f"it did not come to {words}"
        first.send_signal(signal.SIGKILL)
        first.wait()
        first.stderr.close()
    operator.must("apply", "--yes")
    is_whole(operator, n1, "n1", "n2", "n3", "w1")
    operator.must("status", "--exit-code")
    for machine in machines:
        assert machine.sh("ls -d /usr/bin/kubestrap.new-* /usr/lib/kubestrap/*.new-* /var/lib/kubestrap/unfinished /run/kubestrap/cluster.lock 2>/dev/null || true") == ""
