"""A container registry that only gives: the images of OCI archives, over plain HTTP, or TLS. Runs in a machine's network, on the host, whose Python
is whole.

    registry.py PORT FOLDER [CERTIFICATE KEY]     serves all archives of the folder; says "serving N images" when it listens
"""

import http.server
import json
import shutil
import ssl
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving(machine, port: int, folder: Path, *credentials: Path):
    """A registry at the machine's own 127.0.0.1; over TLS with a certificate and its key."""
    words = ["ip", "netns", "exec", machine.lab.network_of(machine), sys.executable, __file__, str(port), folder, *credentials]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().startswith("serving ")
            yield
        finally:
            process.kill()


class Archives:
    """What the archives hold, by name and tag and by digest."""

    def __init__(self, folder: Path):
        self.manifests: dict[tuple[str, str], str] = {}  # ("etcd", "3.7.0-0") -> digest
        self.types: dict[str, str] = {}  # digest of a manifest -> media type
        self.blobs: dict[str, tuple[Path, int, int]] = {}  # digest -> archive, place, size
        for file in sorted(folder.glob("*.tar")):
            self.add(file)

    def add(self, file: Path) -> None:
        with tarfile.open(file) as archive:
            for member in archive:
                if member.isfile() and "/sha256/" in f"/{member.name}":
                    self.blobs["sha256:" + member.name.rsplit("/", 1)[1]] = (file, member.offset_data, member.size)
            index = json.load(archive.extractfile("index.json"))
        for manifest in index["manifests"]:
            reference = manifest["annotations"]["io.containerd.image.name"]
            name, tag = reference.split("/", 1)[1].rsplit(":", 1)
            self.manifests[name, tag] = manifest["digest"]
            self.types[manifest["digest"]] = manifest["mediaType"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    archives: Archives

    def do_GET(self):
        self.answer(with_body=True)

    def do_HEAD(self):
        self.answer(with_body=False)

    def answer(self, with_body: bool) -> None:
        digest, kind = self.wanted(self.path.partition("?")[0])
        if digest not in self.archives.blobs:
            self.send_response(200 if digest == "" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        file, place, size = self.archives.blobs[digest]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if with_body:
            with file.open("rb") as archive:
                archive.seek(place)
                shutil.copyfileobj(Part(archive, size), self.wfile, 1 << 20)

    def wanted(self, path: str) -> tuple[str, str]:
        """The digest and media type that a path names; ("", "") for the question whether this is a registry."""
        if path in ("/v2", "/v2/"):
            return "", ""
        for mark, kind in (("/manifests/", ""), ("/blobs/", "application/octet-stream")):
            name, found, reference = path.removeprefix("/v2/").rpartition(mark)
            if found:
                digest = self.archives.manifests.get((name, reference), reference)
                return digest, kind or self.archives.types.get(digest, "application/vnd.oci.image.manifest.v1+json")
        return "none", ""


class Part:
    """So many bytes of a file, from where it stands."""

    def __init__(self, file, left: int):
        self.file, self.left = file, left

    def read(self, size: int) -> bytes:
        data = self.file.read(min(size, self.left))
        self.left -= len(data)
        return data


if __name__ == "__main__":
    Handler.archives = Archives(Path(sys.argv[2]))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    if len(sys.argv) > 3:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[3:5])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"serving {len(Handler.archives.manifests)} images", flush=True)
    server.serve_forever()
