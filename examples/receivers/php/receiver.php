<?php
// A receiver of webhooks: verifies the signature by Standard Webhooks 1.0 (v1). PHP only, without packages.

const TOLERANCE_SECONDS = 5 * 60;

// ANCHOR: verify
/** Returns the id of the event. Throws if the request is not a webhook of the last minutes. */
function verify(string $secret, array $headers, string $body): string
{
    $id = $headers['webhook-id'] ?? '';
    $timestamp = $headers['webhook-timestamp'] ?? '';
    if (!ctype_digit($timestamp)) {
        throw new InvalidArgumentException('no webhook-timestamp');
    }
    if (abs(time() - (int) $timestamp) > TOLERANCE_SECONDS) {
        throw new InvalidArgumentException('webhook-timestamp is too far from now');
    }
    // $body has the exact bytes, before any JSON parser.
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $secret, true));
    // During a rotation of the secret there are two signatures. hash_equals takes the same time for all inputs.
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $signature) {
        if (hash_equals($expected, $signature)) {
            return $id;
        }
    }
    throw new InvalidArgumentException('no signature matches');
}
// ANCHOR_END: verify

$secret = base64_decode(preg_replace('/^whsec_/', '', getenv('WEBHOOK_SECRET') ?: ''), true);
if ($secret === false || $secret === '') {
    http_response_code(500); // without a secret, every signature could be forged
    exit('set WEBHOOK_SECRET to the secret of the endpoint (whsec_...)');
}
$body = file_get_contents('php://input');
try {
    $id = verify($secret, array_change_key_case(getallheaders()), $body);
} catch (InvalidArgumentException $error) {
    http_response_code(400);
    exit($error->getMessage());
}
// A retry after a lost answer has the same webhook-id. In production: INSERT it into a table with a unique key, in the
// transaction of the work, and answer 200 without the work if it is there.
$event = json_decode($body, true, 512, JSON_BIGINT_AS_STRING | JSON_THROW_ON_ERROR);
error_log("received {$event['type']} $id");
echo 'ok';
