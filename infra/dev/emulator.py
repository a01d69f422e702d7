"""ministack, except that a request to a function leaves in one piece, an expression is parsed once, a batch is allowed to whoever may
send one message, and conditions on what is written to a table are met or not.

Python's http.client writes head and body separately. cargo-lambda hands them on as they come, and
its second small write then waits 40 ms for the first one's acknowledgement (Nagle's algorithm and
delayed ACK): measured at every second invocation.

A query parses its expressions again for every item of its partition: measured 172 ms for 5,000 items, 67 ms
where the tokens are kept.

In AWS the permission for SendMessageBatch is sqs:SendMessage, and so with the other batches
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html).

Of the condition keys of DynamoDB it knows what a projection names alone; a write has its attributes, the key of its partition and what is
to be returned (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html).
"""

import functools
import http.client
import json
import re

from ministack.app import main
from ministack.core import iam_actions
from ministack.services import dynamodb


def send_in_one_piece(self, message_body=None, encode_chunked=False):
    if not isinstance(message_body, bytes) or encode_chunked:
        return send_in_pieces(self, message_body, encode_chunked)
    self._buffer += [b"", message_body]
    request = b"\r\n".join(self._buffer)
    self._buffer.clear()
    self.send(request)


def action_of(service, *request):
    action = iam_action(service, *request)
    return action.removesuffix("Batch") if service == "sqs" and action else action


def context_of(body):
    request, context = json.loads(body or b"{}"), service_context(body)
    item = request.get("Item") or request.get("Key")
    if item and ("Item" in request or "UpdateExpression" in request):
        expressions = " ".join(request.get(name, "") for name in ("UpdateExpression", "ConditionExpression"))
        names = request.get("ExpressionAttributeNames", {})
        words = {names.get(word, word) for word in re.findall(r"(?<![:\w#])#?[A-Za-z_]\w*(?!\w*\()", expressions)}
        context["dynamodb:Attributes"] = sorted(set(item) | words - KEYWORDS)
        context["dynamodb:LeadingKeys"] = [item["pk"]["S"]]
        context["dynamodb:ReturnValues"] = request.get("ReturnValues", "NONE")
    return context


KEYWORDS = {"SET", "ADD", "REMOVE", "DELETE", "AND", "OR", "NOT", "IN", "BETWEEN"}

send_in_pieces = http.client.HTTPConnection._send_output
http.client.HTTPConnection._send_output = send_in_one_piece

dynamodb._tokenize = functools.lru_cache(1024)(dynamodb._tokenize)
dynamodb._condition_syntax_error = functools.lru_cache(1024)(dynamodb._condition_syntax_error)

iam_action = iam_actions.extract_iam_action
iam_actions.extract_iam_action = action_of

service_context = iam_actions.dynamodb_service_context
iam_actions.dynamodb_service_context = context_of

if __name__ == "__main__":
    main()
