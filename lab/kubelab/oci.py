"""Writes an OCI image archive from local files: one uncompressed layer, the same bytes for the same content.

No daemon and no registry; `ctr images import` reads the result.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# runtimes mount onto these; programs expect the last two
FOLDERS = {"dev": 0o755, "etc": 0o755, "proc": 0o755, "sys": 0o755, "var/run": 0o755, "tmp": 0o1777}
CONFIG, LAYER, MANIFEST, INDEX = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar",
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
    architecture: str = "amd64"

    @property
    def tag(self) -> str:
        return self.reference.rsplit(":", 1)[1]


def write(image: Image, archive: Path) -> str:
    """Writes the archive and returns the digest of the image's manifest."""
    layer_file = archive.with_name(archive.name + ".layer")
    try:
        write_layer(image, layer_file)
        layer = {"mediaType": LAYER, "digest": _digest_of_file(layer_file), "size": layer_file.stat().st_size}
        settings: dict = {"Env": [SEARCH_PATH]}
        if image.entrypoint:
            settings["Entrypoint"] = image.entrypoint
        if image.command:
            settings["Cmd"] = image.command
        config = _json(
            {
                "architecture": image.architecture,
                "os": "linux",
                "config": settings,
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
            }
        )
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
            with layer_file.open("rb") as content:
                tar.addfile(_file(_blob_path(layer["digest"]), layer["size"]), content)
    finally:
        layer_file.unlink(missing_ok=True)
    return entry["digest"]


def write_layer(image: Image, file: Path) -> None:
    """The image's only layer: sorted, owned by root, without times."""
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        layer = _Layer(tar)
        for folder, mode in FOLDERS.items():
            layer.folder(folder, mode)
        for path, source in sorted(image.files.items()):
            layer.add(path.lstrip("/"), source)
        for path, target in sorted(image.links.items()):
            layer.link(path.lstrip("/"), target)


class _Layer:
    def __init__(self, tar: tarfile.TarFile):
        self.tar = tar
        self.made: set[str] = set()

    def folder(self, path: str, mode: int = 0o755) -> None:
        if not path or path in self.made:
            return
        self.folder(os.path.dirname(path))
        self.made.add(path)
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self.tar.addfile(entry)

    def link(self, path: str, target: str) -> None:
        self.folder(os.path.dirname(path))
        entry = tarfile.TarInfo(path)
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
        self.tar.addfile(entry)

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
                self.tar.addfile(_file(path, facts.st_size, facts.st_mode & 0o755), content)


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
