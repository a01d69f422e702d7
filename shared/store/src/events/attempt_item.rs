//! An attempt as an item behind the head of its event. The index `attempts` lists, by time, those of an endpoint that are shown to its
//! owner.

use domain::delivery::DeliveryMessage;
use domain::delivery::attempt::Attempt;
use domain::delivery::verdict::Answer;
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::timestamp::Timestamp;

use super::attempts::LoggedAttempt;
use crate::item::{Item, Key, Unreadable};
use crate::keys;

/// Returns the item of an attempt, kept as long as its event.
pub(crate) fn write(attempt: &Attempt, expires_at: Timestamp) -> Item {
    let DeliveryMessage { tenant, event, endpoint, generation, n, .. } = &attempt.message;
    let is_listed = attempt.is_listed();
    let item = Item::from([
        ("attempted_at", attempt.at.into()),
        ("generation", generation.as_str().into()),
        ("n", (*n).into()),
        ("duration_ms", attempt.duration_ms.into()),
        ("verdict", attempt.verdict.as_str().into()),
        ("ttl", expires_at.seconds().into()),
    ])
    .with_some("attempts_pk", is_listed.then(|| keys::attempts(tenant, endpoint)))
    .with_some("probe", attempt.is_probe().then_some(true));
    let item = match &attempt.answer {
        Answer::Status { code, excerpt, .. } => {
            item.with("code", *code).with_some("answer", is_listed.then_some(excerpt.as_str()))
        }
        Answer::None(failure) => item.with("error", failure.as_str()),
    };
    item.at(Key::new(keys::shard(tenant, event.shard()), keys::attempt(attempt)))
}

/// Reads an attempt.
pub(crate) fn read(item: &Item) -> Result<LoggedAttempt, Unreadable> {
    let mut key = item.text("sk")?.split('#');
    let event = key.next().and_then(EventId::parse).ok_or(Unreadable("sk"))?;
    let endpoint = key.next().map(EndpointId::from_stored).ok_or(Unreadable("sk"))?;
    let optional = |name| item.text(name).ok().map(str::to_owned);
    Ok(LoggedAttempt {
        event,
        endpoint,
        generation: item.text("generation")?.to_owned(),
        n: item.number("n")?,
        is_probe: item.is_set("probe"),
        at: item.moment("attempted_at")?,
        duration_ms: item.number("duration_ms")?,
        code: item.number("code").ok(),
        verdict: item.text("verdict")?.to_owned(),
        error: optional("error"),
        answer: optional("answer"),
    })
}

/// Reads an attempt that may be left out: one that cannot be read is logged.
pub(crate) fn readable(item: &Item) -> Option<LoggedAttempt> {
    let report = |error: &Unreadable| tracing::error!(cause = %error, "an attempt cannot be read; it stays");
    read(item).inspect_err(report).ok()
}

/// Returns which event an item belongs to: a head, or an attempt.
pub(crate) fn event_of(item: &Item) -> Option<EventId> {
    EventId::parse(item.text("sk").ok()?.split('#').next()?)
}

/// Returns whether an item is an attempt, and no head.
pub(crate) fn is_attempt(item: &Item) -> bool {
    item.text("sk").is_ok_and(|sk| sk.contains('#'))
}
