"""Starts ministack, the AWS emulator, with seven changes.

1. An invocation of a function is sent in one write. Python's http.client writes head and body separately, and
   cargo-lambda forwards both writes as they come. The second small write then waits 40 ms for the acknowledgement
   of the first one (Nagle's algorithm and delayed ACK). Every second invocation was measured to be this slow.

2. An expression is parsed once. ministack parses the expressions of a query again for every item of the partition.
   Measured for 5,000 items: 172 ms without this cache, 67 ms with it.

3. A batch action needs the permission of the single action, as in AWS: SendMessageBatch needs sqs:SendMessage
   (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html).

4. IAM conditions on a DynamoDB write are checked. ministack sets the condition keys only from a projection. This
   sets them also from a write: its attributes, its partition key and its ReturnValues; of a transaction, all partition keys
   (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html).

5. IAM conditions on the encryption context of a KMS request are checked: this sets the condition key
   kms:EncryptionContextKeys
   (https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html).

6. At most MAX_CALLS calls of a function are at cargo-lambda at a time; the others wait here for their turn. At 100
   waiting calls of a function, cargo-lambda 1.9.2 locks up for ever. A call that waits longer than API Gateway would
   is throttled (429), as Lambda throttles.

7. Each action that a function was allowed is recorded once, with its resource, in the file CALLS_LOG. A story compares what was
   recorded with what the roles of the template grant.
"""

import collections
import functools
import http.client
import json
import os
import re
import threading

from hypercorn.config import Config
from ministack.app import main
from ministack.core import iam_actions, iam_evaluator
from ministack.services import dynamodb, lambda_svc

# More than the processes of any function. Twice this is less than 100: calls that timed out still wait at cargo-lambda.
MAX_CALLS = 48

# API Gateway waits 29 s for a function.
MAX_WAIT_SECONDS = 29


def send_in_one_write(self, message_body=None, encode_chunked=False):
    """Sends head and body of a request together."""
    if not isinstance(message_body, bytes) or encode_chunked:
        return send_in_two_writes(self, message_body, encode_chunked)
    self._buffer += [b"", message_body]
    request = b"\r\n".join(self._buffer)
    self._buffer.clear()
    self.send(request)


def call_in_turn(func, event, url, request_id):
    """Calls a function as soon as fewer than MAX_CALLS of its calls are under way."""
    turn = turns[url]
    if not turn.acquire(timeout=MAX_WAIT_SECONDS):
        reason = "ConcurrentInvocationLimitExceeded"
        return lambda_svc._throttle_response(reason, f"Rate Exceeded: {MAX_CALLS} calls of {url} are under way")
    try:
        return call_function(func, event, url, request_id)
    finally:
        turn.release()


def extract_action(service, *request):
    """Returns the IAM action of a request; a batch action of SQS becomes the single action."""
    action = extract_ministack_action(service, *request)
    return action.removesuffix("Batch") if service == "sqs" and action else action


def build_context(body):
    """Returns the IAM condition keys of a DynamoDB request."""
    request = json.loads(body or b"{}")
    context = build_ministack_context(body)
    item = request.get("Item") or request.get("Key")
    if item and ("Item" in request or "UpdateExpression" in request):
        context["dynamodb:Attributes"] = sorted(set(item) | find_attributes(request))
        context["dynamodb:LeadingKeys"] = [item["pk"]["S"]]
        context["dynamodb:ReturnValues"] = request.get("ReturnValues", "NONE")
    writes = [write for entry in request.get("TransactItems", []) for write in entry.values()]
    keys = [write.get("Item") or write.get("Key") for write in writes]
    if keys:
        context["dynamodb:LeadingKeys"] = sorted({key["pk"]["S"] for key in keys if key})
    return context


def find_attributes(request):
    """Returns the attributes that the expressions of a write name."""
    expressions = " ".join(request.get(name, "") for name in ("UpdateExpression", "ConditionExpression"))
    names = request.get("ExpressionAttributeNames", {})
    words = re.findall(r"(?<![:\w#])#?[A-Za-z_]\w*(?!\w*\()", expressions)
    return {names.get(word, word) for word in words} - KEYWORDS


def build_request_context(service, action, body, params):
    """Returns the IAM condition keys of a request that do not depend on its resource."""
    context = build_ministack_request_context(service, action, body, params)
    if service == "kms" and (encryption_context := json.loads(body or b"{}").get("EncryptionContext")):
        context["kms:EncryptionContextKeys"] = sorted(encryption_context)
    return context


def evaluate(context, *policies):
    """Evaluates the policies of a request, and records what a function was allowed."""
    result = evaluate_in_ministack(context, *policies)
    function = context.principal_arn.rpartition(":user/triggers-")[2]
    if result.decision == "Allow" and "CALLS_LOG" in os.environ and function != context.principal_arn:
        call = f"{function} {context.action} {name_of(context.resource_arn)}"
        with calls_lock:
            if call not in calls:
                calls.add(call)
                with open(os.environ["CALLS_LOG"], "a", encoding="utf-8") as log:
                    log.write(f"{call}\n")
    return result


def name_of(arn):
    """Returns the name that the template gives to a table, an index, a queue, a secret or a key."""
    name = arn.rpartition(":")[2]
    if ":kms:" in arn:
        return "DataKmsKey"
    if ":secretsmanager:" in arn:
        return name.removeprefix("triggers-").partition("-")[0]
    if ":dynamodb:" in arn:
        return re.sub(r"^table/triggers-|-[A-Z0-9]+(?=/|$)", "", name)
    return name


KEYWORDS = {"SET", "ADD", "REMOVE", "DELETE", "AND", "OR", "NOT", "IN", "BETWEEN"}

send_in_two_writes = http.client.HTTPConnection._send_output
http.client.HTTPConnection._send_output = send_in_one_write

turns = collections.defaultdict(lambda: threading.BoundedSemaphore(MAX_CALLS))
call_function = lambda_svc._execute_function_proxy
lambda_svc._execute_function_proxy = call_in_turn

Config.backlog = 1024  # connections that wait to be accepted; the default of 100 drops the rest of a burst

dynamodb._tokenize = functools.lru_cache(1024)(dynamodb._tokenize)
dynamodb._condition_syntax_error = functools.lru_cache(1024)(dynamodb._condition_syntax_error)

extract_ministack_action = iam_actions.extract_iam_action
iam_actions.extract_iam_action = extract_action

calls, calls_lock = set(), threading.Lock()
if "CALLS_LOG" in os.environ:
    open(os.environ["CALLS_LOG"], "w", encoding="utf-8").close()  # of this start alone
evaluate_in_ministack = iam_evaluator.evaluate
iam_evaluator.evaluate = evaluate

build_ministack_context = iam_actions.dynamodb_service_context
iam_actions.dynamodb_service_context = build_context

build_ministack_request_context = iam_actions.request_tag_context
iam_actions.request_tag_context = build_request_context

if __name__ == "__main__":
    main()
