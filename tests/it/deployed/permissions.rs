//! Every function calls AWS as its own role, in the local stack too: all other stories show that a role allows what its function
//! does, these that it allows no more, what is rarely done, and what is done without when it fails.

use aws::clients::emulator_clients_as;
use aws::ports::Aws;
use std::fmt::Debug;
use std::fs;
use store::limits::Limits;
use store::ports::Ports;

use domain::delivery::DeliveryMessage;
use domain::delivery::lane::Lane;
use domain::delivery::schedule::Due;
use domain::event::claim::Claim;
use domain::event::claim_name::{ClaimName, DedupId};
use domain::event::fingerprint::Fingerprint;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::expiry::ExpiryBatch;
use domain::inbox::notice_request::{NoticeRequest, Reason};
use domain::testing::{START, endpoint, erasure_id, event, tenant};
use serde_json::json;
use store::claims::Claims;
use store::control::Control;
use store::data_keys::DataKeys;
use store::events::Events;
use store::queues::{Delayed, Lanes};
use store::schedule::Schedule;
use store::unavailable::PortResult;

use crate::deployed::support::proxy::{Fault, Proxy, Rule};
use crate::deployed::support::runtime::{Process, environment};
use crate::deployed::support::stack::shared;
use crate::support::aws::dynamodb;
use crate::support::client::Tenant;
use crate::support::eventually;
use crate::support::python::run;
use crate::support::receiver::Receiver;

const FUNCTIONS: [&str; 6] = ["ingest", "consumer", "delivery", "scheduler", "drain", "api"];

/// Those that read what is stored. Drain reads heads too, and may open nothing.
const READERS: [&str; 3] = ["delivery", "scheduler", "api"];

/// A write of what was written twice before.
const THIRD_WRITE: &str = r#"":v0":{"N":"2"}"#;

/// The emulator, as a function calls it.
async fn as_function(function: &str) -> Aws {
    let environment = environment(function, &[]);
    let [id, secret] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| environment[name].as_str());
    Aws::of(emulator_clients_as(&shared().summary().emulator, id, secret).await)
}

#[track_caller]
fn check<T: Debug>(result: PortResult<T>, is_allowed: bool, who: &str) {
    match result {
        Ok(_) => assert!(is_allowed, "{who} may not"),
        Err(error) => {
            assert!(!is_allowed && format!("{error:?}").contains("AccessDenied"), "{who}: {error:?}");
        }
    }
}

#[tokio::test]
async fn who_never_reads_an_event_or_claims_a_name_may_not() {
    let tables = &shared().summary().tables;
    for function in FUNCTIONS {
        let aws = as_function(function).await;
        let keys = DataKeys::new(aws.table(&tables["Control"]), aws.vault(""), aws.clock());
        let read = Events::<Aws>::new(aws.table(&tables["Events"]), keys).ping().await;
        check(read, READERS.contains(&function) || function == "drain", function);

        let name = ClaimName::Dedup(DedupId::parse("a").unwrap());
        let id = EventId::generate(START, 1, &mut rand::rng());
        let claim = Claim::new(id, Fingerprint::of_request("a"), START);
        let claims = Claims::new(aws.table(&tables["Claims"]));
        check(claims.claim(&tenant(), &name, &claim, START).await, function == "ingest", function);
    }
}

#[tokio::test]
async fn who_stores_events_or_notices_may_find_the_endpoints_that_get_them() {
    let tables = &shared().summary().tables;
    for function in FUNCTIONS {
        let control = Control::new(as_function(function).await.table(&tables["Control"]));
        check(control.settings(&tenant()).await, !["ingest", "drain"].contains(&function), function);
    }
}

#[tokio::test]
async fn who_decides_by_the_waits_of_the_queues_may_read_them() {
    let tables = &shared().summary().tables;
    for function in FUNCTIONS {
        let limits = Limits::new(as_function(function).await.table(&tables["Limits"]));
        check(limits.waits().await, !["delivery", "drain"].contains(&function), function);
    }
}

/// A function does without some calls when they fail, so only its log shows that its role lacks them.
#[test]
fn no_function_is_refused_what_it_calls_for_a_delivered_event() {
    let (tenant, receiver) = (Tenant::deployed(), Receiver::answering(200));
    tenant.set_webhook(&receiver.url());
    let id = tenant.accepted("order.created");
    receiver.wait_for(1);
    tenant.stored_as("delivered", &id);
    for function in ["ingest", "consumer", "delivery"] {
        let path = shared().function_log(function);
        let read = || fs::read_to_string(&path).expect("a log");
        let log = eventually("the log names the event", || Some(read()).filter(|log| log.contains(&id)));
        let refused: Vec<&str> = log.lines().filter(|line| line.contains("is not authorized")).collect();
        assert!(refused.is_empty(), "{function}: {refused:#?}");
    }
}

#[tokio::test]
async fn who_sends_deliveries_may_send_by_both_lanes() {
    let head = Head::new(&event(&tenant(), "a", "1", START), [endpoint(1).id]); // of no tenant, so it is not delivered
    let (id, delivery) = head.deliveries.first_key_value().unwrap();
    let message = DeliveryMessage::first(&tenant(), head.id, id, delivery, false);
    let queues = &shared().summary().queues;
    for function in FUNCTIONS {
        let aws = as_function(function).await;
        let lanes = Lanes::new(aws.queue(&queues["deliveries"]), aws.queue(&queues["deliveries-slow"]));
        for lane in Lane::ALL {
            let sent = lanes.send(&[Delayed::at_once(message.clone(), lane)]).await;
            check(sent, function != "ingest", &format!("{function}, {lane:?}"));
        }
    }
}

#[tokio::test]
async fn a_grant_ends_where_its_condition_does() {
    let (tables, ours) = (&shared().summary().tables, tenant());
    let control = Control::new(as_function("ingest").await.table(&tables["Control"]));
    check(control.record_use(&ours, "key_1", START).await, true, "ingest, of the use of a key");
    check(control.mark_erased(&ours, &erasure_id(), START).await, false, "ingest, of anything else");

    let control = Control::new(as_function("consumer").await.table(&tables["Control"]));
    check(control.mark_erased(&ours, &erasure_id(), START).await, false, "consumer, of anything but keys");

    let schedule = Schedule::new(as_function("consumer").await.table(&tables["Schedule"]));
    let cohort = ExpiryBatch::of(&ours, &Head::new(&event(&ours, "a", "1", START), []));
    check(schedule.put_expiring(&cohort).await, true, "consumer, of what expires");
    let request = NoticeRequest::new(&ours, Reason::Filling, START);
    check(schedule.request_notice(&request).await, true, "consumer, of a notice");
    let head = Head::new(&event(&ours, "a", "1", START), [endpoint(1).id]);
    let (id, delivery) = head.deliveries.first_key_value().unwrap();
    let due = Due { message: DeliveryMessage::first(&ours, head.id, id, delivery, false), at: START };
    check(schedule.put_due(&due, head.expires_at).await, false, "consumer, of anything else");
}

/// Each function reads with its own role what consumer and api make and seal with theirs.
#[tokio::test]
async fn who_makes_keys_may_seal_them_under_the_root_key_and_all_readers_may_open_them() {
    let tables = &shared().summary().tables;
    let key_id = environment("consumer", &[])["DATA_KMS_KEY"].clone();
    let keys = async |function| {
        let aws = as_function(function).await;
        DataKeys::<Aws>::new(aws.table(&tables["Control"]), aws.vault(&key_id), aws.clock())
    };
    for maker in ["consumer", "api"] {
        let ours = tenant();
        keys(maker).await.key_or_new(&ours).await.unwrap();
        let place = json!({"pk": {"S": format!("t#{ours}")}, "sk": {"S": "data_key"}});
        let stored = || {
            let get = json!({"TableName": tables["Control"], "Key": place, "ConsistentRead": true});
            dynamodb(&shared().summary().emulator, "GetItem", &get).expect(200).json()["Item"].clone()
        };
        let mut item = stored();
        assert!(item["under_root"]["B"].is_string(), "{maker}: {item}");
        item.as_object_mut().unwrap().remove("under_root");
        let old = json!({"TableName": tables["Control"], "Item": item});
        dynamodb(&shared().summary().emulator, "PutItem", &old).expect(200);
        keys(maker).await.key_or_new(&ours).await.unwrap();
        assert!(stored()["under_root"]["B"].is_string(), "{maker} seals the key of the version before");
        for reader in READERS {
            let key = keys(reader).await.read_only().key(&ours).await;
            assert!(key.unwrap().is_some(), "{reader}");
        }
        let of_drain = keys("drain").await.read_only().key(&ours).await;
        assert!(format!("{of_drain:?}").contains("AccessDenied"), "{of_drain:?}");
    }
}

/// Asks KMS for a key under each of some encryption contexts; prints `ok` or the code of the error for each.
const GENERATE: &str = "
import json, sys
import botocore.session, botocore.exceptions
call = json.load(sys.stdin)
client = botocore.session.get_session().create_client('kms', region_name='us-east-1', endpoint_url=call['url'],
    aws_access_key_id=call['id'], aws_secret_access_key=call['secret'])
for context in call['contexts']:
    try:
        client.generate_data_key(KeyId=call['key'], KeySpec='AES_256', EncryptionContext=context)
        print('ok')
    except botocore.exceptions.ClientError as error:
        print(error.response['Error']['Code'])
";

#[test]
fn a_key_is_made_only_under_the_name_of_a_tenant_or_of_the_root_key() {
    let ours = tenant();
    let contexts = json!([{"tenant": "root key"}, {"tenant": ours.as_str()}, {}, {"other": "a"}, {"tenant": ours.as_str(), "other": "a"}]);
    for function in ["consumer", "api"] {
        let environment = environment(function, &[]);
        let input = json!({"url": shared().summary().emulator, "id": environment["AWS_ACCESS_KEY_ID"],
            "secret": environment["AWS_SECRET_ACCESS_KEY"], "key": environment["DATA_KMS_KEY"], "contexts": contexts});
        let codes = run(GENERATE, &input).unwrap();
        let refused = "AccessDeniedException";
        assert_eq!(codes.lines().collect::<Vec<_>>(), ["ok", "ok", refused, refused, refused], "{function}");
    }
}

/// What the scheduler does only where a write of a job lost its answer. A replay of four shards is written after each.
#[test]
fn the_scheduler_may_read_the_job_that_it_raced_for() {
    let (tenant, proxy) = (Tenant::deployed_of_tier("business"), Proxy::start());
    let environment = environment("scheduler", &[("AWS_ENDPOINT_URL", &proxy.url())]);
    let scheduler = Process::start("scheduler", &environment);
    eventually("a visit of ours loses an answer, and ends the replay all the same", || {
        let body = json!({"since": "2024-01-01T00:00:00Z"}).to_string();
        let id = tenant.post("/api/replays", body).expect(202).id();
        proxy.heal();
        proxy.spoil(Rule::every("PutItem", Fault::AnswerLost).with(&id).with(THIRD_WRITE).times(1));
        scheduler.invoke("{}");
        let replay = tenant.get(&format!("/api/replays/{id}")).expect(200).json();
        let is_ours = proxy.take_repeats() > 0; // or the stack's own scheduler was first
        (is_ours && replay["state"] == "done").then_some(())
    });
}
