"""A receiver of webhooks: verifies the signature by Standard Webhooks 1.0 (v1). Standard library only."""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_SECONDS = 5 * 60
SECRET = base64.b64decode(os.environ.get("WEBHOOK_SECRET", "").removeprefix("whsec_"))
if not SECRET:
    raise SystemExit("set WEBHOOK_SECRET to the secret of the endpoint (whsec_...)")


# ANCHOR: verify
def verify(headers, body: bytes) -> str:
    """Returns the id of the event. Raises ValueError if the request is not a webhook of the last minutes."""
    event_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise ValueError("no webhook-timestamp")
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        raise ValueError("webhook-timestamp is too far from now")
    content = f"{event_id}.{timestamp}.".encode() + body  # the exact bytes, before any JSON parser
    expected = b"v1," + base64.b64encode(hmac.new(SECRET, content, hashlib.sha256).digest())
    # During a rotation of the secret there are two signatures. compare_digest takes the same time for all inputs.
    signatures = headers.get("webhook-signature", "").encode().split(b" ")
    if not any(hmac.compare_digest(signature, expected) for signature in signatures):
        raise ValueError("no signature matches")
    return event_id
# ANCHOR_END: verify


done = set()  # in production: a table with a unique key, written in the transaction of the work


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            event_id = verify(self.headers, body)
        except ValueError as error:
            return self.answer(400, str(error))
        if event_id not in done:  # a retry after a lost answer has the same webhook-id
            event = json.loads(body)
            print("received", event["type"], event_id, event["payload"], flush=True)
            done.add(event_id)
        self.answer(200, "ok")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Writes no access log."""


port = int(os.environ.get("PORT", "3000"))
print(f"listening on http://127.0.0.1:{port}", flush=True)
ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
