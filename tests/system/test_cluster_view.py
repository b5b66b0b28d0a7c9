"""What `kubestrap cluster apply` shows of what it does: a line for each machine at the lower end of a terminal, plain lines where there is none, and records for programs."""

import json
import re

import pytest

from operating import Operator, Terminal
from test_reset import names

pytestmark = pytest.mark.long
STAYS = re.compile(r" *\d+\.\d s  (\S+): ([^:]+?) (done|failed|not begun)( \(\d+\.\d s\))?(: .+)?")
LIVE = re.compile(r"(n1|w1|w2) +\d+ s  (\S.*)")
COLUMNS = 60
GOES_ON = {"stepGoesOn"}  # of steps that last: there may be none


@pytest.fixture(scope="module")
def operator(lab, tmp_path_factory):
    machines = [lab.machine(name) for name in ("n1", "w1", "w2")]
    operator = Operator(lab, tmp_path_factory.mktemp("desk"))
    operator.machines = machines
    operator.describe(operator.machines)
    return operator


def live(lines: list[str]) -> dict[str, str]:
    """Machine -> what is under way there, as it stands at the lower end; each machine has one line."""
    found = [LIVE.fullmatch(line) for line in lines]
    shown = [each for each in found if each]
    assert len({each[1] for each in shown}) == len(shown), lines
    return {each[1]: each[2] for each in shown}


def is_tidy(terminal) -> None:
    """Only what stays is there, and the next prompt stands at the beginning of a line."""
    assert live(terminal.lines) == {}, terminal.lines
    assert (terminal.lines[terminal.row], terminal.column, terminal.row) == ("", 0, len(terminal.lines) - 1), terminal.lines


def test_on_a_terminal_who_has_not_answered_yet_is_seen(operator):
    w2 = operator.machines[2]
    nobody = w2.address.rsplit(".", 1)[0] + ".250"  # of the machines' network, so that it takes a while until it is given up
    operator.file.write_text(operator.file.read_text().replace(f"address: {w2.address}\n", f"address: {nobody}\n"))
    terminal = Terminal(operator, "plan", columns=COLUMNS)
    seen = {each for lines in terminal.screens() for each in live(lines).items()}
    operator.describe(operator.machines)
    assert ("w2", "is looked at") in seen, seen
    assert any(line.startswith("w2: it cannot be reached: ") for line in terminal.lines), terminal.lines
    is_tidy(terminal)


def test_on_a_terminal_an_interrupt_leaves_it_tidy(operator):
    terminal = Terminal(operator, "apply", columns=COLUMNS)
    terminal.until("Go on? [y/N]: ")
    terminal.types("y\n")
    terminal.until("n1     2 s  init: ")
    terminal.types("\x03")
    for _ in terminal.screens():
        pass
    assert terminal.process.returncode == 130, terminal.lines
    assert any("interrupted" in line for line in terminal.lines), terminal.lines
    is_tidy(terminal)


def test_on_a_terminal_each_machine_has_one_line_and_what_is_done_stays(operator):
    terminal = Terminal(operator, "apply", "--yes", columns=COLUMNS)
    screens, at_once = 0, set()
    for lines in terminal.screens():
        now = live(lines)
        screens += bool(now)
        at_once.add(tuple(now))
        # What is under way has no line that is broken into two, and nothing stands below it.
        begin = min((at for at, line in enumerate(lines) if LIVE.fullmatch(line)), default=len(lines))
        assert all(len(line) < COLUMNS for line in lines[begin:]), lines
        assert all(LIVE.fullmatch(line) or line == "" for line in lines[begin:]), lines
    assert terminal.process.returncode == 0, terminal.lines
    assert screens > 10 and ("w1", "w2") in at_once, (screens, at_once)
    is_tidy(terminal)
    done = [found[1] + ": " + found[2] for found in map(STAYS.fullmatch, terminal.lines) if found]
    assert len(done) == len(set(done)) and {"n1: init", "w1: join", "w2: join"} <= set(done), terminal.lines
    assert names(operator.machines[0], "nodes") == {"n1", "w1", "w2"}


def test_without_a_terminal_there_are_plain_lines(operator):
    operator.describe(operator.machines, labels={name: {"disk": "ssd"} for name in ("n1", "w1", "w2")})
    done = operator.must("apply", "--yes")
    assert done.out == "" and "\033" not in done.err and "\r" not in done.err
    ended = [found[1] + ": " + found[2] for found in map(STAYS.fullmatch, done.err.splitlines()) if found]
    assert sorted(ended) == ["n1: label", "w1: label", "w2: label"], done.err
    assert live(done.err.splitlines()) == {}


def test_for_programs_each_line_is_a_record_and_standard_output_the_result(operator):
    operator.describe(operator.machines, labels={name: {"disk": "hdd"} for name in ("n1", "w1", "w2")})
    done = operator.must("apply", "--yes", "-o", "json")
    records = [json.loads(line) for line in done.err.splitlines()]
    assert records[0]["event"] == "planned" and [host["name"] for host in records[0]["hosts"]] == ["n1", "w1", "w2"]
    told = {event: sorted((each["host"], each["step"], each.get("result")) for each in records if each["event"] == event) for event in ("stepBegins", "stepEnds")}
    assert told == {"stepBegins": [(name, "label", None) for name in ("n1", "w1", "w2")], "stepEnds": [(name, "label", "done") for name in ("n1", "w1", "w2")]}, records
    assert {each["event"] for each in records} - GOES_ON == {"planned", "stepBegins", "stepEnds"}
    assert done.json["kind"] == "ClusterApplyResult" and done.json["succeeded"] and len(done.json["steps"]) == 3
    gone = operator.must("destroy", "--yes", "-o", "json")
    assert {json.loads(line)["event"] for line in gone.err.splitlines()} - GOES_ON == {"planned", "stepBegins", "stepEnds"}
