//! Records endpoints that answer slowly: already while a slow request is in flight, and again when it ends.

use std::pin::pin;
use std::time::Duration;

use domain::delivery::DeliveryMessage;
use domain::delivery::lane::Lane;
use domain::delivery::verdict::Answer;
use domain::endpoint::Endpoint;
use domain::endpoint::slowness::{SLOW, Slowness};
use domain::timestamp::Timestamp;
use futures_util::future::{FutureExt, join};
use store::clock::Clock;
use store::items::Updated;
use store::ports::Ports;
use tokio::time::timeout;

use crate::handler::Delivery;

/// The answer to a request, and what it shows of the endpoint.
pub(crate) struct Watched {
    pub(crate) answer: Answer,
    /// When the answer came.
    pub(crate) ended: Timestamp,
    /// The lane of the endpoint, as far as this request knows.
    pub(crate) lane: Lane,
}

impl<P: Ports> Delivery<P> {
    /// Awaits the answer to a request, and records how slowly the endpoint answers. A quick answer of a quick endpoint records
    /// nothing.
    pub(crate) async fn watch_slowness(
        &self,
        message: &DeliveryMessage,
        endpoint: &Endpoint,
        request: impl Future<Output = Answer>,
    ) -> Watched {
        let began = self.clock.now();
        let mut request = pin!(request.map(|answer| (answer, self.clock.now())));
        let ((answer, ended), seen) = match timeout(SLOW, &mut request).await {
            Ok(answer) => (answer, Some(endpoint.slowness)),
            Err(_) => join(request, self.record_in_flight(message, endpoint)).await,
        };
        let took = Duration::from_millis(ended.millis_since(began));
        let mut known = Endpoint { slowness: seen.unwrap_or(endpoint.slowness), ..endpoint.clone() };
        if let Some(next) = Slowness::after(known.slowness, took, ended) {
            if seen.is_some() {
                self.record_slowness(message, &known, next).await;
            }
            known.slowness = Some(next);
        }
        Watched { answer, ended, lane: Lane::of(Some(&known), ended) }
    }

    /// Records that a request is in flight for long. Returns what is recorded then; `None` if another request recorded
    /// something meanwhile.
    async fn record_in_flight(
        &self,
        message: &DeliveryMessage,
        endpoint: &Endpoint,
    ) -> Option<Option<Slowness>> {
        let Some(next) = Slowness::while_in_flight(endpoint.slowness, self.clock.now()) else {
            return Some(endpoint.slowness);
        };
        let is_recorded = self.record_slowness(message, endpoint, next).await;
        is_recorded.then_some(Some(next))
    }

    /// Records how slowly an endpoint answers; returns whether it did. A failure is logged only: a later request records it.
    async fn record_slowness(&self, message: &DeliveryMessage, seen: &Endpoint, next: Slowness) -> bool {
        match self.control.record_slowness(&message.tenant, seen, next).await {
            Ok(updated) => updated == Updated::Done,
            Err(error) => {
                tracing::warn!(cause = %error, "it was not recorded that an endpoint answers slowly; a later request records it");
                false
            }
        }
    }
}
