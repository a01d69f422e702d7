//! Parks deliveries until their endpoint takes deliveries again, or its rate allows them: a row for each delivery, and then
//! one write for each partition of the batch, by which the scheduler finds the rows. A message counts as handled only after
//! both: if the process dies in between, the message returns and is parked again under the same key.

use std::collections::{BTreeMap, BTreeSet};

use domain::delivery::schedule::{Parked, ParkedPartition, Source};
use domain::delivery::{Bypass, DeliveryMessage};
use domain::inbox::Head;
use futures_util::future::join_all;
use runtime::batch::{self, Message};
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::handler::{Delivery, Outcome};
use crate::tally::Tally;

impl<P: Ports> Delivery<P> {
    /// Puts the row of a delivery. The delivery is parked when [`Delivery::announce_parked`] has succeeded.
    pub(crate) async fn park(
        &self,
        head: &Head,
        message: &DeliveryMessage,
        received: &Message,
        was_probed: bool,
    ) -> PortResult<Tally> {
        self.enter_inbox(&message.tenant, head).await?;
        let source = Source::Message(received.message_id.clone());
        let parked = Parked { message: message.delayed(Bypass::None), source, was_probed };
        self.schedule.put_parked(&parked, head.expires_at).await?;
        tracing::debug!(step = "parked", event = %message.event, trace = message.trace.map(display), endpoint = %message.endpoint, n = message.n);
        Ok(Tally::parked(message))
    }

    /// Tells the scheduler of the rows of a batch, once for each partition. Messages whose rows it could not tell of fail, and
    /// return to their queue.
    pub(crate) async fn announce_parked(&self, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let parked = batch::successes(&outcomes).flat_map(|tally| tally.parked_at.iter().cloned());
        let partitions: BTreeSet<ParkedPartition> = parked.collect();
        let announcements = partitions.iter().map(|partition| async move {
            let announced = self.schedule.announce_parked(partition).await;
            announced.err().map(|error| (partition, error.to_string()))
        });
        let failed: BTreeMap<_, _> = join_all(announcements).await.into_iter().flatten().collect();
        for outcome in &mut outcomes {
            let parked_at = outcome.result.as_ref().map(|tally| tally.parked_at.clone()).unwrap_or_default();
            if let Some(error) = parked_at.iter().find_map(|partition| failed.get(partition)) {
                outcome.result = Err(error.clone());
            }
        }
        outcomes
    }
}
