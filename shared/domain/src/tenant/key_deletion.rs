//! Decides whether a key may delete another key of its tenant.
//!
//! A key gives no more than it has, and takes no more either: it deletes no key with a scope that it lacks, and no key
//! that lasts longer. So a key that was replaced and is in its overlap, or a key that it made, cannot delete its
//! successor. The tenant always keeps a key with the scope `keys:admin`: none is deleted unless another one lasts at
//! least as long.

use super::api_key::{KeyRecord, Scope};
use crate::timestamp::Timestamp;

/// Why a key is not deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The asking key lacks this scope of the key.
    LacksScope(Scope),
    /// The asking key ends at this time, and the key lasts longer.
    EndsEarlier(Timestamp),
    /// No other key with `keys:admin` lasts as long.
    LastAdmin,
}

/// Checks that `asking` may delete `target` at `now`. `keys` are all keys of the tenant.
///
/// # Errors
/// The first [`Refusal`] that applies.
pub fn check(
    asking: &KeyRecord,
    target: &KeyRecord,
    keys: &[KeyRecord],
    now: Timestamp,
) -> Result<(), Refusal> {
    if let Some(scope) = target.scopes.iter().find(|scope| !asking.allows(**scope)) {
        return Err(Refusal::LacksScope(*scope));
    }
    if let Some(end) = asking.expires_at.filter(|_| !lasts_as_long(asking, target)) {
        return Err(Refusal::EndsEarlier(end));
    }
    let is_admin = |key: &KeyRecord| key.allows(Scope::KeysAdmin) && key.is_live(now);
    let replaces = |key: &KeyRecord| key.id != target.id && is_admin(key) && lasts_as_long(key, target);
    if is_admin(target) && !keys.iter().any(replaces) {
        return Err(Refusal::LastAdmin);
    }
    Ok(())
}

/// Returns whether a key ends no earlier than the other one.
fn lasts_as_long(key: &KeyRecord, other: &KeyRecord) -> bool {
    match (key.expires_at, other.expires_at) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(end), Some(other)) => end >= other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tenant::tier::Tier;
    use crate::testing::{START, key_of, tenant};

    /// Returns a key with these scopes that ends after this number of minutes.
    fn key(scopes: &[Scope], minutes: Option<u64>) -> KeyRecord {
        let expires_at = minutes.map(|minutes| START.after(Duration::from_mins(minutes)));
        KeyRecord { scopes: scopes.to_vec(), expires_at, ..key_of(&tenant(), Tier::Free).1 }
    }

    /// Returns the decision on `target` at [`START`], in a tenant with both keys and `others`.
    fn decide(asking: &KeyRecord, target: &KeyRecord, others: &[&KeyRecord]) -> Result<(), Refusal> {
        let all: Vec<KeyRecord> =
            [asking, target].into_iter().chain(others.iter().copied()).cloned().collect();
        check(asking, target, &all, START)
    }

    #[test]
    fn a_key_deletes_no_key_with_a_scope_that_it_lacks() {
        let (all, admin) = (key(&Scope::ALL, None), key(&[Scope::KeysAdmin], None));
        assert_eq!(decide(&admin, &all, &[]), Err(Refusal::LacksScope(Scope::EventsWrite)));
        assert_eq!(decide(&all, &admin, &[]), Ok(()));
    }

    #[test]
    fn a_key_deletes_no_key_that_lasts_longer() {
        let end = Refusal::EndsEarlier(START.after(Duration::from_mins(60)));
        let (permanent, other) = (key(&Scope::ALL, None), key(&Scope::ALL, None));
        let ending = key(&Scope::ALL, Some(60));
        assert_eq!(decide(&ending, &permanent, &[&other]), Err(end));
        assert_eq!(decide(&ending, &key(&Scope::ALL, Some(61)), &[&other]), Err(end));
        for minutes in [1, 60] {
            assert_eq!(decide(&ending, &key(&Scope::ALL, Some(minutes)), &[&other]), Ok(()));
        }
        assert_eq!(decide(&ending, &ending, &[&other]), Ok(()), "itself");
    }

    #[test]
    fn the_last_admin_key_stays_unless_another_one_lasts_as_long() {
        let admin = key(&Scope::ALL, None);
        let (ending, ended) = (key(&Scope::ALL, Some(60)), key(&Scope::ALL, Some(0)));
        let reader = key(&[Scope::InboxRead], None);
        for others in [&[][..], &[&reader], &[&ending], &[&ended]] {
            assert_eq!(decide(&admin, &admin, others), Err(Refusal::LastAdmin), "{others:?}");
        }
        let other = key(&[Scope::KeysAdmin], None);
        for target in [&admin, &reader, &ending, &ended] {
            assert_eq!(decide(&admin, target, &[&other]), Ok(()), "{target:?}");
        }
    }
}
