"""The lab's record: written whole, read back as it was, one command at a time."""

import json
import os
import subprocess
import sys

import pytest
from kubelab import network, paths, processes, record, status, store
from kubelab.errors import LabError, UsageError
from kubelab.progress import Silent


@pytest.fixture(autouse=True)
def no_namespaces(monkeypatch):
    monkeypatch.setattr(network, "NAMED", paths.state_root() / "no-such-folder")
    monkeypatch.setattr(record.cgroups, "hierarchies", lambda: [])


def test_a_lab_is_read_back_as_it_was_written():
    lab = record.load_or_make("one")
    machine = record.add_machine(lab, "n1", "1.37.2")
    machine.images, machine.init = ["1.37.2"], [12, 345]
    lab.cluster = record.Cluster("1.37.2", "kubeadm")
    lab.save()
    assert record.load("one") == lab


def test_a_new_lab_takes_names_from_its_own_name():
    machine = record.add_machine(record.load_or_make("one"), "n1", "1.37.2")
    assert (machine.namespace, machine.cgroup) == ("lab-one.n1", "lab-one/n1")


def test_two_labs_have_two_networks(monkeypatch):
    monkeypatch.setattr(network.hashlib, "sha256", lambda text: network.hashlib.md5(b"same"))
    assert record.load_or_make("one").network != record.load_or_make("two").network


def test_what_carries_the_name_already_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(network, "NAMED", tmp_path)
    (tmp_path / "lab-one").touch()
    with pytest.raises(LabError, match="network namespace lab-one exist already"):
        record.load_or_make("one")
    assert record.load("one") is None


@pytest.mark.parametrize("name", ["", "Lab", "a b", "../x", "-a", "a-", "x" * 21, "a.b", "a_b"])
def test_names_that_would_break_paths_or_dns_are_refused(name):
    with pytest.raises(UsageError):
        record.check_name(name, "the lab")


def test_an_unknown_machine_is_answered_with_those_that_there_are():
    lab = record.load_or_make("one")
    record.add_machine(lab, "n1", "1.37.2")
    with pytest.raises(UsageError, match="no machine n2; it has: n1"):
        lab.machine("n2")


def test_a_record_is_never_half_written(tmp_path):
    file = tmp_path / "file.json"
    record.write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        record.write_json(file, {"a": object()})
    assert json.loads(file.read_text()) == {"a": 1}


def test_a_lock_is_free_again_when_its_holder_was_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from kubelab import store\n"
        "with store.lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": str(paths.SOURCES)}
    file = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", code, file], stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout.readline() == b"held\n"
        told = []
        with pytest.raises(LabError, match=f"pid {holder.pid}"), store.lock(file, told.append, patience=0.2):
            pass
        assert told == [f"pid {holder.pid}"]
        holder.kill()
        holder.wait()
        with store.lock(file, patience=1):
            pass


def test_a_lock_whose_file_was_removed_is_no_lock(tmp_path):
    file = tmp_path / "lock"
    with store.lock(file):
        file.unlink()
        with store.lock(file, patience=1):  # a new file, a new lock
            assert file.exists()


def test_the_cache_shows_a_thing_only_when_it_is_complete():
    def fail(into):
        (into / "half").touch()
        raise LabError("no luck")

    with pytest.raises(LabError):
        store.make("things", "one", build=fail, progress=Silent())
    assert not store.have("things", "one")
    folder = store.make("things", "one", build=lambda into: (into / "whole").touch(), progress=Silent())
    assert [file.name for file in folder.iterdir()] == ["whole"]


def test_the_cache_makes_a_thing_once():
    calls = []
    for _ in range(2):
        store.make("things", "one", build=calls.append, progress=Silent())
    assert len(calls) == 1


def test_results_of_older_recipes_go_when_unused_for_a_day():
    made = [store.make("images", name, build=lambda into: None, progress=Silent()) for name in ("1-a", "1-b", "1+2-a")]
    store.prune(made[1])
    assert all(folder.exists() for folder in made)
    for folder in made:
        os.utime(folder, (1, 1))
    store.prune(made[1])
    assert [folder.exists() for folder in made] == [False, True, True]


def test_a_digest_changes_with_content_name_and_executable_bit(tmp_path):
    file = tmp_path / "file"
    file.write_text("a")
    found = {store.digest(tmp_path)}
    file.write_text("b")
    found.add(store.digest(tmp_path))
    file.chmod(0o755)
    found.add(store.digest(tmp_path))
    file.rename(tmp_path / "other")
    found.add(store.digest(tmp_path))
    assert len(found) == 4


def test_status_tells_a_machines_role_from_its_disk():
    lab = record.load_or_make("one")
    machine = record.add_machine(lab, "n1", "1.37.2")
    kubernetes = lab.disk(machine) / "upper/etc/kubernetes"
    (kubernetes / "pki").mkdir(parents=True)
    assert status.role(lab, machine) == "bare"
    (kubernetes / "kubelet.conf").touch()
    assert status.role(lab, machine) == "worker"
    (kubernetes / "pki/apiserver.crt").touch()
    assert status.role(lab, machine) == "control-plane"


def test_a_machine_whose_pid_was_given_to_another_process_is_off():
    lab = record.load_or_make("one")
    machine = record.add_machine(lab, "n1", "1.37.2")
    machine.init = [os.getpid(), 1]
    assert status.describe(lab)["machines"][0]["state"] == "off"
    machine.init = [os.getpid(), processes.start_time(os.getpid())]
    assert status.describe(lab)["machines"][0]["state"] == "running"
