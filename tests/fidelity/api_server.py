"""A real etcd and a real API server that every run writes to, each through an entrance that has its own address and certificate.

The entrance takes the place of the static pod: it answers at the address and port that a case asks for, with the certificate that the
root folder holds by then, and passes every request on as a member of system:masters. It answers at the health ports of the kubelet, the controller-manager and the scheduler, too.
"""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY
from socketserver import TCPServer

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ETCD, BEHIND = "http://127.0.0.1:2379", 16443
KUBELET_PORT, SECURE_HEALTH_PORTS = 10248, (10257, 10259)
TOKEN = "of-the-entrance"
SERVICE_RANGES = "10.96.0.0/12,fd00:10:96::/112"  # those of the cases lie in these
PATIENCE = 180

CORE, RBAC, APPS = "/api/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/apps/v1"
KINDS = (
    *((CORE, kind, f"{kind.lower()}s") for kind in ("Node", "ConfigMap", "Secret", "Service", "ServiceAccount")),
    *((RBAC, kind, f"{kind.lower()}s") for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")),
    *((APPS, kind, f"{kind.lower()}s") for kind in ("Deployment", "DaemonSet")),
)


class ControlPlane:
    """etcd and kube-apiserver as long as it is a context."""

    def __init__(self, components: Path, folder: Path):
        self.components, self.folder = components, folder
        self.processes: list[subprocess.Popen] = []
        self.idle: list[http.client.HTTPSConnection] = []
        self.own: dict[str, dict] = {}  # the objects that it makes itself

    def __enter__(self) -> ControlPlane:
        (self.folder / "tokens.csv").write_text(f"{TOKEN},entrance,1,system:masters\n")
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        (self.folder / "sa.key").write_bytes(key)
        self._start("etcd", f"--data-dir={self.folder}/data", f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}",
                    "--unsafe-no-fsync")
        self._start("kube-apiserver", f"--etcd-servers={ETCD}", f"--secure-port={BEHIND}", "--bind-address=127.0.0.1",
                    f"--cert-dir={self.folder}/serving", f"--token-auth-file={self.folder}/tokens.csv",
                    f"--service-account-key-file={self.folder}/sa.key", f"--service-account-signing-key-file={self.folder}/sa.key",
                    "--service-account-issuer=https://kubernetes.default.svc", f"--service-cluster-ip-range={SERVICE_RANGES}",
                    "--authorization-mode=RBAC", "--allow-privileged=true", "--endpoint-reconciler-type=none")
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        self.own = self.listing()
        return self

    def __exit__(self, *_) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def _start(self, program: str, *flags: str) -> None:
        with open(self.folder / f"{program}.log", "wb") as log:
            self.processes.append(subprocess.Popen([self.components / program, *flags], stdout=log, stderr=log))

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self.request("GET", "/readyz")[0] == 200 and self.request("GET", "/api/v1/namespaces/kube-public")[0] == 200:
                    return
            except OSError:
                pass
            ended = [process.args[0].name for process in self.processes if process.poll() is not None]
            tail = (self.folder / "kube-apiserver.log").read_text()[-2000:]
            assert not ended and time.monotonic() < deadline, f"the API server did not come up; ended: {ended}\n{tail}"
            time.sleep(0.1)

    def request(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None):
        """Status, type and body of the answer."""
        context = ssl._create_unverified_context()  # it makes its certificate itself
        connection = self.idle.pop() if self.idle else http.client.HTTPSConnection("127.0.0.1", BEHIND, timeout=30, context=context)
        connection.request(method, target, body or None, (headers or {}) | {"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        said = answer.status, answer.getheader("Content-Type", ""), answer.read()
        self.idle.append(connection)
        return said

    def listing(self) -> dict[str, dict]:
        """Every object of the kinds that `init` makes, by its path."""
        found = {}
        for prefix, kind, resource in KINDS:
            for one in self.json("GET", f"{prefix}/{resource}")["items"]:
                space = one["metadata"].get("namespace")
                at = f"{prefix}/namespaces/{space}/{resource}" if space else f"{prefix}/{resource}"
                found[f"{at}/{one['metadata']['name']}"] = {"kind": kind} | one
        return {path: one for path, one in found.items() if one["metadata"].get("namespace") != "default"}

    def json(self, method: str, target: str, document: dict | None = None) -> dict:
        body = json.dumps(document).encode() if document else b""
        status, _, answer = self.request(method, target, body, {"Content-Type": "application/json"})
        assert status < 300, f"{method} {target}: {status} {answer.decode()}"
        return json.loads(answer)


class Server(ThreadingHTTPServer):
    address_family = AF_INET6
    daemon_threads = True

    def __init__(self, port: int, handler, certificate: Path | None):
        self.certificate, self.context = certificate, None
        super().__init__(("::", port), handler)

    def server_bind(self):
        self.socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)  # an HTTPServer's asks for its name, which no one here can say

    def finish_request(self, request, client_address):
        if self.certificate:
            request = self._with_certificate().wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def _with_certificate(self) -> ssl.SSLContext:
        if not self.context:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.certificate.with_suffix(".key"))
            self.context = context
        return self.context

    def handle_error(self, request, client_address):
        pass  # a client that hangs up


class Entrance:
    """Open as long as it is a context; leaving it removes what was made meanwhile."""

    def __init__(self, plane: ControlPlane, root: Path, pki: str, port: int, node: str):
        self.plane, self.node = plane, node
        certificate, handler = root / pki.lstrip("/") / "apiserver.crt", _handler(plane)
        self.servers = [Server(one, handler, certificate) for one in (port, *SECURE_HEALTH_PORTS)]
        self.servers.append(Server(KUBELET_PORT, handler, None))

    def __enter__(self) -> Entrance:
        meta = {"name": self.node, "labels": {"kubernetes.io/hostname": self.node}}
        self.plane.json("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": meta})
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        for path in self._made():
            self.plane.json("DELETE", path)

    def _made(self) -> dict[str, dict]:
        found, own = self.plane.listing(), self.plane.own
        changed = [path for path in own if found.get(path, {}).get("rules") != own[path].get("rules")]
        assert not changed, f"the API server's own objects are not as before: {changed}"
        return {path: one for path, one in found.items() if path not in own}

    def objects(self) -> list[dict]:
        return list(self._made().values())


def _handler(plane: ControlPlane):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece, or the other side acknowledges the first part 40 ms later

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: self.headers[name] for name in ("Accept", "Content-Type") if self.headers[name]}
            if self.path.startswith("/api"):
                status, kind, said = plane.request(self.command, self.path, body, headers)
            else:
                status, kind, said = 200, "text/plain", b"ok"  # health
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_):
            pass

    return Handler
