//! An attempt as an item beside its event's head; the index `attempts` lists those of an endpoint by time that are to be
//! listed there.

use crate::adapters::item::{Item, item, n, s};
use crate::keys;
use domain::delivery::DeliveryMessage;
use domain::delivery::attempt::Attempt;
use domain::delivery::verdict::Answer;
use domain::timestamp::Timestamp;

/// The item of an attempt, kept as long as its event.
pub(super) fn write(attempt: &Attempt, expires_at: Timestamp) -> Item {
    let DeliveryMessage { tenant, event, endpoint, generation, n: number, .. } = &attempt.message;
    let mut attributes = item([
        ("pk", s(keys::shard(tenant, event.shard()))),
        ("sk", s(keys::attempt(attempt))),
        ("attempted_at", n(attempt.at.millis())),
        ("generation", s(generation)),
        ("n", n((*number).into())),
        ("duration_ms", n(attempt.duration_ms)),
        ("verdict", s(attempt.verdict.as_str())),
        ("ttl", n(expires_at.seconds())),
    ]);
    let mut insert = |name: &str, value| attributes.insert(name.to_owned(), value);
    if attempt.is_listed() {
        insert("attempts_pk", s(keys::attempts(tenant, endpoint)));
    }
    if attempt.is_probe() {
        insert("probe", aws_sdk_dynamodb::types::AttributeValue::Bool(true));
    }
    match &attempt.answer {
        Answer::Status { code, excerpt, .. } => {
            insert("code", n(u64::from(*code)));
            if attempt.is_listed() {
                insert("answer", s(excerpt));
            }
        }
        Answer::None(failure) => {
            insert("error", s(failure.as_str()));
        }
    }
    attributes
}
