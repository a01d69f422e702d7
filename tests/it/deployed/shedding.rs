//! When no more events of a tenant are accepted because its stored events had to wait too long.

use aws::clients::emulator_clients;
use aws::ports::Aws;
use aws::system_clock::SystemClock;
use domain::tenant::id::TenantId;
use domain::testing;
use domain::timestamp::Timestamp;
use serde_json::json;
use store::clock::Clock;
use store::limits::Limits;
use store::limits::counters::{Counts, QueueName, Wait};
use store::ports::Ports;

use crate::deployed::support::front_door::{FrontDoor, plain};
use crate::deployed::support::stack::shared;
use crate::support::aws::dynamodb;
use crate::support::client::Tenant;

/// A table of limits of its own, in which consumer stores no wait.
fn own_limits() -> String {
    let name = format!("limits-{}", testing::tenant());
    let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
    let string = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let create = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        "AttributeDefinitions": [string("pk"), string("sk")]});
    dynamodb(&shared().summary().emulator, "CreateTable", &create).expect(200);
    name
}

#[tokio::test]
async fn load_is_shed_while_a_tenants_stored_events_had_to_wait_too_long() {
    let name = own_limits();
    let aws = Aws::of(emulator_clients(&shared().summary().emulator).await);
    let limits = Limits::new(aws.table(&name));
    let [tenant, other] = [Tenant::deployed(), Tenant::deployed()];
    let took = async |at: Timestamp, waited_ms: u64| {
        let wait = Wait { queue: QueueName::Events, waited_ms, at };
        limits.record_wait(&TenantId::named_by_operator(&tenant.id).unwrap(), &wait).await.unwrap();
        limits.count(Counts::default(), Some(wait)).await.unwrap();
    };
    let now = SystemClock.now();
    took(now, 599_000).await;
    FrontDoor::with(&[("LIMITS_TABLE", &name)]).post(&tenant, &plain()).expect(202);
    let later = Timestamp::from_millis(now.millis() + 1);
    took(later, 601_000).await;
    let door = FrontDoor::with(&[("LIMITS_TABLE", &name)]);
    for _ in 0..2 {
        let shed = door.post(&tenant, &plain());
        shed.problem(503, "overloaded");
        assert_eq!(shed.header("retry-after"), Some("10"));
    }
    assert!(!door.proxy.take_calls().contains_key("SendMessageBatch"), "nothing was accepted");
    door.post(&other, &plain()).expect(202);
    let unbounded = FrontDoor::with(&[("LIMITS_TABLE", &name), ("SHED_AFTER_SECONDS", "0")]);
    unbounded.post(&tenant, &plain()).expect(202);
}
