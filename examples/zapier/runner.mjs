// Runs integration.cjs as Zapier's public documentation says that its platform does: authentication, a Zap that is turned
// on and off, samples, a poll, a create action. Fails at the first rule that does not hold. Node.js 20 or newer.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const integration = createRequire(import.meta.url)("./integration.cjs");
const authData = { url: process.env.URL, key: process.env.KEY };
assert(authData.url && authData.key, "set URL and KEY");

/** The object `z` of an integration, with the part that the documentation describes: `z.request`. */
const z = {
  async request(options) {
    let request = { method: "GET", headers: {}, ...options };
    for (const prepare of integration.beforeRequest) request = prepare(request, z, { authData });
    const url = new URL(request.url);
    for (const [name, value] of Object.entries(request.params ?? {})) url.searchParams.set(name, value);
    if (request.body) request.headers["Content-Type"] = "application/json";
    const response = await fetch(url, { ...request, body: request.body && JSON.stringify(request.body) });
    const text = await response.text();
    // Statuses from 400 on are errors unless the integration asks otherwise.
    if (response.status >= 400) throw new Error(`${request.method} ${url.pathname}: ${response.status} ${text}`);
    return { status: response.status, data: text ? JSON.parse(text) : undefined };
  },
};

/** A target URL as Zapier makes one for each Zap: POST is taken, and answered 410 once the Zap is off. */
async function listen() {
  const hook = { received: [], isOn: true, afterOff: 0 };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    if (hook.isOn) hook.received.push(JSON.parse(text));
    else hook.afterOff += 1;
    response.writeHead(hook.isOn ? 200 : 410).end("{}");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  hook.url = `http://127.0.0.1:${server.address().port}/hooks/standard/${randomUUID()}`;
  hook.close = () => server.close();
  return hook;
}

/** Waits until a function returns something. */
async function eventually(what, probe) {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(100)) {
    const found = await probe();
    if (found) return found;
  }
  throw new Error(`not within 30 s: ${what}`);
}

/** The rules for what a trigger returns: an array of objects, each with an id that differs from the others. */
function checkItems(items) {
  assert(Array.isArray(items), "a trigger returns an array");
  assert(items.every((item) => item.id), "each item has an id");
  assert.equal(new Set(items.map((item) => item.id)).size, items.length, "the ids differ");
  return items;
}

const { event: hookTrigger, event_polled: pollTrigger } = integration.triggers;
const create = integration.creates.event.operation;
const say = (text) => console.log(text);

say("1. The account is connected: the test of the authentication succeeds, and fails with a wrong key.");
await integration.authentication.test(z, { authData });
const { key } = authData;
authData.key = "wrong";
await assert.rejects(integration.authentication.test(z, { authData }), /401/);
authData.key = key;

const type = `order.created.${randomUUID().slice(0, 8)}`; // other events of the tenant do not disturb
const inputData = { types: `${type.slice(0, -2)}*` };
const send = (n) =>
  create.perform(z, { authData, inputData: { type, payload: { order: `A-${n}` }, dedup_id: `${type}-${n}` } });

say("2. The create action sends an event. Its answer is one object with an id.");
const first = await send(1);
assert.match(first.id, /^evt_/);

say("3. The editor loads samples: an array, and its items have the members of the sample.");
const samples = checkItems(
  await eventually("a sample", async () => {
    const items = await hookTrigger.operation.performList(z, { authData, inputData });
    return items.length > 0 && items;
  }),
);
assert.equal(samples[0].id, first.id);
assert.deepEqual(Object.keys(samples[0]).sort(), Object.keys(hookTrigger.operation.sample).sort());

say("4. The Zap is turned on: the subscription has an id.");
const hook = await listen();
const subscribeData = await hookTrigger.operation.performSubscribe(z, { authData, inputData, targetUrl: hook.url });
assert.match(subscribeData.id, /^ep_/);

say("5. An event comes by the hook, with the same members as the samples.");
const second = await send(2);
const cleanedRequest = await eventually("a webhook", () => hook.received.find((event) => event.id === second.id));
const [item] = checkItems(hookTrigger.operation.perform(z, { authData, inputData, cleanedRequest }));
assert.deepEqual(Object.keys(item).sort(), Object.keys(samples[0]).sort());
assert.deepEqual(item.payload, { order: "A-2" });

say("6. A poll returns both events, the newest first. What was seen before is dropped by its id.");
const seen = new Set([first.id]);
const polled = checkItems(await pollTrigger.operation.perform(z, { authData, inputData }));
assert.deepEqual(polled.map((event) => event.id), [second.id, first.id]);
assert.deepEqual(polled.filter((event) => !seen.has(event.id)).map((event) => event.id), [second.id]);

say("7. The Zap is turned off: its endpoint is gone, and nothing comes any more.");
await hookTrigger.operation.performUnsubscribe(z, { authData, inputData, subscribeData });
hook.isOn = false;
await assert.rejects(z.request({ url: `${authData.url}/api/endpoints/${subscribeData.id}` }), /404/);
const third = await send(3);
await eventually("the third event is stored", async () => {
  const [newest] = await pollTrigger.operation.perform(z, { authData, inputData });
  return newest.id === third.id;
});
assert.equal(hook.afterOff, 0);
hook.close();
say("The integration does what the documentation asks.");
