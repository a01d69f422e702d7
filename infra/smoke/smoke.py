"""Tries a deployed stack: not yet run on AWS.

    .venv/bin/python infra/smoke/smoke.py --stack triggers-test --receiver https://receiver.example.com/hook

It takes under 30 minutes and under $1. It makes a tenant, posts events, puts each alarm into ALARM and back to OK, rotates the pepper, and restarts every function
under load. So it belongs on a stack of its own, not on one with customers. It prints one line for each step, then a line of JSON, and ends with 1 if
a step failed. The story `deployed::smoke` runs it against the local emulator.
"""

import argparse
import concurrent.futures
import json
import statistics
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

import boto3

FUNCTIONS = ("Ingest", "Consumer", "Delivery", "Scheduler", "Drain", "Api")

# Functions that read the pepper when they start.
PEPPERED = ("Ingest", "Api")

# Every function is tried for as long as this after its restart.
SECONDS_AFTER_RESTART = 5

# No step may begin later than this.
MAX_SECONDS = 25 * 60

# What `cargo cost` says of an event of the scenario "sparse", and of a month without events, of a full stack and of the smallest one. A story
# compares them.
MICRO_DOLLARS_PER_MILLION_EVENTS = 13337650
DOLLARS_PER_MONTH = 10.87
DOLLARS_PER_MONTH_OF_THE_SMALLEST = 5.07

# The parameters of the smallest stack.
SMALLEST = {"Alarms": "urgent", "Dashboard": "off"}


class Failed(Exception):
    """A step that did not show what it must show."""


def check(is_right, message):
    """Ends the step unless this holds."""
    if not is_right:
        raise Failed(message)


class Api:
    """The HTTP API of the stack, with one API key."""

    def __init__(self, url, key="", admin=""):
        self.url, self.key, self.admin = url, key, admin

    def call(self, method, path, body=None):
        """Returns the status and the JSON of an answer. A connection that fails has the status 0."""
        headers = {"Content-Type": "application/json"}
        headers.update({"X-API-Key": self.key} if self.key else {})
        headers.update({"X-Admin-Token": self.admin} if self.admin else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=35) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else {"detail": text.decode(errors="replace")}
        except OSError as error:
            return 0, {"detail": str(error)}

    def expect(self, status, method, path, body=None):
        """Returns the JSON of an answer that must have this status."""
        given, answer = self.call(method, path, body)
        check(given == status, f"{method} {path}: {given} instead of {status}: {answer}")
        return answer


class Stack:
    """The stack in AWS."""

    def __init__(self, name, url):
        self.clients = {}
        description = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        self.name, self.status = name, description["StackStatus"]
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in description["Outputs"]}
        self.parameters = {one["ParameterKey"]: one["ParameterValue"] for one in description["Parameters"]}
        self.url = url or self.outputs["ApiUrl"]

    def client(self, service):
        """Returns the client of a service."""
        return self.clients.setdefault(service, boto3.client(service))

    def resource(self, logical):
        """Returns the physical id of a resource."""
        found = self.client("cloudformation").describe_stack_resource(StackName=self.name, LogicalResourceId=logical)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def secret(self, arn):
        """Returns the text of a secret."""
        return self.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]

    def restart(self, function, **change):
        """Changes the configuration of a function, so that Lambda starts new instances of it, and waits until it is done."""
        name = self.outputs[f"{function}FunctionName"]
        self.client("lambda").update_function_configuration(FunctionName=name, **change)
        self.client("lambda").get_waiter("function_updated_v2").wait(FunctionName=name)


class Load:
    """Posts events at a rate until it is stopped."""

    def __init__(self, api, rate):
        self.api, self.rate = api, rate
        self.ids, self.refused, self.times = [], [], []
        self.lock = threading.Lock()

    def post(self, number):
        """Posts one event, and notes how it went."""
        began = time.monotonic()
        status, answer = self.api.call("POST", "/api/events", {"type": "smoke.load", "payload": {"n": number}})
        took = (time.monotonic() - began) * 1000
        with self.lock:
            self.times.append(took)
            if status == 202:
                self.ids.append(answer["id"])
            else:
                self.refused.append(f"{status} {answer}")

    def run(self, goes_on):
        """Posts events while `goes_on(count)` holds, and waits for all answers."""
        began, count = time.monotonic(), 0
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            while goes_on(count):
                pool.submit(self.post, count)
                count += 1
                time.sleep(max(0, began + count / self.rate - time.monotonic()))

    def during(self, act):
        """Posts events while something else is done, and for some seconds after it."""
        over = threading.Event()
        thread = threading.Thread(target=self.run, args=(lambda _: not over.is_set(),))
        thread.start()
        try:
            act()
            time.sleep(SECONDS_AFTER_RESTART)
        finally:
            over.set()
            thread.join()

    def latencies(self):
        """Returns p50, p95 and p99 in milliseconds."""
        cuts = statistics.quantiles(self.times, n=100)
        return {name: round(cuts[place - 1]) for name, place in (("p50", 50), ("p95", 95), ("p99", 99))}


class Smoke:
    """All steps, in their order."""

    def __init__(self, stack, arguments):
        self.stack, self.arguments = stack, arguments
        self.deadline = time.monotonic() + MAX_SECONDS
        self.api, self.posted, self.report = None, 0, {}

    def run(self):
        """Runs every step; returns whether all went well."""
        steps = (self.is_complete, self.tells_its_story, self.takes_a_load, self.sets_alarms_off_and_back,
                 self.rotates_the_pepper, self.restarts_under_load)
        for step in steps:
            name = step.__name__.replace("_", " ")
            began = time.monotonic()
            try:
                check(began < self.deadline, f"not begun within {MAX_SECONDS} s")
                found = step()
            except Exception as error:  # every error of AWS is a finding, and the other steps go on
                self.report[name] = {"failed": f"{type(error).__name__}: {error}"}
            else:
                self.report[name] = found
            print(f"{name}: {self.report[name]} ({time.monotonic() - began:.1f} s)", flush=True)
        self.report["bill"] = self.bill()
        print(json.dumps(self.report), flush=True)
        return not any("failed" in one for one in self.report.values())

    def is_complete(self):
        """The stack is complete, its API is ready, and no alarm is set off."""
        check(self.stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), self.stack.status)
        ready = Api(self.stack.url).expect(200, "GET", "/health/ready")
        check(ready["status"] == "ready", ready)
        alarms = self.alarms()
        active = sorted(name for name, state in alarms.items() if state == "ALARM")
        check(not active, f"in ALARM: {active}")
        return {"alarms": len(alarms)}

    def tells_its_story(self):
        """A tenant posts an event, sends it again, reads it, leases it and acknowledges it; a wrong key is refused."""
        admin = Api(self.stack.url, admin=self.stack.secret(self.stack.outputs["AdminTokenSecretArn"]))
        made = admin.expect(201, "POST", "/api/keys/generate", {"organization_name": "Smoke", "tier": "enterprise"})
        self.api = Api(self.stack.url, made["api_key"])
        name = uuid.uuid4().hex
        event = {"type": "smoke.story", "dedup_id": name, "payload": {"n": 1}}
        posted = self.api.expect(202, "POST", "/api/events", event)
        check(self.api.expect(409, "POST", "/api/events", event)["id"] == posted["id"], "the repeat has another id")
        self.posted += 2
        self.wait(lambda: self.api.call("GET", f"/api/events/{posted['id']}")[1].get("status") == "pending", "pending")
        lease = self.api.expect(200, "POST", "/api/inbox/lease", {"lease_seconds": 60})
        check([one["id"] for one in lease["results"]] == [posted["id"]], lease)
        self.api.expect(200, "POST", "/api/inbox/ack", {"lease_id": lease["lease_id"]})
        Api(self.stack.url, "wrong").expect(401, "GET", "/api/inbox")
        if self.arguments.receiver:
            self.api.expect(201, "POST", "/api/endpoints", {"url": self.arguments.receiver})
        return {"webhooks": bool(self.arguments.receiver)}

    def takes_a_load(self):
        """Events are posted at a rate; all are accepted, and each is delivered, or in the inbox."""
        load = Load(self.api, self.arguments.rate)
        load.run(lambda count: count < self.arguments.events)
        began = time.monotonic()
        self.all_arrive(load)
        return {"events": len(load.ids), "refused": 0, "lost": 0, "ms": load.latencies(),
                "last_one_after_s": round(time.monotonic() - began, 1)}

    def sets_alarms_off_and_back(self):
        """Each alarm goes to ALARM and back. The composite alarm follows those of severity 1."""
        cloudwatch = self.stack.client("cloudwatch")
        alarms = self.alarms()
        for state in ("ALARM", "OK"):
            for alarm in alarms:
                cloudwatch.set_alarm_state(AlarmName=alarm, StateValue=state, StateReason="infra/smoke")
            seen = self.alarms()
            wrong = sorted(name for name in alarms if seen.get(name) != state)
            check(len(wrong) <= len(alarms) // 10, f"not {state}: {wrong}")  # CloudWatch may have looked in between
            if state == "ALARM" and self.composites():
                self.wait(lambda: set(self.composites().values()) == {"ALARM"}, "the composite alarm is in ALARM")
        return {"alarms": len(alarms), "composite": len(self.composites())}

    def rotates_the_pepper(self):
        """Follows docs/rotation.md while events are posted: keys from before, between and after are good."""
        arn = self.stack.resource("KeyPepperSecret")
        old = self.stack.secret(arn)
        versions = old if ":" in old else f"1:{old}"
        newest = 1 + max(int(one.split(":")[0]) for one in versions.split(","))
        new = f"{newest}:{uuid.uuid4().hex}"
        load, keys = Load(self.api, self.arguments.rate), []

        def rotate():
            for value in (f"{versions},{new}", f"{new},{versions}"):
                self.stack.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=value)
                for function in PEPPERED:
                    self.restart_with_new_secrets(function)
                body = {"name": "smoke", "scopes": ["inbox:read"]}
                keys.append(self.api.expect(201, "POST", "/api/keys", body)["api_key"])

        load.during(rotate)
        for key in (self.api.key, *keys):
            Api(self.stack.url, key).expect(200, "GET", "/api/inbox")
        self.all_arrive(load)
        return {"events": len(load.ids), "refused": 0, "lost": 0, "keys": 1 + len(keys)}

    def restart_with_new_secrets(self, function):
        """Raises SECRETS_VERSION of a function."""
        name = self.stack.outputs[f"{function}FunctionName"]
        found = self.stack.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        raised = {**found, "SECRETS_VERSION": str(int(found["SECRETS_VERSION"]) + 1)}
        self.stack.restart(function, Environment={"Variables": raised})

    def restarts_under_load(self):
        """Every function gets new instances while events are posted."""
        load = Load(self.api, self.arguments.rate)
        description = f"infra/smoke {int(time.time())}"
        load.during(lambda: [self.stack.restart(function, Description=description) for function in FUNCTIONS])
        for function in FUNCTIONS:
            self.stack.restart(function, Description="")
        self.all_arrive(load)
        return {"events": len(load.ids), "refused": 0, "lost": 0, "ms": load.latencies()}

    def bill(self):
        """Returns what the events and half an hour of the stack cost by list prices, in dollars."""
        events = self.posted * MICRO_DOLLARS_PER_MILLION_EVENTS / 1e12
        is_smallest = SMALLEST.items() <= self.stack.parameters.items()
        month = DOLLARS_PER_MONTH_OF_THE_SMALLEST if is_smallest else DOLLARS_PER_MONTH
        return {"events": self.posted, "dollars": round(events + month / 30 / 48, 4)}

    def all_arrive(self, load):
        """Waits until each event of a load is delivered, or in the inbox."""
        self.posted += len(load.ids)
        check(not load.refused, f"{len(load.refused)} refused, for example {load.refused[:3]}")
        check(len(set(load.ids)) == len(load.ids), "an id was given twice")
        wanted = "delivered" if self.arguments.receiver else "pending"
        left = set(load.ids)

        def none_is_left():
            left.difference_update(self.with_status(wanted) & left)
            return not left

        self.wait(none_is_left, f"all are {wanted}", lambda: f"{len(left)} of {len(load.ids)} are not, as {sorted(left)[:3]}")

    def with_status(self, status):
        """Returns the ids of all events with this status."""
        ids, cursor = set(), ""
        while True:
            page = self.api.expect(200, "GET", f"/api/events?status={status}&limit=1000{cursor}")
            ids.update(one["id"] for one in page["events"])
            if not page.get("next_cursor"):
                return ids
            cursor = f"&cursor={page['next_cursor']}"

    def wait(self, is_so, what, more=lambda: ""):
        """Waits until something is so."""
        deadline = min(time.monotonic() + 180, self.deadline)
        while not is_so():
            check(time.monotonic() < deadline, f"not in time: {what}; {more()}")
            time.sleep(0.5)

    def alarms(self):
        """Returns the states of the metric alarms of the stack."""
        return self.states("MetricAlarm", "MetricAlarms")

    def composites(self):
        """Returns the states of the composite alarms of the stack."""
        return self.states("CompositeAlarm", "CompositeAlarms")

    def states(self, kind, member):
        """Returns the states of the alarms of a kind by their names."""
        pages = self.stack.client("cloudwatch").get_paginator("describe_alarms")
        pages = pages.paginate(AlarmNamePrefix=f"{self.stack.name}-", AlarmTypes=[kind])
        return {one["AlarmName"]: one["StateValue"] for page in pages for one in page[member]}


def main():
    """Reads the arguments, and runs all steps."""
    parser = argparse.ArgumentParser(description="Tries a deployed stack. Not yet run on AWS.")
    parser.add_argument("--stack", required=True, help="name of the CloudFormation stack; not one with customers")
    parser.add_argument("--receiver", help="URL that answers 200 to every POST; without it no webhook is tried")
    parser.add_argument("--events", type=int, default=1000, help="events of the load (default: 1000)")
    parser.add_argument("--rate", type=float, default=20, help="events posted in a second (default: 20)")
    parser.add_argument("--url", help="URL of the API, if it is not the output ApiUrl")
    arguments = parser.parse_args()
    sys.exit(0 if Smoke(Stack(arguments.stack, arguments.url), arguments).run() else 1)


if __name__ == "__main__":
    main()
