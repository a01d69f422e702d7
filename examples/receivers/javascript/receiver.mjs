// A receiver of webhooks: verifies the signature by Standard Webhooks 1.0 (v1). Node.js only, without packages.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const TOLERANCE_SECONDS = 5 * 60;
const SECRET = Buffer.from((process.env.WEBHOOK_SECRET ?? "").replace(/^whsec_/, ""), "base64");
if (SECRET.length === 0) throw new Error("set WEBHOOK_SECRET to the secret of the endpoint (whsec_...)");

// ANCHOR: verify
/** Returns the id of the event. Throws if the request is not a webhook of the last minutes. */
function verify(headers, body) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!/^\d+$/.test(timestamp)) throw new Error("no webhook-timestamp");
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) {
    throw new Error("webhook-timestamp is too far from now");
  }
  // body is a Buffer: the exact bytes, before any JSON parser.
  const expected = createHmac("sha256", SECRET).update(`${id}.${timestamp}.`).update(body).digest();
  // During a rotation of the secret there are two signatures. timingSafeEqual takes the same time for all inputs.
  const isGenuine = (headers["webhook-signature"] ?? "").split(" ").some((signature) => {
    const given = Buffer.from(signature.replace(/^v1,/, ""), "base64");
    return signature.startsWith("v1,") && given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!isGenuine) throw new Error("no signature matches");
  return id;
}
// ANCHOR_END: verify

const done = new Set(); // in production: a table with a unique key, written in the transaction of the work

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  let id;
  try {
    id = verify(request.headers, body);
  } catch (error) {
    response.writeHead(400).end(error.message);
    return;
  }
  if (!done.has(id)) { // a retry after a lost answer has the same webhook-id
    const event = JSON.parse(body);
    console.log("received", event.type, id, event.payload);
    done.add(id);
  }
  response.writeHead(200).end("ok");
});

const port = Number(process.env.PORT ?? 3000);
server.listen(port, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${port}`));
