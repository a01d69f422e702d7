//! Puts events into the inbox while their deliveries wait, and counts what enters and leaves it. The rule is
//! [`domain::inbox::presence`].

use std::collections::{HashMap, HashSet};

use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::expiry::ExpiryBatch;
use domain::inbox::presence::Move;
use domain::tenant::backlog::DayChange;
use domain::tenant::id::TenantId;
use runtime::batch::Message;
use store::clock::Clock;
use store::envelope::event_of_delivery;
use store::items::Updated;
use store::ports::Ports;
use store::races::{Round, until_won};
use store::unavailable::PortResult;

use crate::handler::Delivery;
use crate::tally::Tally;

impl<P: Ports> Delivery<P> {
    /// Puts an event into the inbox, unless it is there or is taken.
    pub(crate) async fn enter_inbox(&self, tenant: &TenantId, head: &Head) -> PortResult<()> {
        if let Round::Ended(()) = self.try_enter(tenant, head).await? {
            return Ok(());
        }
        self.enter_inbox_by_id(tenant, head.id).await
    }

    /// Reads an event, and puts it into the inbox, unless it is there or is taken.
    pub(crate) async fn enter_inbox_by_id(&self, tenant: &TenantId, event: EventId) -> PortResult<()> {
        until_won("putting an event into the inbox", || async {
            match self.events.head(tenant, event).await? {
                Some(found) => self.try_enter(tenant, &found.head).await,
                None => Ok(Round::Ended(())),
            }
        })
        .await
    }

    /// Puts the event of a dead letter that this version cannot read into the inbox, as far as the letter names it: nothing else
    /// will know the event once the letter is kept for an operator.
    pub(crate) async fn enter_unreadable(&self, message: &Message) -> PortResult<()> {
        match event_of_delivery(&message.body).filter(|_| message.is_dead_letter) {
            Some((tenant, event)) => self.enter_inbox_by_id(&tenant, event).await,
            None => Ok(()),
        }
    }

    async fn try_enter(&self, tenant: &TenantId, head: &Head) -> PortResult<Round<()>> {
        let Some(next) = head.enter_inbox() else { return Ok(Round::Ended(())) };
        let updated = self.write_head(tenant, head, &next).await?;
        Ok(if updated == Updated::Done { Round::Ended(()) } else { Round::Lost })
    }

    /// Updates a head that was read, and counts what this does to the inbox.
    pub(crate) async fn write_head(
        &self,
        tenant: &TenantId,
        seen: &Head,
        next: &Head,
    ) -> PortResult<Updated> {
        let moved = Move::between(seen, next);
        if moved == Move::Entered {
            // Before the update, so that a process that ends in between leaves no event without a notice. A failed write can.
            self.expirations.write_rows(HashSet::from([ExpiryBatch::of(tenant, next)])).await;
        }
        let updated = self.events.update(tenant, next).await?;
        if updated == Updated::Done {
            match moved {
                Move::Entered => self.moves.add(&Tally::entered(tenant, next.id)),
                Move::Left => self.moves.add(&Tally::settled(tenant, next.id)),
                Move::None => {}
            }
        }
        Ok(updated)
    }

    /// Requests the notice of each inbox that fills up by these changes. A failure is logged only: a later change requests it.
    pub(crate) async fn watch_filling(&self, changes: Vec<(TenantId, DayChange)>) {
        let now = self.clock.now();
        let mut tiers = HashMap::new();
        for (tenant, _) in changes.iter().filter(|(_, change)| change.change > 0) {
            match self.tiers.tier(&self.control, tenant, now).await {
                Ok(tier) => {
                    tiers.insert(tenant.clone(), tier);
                }
                Err(error) => {
                    tracing::warn!(cause = %error, "the tier of a tenant was not read; a later event requests the notice of its inbox");
                }
            }
        }
        self.filling.request(changes, &tiers, now).await;
    }
}
