"""What is in an OCI archive: for the tests of whoever writes one."""

import json
import tarfile
from pathlib import Path
from typing import NamedTuple


class Archive(NamedTuple):
    index: dict
    manifest: dict
    config: dict
    entries: dict[str, tarfile.TarInfo]  # of its one layer
    contents: dict[str, bytes]  # of the files among them


def read(path: Path) -> Archive:
    with tarfile.open(path) as tar:

        def blob(digest):
            return tar.extractfile("blobs/" + digest.replace(":", "/"))

        index = json.load(tar.extractfile("index.json"))
        manifest = json.load(blob(index["manifests"][0]["digest"]))
        config = json.load(blob(manifest["config"]["digest"]))
        with tarfile.open(fileobj=blob(manifest["layers"][0]["digest"])) as layer:
            entries = {entry.name: entry for entry in layer.getmembers()}
            contents = {entry.name: layer.extractfile(entry).read() for entry in layer.getmembers() if entry.isfile()}
    return Archive(index, manifest, config, entries, contents)
