"""Sends one CloudEvent 1.0 in the structured JSON form. Standard library only. URL and KEY come from the environment."""

import json
import os
import sys
import urllib.request
from datetime import datetime, timezone

# ANCHOR: send
event = {
    "specversion": "1.0",
    "id": sys.argv[1] if len(sys.argv) > 1 else "order-1042",
    "source": "/shop",
    "type": "order.created",
    "time": datetime.now(timezone.utc).isoformat(),
    "datacontenttype": "application/json",
    "data": {"order": "A-1042", "total": 79.9},
}
request = urllib.request.Request(
    os.environ["URL"] + "/api/events",
    json.dumps(event).encode(),
    {"X-API-Key": os.environ["KEY"], "Content-Type": "application/cloudevents+json"},
)
with urllib.request.urlopen(request, timeout=30) as answer:  # source and id name the event: a repeat is a duplicate
    accepted = json.load(answer)
print(accepted["status"], accepted["id"])
# ANCHOR_END: send
