//! The item of an attempt. It is stored after the head of its event. The index `attempts` lists the attempts at an
//! endpoint that the API shows, by time.

use domain::delivery::DeliveryMessage;
use domain::delivery::attempt::Attempt;
use domain::delivery::run::Run;
use domain::delivery::verdict::{Answer, VerdictKind};
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::timestamp::Timestamp;

use crate::item::{Item, Key, Unreadable};
use crate::keys;

/// A stored attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoggedAttempt {
    /// The event.
    pub event: EventId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The run that the attempt belongs to.
    pub run: Run,
    /// The attempt number in the run, counted from 1.
    pub n: u64,
    /// Whether it was a probe of an open circuit breaker.
    pub is_probe: bool,
    /// When it began.
    pub at: Timestamp,
    /// The duration in milliseconds.
    pub duration_ms: u64,
    /// The HTTP status of the answer, if there was one.
    pub code: Option<u64>,
    /// The verdict.
    pub verdict: VerdictKind,
    /// Why there was no answer.
    pub error: Option<String>,
    /// The first bytes of the answer's body.
    pub answer: Option<String>,
}

/// Returns the item of an attempt. It expires with its event.
pub(crate) fn write(attempt: &Attempt, expires_at: Timestamp) -> Item {
    let DeliveryMessage { tenant, event, endpoint, run, n, .. } = &attempt.message;
    let is_listed = attempt.is_listed();
    let item = Item::from([
        ("attempted_at", attempt.at.into()),
        ("generation", run.as_str().into()),
        ("n", (*n).into()),
        ("duration_ms", attempt.duration_ms.into()),
        ("verdict", attempt.verdict.kind().as_str().into()),
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
        run: Run::from_stored(item.text("generation")?),
        n: item.number("n")?,
        is_probe: item.is_set("probe"),
        at: item.timestamp("attempted_at")?,
        duration_ms: item.number("duration_ms")?,
        code: item.number("code").ok(),
        verdict: VerdictKind::parse(item.text("verdict")?).ok_or(Unreadable("verdict"))?,
        error: optional("error"),
        answer: optional("answer"),
    })
}

/// Reads an attempt; logs an unreadable one and returns `None`.
pub(crate) fn readable(item: &Item) -> Option<LoggedAttempt> {
    let report =
        |error: &Unreadable| tracing::error!(cause = %error, "an attempt is unreadable; it is left out");
    read(item).inspect_err(report).ok()
}

/// Returns the event of a head or an attempt.
pub(crate) fn event_of(item: &Item) -> Option<EventId> {
    EventId::parse(item.text("sk").ok()?.split('#').next()?)
}

/// Returns whether an item is an attempt, not a head.
pub(crate) fn is_attempt(item: &Item) -> bool {
    item.text("sk").is_ok_and(|sk| sk.contains('#'))
}
