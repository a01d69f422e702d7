"""Uses the client that openapi-python-client makes, from the key to the export."""

import datetime
import os
import time

from triggers_client import AuthenticatedClient
from triggers_client.api.data_protection import export_events
from triggers_client.api.endpoints import create_endpoint
from triggers_client.api.events import post_event, post_events
from triggers_client.api.inbox import acknowledge_events, lease_events, list_inbox
from triggers_client.api.keys import create_key, create_tenant
from triggers_client.api.replay import create_replay
from triggers_client.models import (
    Accepted, AckRequest, CloudEvent, LeaseRequest, NewBatch, NewEndpoint, NewEvent, NewKey, NewReplay, NewTenant,
)

PATIENCE_SECONDS = 60


def client(header, value):
    return AuthenticatedClient(
        base_url=os.environ["URL"], token=value, auth_header_name=header, prefix="", raise_on_unexpected_status=True
    )


def eventually(what, ask):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := ask():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")


operator = client("X-Admin-Token", os.environ["ADMIN_TOKEN"])
tenant = create_tenant.sync(client=operator, body=NewTenant(organization_name="Generated"))
api = client("X-API-Key", tenant.api_key)
key = create_key.sync(client=api, body=NewKey.from_dict({"name": "Sender", "scopes": ["events:write"]}))
endpoint = create_endpoint.sync(client=api, body=NewEndpoint(url="http://127.0.0.1:1/hook", event_types=["order.*"]))
assert endpoint.secret.startswith("whsec_")

sender = client("X-API-Key", key.api_key)
sent = post_event.sync(client=sender, body=NewEvent.from_dict({"type": "user.created", "payload": {"id": 1}}))
assert isinstance(sent, Accepted), sent
cloud_event = CloudEvent.from_dict({"specversion": "1.0", "id": "c1", "source": "/story", "type": "user.renamed"})
sent = post_event.sync(client=sender, body=cloud_event)
assert isinstance(sent, Accepted), sent
batch = NewBatch.from_dict({"events": [{"type": "user.created", "payload": 2}]})
assert post_events.sync(client=sender, body=batch).accepted == 1



def three_events():
    found = list_inbox.sync(client=api).events
    return found if len(found) == 3 else None


events = eventually("three events are in the inbox", three_events)
assert {event.type_ for event in events} == {"user.created", "user.renamed"}
lease = lease_events.sync(client=api, body=LeaseRequest(lease_limit=10))
assert acknowledge_events.sync(client=api, body=AckRequest(lease_id=lease.lease_id))
since = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
assert create_replay.sync_detailed(client=api, body=NewReplay(since=since, dry_run=True)).status_code == 200
exported = export_events.sync_detailed(client=api)
assert exported.status_code == 200 and b"user.renamed" in exported.content
print("from the key to the export")
