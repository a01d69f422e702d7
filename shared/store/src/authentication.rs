//! Authentication: finds the tenant of a request by its API key. Known keys are cached, for no longer than a revoked
//! key may still work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::OnceCell;

use crate::cache::Cache;
use crate::control::Control;
use crate::table::Table;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::{ApiKey, KeyHash, KeyRecord, LAST_USED_INTERVAL, Peppers, Scope};
use domain::timestamp::Timestamp;

/// How long a known key is used without a new read.
const KNOWN_FOR: Duration = Duration::from_secs(30);

/// How long a known key is used while the table does not answer. This is also the maximum time that a revoked key
/// works.
const STALE_FOR: Duration = Duration::from_secs(60);

/// The pause before the next read after the table did not answer, for a key that is still used without it.
const PAUSE: Duration = Duration::from_secs(5);

/// How long an unknown key is refused without a new read.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// The maximum number of cached keys, more than one instance serves. It limits the memory that many invalid keys can
/// use. Unknown keys are counted for themselves.
const MAX_KEYS: usize = 10_000;

/// Authenticates requests by their API keys.
pub struct Authenticator<T> {
    control: Control<T>,
    peppers: Peppers,
    known: Cache<KeyHash, Known>,
    /// Unknown keys, each with the time when it is read again. Their own cache is cleared when it is full, so invented keys
    /// remove no known key.
    unknown: Cache<KeyHash, Timestamp>,
    reads: Cache<KeyHash, SharedRead>,
    lookups: Mutex<Lookups>,
}

/// One read of the table, shared by all requests that ask for the same key at the same time.
type SharedRead = Arc<OnceCell<Result<Option<KeyRecord>, Problem>>>;

/// A cached record.
#[derive(Clone)]
struct Known {
    record: KeyRecord,
    read_at: Timestamp,
    /// When the key is read again.
    until: Timestamp,
    use_recorded_at: Option<Timestamp>,
}

/// The number of API keys that were looked up, by how they were found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lookups {
    /// In the cache.
    pub hits: u64,
    /// By a read of the table.
    pub misses: u64,
    /// In the cache after its time, because the table did not answer.
    pub stale: u64,
}

impl<T: Table> Authenticator<T> {
    /// Returns an authenticator with an empty cache.
    pub fn new(control: Control<T>, peppers: impl Into<Peppers>) -> Self {
        Self {
            control,
            peppers: peppers.into(),
            known: Cache::new(MAX_KEYS),
            unknown: Cache::new(MAX_KEYS),
            reads: Cache::new(MAX_KEYS),
            lookups: Mutex::default(),
        }
    }

    /// Returns the hash and the record of the key in `X-API-Key` or `Authorization: Bearer`. Does not check scopes.
    ///
    /// # Errors
    /// The same 401 for a missing, malformed, unknown, revoked or expired key; 503 when the table does not answer.
    pub async fn bearer(&self, headers: &HeaderMap, now: Timestamp) -> Result<(KeyHash, KeyRecord), Problem> {
        let key = credential(headers).and_then(ApiKey::parse).ok_or_else(Problem::unauthorized)?;
        let hashes = self.peppers.hashes(&key);
        let (hash, record) = match self.cached(&hashes, now) {
            Some(known) => known?,
            None => self.look_up(hashes, now).await?,
        };
        if record.is_live(now) { Ok((hash, record)) } else { Err(Problem::unauthorized()) }
    }

    /// Returns the same as [`Authenticator::bearer`] if the key has the scope.
    ///
    /// # Errors
    /// Those of [`Authenticator::bearer`], and 403 for a missing scope.
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

    /// Returns the same as [`Authenticator::authenticate`], but reads the key for this request alone: neither the cache nor
    /// a read that another request began may know a revoked key. Used for changes that outlive the key, for example to
    /// make another key or an endpoint.
    ///
    /// # Errors
    /// Those of [`Authenticator::authenticate`].
    pub async fn authenticate_now(
        &self,
        headers: &HeaderMap,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(KeyHash, KeyRecord), Problem> {
        let hashes = self.hashes(headers);
        if let Some(Err(problem)) = self.cached(&hashes, now) {
            return Err(problem); // an unknown key was read moments ago, and is not read again
        }
        for hash in hashes {
            let record = self.control.key(&hash).await?;
            self.remember(&hash, record.clone(), now);
            if let Some(record) = record.filter(|record| record.is_live(now)) {
                require(scope, &record)?;
                return Ok((hash, record));
            }
        }
        Err(Problem::unauthorized())
    }

    /// Returns the hashes of the request's key, one for each pepper. The key may be unknown.
    pub fn hashes(&self, headers: &HeaderMap) -> Vec<KeyHash> {
        let key = credential(headers).and_then(ApiKey::parse);
        key.map(|key| self.peppers.hashes(&key)).unwrap_or_default()
    }

    /// Returns the peppers with which keys are hashed.
    pub fn peppers(&self) -> &Peppers {
        &self.peppers
    }

    /// Removes a key from the cache of this instance, after a change of the key.
    pub fn forget(&self, hash: &KeyHash) {
        self.known.remove(hash);
    }

    /// Returns the number of lookups since the last call.
    pub fn lookups(&self) -> Lookups {
        std::mem::take(&mut *self.counters())
    }

    /// Returns the cached answer for these hashes; `None` if the table must be read.
    fn cached(&self, hashes: &[KeyHash], now: Timestamp) -> Option<Result<(KeyHash, KeyRecord), Problem>> {
        let mut needs_read = false;
        for hash in hashes {
            if let Some(known) = self.known.get(hash).filter(|known| now < known.until) {
                self.counters().hits += 1;
                return Some(Ok((hash.clone(), known.record)));
            }
            needs_read |= self.unknown.get(hash).is_none_or(|until| until <= now);
        }
        if needs_read {
            return None;
        }
        self.counters().hits += 1;
        Some(Err(Problem::unauthorized()))
    }

    /// Reads the key under each hash. A key that was made under an older pepper has the hash of that pepper.
    async fn look_up(&self, hashes: Vec<KeyHash>, now: Timestamp) -> Result<(KeyHash, KeyRecord), Problem> {
        for hash in hashes {
            let read = self.reads.with(hash.clone(), SharedRead::default, |read| Arc::clone(read));
            let result = read.get_or_init(|| self.read(&hash, now)).await.clone();
            self.reads.remove(&hash);
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
                    self.record_use(hash, record, now).await;
                }
                Ok(record)
            }
            Err(error) => match self.stale(hash, now) {
                Some(record) => {
                    tracing::warn!(cause = %error, "the table does not answer; a cached API key is used");
                    Ok(Some(record))
                }
                None => Err(error.into()),
            },
        }
    }

    fn remember(&self, hash: &KeyHash, record: Option<KeyRecord>, now: Timestamp) {
        self.counters().misses += 1;
        let Some(record) = record else {
            self.known.remove(hash);
            return self.unknown.insert(hash.clone(), now.after(UNKNOWN_FOR));
        };
        let use_recorded_at = self.known.get(hash).and_then(|known| known.use_recorded_at);
        let until = now.after(KNOWN_FOR);
        self.known.insert(hash.clone(), Known { record, read_at: now, until, use_recorded_at });
    }

    /// Returns a cached key that may still be used while the table does not answer.
    fn stale(&self, hash: &KeyHash, now: Timestamp) -> Option<KeyRecord> {
        let record = self.known.change(hash, |known| {
            let end = known.read_at.after(STALE_FOR);
            if end <= now {
                return None;
            }
            known.until = now.after(PAUSE).min(end);
            Some(known.record.clone())
        })??;
        self.counters().stale += 1;
        Some(record)
    }

    /// Records the use of a key, at most once per [`LAST_USED_INTERVAL`]. A failure is logged and does not refuse the
    /// request.
    async fn record_use(&self, hash: &KeyHash, record: &KeyRecord, now: Timestamp) {
        let recorded_at = self.known.get(hash).and_then(|known| known.use_recorded_at);
        if recorded_at.is_some_and(|at| now.since(at) < LAST_USED_INTERVAL) {
            return;
        }
        if let Err(error) = self.control.record_use(&record.tenant, &record.id, now).await {
            tracing::warn!(cause = %error, "the use of an API key is not recorded");
        } else {
            self.known.change(hash, |known| known.use_recorded_at = Some(now));
        }
    }

    fn counters(&self) -> MutexGuard<'_, Lookups> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks that a key has a scope.
///
/// # Errors
/// 403 if it does not.
pub fn require(scope: Scope, bearer: &KeyRecord) -> Result<(), Problem> {
    if bearer.allows(scope) {
        return Ok(());
    }
    let detail = format!("this API key lacks the scope {}", scope.as_str());
    Err(Problem::new(Kind::Forbidden, detail))
}

/// Returns the key text of `X-API-Key`, or of `Authorization: Bearer` if there is no `X-API-Key`.
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

    /// Returns an authenticator, and a key that is in the table.
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
    async fn concurrent_requests_with_one_key_share_one_read() {
        let world = world();
        let all = join_all((0..64).map(|_| world.authenticator.bearer(&world.headers, START))).await;
        assert!(all.iter().all(Result::is_ok));
        let lookups = world.authenticator.lookups();
        assert_eq!((lookups.misses, world.tables.control.usage().calls_of(Operation::Get)), (1, 1));
    }

    #[tokio::test]
    async fn a_key_is_read_again_after_30_seconds_and_is_refused_then_if_it_is_revoked() {
        let world = world();
        let bearer = |seconds| world.authenticator.bearer(&world.headers, after(seconds));
        assert_eq!(bearer(0).await, Ok((world.hash.clone(), world.record.clone())));
        world.tables.delete_key(&world.hash, &world.record);
        assert!(bearer(29).await.is_ok());
        assert_eq!(world.authenticator.lookups(), Lookups { hits: 1, misses: 1, stale: 0 });
        assert_eq!(bearer(30).await, Err(Problem::unauthorized()));
    }

    #[tokio::test]
    async fn a_known_key_works_for_one_minute_while_the_table_does_not_answer() {
        let world = world();
        let bearer = |seconds| world.authenticator.bearer(&world.headers, after(seconds));
        assert!(bearer(0).await.is_ok());
        world.faults.die_at(0, Fault::Refused);
        for second in 30..60 {
            assert!(bearer(second).await.is_ok(), "{second}");
        }
        assert_eq!(bearer(60).await.unwrap_err().kind, Kind::Unavailable);
        let lookups = world.authenticator.lookups();
        assert_eq!((lookups.stale, lookups.misses), (6, 1), "the table is read every 5 seconds");
        assert!(world.faults.recover());
        assert!(bearer(61).await.is_ok());
    }

    #[tokio::test]
    async fn the_use_of_a_key_is_recorded_every_15_minutes() {
        let world = world();
        let mut recorded = Vec::new();
        for second in (0..1800).step_by(10) {
            world.authenticator.bearer(&world.headers, after(second)).await.unwrap();
            recorded.extend(world.tables.recorded_use(&world.record));
        }
        recorded.dedup();
        assert_eq!(recorded, [after(0), after(900)]);
    }

    #[tokio::test]
    async fn a_key_that_was_made_under_an_older_pepper_works() {
        let world = world();
        let peppers = Peppers::parse("2:new,1:pepper").unwrap();
        let authenticator = Authenticator::new(Control::new(world.tables.control.clone()), peppers);
        assert_eq!(authenticator.bearer(&world.headers, START).await, Ok((world.hash, world.record)));
        assert!(authenticator.bearer(&world.headers, after(10)).await.is_ok());
        assert_eq!(authenticator.lookups(), Lookups { hits: 1, misses: 2, stale: 0 });
    }

    #[tokio::test]
    async fn unknown_revoked_expired_and_malformed_keys_get_the_same_error() {
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
