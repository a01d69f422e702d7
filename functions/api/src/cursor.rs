//! Cursors of lists. A cursor is opaque, and valid only for the tenant and the filter that it was issued for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::Peppers;
use domain::tenant::id::TenantId;

use crate::query::query_value;

const PURPOSE: &str = "cursor";

/// The size of an HMAC-SHA-256 tag.
const TAG_BYTES: usize = 32;

/// The cursors of one list of a tenant, or of the operator. A cursor is the place where a page ended, with a tag before it.
pub(crate) struct Cursors<'a> {
    pub(crate) peppers: &'a Peppers,
    /// The tenant; `None` for a list of the operator.
    pub(crate) tenant: Option<&'a TenantId>,
    /// The list and its filter.
    pub(crate) filter: String,
}

impl Cursors<'_> {
    /// Returns the cursor that continues after `place`.
    pub(crate) fn write(&self, place: &str) -> String {
        let tag = self.peppers.current().tag(PURPOSE, self.message(place).as_bytes());
        BASE64.encode([&tag, place.as_bytes()].concat())
    }

    /// Reads the place after which the list continues, from the query parameter `cursor`. Returns `None` without a
    /// cursor.
    ///
    /// # Errors
    /// 400 for a cursor that was not issued for this tenant and this filter.
    pub(crate) fn read(&self, query: Option<&str>) -> Result<Option<String>, Problem> {
        let Some(cursor) = query_value(query, "cursor") else { return Ok(None) };
        self.verify(&cursor).map(Some).ok_or_else(invalid)
    }

    fn verify(&self, cursor: &str) -> Option<String> {
        let bytes = BASE64.decode(cursor).ok()?;
        let (tag, place) = bytes.split_at_checked(TAG_BYTES)?;
        let place = std::str::from_utf8(place).ok()?;
        let is_valid = self.peppers.verify(PURPOSE, self.message(place).as_bytes(), tag);
        is_valid.then(|| place.to_owned())
    }

    fn message(&self, place: &str) -> String {
        format!("{}\0{place}\0{}", self.tenant.map_or("operator", TenantId::as_str), self.filter)
    }
}

/// Returns the problem of a cursor that is not valid for the request.
pub(crate) fn invalid() -> Problem {
    let detail =
        "`cursor` is damaged, or was issued for another tenant or filter; list again without a cursor";
    Problem::new(Kind::CursorInvalid, detail).in_query("cursor")
}

#[cfg(test)]
mod tests {
    use domain::tenant::api_key::Pepper;
    use domain::timestamp::Timestamp;

    use super::*;

    #[test]
    fn a_cursor_is_valid_only_for_its_tenant_and_filter() {
        let peppers = Peppers::from(Pepper::new("p"));
        let now = Timestamp::from_millis(1);
        let ours = TenantId::generate(now, &mut rand::rng());
        let other = TenantId::generate(now, &mut rand::rng());
        let read = |tenant, filter: &str, cursor: &str| {
            let cursors = Cursors { peppers: &peppers, tenant: Some(tenant), filter: filter.to_owned() };
            cursors.read(Some(&format!("cursor={cursor}")))
        };
        let cursor =
            Cursors { peppers: &peppers, tenant: Some(&ours), filter: "asc".to_owned() }.write("evt_1");
        assert_eq!(read(&ours, "asc", &cursor), Ok(Some("evt_1".to_owned())));
        assert_eq!(read(&ours, "asc", ""), Ok(None));
        for (tenant, filter) in [(&other, "asc"), (&ours, "desc")] {
            assert_eq!(read(tenant, filter, &cursor), Err(invalid()));
        }
        for damaged in ["x", "é", &cursor[1..], &cursor[..cursor.len() - 2], &format!("{cursor}AA")] {
            assert_eq!(read(&ours, "asc", damaged), Err(invalid()), "{damaged}");
        }
    }
}
