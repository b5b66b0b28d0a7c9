"""A client that asks an API server's address over and over, each time by a new TLS connection, and tells how that went.

Run as a program in a machine's network namespace: `prober.py HOST PORT INTERVAL PATH [CREDENTIALS [AUTHORITY]]`, the last two files or "". With
a client's certificate and key it writes to the ConfigMap at PATH, each time something else. With an authority, which it reads once, it takes no
server that this has not signed. It ends when its standard input does, and prints a JSON document:
requests, those that failed (moment, seconds taken, error), those that failed again when they were tried once more, and the longest time without an answer.
"""

import http.client
import json
import select
import ssl
import sys
import time

PATIENCE = 10


def request(path: str, writes: bool) -> tuple[str, str, str | None]:
    return ("PATCH", path, json.dumps({"data": {"written": str(time.time())}})) if writes else ("GET", path, None)


def message(said: bytes) -> str:
    """Of a Status, as an API server answers."""
    try:
        return json.loads(said)["message"]
    except (ValueError, KeyError, TypeError):
        return said[:200].decode(errors="replace")


def ask(host: str, port: int, path: str, writes: bool, context: ssl.SSLContext) -> str | None:
    """What went wrong; nothing when all was well."""
    connection = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)
    try:
        connection.request(*request(path, writes), headers={"Host": "kubernetes"} | ({"Content-Type": "application/merge-patch+json"} if writes else {}))
        answer = connection.getresponse()
        said = answer.read()
        return None if answer.status == 200 else f"status {answer.status}: {message(said)}"
    except (OSError, http.client.HTTPException) as failed:
        return f"{type(failed).__name__}: {failed}"
    finally:
        connection.close()


def probe(host: str, port: int, interval: float, path: str, credentials: str, authority: str, ended) -> dict:
    context = ssl.create_default_context(cafile=authority or None)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if authority else ssl.CERT_NONE
    if credentials:
        context.load_cert_chain(credentials)
    result = {"requests": 0, "failed": [], "failedTwice": [], "longestGap": 0.0}
    begin = answered = time.monotonic()
    while not ended(interval):
        asked = time.monotonic()
        result["requests"] += 1
        for kept in "failed", "failedTwice":
            error = ask(host, port, path, bool(credentials), context)
            now = time.monotonic()
            if error is None:
                result["longestGap"] = max(result["longestGap"], now - answered)
                answered = now
                break
            result[kept].append({"after": round(asked - begin, 3), "took": round(now - asked, 3), "error": error})
    return result


if __name__ == "__main__":
    given = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], *[*sys.argv[5:7], "", ""][:2]
    print("asking", flush=True)
    print(json.dumps(probe(*given, lambda pause: select.select([sys.stdin], [], [], pause)[0])))
