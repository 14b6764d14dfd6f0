"""LiteLLM's health: it answers, and once for each start, no provider refuses its key.

Asks for what costs nothing. Only a clear 401 counts: a provider that is down, or a key that may not
list models, is no reason to keep a configuration from being deployed.
"""

import os
import socket
import sys
import time

PORT = int(sys.argv[1])
KEYS = os.path.join(os.path.dirname(__file__), "keys.json")
STATE = os.environ.get("TMPDIR", "/tmp")
CHECKED = os.path.join(STATE, "keys-checked")
REFUSED = os.path.join(STATE, "keys-refused")
AGAIN_SECONDS = 60
PROVIDER_SECONDS = 3


def answers():
    """Tell whether LiteLLM is ready; knock for a while, so that its start ends when it is."""
    for _ in range(60):
        try:
            with socket.create_connection(("127.0.0.1", PORT), 3) as connection:
                connection.sendall(b"GET /health/readiness HTTP/1.0\r\nHost: localhost\r\n\r\n")
                if b" 200 " in connection.recv(64):
                    return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


def resolved(value):
    """Return what a value of LiteLLM's configuration stands for."""
    name = value.removeprefix("os.environ/")
    return value if name == value else os.environ[name]


def refusal(check):
    """Ask one provider; return its refusal."""
    import http.client
    import urllib.error
    import urllib.request

    headers = {check["header"]: check["scheme"] + os.environ[check["variable"]]}
    # The library's own name is turned away by some.
    headers |= {"User-Agent": "llm-gateway", **check["headers"]}
    request = urllib.request.Request(resolved(check["base"]) + check["path"], headers=headers)
    try:
        urllib.request.urlopen(request, timeout=PROVIDER_SECONDS).close()
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return f"{check['provider']} refuses the key in {check['variable']}: set another"
    except (OSError, http.client.HTTPException):
        pass
    return None


def refusals():
    """Ask every provider at once; return what those say that refuse."""
    # Imported here and above: a probe comes every few seconds, and these are most of its cost.
    import json
    from concurrent.futures import ThreadPoolExecutor

    with open(KEYS) as file:
        checks = json.load(file)
    with ThreadPoolExecutor(max(len(checks), 1)) as pool:
        return [text for text in pool.map(refusal, checks) if text]


def keys_are_accepted():
    """Tell whether no provider refuses; remember it, so that none is asked with each probe."""
    if os.path.exists(CHECKED):
        return True
    if os.path.exists(REFUSED) and time.time() - os.path.getmtime(REFUSED) < AGAIN_SECONDS:
        with open(REFUSED) as file:
            print(file.read())
        return False
    found = "; ".join(refusals())
    with open(REFUSED if found else CHECKED, "w") as file:
        file.write(found)
    print(found)
    return not found


sys.exit(not (answers() and keys_are_accepted()))
