// Sends one event. Node.js 20 or newer, without packages. URL and KEY come from the environment.

import { setTimeout as sleep } from "node:timers/promises";

const ATTEMPTS = 5;

// ANCHOR: send
/** Returns the id of the event. Repeats the request until it has an answer: with a dedup_id it is stored once. */
async function send(type, payload, dedupId) {
  const request = {
    method: "POST",
    headers: { "X-API-Key": process.env.KEY, "Content-Type": "application/json" },
    body: JSON.stringify({ type, payload, dedup_id: dedupId }),
  };
  let reason;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    let wait = 2 ** attempt;
    try {
      const response = await fetch(`${process.env.URL}/api/events`, { ...request, signal: AbortSignal.timeout(30_000) });
      const answer = await response.json();
      if (response.ok || response.status === 409) return answer.id; // 409: accepted before
      reason = `${response.status} ${answer.detail}`;
      if (response.status !== 429 && response.status !== 503) break; // a repeat would get the same answer
      wait = Number(response.headers.get("Retry-After") ?? wait);
    } catch (error) {
      reason = error.message; // no answer: it may be accepted or not
    }
    if (attempt < ATTEMPTS) await sleep(wait * 1000);
  }
  throw new Error(reason);
}
// ANCHOR_END: send

console.log("accepted", await send("order.created", { order: "A-1042", total: 79.9 }, process.argv[2] ?? "order-1042"));
