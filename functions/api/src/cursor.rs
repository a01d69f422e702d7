//! Where a list goes on: opaque, and good only for the tenant and the filter it was given out for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::{Pepper, Peppers};
use domain::tenant::id::TenantId;

const PURPOSE: &str = "cursor";

/// HMAC-SHA-256.
const TAG_BYTES: usize = 32;

/// The cursor after `place`, in the list of `tenant` that `filter` describes.
pub(crate) fn write(pepper: &Pepper, tenant: &TenantId, filter: &str, place: &str) -> String {
    let tag = pepper.tag(PURPOSE, message(tenant, filter, place).as_bytes());
    BASE64.encode([&tag, place.as_bytes()].concat())
}

/// The place after which the list goes on.
///
/// # Errors
/// 400 for a cursor that was not given out for this tenant and this filter.
pub(crate) fn read(
    peppers: &Peppers,
    tenant: &TenantId,
    filter: &str,
    cursor: &str,
) -> Result<String, Problem> {
    try_read(peppers, tenant, filter, cursor).ok_or_else(invalid)
}

/// The answer to a cursor that was not given out for the query at hand.
pub(crate) fn invalid() -> Problem {
    let detail = "the cursor is damaged, or was given out for another query; begin again without one";
    Problem::new(Kind::CursorInvalid, detail)
}

fn try_read(peppers: &Peppers, tenant: &TenantId, filter: &str, cursor: &str) -> Option<String> {
    let bytes = BASE64.decode(cursor).ok()?;
    let (tag, place) = bytes.split_at_checked(TAG_BYTES)?;
    let place = std::str::from_utf8(place).ok()?;
    let genuine = peppers.verify(PURPOSE, message(tenant, filter, place).as_bytes(), tag);
    genuine.then(|| place.to_owned())
}

fn message(tenant: &TenantId, filter: &str, place: &str) -> String {
    format!("{tenant}\0{place}\0{filter}")
}

#[cfg(test)]
mod tests {
    use domain::timestamp::Timestamp;

    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_query_alone() {
        let (peppers, now, mut rng) =
            (Peppers::from(Pepper::new("p")), Timestamp::from_millis(1), rand::rng());
        let (ours, other) = (TenantId::generate(now, &mut rng), TenantId::generate(now, &mut rng));
        let event = "evt_1";
        let cursor = write(peppers.current(), &ours, "asc", event);
        assert_eq!(read(&peppers, &ours, "asc", &cursor), Ok(event.to_owned()));
        for (tenant, filter) in [(&other, "asc"), (&ours, "desc")] {
            assert!(read(&peppers, tenant, filter, &cursor).is_err());
        }
        for damaged in ["", "x", "é", &cursor[1..], &cursor[..cursor.len() - 2], &format!("{cursor}AA")] {
            assert!(read(&peppers, &ours, "asc", damaged).is_err(), "{damaged}");
        }
    }
}
