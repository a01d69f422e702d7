//! A system in memory with one tenant, one endpoint and one stored event, whose ids the seeds name.

use std::sync::LazyLock;

use aws_lambda_events::event::sqs::SqsEvent;
use consumer::handler::Consumer;
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::tenant::api_key::{ApiKey, KeyRecord, Pepper};
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::testing::{START, data_key, endpoint, key_of, private};
use runtime::telemetry::Log;
use serde_json::Value;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::Memory;
use tokio::runtime::{Builder, Runtime};

use super::super::configs;

/// The text in the seeds that is replaced by an API key.
const PLACEHOLDER: &str = "YOUR_API_KEY";

const TENANT: &str = "org_018bcfe5687b7000800000000000000a";
const ENDPOINT: &str = "ep_018bcfe5687b7000800000000000000a";
const EVENT: &str = include_str!("../../../../events/consumer-event.json");

/// What stays the same for all inputs.
pub(crate) struct Fixed {
    pub(crate) runtime: Runtime,
    key: ApiKey,
    record: KeyRecord,
    endpoint: Endpoint,
}

pub(crate) static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let tenant = TenantId::named_by_operator(TENANT).expect("the id of a tenant");
    let (key, record) = key_of(&tenant, Tier::Pro);
    let id = EndpointId::from_stored(ENDPOINT);
    let sealed = private().seal(&data_key(), &tenant, &id, rand::random()).expect("it can be sealed");
    let endpoint = Endpoint { id, sealed, ..endpoint(1) };
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    Fixed { runtime, key, record, endpoint }
});

/// Makes the system. The event is stored, and its delivery is open.
pub(crate) fn world() -> Memory {
    let ports = Memory::new(&Faults::default(), &FixedClock::at(START));
    ports.tables.put_key(&FIXED.key.hash(&Pepper::new("pepper")), &FIXED.record);
    ports.tables.put_endpoint(&FIXED.record.tenant, &FIXED.endpoint);
    let event: SqsEvent = serde_json::from_str(EVENT).expect("an event of SQS");
    let consumer = Consumer::new(&ports, configs::consumer(), log());
    let response = FIXED.runtime.block_on(consumer.handle(event));
    assert!(response.batch_item_failures.is_empty(), "the event is stored");
    ports
}

/// Returns the input with the API key of the tenant in place of the placeholder.
pub(crate) fn with_key(input: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(input).ok()?.replace(PLACEHOLDER, FIXED.key.expose()))
}

/// Makes a log that checks that each line is JSON.
pub(crate) fn log() -> Log {
    Log::new("triggers", |line| assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}"))
}
