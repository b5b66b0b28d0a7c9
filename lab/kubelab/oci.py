"""Writes an OCI image archive from local files: one layer, the same bytes for the same content.

No daemon and no registry; `ctr images import` reads the result. The machines' images are made with it, and kubestrap's own.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# runtimes mount onto these; programs expect the last two
FOLDERS = {"dev": 0o755, "etc": 0o755, "proc": 0o755, "sys": 0o755, "var/run": 0o755, "tmp": 0o1777}
CONFIG, LAYER, COMPRESSED_LAYER, MANIFEST, INDEX = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass
class Image:
    """What goes into an image. `files` maps a path in the image to a local file, link or folder."""

    reference: str
    files: dict[str, Path]
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)  # path in the image -> target
    texts: dict[str, str] = field(default_factory=dict)  # path in the image -> content
    labels: dict[str, str] = field(default_factory=dict)
    architecture: str = "amd64"
    epoch: int = 0  # the time of all files, and of the image; 0 for none
    compressed: bool = False

    @property
    def tag(self) -> str:
        return self.reference.rsplit(":", 1)[1]


def write(image: Image, archive: Path) -> str:
    """Writes the archive and returns the digest of the image's manifest."""
    layer_file = archive.with_name(archive.name + ".layer")
    try:
        write_layer(image, layer_file)
        content = _digest_of_file(layer_file)
        if image.compressed:
            _compress(layer_file)
        layer = {
            "mediaType": COMPRESSED_LAYER if image.compressed else LAYER,
            "digest": _digest_of_file(layer_file),
            "size": layer_file.stat().st_size,
        }
        config = _json(_config(image, content))
        manifest = _json(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": _descriptor(CONFIG, config), "layers": [layer]}
        )
        entry = _descriptor(MANIFEST, manifest) | {
            "platform": {"architecture": image.architecture, "os": "linux"},
            "annotations": {
                "io.containerd.image.name": image.reference,
                "org.opencontainers.image.ref.name": image.tag,
            },
        }
        index = _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
        with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
            _add_bytes(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            _add_bytes(tar, "index.json", index)
            for blob in (config, manifest):
                _add_bytes(tar, _blob_path(_digest(blob)), blob)
            with layer_file.open("rb") as blob:
                tar.addfile(_file(_blob_path(layer["digest"]), layer["size"]), blob)
    finally:
        layer_file.unlink(missing_ok=True)
    return entry["digest"]


def _config(image: Image, layer: str) -> dict:
    settings: dict = {"Env": [SEARCH_PATH]}
    if image.entrypoint:
        settings["Entrypoint"] = image.entrypoint
    if image.command:
        settings["Cmd"] = image.command
    if image.labels:
        settings["Labels"] = image.labels
    config = {
        "architecture": image.architecture,
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    }
    if image.epoch:
        config["created"] = datetime.fromtimestamp(image.epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return config


def _compress(file: Path) -> None:
    """Replaces the file by itself in gzip's format, which without a name and a time says the same of the same content."""
    packed = file.with_name(file.name + ".gz")
    try:
        with file.open("rb") as plain, packed.open("wb") as raw:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as stream:
                shutil.copyfileobj(plain, stream, 1 << 20)
        packed.rename(file)
    finally:
        packed.unlink(missing_ok=True)


def write_layer(image: Image, file: Path) -> None:
    """The image's only layer: sorted, owned by root, all of one time."""
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        layer = _Layer(tar, image.epoch)
        for folder, mode in FOLDERS.items():
            layer.folder(folder, mode)
        for path, source in sorted(image.files.items()):
            layer.add(path.lstrip("/"), source)
        for path, target in sorted(image.links.items()):
            layer.link(path.lstrip("/"), target)
        for path, text in sorted(image.texts.items()):
            layer.text(path.lstrip("/"), text)


class _Layer:
    def __init__(self, tar: tarfile.TarFile, epoch: int):
        self.tar, self.epoch = tar, epoch
        self.made: set[str] = set()

    def put(self, entry: tarfile.TarInfo, content=None) -> None:
        entry.mtime = self.epoch
        self.tar.addfile(entry, content)

    def folder(self, path: str, mode: int = 0o755) -> None:
        if not path or path in self.made:
            return
        self.folder(os.path.dirname(path))
        self.made.add(path)
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self.put(entry)

    def link(self, path: str, target: str) -> None:
        self.folder(os.path.dirname(path))
        entry = tarfile.TarInfo(path)
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
        self.put(entry)

    def text(self, path: str, text: str) -> None:
        self.folder(os.path.dirname(path))
        content = text.encode()
        self.put(_file(path, len(content)), io.BytesIO(content))

    def add(self, path: str, source: Path) -> None:
        if source.is_symlink():
            self.link(path, os.readlink(source))
        elif source.is_dir():
            self.folder(path)
            for child in sorted(source.iterdir()):
                self.add(f"{path}/{child.name}", child)
        else:
            self.folder(os.path.dirname(path))
            facts = source.stat()
            with source.open("rb") as content:
                self.put(_file(path, facts.st_size, facts.st_mode & 0o755), content)


def _file(path: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = size, mode
    return entry


def _add_bytes(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    tar.addfile(_file(path, len(content)), io.BytesIO(content))


def _json(value: dict) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _digest_of_file(file: Path) -> str:
    with file.open("rb") as content:
        return "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()


def _descriptor(media_type: str, content: bytes) -> dict:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _blob_path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")
