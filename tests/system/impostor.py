"""Answers in an API server's place, with a certificate of its own: impostor.py ADDRESS PORT CERTIFICATE-AND-KEY CLUSTER-INFO

Serves that file as ConfigMap kube-public/cluster-info, and says of each request its path and which secrets it brought along.
"""

import http.server
import ssl
import sys

CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster_info = b""

    def do_GET(self):
        print(self.path, self.headers.get("Authorization", "no credentials"), flush=True)
        found = self.path == CLUSTER_INFO
        content = self.cluster_info if found else b"{}"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    address, port, certificate, file = sys.argv[1:]
    with open(file, "rb") as content:
        Handler.cluster_info = content.read()
    server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("serving", flush=True)
    server.serve_forever()
