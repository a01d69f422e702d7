"""A mock source: sends realistic events of a shop, a CRM and sensors. Standard library only.

URL and KEY come from the environment. The program ends after --count events.
"""

import argparse
import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone

PRODUCTS = [("mug-blue", 1290), ("mug-green", 1290), ("poster-a2", 2400), ("notebook", 850), ("lamp-desk", 4990)]
CITIES = ["Berlin", "Lyon", "Porto", "Gdańsk", "Kraków", "Malmö"]
PEOPLE = ["Ada Diaz", "Noor Haddad", "Zoë Müller", "Li Wei", "Tom O'Neil", "Ana Souza"]
STAGES = ["qualified", "proposal", "negotiation", "won", "lost"]


class World:
    """What the events are about. The same seed tells the same story."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.now = datetime.now(timezone.utc)
        self.orders = {}  # number -> (total in cents, state)
        self.deals = {}  # id -> place in STAGES
        self.temperatures = {f"sensor-{n:02}": self.random.uniform(18, 24) for n in range(1, 9)}

    def next(self, kinds: list) -> tuple:
        """Returns the type and the payload of the next event."""
        self.now += timedelta(milliseconds=self.random.randint(20, 2000))
        return getattr(self, "of_" + self.random.choice(kinds))()

    def time(self) -> str:
        return self.now.isoformat(timespec="milliseconds")

    def of_shop(self) -> tuple:
        is_open = [number for number, (_, state) in self.orders.items() if state != "shipped"]
        if not is_open or self.random.random() < 0.5:
            number = f"A-{1000 + len(self.orders)}"
            chosen = self.random.sample(PRODUCTS, self.random.randint(1, 3))
            items = [{"sku": sku, "count": self.random.randint(1, 3), "price_cents": cents} for sku, cents in chosen]
            total = sum(item["count"] * item["price_cents"] for item in items)
            self.orders[number] = (total, "created")
            return "order.created", {
                "order": number, "customer": self.random.choice(PEOPLE), "items": items,
                "total_cents": total, "currency": "EUR", "created_at": self.time(),
            }
        number = self.random.choice(is_open)
        total, state = self.orders[number]
        if state == "created":
            self.orders[number] = (total, "paid")
            method = self.random.choice(["card", "invoice", "sepa"])
            return "order.paid", {
                "order": number, "total_cents": total, "currency": "EUR", "method": method, "paid_at": self.time(),
            }
        self.orders[number] = (total, "shipped")
        return "order.shipped", {
            "order": number, "carrier": self.random.choice(["DHL", "GLS", "UPS"]),
            "tracking": f"{self.random.randrange(10**12):012}", "city": self.random.choice(CITIES),
            "shipped_at": self.time(),
        }

    def of_crm(self) -> tuple:
        is_open = [deal for deal, stage in self.deals.items() if stage < 3]
        if is_open and self.random.random() < 0.5:
            deal = self.random.choice(is_open)
            before = self.deals[deal]
            self.deals[deal] = self.random.choice([3, 4]) if before == 2 else before + 1
            return "deal.moved", {
                "deal": deal, "from": STAGES[before], "to": STAGES[self.deals[deal]], "moved_at": self.time(),
            }
        name = self.random.choice(PEOPLE)
        deal = f"D-{500 + len(self.deals)}"
        self.deals[deal] = 0
        return "contact.created", {
            "contact": f"C-{self.random.randrange(10**6):06}", "name": name, "city": self.random.choice(CITIES),
            "email": name.lower().replace(" ", ".").replace("'", "").encode("ascii", "ignore").decode() + "@example.com",
            "deal": deal, "created_at": self.time(),
        }

    def of_sensors(self) -> tuple:
        sensor = self.random.choice(list(self.temperatures))
        value = self.temperatures[sensor] = self.temperatures[sensor] + self.random.gauss(0, 0.8)
        reading = {"sensor": sensor, "celsius": round(value, 2), "measured_at": self.time()}
        if 16 <= value <= 26:
            return "reading.recorded", {**reading, "battery_percent": self.random.randint(20, 100)}
        self.temperatures[sensor] = 21.0  # someone repairs it
        return "alarm.raised", {**reading, "limit_celsius": 16 if value < 16 else 26}


# ANCHOR: send
def send(event: dict) -> str:
    """Sends one event until it has an answer. Returns its status: accepted or duplicate."""
    headers = {"X-API-Key": os.environ["KEY"], "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["URL"] + "/api/events", json.dumps(event).encode(), headers)
    while True:
        wait = 2
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["status"]
        except urllib.error.HTTPError as error:
            if error.code == 409:  # an earlier attempt was accepted, and its answer was lost
                return "duplicate"
            if error.code not in (429, 503):
                raise SystemExit(f"{error.code} {json.load(error)['detail']}") from None
            wait = int(error.headers.get("Retry-After", wait))
            print(f"{error.code}: waiting {wait} s", file=sys.stderr, flush=True)
        except (OSError, http.client.HTTPException) as error:
            print(f"{error}: waiting {wait} s", file=sys.stderr, flush=True)
        time.sleep(wait)
# ANCHOR_END: send


def main() -> None:
    parser = argparse.ArgumentParser(description="Sends realistic events at a chosen rate.")
    parser.add_argument("--count", type=int, default=100, help="number of events (default 100)")
    parser.add_argument("--rate", type=float, default=5, help="events per second (default 5; free tier: 100 per minute)")
    parser.add_argument("--kinds", default="shop,crm,sensors", help="which kinds (default shop,crm,sensors)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same story (default 1)")
    parser.add_argument("--print", action="store_true", help="print the events, and send nothing")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if not set(kinds) <= {"shop", "crm", "sensors"} or options.rate <= 0:
        parser.error("--kinds has shop, crm and sensors only, and --rate is above 0")

    world, run, begin, counts = World(options.seed), uuid.uuid4().hex[:12], time.monotonic(), {}
    for n in range(options.count):
        event_type, payload = world.next(kinds)
        event = {"type": event_type, "payload": payload, "dedup_id": f"source-{run}-{n}"}
        if options.print:
            print(json.dumps(event))
            continue
        time.sleep(max(0, begin + n / options.rate - time.monotonic()))
        send(event)
        counts[event_type] = counts.get(event_type, 0) + 1
    if not options.print:
        print(f"{sum(counts.values())} events accepted:", json.dumps(counts))


main()
