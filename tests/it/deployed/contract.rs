//! What every table promises, held against the real ones in the emulator.

use aws::clients::emulator_clients;
use aws::ports::Aws;
use domain::endpoint::MAX_ENDPOINTS;
use domain::tenant::api_key::Pepper;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::testing::{endpoint, endpoint_of, key_of, tenant};
use serde_json::json;
use store::claims::Claims;
use store::control::Control;
use store::control::endpoints::Added;
use store::control::tenants::TenantSettings;
use store::data_keys::DataKeys;
use store::limits::Limits;
use store::ports::Ports;
use store::schedule::Schedule;
use store::table::Table;

use crate::contract::jobs::tenants_end;
use crate::contract::lines::{lines_keep_their_promises, requests_in_flight_are_limited};
use crate::contract::{
    all_endpoints_and_keys_keep_their_promises, all_events_keep_their_promises, claims_keep_their_promises,
    limits_keep_their_promises, owner, schedules_keep_their_promises,
};
use crate::deployed::support::proxy::{Fault, Proxy, Rule};
use crate::deployed::support::runtime::environment;
use crate::deployed::support::stack::shared;
use crate::support::aws::dynamodb;

async fn emulator() -> Aws {
    Aws::of(emulator_clients(&shared().summary().emulator).await)
}

fn table(name: &str) -> String {
    shared().summary().tables[name].clone()
}

#[tokio::test]
async fn real_claims_keep_their_promises() {
    claims_keep_their_promises(&Claims::new(emulator().await.table(&table("Claims")))).await.unwrap();
}

#[tokio::test]
async fn real_events_keep_their_promises() {
    let variables = environment("consumer", &[]);
    all_events_keep_their_promises(&emulator().await, &variables["DATA_KMS_KEY"], &table).await;
}

#[tokio::test]
async fn real_limits_keep_their_promises() {
    let limits = Limits::new(emulator().await.table(&table("Limits")));
    limits_keep_their_promises(&limits).await.unwrap();
    lines_keep_their_promises(&limits).await.unwrap();
    requests_in_flight_are_limited(&limits).await.unwrap();
}

#[tokio::test]
async fn real_limits_and_claims_keep_their_promises_though_each_first_answer_is_lost() {
    let proxy = Proxy::start();
    let emulator = async || Aws::of(emulator_clients(&proxy.url()).await); // each has a quota of retries
    for write in ["UpdateItem", "PutItem", "BatchWriteItem"] {
        proxy.spoil(Rule::every(write, Fault::AnswerLost).but_no_repeat());
    }
    let limits = async || Limits::new(emulator().await.table(&table("Limits")));
    limits_keep_their_promises(&limits().await).await.unwrap();
    lines_keep_their_promises(&limits().await).await.unwrap();
    requests_in_flight_are_limited(&limits().await).await.unwrap();
    claims_keep_their_promises(&Claims::new(emulator().await.table(&table("Claims")))).await.unwrap();
    let (calls, repeats) = (proxy.take_calls(), proxy.take_repeats());
    let writes: usize = calls
        .iter()
        .filter(|(name, _)| !["Query", "GetItem"].contains(&name.as_str()))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(repeats, writes, "each was made twice: {calls:?}");
}

/// Stores a tenant of its own.
async fn stored_tenant(control: &Control<impl Table>) -> TenantId {
    let tenant = tenant();
    let (key, record) = key_of(&tenant, Tier::Pro);
    control.create_tenant(&owner(&record), &key.hash(&Pepper::new("pepper")), &record).await.unwrap();
    tenant
}

#[tokio::test]
async fn no_tenant_gets_more_endpoints_than_it_may_have() {
    let control = Control::new(emulator().await.table(&table("Control")));
    let tenant = stored_tenant(&control).await;
    let numbers: Vec<u8> = (0..=u8::try_from(MAX_ENDPOINTS).unwrap()).collect();
    let mut added = Vec::new();
    for number in &numbers {
        added.push(control.add_endpoint(&tenant, &endpoint_of(&tenant, *number)).await.unwrap());
    }
    assert_eq!(added.iter().filter(|added| **added == Added::Done).count(), MAX_ENDPOINTS);
    assert_eq!(added.last(), Some(&Added::TooMany));
    for _ in 0..2 {
        control.delete_endpoint(&tenant, &endpoint(0).id).await.unwrap(); // twice is once
    }
    let last = endpoint_of(&tenant, numbers[MAX_ENDPOINTS]);
    assert_eq!(control.add_endpoint(&tenant, &last).await.unwrap(), Added::Done);
    assert_eq!(control.endpoints(&tenant).await.unwrap().len(), MAX_ENDPOINTS);
}

#[tokio::test]
async fn real_schedules_keep_their_promises() {
    schedules_keep_their_promises(&Schedule::new(emulator().await.table(&table("Schedule")))).await.unwrap();
}

#[tokio::test]
async fn how_a_tenant_stands_is_read_at_once() {
    let control = Control::new(emulator().await.table(&table("Control")));
    let tenant = stored_tenant(&control).await;
    let endpoint = endpoint_of(&tenant, 1);
    assert_eq!(control.add_endpoint(&tenant, &endpoint).await.unwrap(), Added::Done);
    let standing = TenantSettings {
        endpoints: [endpoint].into(),
        endpoints_rev: 2,
        tier: Some(Tier::Pro),
        ..TenantSettings::default()
    };
    assert_eq!(control.settings(&tenant).await.unwrap(), standing);
    let set = json!({"TableName": table("Control"), "UpdateExpression": "SET retention_days = :days, erased_at = :at",
        "Key": {"pk": {"S": format!("t#{tenant}")}, "sk": {"S": "tenant"}},
        "ExpressionAttributeValues": {":days": {"N": "3"}, ":at": {"N": "1"}}});
    dynamodb(&shared().summary().emulator, "UpdateItem", &set).expect(200);
    let standing = TenantSettings { tier: None, retention_days: Some(3), is_erased: true, ..standing };
    assert_eq!(control.settings(&tenant).await.unwrap(), standing);
}

#[tokio::test]
async fn real_endpoints_and_keys_keep_their_promises() {
    all_endpoints_and_keys_keep_their_promises(&Control::new(emulator().await.table(&table("Control"))))
        .await;
}

#[tokio::test]
async fn real_tenants_end() {
    let emulator = emulator().await;
    let ours = tenant();
    let control = Control::new(emulator.table(&table("Control")));
    let (key, record) = key_of(&ours, Tier::Pro);
    let hash = key.hash(&Pepper::new("pepper"));
    control.create_tenant(&owner(&record), &hash, &record).await.unwrap();
    assert_eq!(control.add_endpoint(&ours, &endpoint_of(&ours, 1)).await.unwrap(), Added::Done);
    let key_id = environment("consumer", &[])["DATA_KMS_KEY"].clone();
    let keys = || {
        let control = emulator.table(&table("Control"));
        DataKeys::<Aws>::new(control, emulator.vault(&key_id), emulator.clock())
    };
    keys().key_or_new(&ours).await.unwrap();
    tenants_end(&control, &ours, &hash).await.unwrap();
    assert!(keys().key(&ours).await.unwrap().is_none(), "the data key is gone");
    let query = json!({"TableName": table("Control"), "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": format!("t#{ours}")}}});
    let left = dynamodb(&shared().summary().emulator, "Query", &query).expect(200).json();
    let items = left["Items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{left}");
    let mut names: Vec<&str> = items[0].as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["erased_at", "erased_by", "pk", "rev", "sk"], "nothing but the mark");
}
