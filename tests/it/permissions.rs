//! Every function calls AWS as its own role, in the local stack too: all other stories show that a role allows what its function
//! does, these that it allows no more, and what is rarely done.

use serde_json::json;
use triggers::adapters::aws;
use triggers::adapters::claims::ClaimsTable;
use triggers::adapters::events::EventsTable;
use triggers::adapters::vault::KmsVault;
use triggers::claim::{Claim, ClaimName, DedupId, Fingerprint};
use triggers::event::EventId;
use triggers::ports::Claims;
use triggers::testing::builders::{START, tenant};

use crate::support::client::Tenant;
use crate::support::eventually;
use crate::support::proxy::{Fault, Proxy, Rule};
use crate::support::runtime::{Process, environment};
use crate::support::stack::shared;

const FUNCTIONS: [&str; 5] = ["ingest", "consumer", "delivery", "scheduler", "api"];

/// Those that read what is stored.
const READERS: [&str; 3] = ["delivery", "scheduler", "api"];

/// A write of what was written twice before.
const THIRD_WRITE: &str = r#"":seen":{"N":"2"}"#;

#[tokio::test]
async fn who_never_reads_an_event_or_claims_a_name_may_not() {
    let tables = &shared().summary().tables;
    for function in FUNCTIONS {
        let environment = environment(function, &[]);
        let [id, secret] =
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| environment[name].as_str());
        let clients = aws::emulator_clients_as(&shared().summary().emulator, id, secret).await;

        let vault = KmsVault::new(&clients, tables["Control"].clone(), String::new());
        let read = EventsTable::new(&clients, tables["Events"].clone(), vault).ping().await;
        assert_eq!(read.is_ok(), READERS.contains(&function), "{function}: {read:?}");

        let name = ClaimName::Dedup(DedupId::parse("a").unwrap());
        let claim =
            Claim::new(EventId::generate(START, 1, &mut rand::rng()), Fingerprint::of_request("a"), START);
        let claims = ClaimsTable::new(&clients, tables["Claims"].clone());
        let claimed = claims.claim(&tenant(), &name, &claim, START).await;
        assert_eq!(claimed.is_ok(), function == "ingest", "{function}: {claimed:?}");
        for refused in [read.err(), claimed.err()].into_iter().flatten() {
            assert!(format!("{refused:?}").contains("AccessDenied"), "{function}: {refused:?}");
        }
    }
}

/// What the scheduler does only where a write of a job lost its answer. A replay of four shards is written after each.
#[test]
fn the_scheduler_may_read_the_job_that_it_raced_for() {
    let (tenant, proxy) = (Tenant::of_tier("business"), Proxy::start());
    let environment = environment("scheduler", &[("AWS_ENDPOINT_URL", &proxy.url())]);
    let scheduler = Process::start("scheduler", &environment);
    eventually("a visit of ours loses an answer, and ends the replay all the same", || {
        let body = json!({"since": "2024-01-01T00:00:00Z"}).to_string();
        let id = tenant.post("/api/replays", body).expect(202).id();
        proxy.spoil(Rule::every("PutItem", Fault::AnswerLost).with(THIRD_WRITE).times(1));
        scheduler.invoke("{}");
        let replay = tenant.get(&format!("/api/replays/{id}")).expect(200).json();
        let is_ours = proxy.take_repeats() > 0; // or the stack's own scheduler was first
        (is_ours && replay["state"] == "done").then_some(())
    });
}
