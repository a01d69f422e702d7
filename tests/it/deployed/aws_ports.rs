//! The queue and the vault on AWS keep the promises of their ports in the emulator.

use std::collections::BTreeSet;
use std::time::Duration;

use aws::clients::{Clients, emulator_clients};
use aws::kms_vault::KmsVault;
use aws::sqs_queue::SqsQueue;
use domain::testing::{data_key, tenant};
use serde_json::json;
use store::queue::{Depth, Outgoing, Queue};
use store::vault::Vault;

use super::support::runtime::environment;
use super::support::sqs::{queue, receive};
use super::support::stack::shared;

async fn clients() -> Clients {
    emulator_clients(&shared().summary().emulator).await
}

#[tokio::test]
async fn a_queue_confirms_each_message_and_deletes_by_receipt() {
    let url = queue(&json!({}));
    let queue = SqsQueue::new(&clients().await, url.clone());
    let tenant = tenant();
    let message =
        |number: u64, delay| Outgoing { tenant: tenant.clone(), body: format!("message {number}"), delay };
    let mut messages: Vec<Outgoing> = (0..12).map(|number| message(number, Duration::ZERO)).collect();
    messages.push(message(12, Duration::from_hours(1)));
    let results = queue.send(&messages).await;
    assert_eq!((results.len(), results.iter().all(Result::is_ok)), (13, true));
    assert_eq!(queue.depth().await.unwrap(), Depth { visible: 12, in_flight: 0, delayed: 1 });

    let received = [receive(&url), receive(&url)].concat();
    let text =
        |name: &'static str| received.iter().map(move |message| message[name].as_str().unwrap().to_owned());
    let bodies: BTreeSet<String> = text("Body").collect();
    assert_eq!(bodies, messages[..12].iter().map(|message| message.body.clone()).collect());
    assert_eq!(queue.depth().await.unwrap(), Depth { visible: 0, in_flight: 12, delayed: 1 });
    let receipts: Vec<String> = text("ReceiptHandle").collect();
    queue.delete(&receipts).await.unwrap(); // once: the emulator refuses a second time, SQS does not
    assert_eq!(queue.depth().await.unwrap(), Depth { visible: 0, in_flight: 0, delayed: 1 });
    queue.delete(&[]).await.unwrap();
    assert!(queue.send(&[]).await.is_empty());
}

#[tokio::test]
async fn a_queue_that_is_not_there_confirms_nothing() {
    let url = format!("{}/000000000000/none", shared().summary().emulator);
    let queue = SqsQueue::new(&clients().await, url);
    let message = Outgoing { tenant: tenant(), body: "lost".to_owned(), delay: Duration::ZERO };
    let results = queue.send(&[message.clone(), message]).await;
    assert_eq!((results.len(), results.iter().all(Result::is_err)), (2, true));
    assert!(queue.depth().await.is_err());
}

#[tokio::test]
async fn a_data_key_is_unwrapped_for_its_own_tenant_alone() {
    let vault = KmsVault::new(&clients().await, environment("consumer", &[])["DATA_KMS_KEY"].clone());
    let tenant_of_key = tenant();
    let (key, wrapped) = vault.new_key(&tenant_of_key).await.unwrap();
    let sealed = key.seal(&tenant_of_key, "ep_1", b"secret", [7; 12]).unwrap();
    let unwrapped = vault.unwrap_key(&tenant_of_key, &wrapped).await.unwrap();
    assert_eq!(unwrapped.open(&tenant_of_key, "ep_1", &sealed).as_deref(), Ok(&b"secret"[..]));
    assert!(vault.unwrap_key(&tenant(), &wrapped).await.is_err());
    assert!(vault.unwrap_key(&tenant_of_key, b"damaged").await.is_err());
    let (other, _) = vault.new_key(&tenant_of_key).await.unwrap();
    assert!(other.open(&tenant_of_key, "ep_1", &sealed).is_err(), "each key is new");
}

#[tokio::test]
async fn a_root_key_is_unwrapped_as_the_root_key_alone() {
    let vault = KmsVault::new(&clients().await, environment("consumer", &[])["DATA_KMS_KEY"].clone());
    let (ours, (root, wrapped)) = (tenant(), vault.new_root_key().await.unwrap());
    let sealed = root.seal(&ours, &data_key(), [7; 12]).unwrap();
    assert!(vault.unwrap_root_key(&wrapped).await.unwrap().open(&ours, &sealed).is_ok());
    assert!(vault.unwrap_key(&ours, &wrapped).await.is_err());
    let (_, wrapped) = vault.new_key(&ours).await.unwrap();
    assert!(vault.unwrap_root_key(&wrapped).await.is_err());
}
