"""What the lab reads of its host: cgroup hierarchies, processes, settings."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from kubelab import cgroups, cni, containerd, host, processes, record
from kubelab.paths import SOURCES

V1 = """\
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
35 24 0:31 / /mnt/cgroup/memory rw - cgroup cgroup rw,memory
"""
V2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


def test_every_v1_hierarchy_is_found_with_the_options_that_mount_it_again():
    found = {str(one.folder.relative_to(cgroups.ROOT)): one.options for one in cgroups.hierarchies(V1)}
    assert found == {
        "cpu,cpuacct": "cpu,cpuacct",
        "memory": "memory",
        "systemd": "none,name=systemd",
        "unified": "",
    }
    assert cgroups.version(cgroups.hierarchies(V1)) == 1


def test_a_host_with_the_unified_hierarchy_alone_is_v2():
    found = cgroups.hierarchies(V2)
    assert [one.folder for one in found] == [cgroups.ROOT]
    assert cgroups.version(found) == 2


def test_groups_are_made_filled_and_removed_in_every_hierarchy(tmp_path, monkeypatch):
    both = [cgroups.Hierarchy(tmp_path / "cpuset", "cpuset"), cgroups.Hierarchy(tmp_path / "pids", "pids")]
    monkeypatch.setattr(cgroups, "hierarchies", lambda: both)
    for one in both:
        one.folder.mkdir()
    for file in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "cpuset" / file).write_text("0-1")
    cgroups.make("lab-x/n1")
    assert (tmp_path / "cpuset/lab-x/n1/cpuset.cpus").read_text() == "0-1"
    assert (tmp_path / "pids/lab-x/n1").is_dir()
    (tmp_path / "pids/lab-x/n1/cgroup.procs").write_text("12\n0\n")
    assert cgroups.processes("lab-x") == {12}


def test_a_process_is_known_by_its_start_time():
    with subprocess.Popen(["sleep", "60"]) as other:
        started = processes.start_time(other.pid)
        assert processes.child_of(os.getpid()) is not None
        processes.kill(other.pid, started + 1)
        assert processes.lives(other.pid, started)
        processes.kill(other.pid, started)
        assert processes.wait_gone(other.pid, started, 5)


def test_settings_are_recorded_once_and_put_back_when_the_last_lab_is_gone(tmp_path, monkeypatch):
    settings = tmp_path / "sys"
    for name in (*host.KUBELETS, *host.RAISED):
        file = settings / name.replace(".", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("128\n")
    monkeypatch.setattr(host, "_file", lambda name: settings / name.replace(".", "/"))
    monkeypatch.setattr(record.network, "NAMED", tmp_path / "none")
    monkeypatch.setattr(record.cgroups, "hierarchies", lambda: [])
    panic, watches = settings / "kernel/panic", settings / "fs/inotify/max_user_instances"

    lab = record.load_or_make("one")
    host.prepare()
    assert int(watches.read_text()) == host.RAISED["fs.inotify.max_user_instances"]
    panic.write_text("10\n")  # as a kubelet does
    host.prepare()
    assert host.restore() == []  # a lab stands
    record.forget(lab)
    assert set(host.restore()) == {"kernel.panic", *host.RAISED}
    assert (panic.read_text(), watches.read_text()) == ("128", "128")


def test_a_containerd_store_is_given_as_links_but_for_its_databases(tmp_path):
    template = tmp_path / "template"
    (template / "blobs").mkdir(parents=True)
    (template / "blobs/one").write_text("x")
    (template / "meta.db").write_text("y")
    (template / "link").symlink_to("blobs/one")
    (template / "blobs").chmod(0o700)
    containerd.give(template, tmp_path / "copy")
    copy = tmp_path / "copy"
    assert (copy / "blobs/one").stat().st_ino == (template / "blobs/one").stat().st_ino
    assert (copy / "meta.db").stat().st_ino != (template / "meta.db").stat().st_ino
    assert os.readlink(copy / "link") == "blobs/one"
    assert (copy / "blobs").stat().st_mode & 0o777 == 0o700


def nodes_answer(**ranges):
    return json.dumps({"items": [{"metadata": {"name": name}, "spec": {"podCIDR": cidr}} for name, cidr in ranges.items()]})


def ranges_seen(monkeypatch, answers, expected):
    """What is made of the answers to one question after the other, the last of them given again and again, a second apart."""
    clock = iter(range(1000))
    monkeypatch.setattr(cni.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(cni.time, "sleep", lambda _: None)
    monkeypatch.setattr(cni.machines, "run", lambda *_, **__: answers.pop(0) if len(answers) > 1 else answers[0])
    lab = SimpleNamespace(machine=lambda name: name)
    return cni.wait_for_ranges(lab, "n1", SimpleNamespace(detail=lambda _: None), expected)


def test_a_node_that_is_about_to_register_is_waited_for(monkeypatch):
    first, last = nodes_answer(n1="10.244.0.0/24"), nodes_answer(n1="10.244.0.0/24", w1="10.244.1.0/24")
    between = nodes_answer(n1="10.244.0.0/24", w1=None)
    assert ranges_seen(monkeypatch, [first, first, between, last], {"n1", "w1"}) == {"n1": "10.244.0.0/24", "w1": "10.244.1.0/24"}


def test_a_machine_of_another_cluster_is_not_waited_for_without_end(monkeypatch):
    assert ranges_seen(monkeypatch, [nodes_answer(n1="10.244.0.0/24")], {"n1", "other"}) == {"n1": "10.244.0.0/24"}


def test_the_pod_network_of_a_node_covers_its_range():
    plugins = json.loads(cni.conflist("10.244.3.0/24"))["plugins"]
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.244.3.0/24"}]]
    assert [plugin["type"] for plugin in plugins] == ["bridge", "portmap"]


@pytest.mark.parametrize("script", ["kubelab/boot.sh", "kubelab/start", "images/import.sh"])
def test_shell_scripts_parse(script):
    assert subprocess.run(["bash", "-n", SOURCES / script]).returncode == 0
    assert Path(SOURCES / script).read_text().startswith("#!")
