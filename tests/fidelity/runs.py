"""One case of tests/golden/cases, run by one program in a root folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path

import yaml
from api_server import ControlPlane, Entrance
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from reading import LOADER, Reader
from surroundings import be_called, make_root, own_network

# As tests/golden/render.cpp has them.
HOSTNAME = "Node-1"
CA_FOLDERS = ("/usr/share/ca-certificates", "/etc/ca-certificates")

ROTATED = "/var/lib/kubelet/pki/kubelet-client-current.pem"
CONFIG, PATCHES = "/root/setup.yaml", "/root/patches"
PATIENCE = 120


@dataclass
class Case:
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def machine(self) -> dict:
        file = self.folder / "machine.yaml"
        return yaml.load(file.read_text(), LOADER) if file.exists() else {}

    @cached_property
    def documents(self) -> dict[str, dict]:
        return {one["kind"]: one for one in yaml.load_all((self.folder / "setup.yaml").read_text(), LOADER)}

    def says(self, kind: str, path: str, otherwise=None):
        value = self.documents.get(kind, {})
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return otherwise if value is None else value

    @property
    def pki(self) -> str:
        return self.says("ClusterConfiguration", "certificatesDir", "/etc/kubernetes/pki")

    @property
    def port(self) -> int:
        return self.says("InitConfiguration", "localAPIEndpoint.bindPort", 6443)

    @property
    def hostname(self) -> str:
        return self.machine.get("hostname", HOSTNAME)

    @property
    def node(self) -> str:
        return self.says("InitConfiguration", "nodeRegistration.name", self.hostname).lower()

    @property
    def tokens(self) -> set[str]:
        return {one["token"].split(".")[0] for one in self.says("InitConfiguration", "bootstrapTokens", [])}

    @property
    def rotated(self) -> bool:
        """Whether the kubelet keeps a certificate of its own already."""
        return self.machine.get("rotatedCertificate", False)

    @property
    def commands(self) -> list[list[str]]:
        """The words after the program's name, for each run of it."""
        if phases := self.machine.get("phases"):
            return [["init", "phase", *phase.split("/")] for phase in phases]
        skipped = ["preflight", *self.says("InitConfiguration", "skipPhases", [])]  # the machine is none
        if not self.rotated:
            skipped.append("kubelet-finalize")
        return [["init", f"--skip-phases={','.join(skipped)}", *self.machine.get("flags", ())]]


def lay(case: Case, root: Path, kubeadm: Path) -> None:
    """What is on the machine before."""
    make_root(root, case.machine.get("systemdResolved", False), CA_FOLDERS)
    shutil.copy(case.folder / "setup.yaml", root / CONFIG.lstrip("/"))
    if (case.folder / "patches").exists():
        shutil.copytree(case.folder / "patches", root / PATCHES.lstrip("/"))
    if case.rotated:
        lay_foreign_pair(root, ROTATED, None)
    files = case.says("ClusterConfiguration", "etcd.external", {})
    if "keyFile" in files:
        lay_foreign_pair(root, files["certFile"], files["keyFile"])
        lay_foreign_pair(root, files["caFile"], None)
    if authority := case.machine.get("externalAuthority"):
        for phase in ("certs", "kubeconfig"):
            call(kubeadm, ["init", "phase", phase, "all"], case, root)
        (root / case.pki.lstrip("/") / f"{authority.replace('etcd-', 'etcd/')}.key").unlink()


def lay_foreign_pair(root: Path, certificate: str, key_file: str | None) -> None:
    """A certificate of somebody else's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, Path(certificate).stem)])
    now = datetime.now(timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=9))
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    pem = made.add_extension(ski, critical=False).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    for path, content in ((certificate, pem), (key_file, private)):
        if path:
            at = root / path.lstrip("/")
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(content)


def call(program: Path, words: list[str], case: Case, root: Path) -> str:
    """Runs the program beneath the root folder; what it said on standard output."""
    be_called(case.hostname)
    # kubeadm goes into the root before it looks for programs; kubestrap looks on the machine that it runs on.
    environment = {"HOME": "/root", "PATH": f"/bin:{root}/bin" if program.name == "kubeadm" else f"{root}/bin"}
    environment |= case.machine.get("proxyVariables", {})
    layout = ["--layout", "plain"] if program.name != "kubeadm" and words[0] == "init" else []  # kubeadm's
    command = [program, *words, "--config", CONFIG, "--rootfs", str(root), *layout]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def outcome(program: Path, case: Case, root: Path, kubeadm: Path, plane: ControlPlane) -> dict[str, object]:
    """All that this program makes of the case: files below the root, and objects in the cluster."""
    lay(case, root, kubeadm)
    before = {"/" + str(path.relative_to(root)) for path in root.rglob("*")}
    kept = {name for name in before if not name.startswith(case.pki)} if case.machine.get("externalAuthority") else before
    began = datetime.now(timezone.utc)
    with Entrance(plane, root, case.pki, case.port, case.node) as entrance:
        for words in case.commands:
            call(program, words, case, root)
        objects = entrance.objects()
    images = call(program, ["config", "images", "list"], case, root).split()
    reader = Reader(root, began, case.says("InitConfiguration", "certificateKey", ""))
    return {"images": images} | reader.files(kept) | reader.objects(objects, case.tokens)


class Lane:
    """The runs of one program, one after the other, in a network and against an API server of their own."""

    def __init__(self, program: Path, components: Path, folder: Path):
        self.program, self.kubeadm, self.folder = program, components / "kubeadm", folder
        # A network belongs to the thread that made it, and to what this thread starts.
        self.thread, self.surroundings = ThreadPoolExecutor(1), ExitStack()
        self.ready = self.thread.submit(self._surround, components)
        self.started: list[Future] = []

    def _surround(self, components: Path) -> ControlPlane:
        self.surroundings.enter_context(own_network())
        return self.surroundings.enter_context(ControlPlane(components, self.folder))

    def start(self, case: Case) -> Future:
        self.started.append(self.thread.submit(self._outcome, case))
        return self.started[-1]

    def _outcome(self, case: Case) -> dict[str, object]:
        root = self.folder / case.name
        try:
            return outcome(self.program, case, root, self.kubeadm, self.ready.result())
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def end(self) -> None:
        for future in self.started:
            future.cancel()
        self.thread.submit(self.surroundings.close).result()
        self.thread.shutdown()


def programs() -> tuple[Path, Path]:
    """The folder of the real components that the lab built, and our release binary."""
    root = Path(__file__).resolve().parents[2]
    components = os.environ.get("KUBESTRAP_COMPONENTS")
    if not components:
        made = subprocess.run([root / "lab/components", "1.37.2"], check=True, stdout=subprocess.PIPE, text=True)
        components = made.stdout.strip().splitlines()[-1]
    ours = root / "build/release/kubestrap"
    assert ours.exists(), "build it first: ./build.sh release"
    return Path(components), ours
