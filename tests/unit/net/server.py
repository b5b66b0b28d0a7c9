#!/usr/bin/env python3
"""Small servers on loopback for the tests of net/: HTTP, HTTPS (with and without client certificates), gRPC on a unix socket.

Takes a folder with ca.crt, server.crt, server.key; prints the ports as one JSON line; ends when standard input is closed.
"""
import http.server
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time

folder = sys.argv[1]
connections = {"count": 0}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        connections["count"] += 1
        super().setup()

    def log_message(self, *args):
        pass

    def reply(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        if self.path.startswith("/status/"):
            self.reply(int(self.path.split("/")[2]), b"told so")
        elif self.path == "/slow":
            time.sleep(30)
            self.reply(200, b"late")
        elif self.path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
        elif self.path == "/close":
            self.close_connection = True
        elif self.path == "/watch":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(200):
                self.chunk(b"event %d\n" % number)
                time.sleep(0.05)
            self.chunk(b"")
        else:
            peer = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
            name = dict(item for part in peer["subject"] for item in part)["commonName"] if peer else ""
            sni = getattr(self.connection, "seen_name", "")
            told = {"method": self.command, "path": self.path, "body": body, "client": name, "sni": sni,
                    "connections": connections["count"],
                    "headers": {key.lower(): value for key, value in self.headers.items()}}
            self.reply(200, json.dumps(told).encode(), [("X-Twice", "a"), ("X-Twice", "b")])

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    def get_request(self):
        connection, address = super().get_request()
        if self.context:
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        pass


def tls(client_certificates, latest=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/server.crt", f"{folder}/server.key")
    if latest:
        context.maximum_version = latest
    if client_certificates:
        context.load_verify_locations(f"{folder}/ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
    context.sni_callback = lambda sock, name, _: setattr(sock, "seen_name", name or "")
    return context


def serve(context=None):
    server = Server(("127.0.0.1", 0), Handler)
    server.context = context
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header_block(*fields):
    """HPACK: literals without indexing, no Huffman code (RFC 7541, 6.2.2)."""
    block = b""
    for name, value in fields:
        block += b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return block


def message(payload):
    return b"\x00" + struct.pack(">I", len(payload)) + payload


def grpc_connection(connection):
    """HTTP/2 for one client: echoes the message of a call; the message's text chooses something else."""
    stream = connection.makefile("rb")
    if stream.read(24) != b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
        return connection.close()
    connection.sendall(frame(4, 0, 0, b""))
    bodies = {}
    while head := stream.read(9):
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        number = int.from_bytes(head[5:9], "big")
        payload = stream.read(length)
        if kind == 4 and not flags & 1:
            connection.sendall(frame(4, 1, 0, b""))
        if kind == 6 and not flags & 1:
            connection.sendall(frame(6, 1, 0, payload))
        if kind not in (0, 1):
            continue
        bodies[number] = bodies.get(number, b"") + (payload if kind == 0 else b"")
        if not flags & 1:
            continue
        asked = bodies.pop(number)[5:]
        opening = frame(1, 4, number, header_block((":status", "200"), ("content-type", "application/grpc")))
        closing = frame(1, 5, number, header_block(("grpc-status", "0")))
        if asked == b"refuse":
            connection.sendall(frame(1, 5, number, header_block(
                (":status", "200"), ("grpc-status", "5"), ("grpc-message", "no such %22image%22%0Aat all"))))
        elif asked == b"three":
            three = b"".join(message(part) for part in (b"one", b"", b"three"))
            connection.sendall(opening + frame(0, 0, number, three[:4]) + frame(0, 0, number, three[4:]) + closing)
        elif asked == b"hang":
            connection.sendall(opening)
        else:
            connection.sendall(opening + frame(0, 0, number, message(asked)) + closing)


def serve_grpc():
    path = f"{folder}/grpc.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def accept():
        while True:
            threading.Thread(target=grpc_connection, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return path


print(json.dumps({
    "http": serve(),
    "https": serve(tls(False)),
    "mutual": serve(tls(True)),
    "mutual12": serve(tls(True, ssl.TLSVersion.TLSv1_2)),
    "grpc": serve_grpc(),
}), flush=True)
sys.stdin.read()
os._exit(0)
