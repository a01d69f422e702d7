//! The item of a claim: the fingerprint of the content, when the claim expires, and whether the client has seen nothing
//! but a 503. Its store adds the id.

use domain::event::claim::Claim;
use domain::event::fingerprint::Fingerprint;
use domain::timestamp::Timestamp;

use crate::item::{Item, Unreadable};
use crate::table::condition::{Condition, absent, less};

/// Returns the condition that a name is not claimed at `now`. The timestamp decides: time to live deletes an expired
/// claim days later.
pub(crate) fn is_free(now: Timestamp) -> Condition {
    absent("pk").or(less("expires_at", now.seconds()))
}

/// Returns the attributes of a claim, without the key of the item and the id of the event.
pub(crate) fn write<I>(claim: &Claim<I>) -> Item {
    let item = Item::from([
        ("fingerprint", claim.fingerprint.text.to_vec().into()),
        ("expires_at", claim.expires_at.seconds().into()),
    ]);
    item.with_some("content", claim.fingerprint.content.map(Vec::from))
        .with_some("unconfirmed", claim.is_unconfirmed.then_some(true))
}

/// Reads a claim; the caller passes the id that it read.
pub(crate) fn read<I>(item: &Item, id: I) -> Result<Claim<I>, Unreadable> {
    let content = if item.has("content") { Some(digest(item, "content")?) } else { None };
    let fingerprint = Fingerprint { content, text: digest(item, "fingerprint")? };
    let expires_at = Timestamp::from_seconds(item.number("expires_at")?);
    Ok(Claim { id, fingerprint, expires_at, is_unconfirmed: item.has("unconfirmed") })
}

fn digest(item: &Item, name: &'static str) -> Result<[u8; 32], Unreadable> {
    item.bytes(name)?.try_into().map_err(|_| Unreadable(name))
}
