"""Runs the tests of a tier and adds them up. Called by tests/run; Python's standard library only."""

from __future__ import annotations

import argparse
import atexit
import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as xml
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "reports"
CONTRACT = "tests/system/test_contract.py" # whose program comes with the unit tests
SANITIZED = os.environ.get("CI") == "true"


class Tally:
    """What passed, failed and was skipped, and which names failed."""

    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0
        self.failures: list[str] = []
        self.left_out: list[str] = []

    def add_junit(self, file: Path, suite: str) -> bool:
        """Adds a JUnit report; False when there is none or it holds no case."""
        if not file.exists():
            return False
        cases = list(xml.parse(file).getroot().iter("testcase"))
        for case in cases:
            name = f"{suite}: {case.get('classname', '')} {case.get('name', '')}"
            if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
                self.failed += 1
                self.failures.append(name)
            elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
                self.skipped += 1
            else:
                self.passed += 1
        return bool(cases)

    def add_failure(self, name: str) -> None:
        self.failed += 1
        self.failures.append(name)


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def run(command: list[str], **more) -> int:
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, **more).returncode
    say(f"{' '.join(command[:4])}: {'done' if code == 0 else f'exit code {code}'} after {time.monotonic() - started:.0f} s")
    return code


def must(command: list[str], what: str) -> None:
    if run(command) != 0:
        print(f"error: {what} failed\n0 passed, 1 failed", flush=True)
        sys.exit(1)


class Builds:
    """Presets that are built one after the other, for as long as nobody else wants the processors: tests on real components wait more than they compute."""

    def __init__(self, presets: list[str]) -> None:
        self.codes: dict[str, Future[int]] = {preset: Future() for preset in presets}
        self.process: subprocess.Popen | None = None
        for preset in presets: # apt is for one at a time
            must(["./build.sh", "--packages", preset], f"what the {preset} build needs")
        atexit.register(self.end)
        threading.Thread(target=self._work, daemon=True).start()

    def log(self, preset: str) -> Path:
        return REPORTS / f"build-{preset}.log"

    def _work(self) -> None:
        for preset, code in self.codes.items():
            with self.log(preset).open("w") as log:
                command = ["chrt", "--idle", "0", "./build.sh", preset]
                self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
                code.set_result(self.process.wait())

    def done(self, preset: str, tally: Tally) -> bool:
        """Whether it was built; waits for that."""
        started = time.monotonic()
        code = self.codes[preset].result()
        say(f"the {preset} build: {'done' if code == 0 else f'exit code {code}'}, waited for {time.monotonic() - started:.0f} s")
        if code != 0:
            tally.add_failure(f"the {preset} build")
            print(self.log(preset).read_text(errors="replace")[-3000:], flush=True)
        return code == 0

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)


def ctest(preset: str, tally: Tally) -> None:
    report = REPORTS / f"ctest-{preset}.xml"
    report.unlink(missing_ok=True)
    jobs = str(os.cpu_count() or 1)
    code = run(["ctest", "--preset", preset, "--output-junit", str(report), "-j", jobs, "--quiet", "--output-log",
                str(REPORTS / f"ctest-{preset}.log")])
    if not tally.add_junit(report, preset):
        tally.add_failure(f"ctest {preset} ran nothing")
    elif code != 0:
        show_failures(report)


def show_failures(report: Path) -> None:
    for case in xml.parse(report).getroot().iter("testcase"):
        if case.find("failure") is not None or case.get("status") == "fail":
            output = case.findtext("system-out") or ""
            print(f"-- {case.get('name')}\n{output[-3000:]}", flush=True)


def pytest(folder: str, tally: Tally, *options: str) -> None:
    report = REPORTS / (folder.replace("/", "-") + ".xml")
    report.unlink(missing_ok=True)
    code = run([sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *options, folder])
    if not tally.add_junit(report, folder) or (code not in (0, 1)):
        tally.add_failure(f"pytest {folder} ended with {code}")


def fuzz(tally: Tally, seconds: int) -> None:
    """Every fuzzer for a short while, two at a time; what it learns is kept in the build folder, what it finds among the reports."""
    folders = sorted(folder for folder in (ROOT / "tests/fuzz/corpus").iterdir() if folder.is_dir())
    say(f"fuzzing {', '.join(folder.name for folder in folders)} for {seconds} s each")
    with ThreadPoolExecutor(max_workers=2) as pool:
        for folder, (code, output) in zip(folders, pool.map(lambda folder: fuzz_one(folder, seconds), folders)):
            if code == 0:
                tally.passed += 1
            else:
                tally.add_failure(f"fuzz {folder.name}: the input lies in {REPORTS}; see tests/fuzz/README.md")
                print(f"-- fuzz {folder.name}\n{output[-3000:]}", flush=True)


def fuzz_one(folder: Path, seconds: int) -> tuple[int, str]:
    learned = ROOT / "build/fuzz/corpus" / folder.name
    learned.mkdir(parents=True, exist_ok=True)
    command = [ROOT / "build/fuzz/tests/fuzz" / f"fuzz_{folder.name}", f"-max_total_time={seconds}", "-timeout=30",
               f"-artifact_prefix={REPORTS}/fuzz-{folder.name}-", learned, folder]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", text=True)
    return result.returncode, result.stdout


def components_folder() -> str:
    """The lab's component build, whose binaries the contract tests run against."""
    say("Kubernetes components (built once, then cached)")
    result = subprocess.run(["./lab/components", "1.37.2"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines = result.stdout.strip().splitlines()
    return lines[-1] if result.returncode == 0 and lines else ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__)
    tier = parser.add_mutually_exclusive_group()
    tier.add_argument("--quick", action="store_true", help="leave out what needs the lab")
    tier.add_argument("--long", action="store_true", help="add repetitions and spreads")
    parser.add_argument("-k", metavar="EXPRESSION", help="only system tests that match (pytest -k)")
    arguments = parser.parse_args()
    REPORTS.mkdir(parents=True, exist_ok=True)
    tally = Tally()

    if not arguments.quick:
        must(["./build.sh", "release"], "the release build")
    presets = ["dev", "asan"] if arguments.long else ["asan"] if SANITIZED else ["dev"]
    builds = Builds(presets + ([] if arguments.quick else ["fuzz"]))
    components = ""
    if not arguments.quick:
        components = components_folder()
        if not components:
            tally.add_failure("building the Kubernetes components")
    if components:
        os.environ["KUBESTRAP_COMPONENTS"] = components
    if "asan" not in presets:
        tally.left_out.append("the sanitizers (CI=true or --long)")
    pytest("tests/lab", tally)
    pytest("tests/image", tally)
    pytest("tests/ansible", tally, *([] if arguments.quick else ["--lab"]), *(["--long"] if arguments.long else []))
    if arguments.quick:
        tally.left_out.append("fuzzing, cloud-init's schema, and contract, fidelity and system tests and Ansible's plays, which need the lab (tests/run without --quick)")
    else:
        pytest("tests/cfssl", tally)
        pytest("tests/cloud_init", tally)
        if components:
            pytest("tests/fidelity", tally)
        options = ["--durations=25"] + (["--long"] if arguments.long else [])
        options += ["-k", arguments.k] if arguments.k else [f"--ignore={CONTRACT}"]
        pytest("tests/system", tally, *options)
        if not arguments.long:
            tally.left_out.append("repetitions and spreads (--long)")
    for preset in presets:
        if builds.done(preset, tally):
            ctest(preset, tally)
    if not arguments.quick and not arguments.k:
        pytest(CONTRACT, tally)
    if not arguments.quick and builds.done("fuzz", tally):
        fuzz(tally, seconds=60 if arguments.long else 10)

    for name in tally.failures:
        print(f"failed: {name}")
    for name in tally.left_out:
        print(f"left out: {name}")
    print(f"{tally.passed} passed, {tally.failed} failed" + (f", {tally.skipped} skipped" if tally.skipped else ""), flush=True)
    return 1 if tally.failed or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
