"""A worker: leases events from the inbox, works, and acknowledges. Standard library only.

    python3 worker.py [--until-empty] [COMMAND ...]

COMMAND gets each event as JSON on its standard input; exit code 0 means done. Without a command, events are printed.
URL and KEY come from the environment. The key needs the scope inbox:ack.
"""

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

LEASE_SECONDS = int(os.environ.get("LEASE_SECONDS", "60"))
LEASE_LIMIT = 10
RELEASE_DELAY_SECONDS = int(os.environ.get("RELEASE_DELAY_SECONDS", "30"))
MAX_PAUSE_SECONDS = 10


class LeaseLost(Exception):
    """The lease has ended, or others have its events now."""


def call(path: str, body: dict) -> dict:
    """Posts JSON and returns the JSON of the answer. Waits and repeats after 429, 503 and a lost connection."""
    headers = {"X-API-Key": os.environ["KEY"], "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["URL"] + path, json.dumps(body).encode(), headers)
    while True:
        wait = 2
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 409:
                raise LeaseLost from None
            if error.code not in (429, 503):
                raise RuntimeError(f"{path}: {error.code} {json.load(error)['detail']}") from None
            wait = int(error.headers.get("Retry-After", wait))
        except (OSError, http.client.HTTPException) as error:
            print(f"{path}: {error}; trying again", file=sys.stderr)
        time.sleep(wait)


# ANCHOR: work
class Lease:
    """The events of one lease, and the time until others can have them."""

    def __init__(self):
        self.renewed_at = time.monotonic()
        answer = call("/api/inbox/lease", {"lease_seconds": LEASE_SECONDS, "lease_limit": LEASE_LIMIT})
        self.id, self.events = answer["lease_id"], answer["results"]

    def renew_if_due(self) -> None:
        """Extends the lease after a third of its time. The events that still wait in it need this too."""
        if time.monotonic() - self.renewed_at >= LEASE_SECONDS / 3:
            self.renewed_at = time.monotonic()
            call("/api/inbox/extend", {"lease_id": self.id, "lease_seconds": LEASE_SECONDS})


def work(command: list, event: dict, lease: Lease) -> bool:
    """Works on one event, and renews the lease while that takes long. Returns whether it succeeded."""
    if not command:
        print(event["id"], event["type"], event["payload"], flush=True)
        return True
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    message = json.dumps(event)
    while True:
        try:
            process.communicate(message, timeout=LEASE_SECONDS / 6)
            return process.returncode == 0
        except subprocess.TimeoutExpired:
            message = None  # it was sent
            try:
                lease.renew_if_due()
            except LeaseLost:
                process.kill()  # another worker may have the event now
                process.communicate()
                raise


def run_once(command: list) -> bool:
    """Leases events and works on each. Returns whether there was one."""
    lease = Lease()
    try:
        for event in lease.events:
            lease.renew_if_due()
            names = {"lease_id": lease.id, "event_ids": [event["id"]]}
            if work(command, event, lease):
                call("/api/inbox/ack", names)
            else:  # it can be leased again after the delay; after 10 leases it is quarantined
                call("/api/inbox/release", {**names, "delay_seconds": RELEASE_DELAY_SECONDS})
    except LeaseLost:
        print("the lease has ended; its events come again", file=sys.stderr)
    return bool(lease.events)
# ANCHOR_END: work


def main(arguments: list) -> None:
    until_empty = arguments[:1] == ["--until-empty"]
    command = arguments[1:] if until_empty else arguments
    pause = 1
    while True:
        if run_once(command):
            pause = 1
        elif until_empty:
            return
        else:
            time.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)


try:
    main(sys.argv[1:])
except KeyboardInterrupt:
    pass
