//! The rotation of the secret under which API keys are hashed, as docs/rotation.md describes it. The functions are updated one
//! after another, so instances before and after a step work side by side: each accepts the keys that the other made.

use serde_json::{Value, json};

use crate::deployed::support::runtime::{Process, environment, post, request};
use crate::deployed::support::stack::shared;
use crate::support::aws::service;
use crate::support::client::{Reply, Tenant};

/// Calls an action of Secrets Manager.
fn secrets_manager(action: &str, input: &Value) -> Value {
    let target = format!("secretsmanager.{action}");
    service(&shared().summary().emulator, "secretsmanager", &target, input).expect(200).json()
}

/// Creates a secret; returns its ARN.
fn create_secret(text: &str) -> String {
    let name = format!("rotation-{:016x}", rand::random::<u64>());
    let created = secrets_manager("CreateSecret", &json!({"Name": name, "SecretString": text}));
    created["ARN"].as_str().expect("an ARN").to_owned()
}

/// A process of ingest and one of api, which know the same versions of the secret.
struct Instances {
    ingest: Process,
    api: Process,
}

impl Instances {
    fn knowing(secret: &str) -> Self {
        let start =
            |function| Process::start(function, &environment(function, &[("KEY_PEPPER_ARN", secret)]));
        Self { ingest: start("ingest"), api: start("api") }
    }

    /// Creates an API key with another one; returns it.
    fn create_key(&self, key: &str) -> String {
        let headers = [("X-API-Key", key), ("Content-Type", "application/json")];
        let body =
            json!({"name": "made", "scopes": ["events:write", "inbox:read", "keys:admin"]}).to_string();
        let made = self.api.invoke_http(&request("POST", "/api/keys", &headers, &body)).expect(201).json();
        made["api_key"].as_str().expect("a key").to_owned()
    }

    /// Posts an event, and reads the inbox.
    fn use_key(&self, key: &str) -> [Reply; 2] {
        let headers = [("X-API-Key", key), ("Content-Type", "application/json")];
        let event = json!({"type": "order.created", "payload": 1}).to_string();
        [
            self.ingest.invoke_http(&post("/api/events", &headers, &event)),
            self.api.invoke_http(&request("GET", "/api/inbox", &headers[..1], "")),
        ]
    }
}

#[test]
fn no_good_key_is_refused_while_instances_before_and_after_a_step_work_side_by_side() {
    let secret = environment("api", &[])["KEY_PEPPER_ARN"].clone();
    let value = secrets_manager("GetSecretValue", &json!({"SecretId": secret}));
    let old = value["SecretString"].as_str().expect("a text");
    let new = format!("{:032x}", rand::random::<u128>());
    let both = create_secret(&format!("1:{old},2:{new}"));
    let rotated = create_secret(&format!("2:{new},1:{old}"));

    let tenant = Tenant::deployed();
    let steps = [secret, both, rotated].map(|name| Instances::knowing(&name));
    let made = [0, 1, 2].map(|step| steps[step].create_key(&tenant.key));
    for (before, after) in [(0, 1), (1, 2)] {
        for (maker, user) in [(before, before), (before, after), (after, before), (after, after)] {
            let [posted, read] = steps[user].use_key(&made[maker]);
            posted.expect(202);
            read.expect(200);
        }
    }
    // Without the step between them, a key that a new instance made would be refused by an old one.
    let [posted, read] = steps[0].use_key(&made[2]);
    posted.problem(401, "unauthorized");
    read.problem(401, "unauthorized");
    for key in [&tenant.key, &made[0], &made[1]] {
        let [posted, read] = steps[2].use_key(key);
        posted.expect(202);
        read.expect(200);
    }
}
