//! The rotation of the secret under which API keys are hashed, as docs/rotation.md describes it. The functions are updated one
//! after another, so instances before and after a step work side by side: each accepts the keys that the other made.

use serde_json::json;

use crate::deployed::support::runtime::{Process, environment, post, request};
use crate::deployed::support::stack::shared;
use crate::support::client::{Reply, Tenant};
use crate::support::python::run;

/// Makes the secrets of both steps from the present one. Prints their names.
const PREPARE: &str = "
import boto3, json, sys, uuid
call = json.load(sys.stdin)
client = boto3.client('secretsmanager', endpoint_url=call['endpoint'], region_name='us-east-1',
                      aws_access_key_id='test', aws_secret_access_key='test')
old = client.get_secret_value(SecretId=call['secret'])['SecretString']
new = uuid.uuid4().hex
names = []
for text in [f'1:{old},2:{new}', f'2:{new},1:{old}']:
    names.append(client.create_secret(Name=uuid.uuid4().hex, SecretString=text)['ARN'])
print(json.dumps(names))
";

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
    let call = json!({"endpoint": shared().summary().emulator, "secret": secret});
    let names = run(PREPARE, &call).unwrap_or_else(|error| panic!("{error}"));
    let [both, new]: [String; 2] = serde_json::from_str(&names).expect("two names");

    let tenant = Tenant::deployed();
    let steps = [secret, both, new].map(|name| Instances::knowing(&name));
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
