"""Sends one event. Standard library only. URL and KEY come from the environment."""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request

ATTEMPTS = 5


# ANCHOR: send
def send(event_type: str, payload: dict, dedup_id: str) -> str:
    """Returns the id of the event. Repeats the request until it has an answer: with a dedup_id it is stored once."""
    body = json.dumps({"type": event_type, "payload": payload, "dedup_id": dedup_id}).encode()
    headers = {"X-API-Key": os.environ["KEY"], "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["URL"] + "/api/events", body, headers)
    for attempt in range(1, ATTEMPTS + 1):
        wait = 2**attempt
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["id"]
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            if error.code == 409:  # accepted before, by an earlier attempt for example
                return problem["id"]
            if error.code not in (429, 503):  # a repeat would get the same answer
                raise RuntimeError(f"{error.code} {problem['detail']}") from None
            wait = int(error.headers.get("Retry-After", wait))
        except (OSError, http.client.HTTPException) as error:  # no answer: it may be accepted or not
            problem = {"detail": str(error)}
        if attempt < ATTEMPTS:
            time.sleep(wait)
    raise RuntimeError(f"no success in {ATTEMPTS} attempts: {problem['detail']}")
# ANCHOR_END: send


name = sys.argv[1] if len(sys.argv) > 1 else "order-1042"
print("accepted", send("order.created", {"order": "A-1042", "total": 79.9}, name))
