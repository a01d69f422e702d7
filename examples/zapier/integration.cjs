// An integration in the form that Zapier documents for its platform: an instant trigger (REST hook), the same trigger by
// polling, and a create action. Written from the public documentation at docs.zapier.com, without Zapier's packages.

// ANCHOR: integration
const at = (bundle, path) => bundle.authData.url + path;

// Reads the newest events of a type or pattern, with the members of a webhook. Zapier drops those whose id it has seen.
const listEvents = async (z, bundle) => {
  const pattern = bundle.inputData.types ?? "*";
  const isPattern = pattern.includes("*");
  const params = { order: "desc", limit: 100, ...(isPattern ? {} : { type: pattern }) };
  const { data } = await z.request({ url: at(bundle, "/api/events"), params });
  const expression = new RegExp(`^${pattern.split("*").map((part) => part.replace(/\W/g, "\\$&")).join(".*")}$`);
  return data.events
    .filter(({ type }) => expression.test(type))
    .map(({ id, type, created_at, payload }) => ({ id, type, created_at, payload }));
};

const inputFields = [{ key: "types", label: "Type of the events, or a pattern such as order.*", default: "*" }];
const sample = { id: "evt_1", type: "order.created", created_at: "2026-11-29T16:53:39.057Z", payload: { order: "A-1042" } };

module.exports = {
  authentication: {
    type: "custom",
    fields: [{ key: "url", required: true }, { key: "key", required: true, type: "password" }],
    test: (z, bundle) => z.request({ url: at(bundle, "/api/tenant") }).then((response) => response.data),
  },

  beforeRequest: [
    (request, z, bundle) => ({ ...request, headers: { ...request.headers, "X-API-Key": bundle.authData.key } }),
  ],

  triggers: {
    event: {
      operation: {
        type: "hook",
        inputFields,
        sample,
        // The Zap is turned on. Zapier keeps what this returns as bundle.subscribeData; it needs no secret.
        performSubscribe: async (z, bundle) => {
          const body = { url: bundle.targetUrl, event_types: [bundle.inputData.types ?? "*"], description: "Zapier" };
          const { data } = await z.request({ url: at(bundle, "/api/endpoints"), method: "POST", body });
          return { id: data.id };
        },
        // The Zap is turned off.
        performUnsubscribe: async (z, bundle) => {
          await z.request({ url: at(bundle, `/api/endpoints/${bundle.subscribeData.id}`), method: "DELETE" });
          return {};
        },
        // A webhook has come.
        perform: (z, bundle) => [bundle.cleanedRequest],
        // The editor asks for samples.
        performList: listEvents,
      },
    },
    event_polled: { operation: { type: "polling", inputFields, sample, perform: listEvents } },
  },

  creates: {
    event: {
      operation: {
        inputFields: [{ key: "type", required: true }, { key: "payload", required: true }, { key: "dedup_id" }],
        perform: async (z, bundle) => {
          const { type, payload, dedup_id } = bundle.inputData;
          const { data } = await z.request({
            url: at(bundle, "/api/events"),
            method: "POST",
            body: { type, payload, dedup_id },
          });
          return data;
        },
      },
    },
  },
};
// ANCHOR_END: integration
