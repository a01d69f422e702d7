//! Work that concurrent callers share: the first caller starts it, the others wait for its result.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

/// The work under way, by its name. Clones share it. Work ends unfinished when all its callers have gone. A result is kept
/// only until all callers have it.
pub(crate) struct SingleFlight<K, V>(Arc<Mutex<Flights<K, V>>>);

type Flight<V> = BoxFuture<'static, V>;
type Flights<K, V> = HashMap<K, WeakShared<Flight<V>>>;

impl<K: Eq + Hash, V: Clone> SingleFlight<K, V> {
    /// Waits for the work of this name. Starts it if it is not under way.
    pub(crate) async fn join(&self, name: K, start: impl FnOnce() -> Flight<V>) -> V {
        self.flight(name, start).await
    }

    fn flight(&self, name: K, start: impl FnOnce() -> Flight<V>) -> Shared<Flight<V>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| flight.upgrade().is_some());
        if let Some(flight) = flights.get(&name).and_then(WeakShared::upgrade) {
            return flight;
        }
        let flight = start().shared();
        flights.extend(flight.downgrade().map(|weak| (name, weak)));
        flight
    }
}

impl<K, V> Clone for SingleFlight<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::{join, join_all};
    use tokio::sync::Semaphore;

    use super::*;

    /// Work that waits until it may end, and then returns the number of its run.
    struct Work {
        runs: AtomicUsize,
        may_end: Semaphore,
    }

    impl Work {
        fn new() -> Arc<Self> {
            Arc::new(Self { runs: AtomicUsize::new(0), may_end: Semaphore::new(0) })
        }

        fn start(self: &Arc<Self>) -> Flight<usize> {
            let this = Arc::clone(self);
            let work = async move {
                let run = this.runs.fetch_add(1, Ordering::SeqCst) + 1;
                drop(this.may_end.acquire().await);
                run
            };
            work.boxed()
        }
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_run_and_later_ones_start_another() {
        let work = Work::new();
        let flights = SingleFlight::default();
        let ten = (0..10).map(|_| flights.join("a", || work.start()));
        let end = async { work.may_end.add_permits(1) };
        let (first, (other, ())) = join(join_all(ten), join(flights.join("b", || work.start()), end)).await;
        assert_eq!((first, other), (vec![1; 10], 2));
        assert_eq!(flights.join("a", || work.start()).await, 3, "a result is not kept");
    }

    #[tokio::test]
    async fn the_others_go_on_when_the_first_caller_is_gone() {
        let work = Work::new();
        let flights = SingleFlight::default();
        let [mut first, mut second] = [(); 2].map(|()| Box::pin(flights.join("a", || work.start())));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!((&mut second).now_or_never().is_none());
        work.may_end.add_permits(1);
        assert_eq!(second.await, 1);
    }

    #[tokio::test]
    async fn work_without_a_caller_ends() {
        let work = Work::new();
        let flights = SingleFlight::default();
        let mut only = Box::pin(flights.join("a", || work.start()));
        assert!((&mut only).now_or_never().is_none());
        drop(only);
        work.may_end.add_permits(1);
        assert_eq!(flights.join("a", || work.start()).await, 2);
    }
}
