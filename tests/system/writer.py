"""A client that writes something new over and over and another one that watches it, both by the same API server's address; and what of it was lost.

Run as a program in a machine's network namespace: `writer.py HOST PORT INTERVAL NAMESPACE CREDENTIALS`, the last a file with a client's certificate and key.
It ends when its standard input does, and prints a JSON document: writes that were acknowledged, those that failed, the longest time without an acknowledged
one, how often the watch was cut off and the longest time in which it told nothing, and which acknowledged writes are not there at the end.
"""

import http.client
import json
import select
import ssl
import sys
import threading
import time

PATIENCE = 10


class Client:
    def __init__(self, host: str, port: int, namespace: str, credentials: str):
        self.at = host, port
        self.path = f"/api/v1/namespaces/{namespace}/configmaps"
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.context.load_cert_chain(credentials)

    def open(self, method: str, more: str = "", body: dict | None = None):
        connection = http.client.HTTPSConnection(*self.at, timeout=PATIENCE, context=self.context)
        headers = {"Host": "kubernetes", "Content-Type": "application/json"}
        connection.request(method, self.path + more, body=json.dumps(body) if body else None, headers=headers)
        return connection, connection.getresponse()

    def write(self, name: str) -> str | None:
        """What went wrong; nothing when it was acknowledged."""
        try:
            connection, answer = self.open("POST", body={"metadata": {"name": name}})
            said = answer.read()
            connection.close()
            return None if answer.status == 201 else f"status {answer.status}: {said[:200].decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as failed:
            return f"{type(failed).__name__}: {failed}"

    def names(self) -> set[str]:
        """All that is there; asked until there is an answer."""
        deadline = time.monotonic() + 120
        while True:
            try:
                connection, answer = self.open("GET")
                said = json.loads(answer.read())
                connection.close()
                return {each["metadata"]["name"] for each in said["items"]}
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


class Watch(threading.Thread):
    """Tells when it last heard of a write; begins again where it ended when it is cut off."""

    def __init__(self, client: Client):
        super().__init__(daemon=True)
        self.client, self.told, self.gap, self.begins = client, time.monotonic(), 0.0, 0

    def run(self) -> None:
        while True:
            try:
                connection, answer = self.client.open("GET", "?watch=1&timeoutSeconds=3600")
                self.begins += 1
                while line := answer.readline():
                    if b'"ERROR"' in line[:40]:
                        break
                    now = time.monotonic()
                    self.gap, self.told = max(self.gap, now - self.told), now
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)


def work(client: Client, interval: float, ended) -> dict:
    watch = Watch(client)
    watch.start()
    acknowledged, failed, longest = [], [], 0.0
    begin = answered = time.monotonic()
    number = 0
    while not ended(interval):
        number += 1
        asked = time.monotonic()
        error = client.write(f"w{number:06}")
        now = time.monotonic()
        if error is None:
            acknowledged.append(f"w{number:06}")
            longest, answered = max(longest, now - answered), now
        else:
            failed.append({"after": round(asked - begin, 3), "took": round(now - asked, 3), "error": error})
    time.sleep(1)
    lost = sorted(set(acknowledged) - client.names())
    return {"acknowledged": len(acknowledged), "failed": failed, "longestGap": longest, "watches": watch.begins, "watchGap": watch.gap, "lost": lost}


if __name__ == "__main__":
    print("asking", flush=True)
    print(json.dumps(work(Client(sys.argv[1], int(sys.argv[2]), *sys.argv[4:6]), float(sys.argv[3]), lambda pause: select.select([sys.stdin], [], [], pause)[0])))
