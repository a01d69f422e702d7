//! The item of a claim: the fingerprint of the content, and when the claim expires. Its store adds the id.

use domain::event::claim::{Claim, Fingerprint};
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
    Item::from([
        ("fingerprint", claim.fingerprint.0.to_vec().into()),
        ("expires_at", claim.expires_at.seconds().into()),
    ])
}

/// Reads a claim; the caller passes the id that it read.
pub(crate) fn read<I>(item: &Item, id: I) -> Result<Claim<I>, Unreadable> {
    let fingerprint = item.bytes("fingerprint")?.try_into().map_err(|_| Unreadable("fingerprint"))?;
    let expires_at = Timestamp::from_seconds(item.number("expires_at")?);
    Ok(Claim { id, fingerprint: Fingerprint(fingerprint), expires_at })
}
