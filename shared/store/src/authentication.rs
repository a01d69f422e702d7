//! From a request's headers to its tenant, with as few reads as the promise about revoked keys allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::OnceCell;

use crate::control::Control;
use crate::table::Table;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::{ApiKey, KeyHash, KeyRecord, LAST_USED_INTERVAL, Peppers, Scope};
use domain::timestamp::Timestamp;

/// How long a key is believed without another look.
const KNOWN_FOR: Duration = Duration::from_secs(30);

/// How long a key is believed while the table does not answer: with it, a revoked key is dead everywhere within a
/// minute.
const BELIEVED_FOR: Duration = Duration::from_secs(60);

/// How long the table is left alone after it did not answer, while a key can still be believed.
const PAUSE: Duration = Duration::from_secs(5);

/// How long an unknown key stays unknown without another look.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// More keys than one instance ever serves; a flood of invented ones empties the cache instead of the memory.
const MAX_KEYS: usize = 10_000;

/// Knows the bearers of keys.
pub struct Authenticator<T> {
    control: Control<T>,
    peppers: Peppers,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: HashMap<KeyHash, Seen>,
    flights: HashMap<KeyHash, Flight>,
    lookups: Lookups,
}

/// One look at the table, shared by all that ask for the same key meanwhile.
type Flight = Arc<OnceCell<Result<Option<KeyRecord>, Problem>>>;

struct Seen {
    record: Option<KeyRecord>,
    read_at: Timestamp,
    until: Timestamp,
    use_noted_at: Option<Timestamp>,
}

/// How keys were found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lookups {
    /// Without a look at the table.
    pub hits: u64,
    /// By a look at the table.
    pub misses: u64,
    /// By what was known before, as the table did not answer.
    pub stale: u64,
}

impl<T: Table> Authenticator<T> {
    /// An authenticator with an empty cache.
    pub fn new(control: Control<T>, peppers: impl Into<Peppers>) -> Self {
        Self { control, peppers: peppers.into(), state: Mutex::default() }
    }

    /// The bearer of the key in `X-API-Key` or `Authorization: Bearer`, whatever its scopes.
    ///
    /// # Errors
    /// 401 for a missing, malformed, unknown, revoked or expired key, all alike; 503 when the table does not answer.
    pub async fn bearer(&self, headers: &HeaderMap, now: Timestamp) -> Result<(KeyHash, KeyRecord), Problem> {
        let key = credential(headers).and_then(ApiKey::parse).ok_or_else(Problem::unauthorized)?;
        let hashes = self.peppers.hashes(&key);
        let (hash, record) = match self.cached(&hashes, now) {
            Some(known) => known?,
            None => self.look_up(hashes, now).await?,
        };
        if record.is_live(now) { Ok((hash, record)) } else { Err(Problem::unauthorized()) }
    }

    /// As [`Authenticator::bearer`], if the key has the scope.
    ///
    /// # Errors
    /// As [`Authenticator::bearer`], and 403 for a missing scope.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(KeyHash, KeyRecord), Problem> {
        let (hash, record) = self.bearer(headers, now).await?;
        require(scope, &record)?;
        Ok((hash, record))
    }

    /// As [`Authenticator::authenticate`], but by the table alone: for what a key revoked a moment ago must not do any
    /// more, such as making another key.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`].
    pub async fn authenticate_now(
        &self,
        headers: &HeaderMap,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(KeyHash, KeyRecord), Problem> {
        self.hashes(headers).iter().for_each(|hash| self.forget(hash));
        self.authenticate(headers, scope, now).await
    }

    /// The hashes under which the request's key may be known, whether it is or not.
    pub fn hashes(&self, headers: &HeaderMap) -> Vec<KeyHash> {
        let key = credential(headers).and_then(ApiKey::parse);
        key.map(|key| self.peppers.hashes(&key)).unwrap_or_default()
    }

    /// The peppers that keys are hashed with.
    pub fn peppers(&self) -> &Peppers {
        &self.peppers
    }

    /// Looks again at the next use of this key: it was just changed here.
    pub fn forget(&self, hash: &KeyHash) {
        self.state().seen.remove(hash);
    }

    /// How keys were found since this was asked last.
    pub fn lookups(&self) -> Lookups {
        std::mem::take(&mut self.state().lookups)
    }

    /// The bearer, or that there is none, where that is known without a look.
    fn cached(&self, hashes: &[KeyHash], now: Timestamp) -> Option<Result<(KeyHash, KeyRecord), Problem>> {
        let mut state = self.state();
        let fresh = |hash| state.seen.get(hash).filter(|seen| now < seen.until).map(|seen| &seen.record);
        let found = hashes.iter().find_map(|hash| Some((hash.clone(), fresh(hash)?.clone()?)));
        if found.is_none() && hashes.iter().any(|hash| fresh(hash).is_none()) {
            return None;
        }
        state.lookups.hits += 1;
        Some(found.ok_or_else(Problem::unauthorized))
    }

    /// Looks under each hash: a key may have been made under a former pepper.
    async fn look_up(&self, hashes: Vec<KeyHash>, now: Timestamp) -> Result<(KeyHash, KeyRecord), Problem> {
        for hash in hashes {
            let flight = Arc::clone(self.state().flights.entry(hash.clone()).or_default());
            let result = flight.get_or_init(|| self.read(&hash, now)).await.clone();
            self.state().flights.remove(&hash);
            if let Some(record) = result? {
                return Ok((hash, record));
            }
        }
        Err(Problem::unauthorized())
    }

    async fn read(&self, hash: &KeyHash, now: Timestamp) -> Result<Option<KeyRecord>, Problem> {
        match self.control.key(hash).await {
            Ok(record) => {
                self.remember(hash, record.clone(), now);
                if let Some(record) = record.as_ref().filter(|record| record.is_live(now)) {
                    self.note_use(hash, record, now).await;
                }
                Ok(record)
            }
            Err(error) => match self.believed(hash, now) {
                Some(record) => {
                    tracing::warn!(cause = %error, "a key is believed without a look");
                    Ok(Some(record))
                }
                None => Err(error.into()),
            },
        }
    }

    fn remember(&self, hash: &KeyHash, record: Option<KeyRecord>, now: Timestamp) {
        let until = now.after(if record.is_some() { KNOWN_FOR } else { UNKNOWN_FOR });
        let State { seen, lookups, .. } = &mut *self.state();
        if seen.len() >= MAX_KEYS {
            seen.clear();
        }
        let use_noted_at = seen.get(hash).and_then(|seen| seen.use_noted_at);
        seen.insert(hash.clone(), Seen { record, read_at: now, until, use_noted_at });
        lookups.misses += 1;
    }

    /// A key that was good a moment ago, while the table does not answer.
    fn believed(&self, hash: &KeyHash, now: Timestamp) -> Option<KeyRecord> {
        let State { seen, lookups, .. } = &mut *self.state();
        let seen = seen.get_mut(hash)?;
        let end = seen.read_at.after(BELIEVED_FOR);
        let record = seen.record.clone().filter(|_| now < end)?;
        seen.until = now.after(PAUSE).min(end);
        lookups.stale += 1;
        Some(record)
    }

    /// Notes that the key is in use, now and then. Nobody is turned away because that fails.
    async fn note_use(&self, hash: &KeyHash, record: &KeyRecord, now: Timestamp) {
        let noted_at = self.state().seen.get(hash).and_then(|seen| seen.use_noted_at);
        if noted_at.is_some_and(|at| now.since(at) < LAST_USED_INTERVAL) {
            return;
        }
        if let Err(error) = self.control.note_use(&record.tenant, &record.id, now).await {
            tracing::warn!(cause = %error, "the use of a key is not noted");
        } else if let Some(seen) = self.state().seen.get_mut(hash) {
            seen.use_noted_at = Some(now);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a scope.
///
/// # Errors
/// 403 where the key lacks it.
pub fn require(scope: Scope, bearer: &KeyRecord) -> Result<(), Problem> {
    if bearer.allows(scope) {
        return Ok(());
    }
    let detail = format!("this API key lacks the scope {}", scope.as_str());
    Err(Problem::new(Kind::Forbidden, detail))
}

fn credential(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok().map(str::trim);
    }
    let (scheme, token) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::testing::faults::{Fault, Faults};
    use crate::testing::table::MemoryTable;
    use crate::testing::table::usage::Operation;
    use crate::testing::tables::MemoryTables;
    use domain::tenant::api_key::Pepper;
    use domain::tenant::tier::Tier;
    use domain::testing::{START, key_of, tenant};

    struct World {
        faults: Faults,
        tables: MemoryTables,
        authenticator: Authenticator<MemoryTable>,
        headers: HeaderMap,
        hash: KeyHash,
        record: KeyRecord,
    }

    /// A key that is in the table.
    fn world() -> World {
        let faults = Faults::default();
        let tables = MemoryTables::new(&faults);
        let (key, record) = key_of(&tenant(), Tier::Free);
        let hash = key.hash(&Pepper::new("pepper"));
        tables.put_key(&hash, &record);
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", key.expose().parse().unwrap());
        let authenticator = Authenticator::new(Control::new(tables.control.clone()), Pepper::new("pepper"));
        World { faults, tables, authenticator, headers, hash, record }
    }

    fn after(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(START.seconds() + seconds)
    }

    #[tokio::test]
    async fn all_that_ask_at_once_share_one_look() {
        let world = world();
        let all = join_all((0..64).map(|_| world.authenticator.bearer(&world.headers, START))).await;
        assert!(all.iter().all(Result::is_ok));
        let lookups = world.authenticator.lookups();
        assert_eq!((lookups.misses, world.tables.control.usage().calls_of(Operation::Get)), (1, 1));
    }

    #[tokio::test]
    async fn a_key_is_looked_for_again_after_30_s_and_a_revoked_one_is_dead_then() {
        let world = world();
        let bearer = |seconds| world.authenticator.bearer(&world.headers, after(seconds));
        assert_eq!(bearer(0).await, Ok((world.hash.clone(), world.record.clone())));
        world.tables.delete_key(&world.hash, &world.record);
        assert!(bearer(29).await.is_ok());
        assert_eq!(world.authenticator.lookups(), Lookups { hits: 1, misses: 1, stale: 0 });
        assert_eq!(bearer(30).await, Err(Problem::unauthorized()));
    }

    #[tokio::test]
    async fn a_known_key_outlives_an_outage_of_the_table_for_a_minute_and_no_longer() {
        let world = world();
        let bearer = |seconds| world.authenticator.bearer(&world.headers, after(seconds));
        assert!(bearer(0).await.is_ok());
        world.faults.die_at(0, Fault::Refused);
        for second in 30..60 {
            assert!(bearer(second).await.is_ok(), "{second}");
        }
        assert_eq!(bearer(60).await.unwrap_err().kind, Kind::Unavailable);
        let lookups = world.authenticator.lookups();
        assert_eq!((lookups.stale, lookups.misses), (6, 1), "the table is left alone for 5 s");
        assert!(world.faults.recover());
        assert!(bearer(61).await.is_ok());
    }

    #[tokio::test]
    async fn the_use_of_a_key_is_noted_every_15_minutes() {
        let world = world();
        let mut noted = Vec::new();
        for second in (0..1800).step_by(10) {
            world.authenticator.bearer(&world.headers, after(second)).await.unwrap();
            noted.extend(world.tables.noted_use(&world.record));
        }
        noted.dedup();
        assert_eq!(noted, [after(0), after(900)]);
    }

    #[tokio::test]
    async fn a_key_made_under_a_former_pepper_is_still_good() {
        let world = world();
        let peppers = Peppers::parse("2:fresh,1:pepper").unwrap();
        let authenticator = Authenticator::new(Control::new(world.tables.control.clone()), peppers);
        assert_eq!(authenticator.bearer(&world.headers, START).await, Ok((world.hash, world.record)));
        assert!(authenticator.bearer(&world.headers, after(10)).await.is_ok());
        assert_eq!(authenticator.lookups(), Lookups { hits: 1, misses: 2, stale: 0 });
    }

    #[tokio::test]
    async fn unknown_revoked_expired_and_mistyped_keys_are_refused_alike() {
        let world = world();
        let (expired, record) = key_of(&tenant(), Tier::Free);
        let expires_at = Some(START);
        world.tables.put_key(&expired.hash(&Pepper::new("pepper")), &KeyRecord { expires_at, ..record });
        let unknown = ApiKey::generate(&mut rand::rng());
        world.tables.delete_key(&world.hash, &world.record);
        let revoked = world.headers["x-api-key"].to_str().unwrap();
        for key in [expired.expose(), unknown.expose(), revoked, &unknown.expose()[..58], ""] {
            let headers = HeaderMap::from_iter([(
                http::header::AUTHORIZATION,
                format!("Bearer {key}").parse().unwrap(),
            )]);
            let refused = world.authenticator.bearer(&headers, START).await;
            assert_eq!(refused, Err(Problem::unauthorized()), "{key}");
        }
    }
}
