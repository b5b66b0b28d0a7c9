"""Which files of packages the image gets: all that is needed, and nothing else."""

import os
from pathlib import Path

import pytest
from kubeimage import contents, elf
from kubelab.errors import LabError
from made_up import TRIPLE


def collect(shelf, binary, into, opened=("libopened.so.4",)):
    return contents.collect(shelf.trees, ["/usr/sbin/tool"], binary, list(opened), into)


def listing(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_a_program_says_what_it_needs_and_who_loads_it(binary):
    assert elf.read(binary) == (["libtwo.so.2"], "/lib64/ld-made-up.so.2")


def test_libraries_that_libraries_need_come_too_and_idle_ones_do_not(shelf, binary, tmp_path):
    collect(shelf, binary, tmp_path / "root")
    libraries = {file for file in listing(tmp_path / "root") if file.startswith("usr/lib/")}
    names = ("ld-made-up.so.2", "libone.so.1", "libtwo.so.2", "libopened.so.4")
    assert libraries == {f"usr/lib/{TRIPLE}/{name}" for name in names}


def test_libraries_that_name_each_other_end(shelf, binary, tmp_path):
    shelf.library("one", "libfive.so.5")
    shelf.library("one", "libfour.so.4", "libfive.so.5")
    shelf.library("one", "libfive.so.5", "libfour.so.4")
    collect(shelf, binary, tmp_path / "root", ["libfour.so.4"])
    assert {f"usr/lib/{TRIPLE}/libfour.so.4", f"usr/lib/{TRIPLE}/libfive.so.5"} <= listing(tmp_path / "root")


def test_files_lie_under_the_name_that_is_asked_for_and_are_no_links(shelf, binary, tmp_path):
    collect(shelf, binary, tmp_path / "root")
    library = tmp_path / "root/usr/lib" / TRIPLE / "libtwo.so.2"
    assert not library.is_symlink()
    assert library.read_bytes() == (shelf.trees["two"] / "lib" / TRIPLE / "libtwo.so.2.0.1").read_bytes()


def test_the_loader_is_found_where_programs_say(shelf, binary, tmp_path):
    collect(shelf, binary, tmp_path / "root")
    loader = tmp_path / "root/lib64/ld-made-up.so.2"
    assert os.readlink(loader) == f"../usr/lib/{TRIPLE}/ld-made-up.so.2"
    assert loader.resolve().is_file()


def test_packages_that_gave_something_give_their_copyright_too(shelf, binary, tmp_path):
    taken = collect(shelf, binary, tmp_path / "root")
    assert taken == {"loader", "one", "two", "opened", "tool"}
    texts = {file for file in listing(tmp_path / "root") if file.startswith("usr/share/")}
    assert texts == {f"usr/share/doc/{name}/copyright" for name in taken}


def test_a_copyright_that_lies_in_another_package_is_followed(shelf, binary, tmp_path):
    for name in ("one", "two"):
        text = shelf.trees[name] / "usr/share/doc" / name / "copyright"
        text.unlink()
        if name == "one":
            text.parent.rmdir()
            text.parent.symlink_to("two")
        else:
            text.symlink_to("../idle/copyright")
    collect(shelf, binary, tmp_path / "root")
    for name in ("one", "two"):
        assert (tmp_path / "root/usr/share/doc" / name / "copyright").read_text() == "terms of idle\n"


def test_packages_that_were_linked_in_give_their_copyright_alone(shelf, binary, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "LINKED_IN", ["idle"])
    assert "idle" in collect(shelf, binary, tmp_path / "root")
    assert "usr/share/doc/idle/copyright" in listing(tmp_path / "root")
    assert f"usr/lib/{TRIPLE}/libidle.so.1" not in listing(tmp_path / "root")


def test_a_library_that_nobody_has_is_told_with_who_needs_it(shelf, binary, tmp_path):
    del shelf.trees["two"]
    with pytest.raises(LabError, match=r"no package .* has libtwo\.so\.2"):
        collect(shelf, binary, tmp_path / "root")


def test_what_the_binary_opens_at_run_time_is_on_the_list():
    source = (Path(__file__).resolve().parents[2] / "net/curl_library.cpp").read_text()
    for name in contents.OPENED:
        assert f'dlopen("{name}"' in source
    assert source.count("dlopen(") == len(contents.OPENED)
