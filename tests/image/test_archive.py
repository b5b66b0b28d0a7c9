"""The image as an archive: the same bytes for the same inputs, and what containers find in it."""

import os

import archives
import pytest
from kubeimage import __main__ as command
from kubeimage import apt, contents
from kubelab import oci
from kubelab.errors import LabError

MOMENT = 1700000000


@pytest.fixture
def image(shelf, binary, tmp_path):
    contents.collect(shelf.trees, ["/usr/sbin/tool"], binary, [], tmp_path / "root")
    (tmp_path / "LICENSE").write_text("terms of kubestrap\n")
    return contents.describe(tmp_path / "root", binary, tmp_path / "LICENSE", "1.2.3", "amd64", MOMENT)


def test_two_archives_of_the_same_inputs_are_the_same_bytes(image, binary, tmp_path):
    first = oci.write(image, tmp_path / "a.tar")
    for path in [binary, *(tmp_path / "root").rglob("*")]:
        os.utime(path, (1, 1), follow_symlinks=False)
    assert oci.write(image, tmp_path / "b.tar") == first
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_another_binary_is_another_image(image, binary, tmp_path):
    first = oci.write(image, tmp_path / "a.tar")
    binary.write_bytes(binary.read_bytes() + b"\0")
    assert oci.write(image, tmp_path / "b.tar") != first


def test_the_reference_is_the_binarys_version(image, tmp_path):
    oci.write(image, tmp_path / "a.tar")
    index = archives.read(tmp_path / "a.tar").index
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == "kubestrap.io/kubestrap:v1.2.3"


def test_the_config_leaves_command_user_and_stop_signal_to_the_pod(image, tmp_path):
    oci.write(image, tmp_path / "a.tar")
    config = archives.read(tmp_path / "a.tar").config
    assert config["config"].keys() == {"Env", "Labels"}
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"]["Labels"]["org.opencontainers.image.version"] == "1.2.3"
    assert config["created"] == "2023-11-14T22:13:20Z"


def test_all_is_roots_and_of_one_time(image, tmp_path):
    oci.write(image, tmp_path / "a.tar")
    entries = archives.read(tmp_path / "a.tar").entries
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries.values()} == {(0, 0, MOMENT)}


def test_the_users_are_root_and_front(image, tmp_path):
    oci.write(image, tmp_path / "a.tar")
    contents = archives.read(tmp_path / "a.tar").contents
    users = [line.split(":")[:4] for line in contents["etc/passwd"].decode().splitlines()]
    assert users == [["root", "x", "0", "0"], ["front", "x", "65532", "65532"]]


def test_programs_are_executable_and_the_binary_lies_in_usr_bin(image, binary, tmp_path):
    oci.write(image, tmp_path / "a.tar")
    made = archives.read(tmp_path / "a.tar")
    assert made.contents["usr/bin/kubestrap"] == binary.read_bytes()
    assert {made.entries[path].mode for path in ("usr/bin/kubestrap", "usr/sbin/tool")} == {0o755}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A release folder whose binary is a script, and packages that give one file."""
    binary = tmp_path / "release/kubestrap"
    binary.parent.mkdir()
    binary.write_text('#!/bin/sh\n[ "$*" = "version -o short" ] && echo v1.2.3\n')
    binary.chmod(0o755)
    root = tmp_path / "packaged"
    (root / "usr/sbin").mkdir(parents=True)
    (root / "usr/sbin/tool").write_text("x")
    monkeypatch.setattr(contents, "packaged", lambda *_: root)
    monkeypatch.setattr(apt, "state", lambda: "as it was")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(MOMENT))
    return binary.parent


class Said(list):
    detail = list.append


def test_a_second_build_makes_nothing(folder):
    said = Said()
    archive = command.build(folder, said)
    made = archive.stat().st_ino
    assert "kubestrap.io/kubestrap:v1.2.3" in said[0]
    assert command.build(folder, said).stat().st_ino == made
    assert len(said) == 1


@pytest.mark.parametrize("change", ["binary", "time", "packages", "archive"])
def test_a_change_of_an_input_makes_it_anew(folder, change, monkeypatch):
    said = Said()
    archive = command.build(folder, said)
    if change == "binary":
        (folder / "kubestrap").write_text((folder / "kubestrap").read_text() + "# more\n")
    elif change == "time":
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(MOMENT + 1))
    elif change == "packages":
        monkeypatch.setattr(apt, "state", lambda: "updated")
    else:
        archive.unlink()
    command.build(folder, said)
    assert len(said) == 2 and archive.exists()


def test_a_build_that_fails_leaves_no_older_image_beside_a_newer_binary(folder, monkeypatch):
    archive = command.build(folder, Said())
    (folder / "kubestrap").write_text((folder / "kubestrap").read_text() + "# more\n")

    def fail(*_):
        raise LabError("no archive in reach")

    monkeypatch.setattr(contents, "packaged", fail)
    with pytest.raises(LabError):
        command.build(folder, Said())
    assert not archive.exists()


def test_without_a_binary_the_remedy_is_told(tmp_path):
    with pytest.raises(LabError, match="kubestrap is missing") as told:
        command.build(tmp_path, Said())
    assert "build.sh release" in told.value.remedy
