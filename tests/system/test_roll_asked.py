"""`upgrade apply --wait-for-confirm` of a control plane that runs in its own cluster, at a terminal: what it shows, that it waits, and what comes of n, of nobody and of y.

And `upgrade rollback` from where it is refused, and where there is nothing to roll back any more.
"""

import pytest

from operating import AtMachine, Terminal
from test_pivot import begin_self_hosted, is_self_hosted, none_failed, probes
from test_roll import NEW, OLD, remains, revisions, stored, versions
from test_roll_broken import KILL_UPGRADE, template
from test_roll_etcd import has_one_member, is_upgraded
from test_surviving import answers, is_well

pytestmark = pytest.mark.long

UPGRADE = ("upgrade", "apply", f"v{NEW}", "--wait-for-confirm")
GO_ON = "Go on? [y/N]: "
QUESTION = "Go on with the new version's own API? y, or n for the way back."
WAITS = "may behave as its own version from now on: y, or n for the way back ("
EMULATES = f"--emulated-version={OLD.rpartition('.')[0]}"


@pytest.fixture(scope="module")
def node(lab):
    machine = lab.machine("n1", OLD, also=(NEW,))
    begin_self_hosted(lab, machine, version=OLD)
    machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine), patience=300)
    return machine


def begun(node) -> Terminal:
    """An upgrade that has shown what it is going to do."""
    terminal = Terminal(AtMachine(node), *UPGRADE)
    terminal.until(GO_ON, patience=180)
    return terminal


def asking(node) -> Terminal:
    """One that was confirmed, and has come to its question. Who looks away from it for long holds it up: its terminal takes so much and no more."""
    terminal = begun(node)
    terminal.types("y\n")
    terminal.until(QUESTION, patience=900)
    terminal.until(WAITS, patience=60)
    return terminal


def says(terminal: Terminal, text: str) -> bool:
    return any(text in line for line in terminal.lines)


def is_on_the_way(node) -> None:
    """The API server is new and behaves as the old one, and that is all."""
    assert EMULATES in template(node) and f":v{NEW}" in template(node)
    assert versions(node) == {f"v{OLD}", f"v{NEW}"}
    assert f"kubernetesVersion: v{OLD}" in stored(node)


def test_without_a_terminal_it_is_refused_and_who_does_not_confirm_what_is_shown_changes_nothing(node):
    before = revisions(node)
    refused = node.try_("kubestrap", *UPGRADE)
    assert refused.code == 2 and "asks at the terminal, and there is none" in refused.err, str(refused)
    terminal = begun(node)
    for text in ("Step by step", "with two places for etcd, as 1.36: revision", f"This upgrades all control planes from v{OLD} to v{NEW}"):
        assert says(terminal, text), terminal.lines
    terminal.types("\n")
    assert terminal.ends(patience=60) == 1, terminal.lines
    assert says(terminal, "nothing was done: it was not confirmed"), terminal.lines
    assert revisions(node) == before and remains(node) == ""


def test_n_takes_the_way_back(node):
    asked = probes(node)
    terminal = asking(node)
    is_on_the_way(node)
    terminal.types("n\n")
    assert terminal.ends(patience=900) == 1, terminal.lines
    assert says(terminal, "it was answered that kube-apiserver"), terminal.lines
    none_failed(asked)
    assert versions(node) == {f"v{OLD}"} and EMULATES not in template(node)
    assert f"kubernetesVersion: v{OLD}" in stored(node)
    assert remains(node) == ""
    has_one_member(node)  # which stays new
    is_well(node)


def test_when_nobody_can_answer_any_more_it_ends_where_it_is_and_the_same_command_asks_again_and_waits_for_longer_than_a_soak(node):
    asked = probes(node)
    terminal = asking(node)
    terminal.types("\x04")
    assert terminal.ends(patience=60) == 1, terminal.lines
    assert says(terminal, "nobody answers any more: standard input has ended"), terminal.lines
    is_on_the_way(node)
    before = revisions(node)
    terminal = asking(node)
    assert revisions(node) == before  # there was nothing left to do but to ask
    terminal.types("maybe\n")
    assert any("y or n" in lines for lines in terminal.screens(patience=60)), terminal.lines  # as a line of its own
    terminal.until(f"{WAITS}5m", patience=500)
    is_on_the_way(node)
    terminal.types("y\n")
    for _ in terminal.screens(patience=300):
        if EMULATES not in template(node):
            break
    else:
        raise AssertionError(terminal.lines)
    node.sh(KILL_UPGRADE)
    assert terminal.ends(patience=60) != 0, terminal.lines
    none_failed(asked)


def test_past_that_point_a_rollback_is_refused_and_the_same_command_goes_on_without_a_question(node):
    assert EMULATES not in template(node) and f"kubernetesVersion: v{OLD}" in stored(node)
    asked, before = probes(node), revisions(node)
    refused = node.try_("kubestrap", "upgrade", "rollback", timeout=300)
    assert refused.code == 3 and f"v{NEW} is past the point from which the API server can go back to v{OLD}" in refused.err, str(refused)
    assert f"kubestrap upgrade apply v{NEW} goes on to the end" in refused.err, str(refused)
    assert revisions(node) == before and answers(node)
    terminal = begun(node)
    terminal.types("y\n")
    assert terminal.ends(patience=900) == 0, terminal.lines
    assert not says(terminal, QUESTION), terminal.lines
    none_failed(asked)
    is_upgraded(node)


def test_after_an_upgrade_that_is_over_there_is_nothing_to_roll_back(node):
    before = revisions(node)
    told = node.try_("kubestrap", "upgrade", "rollback", "--exit-code")
    assert told.code == 0 and f"there is nothing to roll back: the control plane runs v{NEW}" in told.err, str(told)
    result = node.try_("kubestrap", "upgrade", "rollback", "-o", "json")
    assert result.code == 0, str(result)
    assert (result.json["kind"], result.json["changed"], result.json["steps"], result.json["from"], result.json["to"]) == ("UpgradeResult", False, [], f"v{NEW}", f"v{NEW}")
    assert revisions(node) == before and versions(node) == {f"v{NEW}"} and remains(node) == ""
    is_well(node)
