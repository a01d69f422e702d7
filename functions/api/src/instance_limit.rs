//! How often an instance does what no tenant's rate limit counts.

use std::sync::{Mutex, PoisonError};

use domain::problem::{Kind, Problem};
use domain::timestamp::Timestamp;

/// A number of requests that an instance allows in each second.
#[derive(Debug)]
pub(crate) struct InstanceLimit {
    per_second: u32,
    /// The current second, and the number of requests in it.
    used: Mutex<(u64, u32)>,
}

impl InstanceLimit {
    /// Allows this number of requests in each second.
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, used: Mutex::new((0, 0)) }
    }

    /// Takes one request.
    ///
    /// # Errors
    /// 429 if the second has had its requests.
    pub(crate) fn take(&self, now: Timestamp) -> Result<(), Problem> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.0 != now.seconds() {
            *used = (now.seconds(), 0);
        }
        if used.1 >= self.per_second {
            let detail = "too many such requests at once; send the request again after `Retry-After`";
            return Err(Problem { retry_after: Some(1), ..Problem::new(Kind::RateLimited, detail) });
        }
        used.1 += 1;
        Ok(())
    }
}
