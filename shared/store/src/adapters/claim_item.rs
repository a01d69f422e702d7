//! A claim as it is stored: what a name stands for, what was asked, and until when. Judged by its timestamp, since the table's own
//! deletion comes later.

use crate::adapters::item::{Item, Unreadable, b, bytes, item, n, number};
use domain::event::claim::{Claim, Fingerprint};
use domain::timestamp::Timestamp;

/// The condition of a put under a name that is free at `:now`, in seconds.
pub(super) const FREE: &str = "attribute_not_exists(pk) OR expires_at < :now";

/// The attributes of a claim, without its key and what it stands for.
pub(super) fn write<I>(claim: &Claim<I>) -> Item {
    item([("fingerprint", b(claim.fingerprint.0.to_vec())), ("expires_at", n(claim.expires_at.seconds()))])
}

/// The claim of an item, which stands for this.
pub(super) fn read<I>(item: &Item, id: I) -> Result<Claim<I>, Unreadable> {
    let fingerprint = bytes(item, "fingerprint").and_then(|bytes| bytes.try_into().ok());
    Ok(Claim {
        id,
        fingerprint: Fingerprint(fingerprint.ok_or(Unreadable("fingerprint"))?),
        expires_at: Timestamp::from_seconds(number(item, "expires_at")?),
    })
}
