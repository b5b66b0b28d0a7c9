"""Image archives: layout, and the same bytes for the same content."""

import hashlib
import os
import tarfile

import archives
from kubelab import oci


def sample(folder, **changes):
    (folder / "program").write_bytes(b"\x7fELF")
    (folder / "program").chmod(0o755)
    (folder / "tree").mkdir(exist_ok=True)
    (folder / "tree" / "notes").write_text("x")
    files = {"/usr/bin/program": folder / "program", "/usr/share/tree": folder / "tree"}
    return oci.Image("registry.example/group/program:v1", files, **changes)


def test_two_archives_of_the_same_content_are_the_same_bytes(tmp_path):
    first = oci.write(sample(tmp_path), tmp_path / "a.tar")
    os.utime(tmp_path / "program", (1, 1))
    second = oci.write(sample(tmp_path), tmp_path / "b.tar")
    assert first == second
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_another_content_is_another_digest(tmp_path):
    first = oci.write(sample(tmp_path), tmp_path / "a.tar")
    second = oci.write(sample(tmp_path, command=["program"]), tmp_path / "b.tar")
    assert first != second


def test_every_blob_is_stored_under_its_own_digest(tmp_path):
    oci.write(sample(tmp_path), tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        blobs = [name for name in tar.getnames() if name.startswith("blobs/sha256/")]
        assert len(blobs) == 3
        for name in blobs:
            assert hashlib.sha256(tar.extractfile(name).read()).hexdigest() == name.rsplit("/", 1)[1]


def test_the_index_names_the_image_as_containerd_looks_for_it(tmp_path):
    digest = oci.write(sample(tmp_path), tmp_path / "a.tar")
    index = archives.read(tmp_path / "a.tar").index
    (entry,) = index["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "registry.example/group/program:v1"
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "v1"
    assert entry["digest"] == digest


def test_the_layer_has_files_folders_and_links_without_owner_or_time(tmp_path):
    oci.write(sample(tmp_path, links={"/usr/bin/other": "program"}), tmp_path / "a.tar")
    entries = archives.read(tmp_path / "a.tar").entries
    assert entries["usr/bin/program"].mode == 0o755
    assert entries["usr/share/tree/notes"].size == 1
    assert entries["usr/bin/other"].linkname == "program"
    assert entries["tmp"].mode == 0o1777
    assert all((entry.uid, entry.gid, entry.mtime) == (0, 0, 0) for entry in entries.values())
    assert list(entries).index("usr/bin") < list(entries).index("usr/bin/program")


def test_the_config_has_entrypoint_and_the_layers_digest(tmp_path):
    oci.write(sample(tmp_path, entrypoint=["/usr/bin/program"]), tmp_path / "a.tar")
    _, manifest, config, _, _ = archives.read(tmp_path / "a.tar")
    assert config["config"]["Entrypoint"] == ["/usr/bin/program"]
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]


def test_no_scratch_file_is_left(tmp_path):
    oci.write(sample(tmp_path), tmp_path / "a.tar")
    assert not (tmp_path / "a.tar.layer").exists()


def test_texts_have_their_images_time_and_a_compressed_layer_says_the_same(tmp_path):
    plain = sample(tmp_path, texts={"/etc/motd": "hello\n"}, epoch=1700000000)
    packed = sample(tmp_path, texts={"/etc/motd": "hello\n"}, epoch=1700000000, compressed=True)
    oci.write(plain, tmp_path / "a.tar")
    oci.write(packed, tmp_path / "b.tar")
    _, first, first_config, entries, _ = archives.read(tmp_path / "a.tar")
    _, second, second_config, again, _ = archives.read(tmp_path / "b.tar")
    assert (entries["etc/motd"].size, entries["etc/motd"].mtime) == (6, 1700000000)
    assert first_config == second_config
    assert list(entries) == list(again)
    assert second["layers"][0]["mediaType"].endswith("+gzip")
    assert second["layers"][0]["size"] < first["layers"][0]["size"]
    assert not (tmp_path / "b.tar.layer.gz").exists()
