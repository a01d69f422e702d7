#!/bin/sh
# Sends one event with curl. URL and KEY come from the environment; the first argument is your name of the event.
set -eu
dedup_id="${1:-order-1042}"
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# --retry repeats the request after 408, 429, 500, 502, 503, 504 and a lost connection, and waits for Retry-After. With
# the dedup_id a repeat cannot be stored twice. 202 is accepted; 409 means that it was accepted before.
status=$(curl --silent --show-error --retry 5 --retry-max-time 120 --retry-all-errors \
  --output "$answer" --write-out '%{http_code}' \
  "$URL/api/events" -H "X-API-Key: $KEY" -H 'Content-Type: application/json' \
  --data "{\"type\":\"order.created\",\"dedup_id\":\"$dedup_id\",\"payload\":{\"order\":\"A-1042\",\"total\":79.90}}")
case "$status" in
  202 | 409) echo "accepted $(cat "$answer")" ;;
  *) echo "not accepted: $status $(cat "$answer")" >&2; exit 1 ;;
esac
