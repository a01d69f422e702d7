//! From a request's headers to its tenant, with as few reads as the promise about revoked keys allows.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use http::HeaderMap;

use crate::api_key::{ApiKey, KeyHash, KeyRecord, Pepper, Scope};
use crate::ports::Control;
use crate::problem::{Kind, Problem};
use crate::timestamp::Timestamp;

/// How long a key is believed without another look: with it, a revoked key is dead everywhere within a minute.
const KNOWN_FOR: Duration = Duration::from_secs(30);

/// How long an unknown key stays unknown without another look.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// More keys than one instance ever serves; a flood of invented ones empties the cache instead of the memory.
const MOST_KEYS: usize = 10_000;

/// Knows the bearers of keys.
pub struct Authenticator<C> {
    control: C,
    pepper: Pepper,
    seen: Mutex<HashMap<KeyHash, Seen>>,
}

struct Seen {
    until: Timestamp,
    record: Option<KeyRecord>,
}

impl<C: Control> Authenticator<C> {
    /// An authenticator with an empty cache.
    pub fn new(control: C, pepper: Pepper) -> Self {
        Self { control, pepper, seen: Mutex::default() }
    }

    /// The bearer of the key in `X-API-Key` or `Authorization: Bearer`, if the key is good and has the scope.
    ///
    /// # Errors
    /// 401 for a missing, malformed, unknown, revoked or expired key, all alike; 403 for a missing scope; 503 when
    /// the table does not answer.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(ApiKey, KeyRecord), Problem> {
        let key = credential(headers).and_then(ApiKey::parse).ok_or_else(Problem::unauthorized)?;
        let record = self.record(&key.hash(&self.pepper), now).await?;
        let record = record.filter(|record| record.is_live(now)).ok_or_else(Problem::unauthorized)?;
        if record.allows(scope) {
            Ok((key, record))
        } else {
            let detail = format!("this API key lacks the scope {}", scope.as_str());
            Err(Problem::new(Kind::Forbidden, detail))
        }
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
    ) -> Result<(ApiKey, KeyRecord), Problem> {
        if let Some(key) = credential(headers).and_then(ApiKey::parse) {
            self.forget(&key.hash(&self.pepper));
        }
        self.authenticate(headers, scope, now).await
    }

    /// The pepper that keys are hashed with.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// Looks again at the next use of this key: it was just changed here.
    pub fn forget(&self, hash: &KeyHash) {
        self.cache().remove(hash);
    }

    async fn record(&self, hash: &KeyHash, now: Timestamp) -> Result<Option<KeyRecord>, Problem> {
        if let Some(seen) = self.cache().get(hash).filter(|seen| now < seen.until) {
            return Ok(seen.record.clone());
        }
        let record = self.control.key(hash).await?;
        let until = now.after(if record.is_some() { KNOWN_FOR } else { UNKNOWN_FOR });
        let mut cache = self.cache();
        if cache.len() >= MOST_KEYS {
            cache.clear();
        }
        cache.insert(hash.clone(), Seen { until, record: record.clone() });
        Ok(record)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<KeyHash, Seen>> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn credential(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok().map(str::trim);
    }
    let (scheme, token) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
