//! What an instance knows of its dependencies, for a few seconds.

use std::time::Duration;

use domain::timestamp::Timestamp;
use tokio::sync::Mutex;

/// How long the result of the checks is used. `GET /health/ready` needs no key, so this bounds what it costs.
pub(crate) const KNOWN_FOR: Duration = Duration::from_secs(5);

/// The results of the checks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Checks {
    /// Whether the queue `events` answers.
    pub(crate) queue: bool,
    /// Whether the table `Events` answers.
    pub(crate) table: bool,
}

/// The last results of the checks.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Timestamp, Checks)>>);

impl Readiness {
    /// Returns the last results, and checks first if they are older than [`KNOWN_FOR`]. Requests that come meanwhile wait for
    /// the same checks.
    pub(crate) async fn get(&self, now: Timestamp, check: impl Future<Output = Checks>) -> Checks {
        let mut last = self.0.lock().await;
        if let Some((_, checks)) = last.filter(|(checked_at, _)| now.since(*checked_at) < KNOWN_FOR) {
            return checks;
        }
        let checks = check.await;
        *last = Some((now, checks));
        checks
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn many_requests_at_once_make_one_check_which_is_used_for_five_seconds() {
        let (readiness, count) = (Readiness::default(), &AtomicUsize::new(0));
        let get = |seconds| {
            readiness.get(Timestamp::from_seconds(seconds), async move {
                count.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
                Checks { queue: true, table: seconds < 105 }
            })
        };
        let all = join_all((0..50).map(|n| get(100 + n / 10))).await;
        assert!(all.iter().all(|checks| checks.table));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert!(!get(105).await.table);
        assert!(!get(109).await.table);
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
