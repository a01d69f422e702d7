//! A claim as an item: what a name is claimed for, the content's fingerprint, and until when.

use domain::event::claim::{Claim, Fingerprint};
use domain::timestamp::Timestamp;

use crate::item::{Item, Unreadable};
use crate::table::condition::{Condition, absent, less};

/// Returns the condition that a name is free at `now`. The claim's own time decides: time to live deletes it days later.
pub(crate) fn is_free(now: Timestamp) -> Condition {
    absent("pk").or(less("expires_at", now.seconds()))
}

/// Returns the attributes of a claim, without its key and its id.
pub(crate) fn write<I>(claim: &Claim<I>) -> Item {
    Item::from([
        ("fingerprint", claim.fingerprint.0.to_vec().into()),
        ("expires_at", claim.expires_at.seconds().into()),
    ])
}

/// Reads the claim for this id.
pub(crate) fn read<I>(item: &Item, id: I) -> Result<Claim<I>, Unreadable> {
    let fingerprint = item.bytes("fingerprint")?.try_into().map_err(|_| Unreadable("fingerprint"))?;
    let expires_at = Timestamp::from_seconds(item.number("expires_at")?);
    Ok(Claim { id, fingerprint: Fingerprint(fingerprint), expires_at })
}
