//! Updates the health of an endpoint after an attempt, and sends notices to its owner.

use domain::delivery::DeliveryMessage;
use domain::delivery::verdict::{Answer, Verdict};
use domain::endpoint::Endpoint;
use domain::endpoint::health::window::Window;
use domain::endpoint::health::{Change, Failed, Health};
use store::clock::Clock;
use store::items::Updated;
use store::notices::Sent;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::handler::Delivery;
use crate::tally::Tally;

/// The largest number of tries. Each lost try means that another attempt updated the health. The failures of a burst end
/// together, so this is more than the ten failures that open the circuit breaker: an open one needs no further update.
const MAX_RACES: usize = 12;

impl<P: Ports> Delivery<P> {
    /// Updates the health of an endpoint, and when it last took a delivery. A failure is logged only: the attempt is recorded,
    /// and the next attempt updates the health again.
    pub(crate) async fn update_health(
        &self,
        message: &DeliveryMessage,
        endpoint: &Endpoint,
        answer: &Answer,
        verdict: Verdict,
    ) -> Tally {
        if verdict == Verdict::Delivered {
            self.last_deliveries.record(&self.control, message, endpoint, self.clock.now()).await;
        }
        let updated = self.try_update_health(message, endpoint, answer, verdict).await;
        updated.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, "the health of an endpoint was not updated; the next attempt updates it");
            Tally::default()
        })
    }

    async fn try_update_health(
        &self,
        message: &DeliveryMessage,
        endpoint: &Endpoint,
        answer: &Answer,
        verdict: Verdict,
    ) -> PortResult<Tally> {
        if verdict == Verdict::Delivered {
            self.successes.count(message, self.clock.now());
        }
        let mut turn = self.health_turns.take(message).await;
        let mut current = turn.newer_than(endpoint).unwrap_or_else(|| endpoint.clone());
        let mut tally = Tally::default();
        for _ in 0..MAX_RACES {
            // 1. Send a notice that is still stored: the process that stored it may have crashed before it sent it.
            tally = tally.plus(&self.send_notice(message, &mut current).await?);

            // 2. Write the change, if there is one, and send the notice that it may contain.
            let successes = self.successes.at(message);
            let Some(change) = self.change(&current, message, answer, verdict, &successes) else {
                return Ok(tally);
            };
            if self.control.change_health(&message.tenant, &current, &change).await? == Updated::Done {
                self.successes.remove(message, &successes);
                tally = tally.plus(&tally_of(message, &current.health, &change));
                current.health = change.health;
                let noticed = self.send_notice(message, &mut current).await;
                turn.leave(&current);
                return Ok(tally.plus(&noticed?));
            }

            // 3. Another writer changed the endpoint. The answer says nothing about an endpoint that was deleted, has
            // another URL, or was enabled again since the attempt began.
            match self.control.endpoint(&message.tenant, &message.endpoint).await? {
                Some(now) if now.url == current.url && !is_enabled_again(endpoint, &now) => current = now,
                _ => return Ok(tally),
            }
        }
        Ok(tally)
    }

    /// Sends the notice of an endpoint, if one is stored and not sent yet. A failure is logged only.
    pub(crate) async fn send_due_notice(&self, message: &DeliveryMessage, endpoint: &Endpoint) -> Tally {
        let sent = self.send_notice(message, &mut endpoint.clone()).await;
        sent.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, "the notice of an endpoint was not sent");
            Tally::default()
        })
    }

    fn change(
        &self,
        endpoint: &Endpoint,
        message: &DeliveryMessage,
        answer: &Answer,
        verdict: Verdict,
        successes: &Window,
    ) -> Option<Change> {
        let (health, now) = (&endpoint.health, self.clock.now());
        if verdict == Verdict::Delivered {
            return health.after_success(successes, now);
        }
        let is_probe = message.bypass.is_probe();
        if answer.is_too_many_requests() {
            return health.after_refusal(endpoint.full_pace(), is_probe, now);
        }
        let not_before = match verdict {
            Verdict::RetryAt(at) if answer.asks_for_a_pause() => Some(at),
            _ => None,
        };
        let failed = Failed {
            event: message.event,
            error: answer.to_string(),
            not_before,
            is_probe,
            is_gone: verdict == Verdict::DisableEndpoint,
        };
        health.after_failure(&failed, successes, now)
    }

    /// Sends the notice of an endpoint, and then removes it from the endpoint. If the removal fails or loses a race, the
    /// notice is sent again later: it is the same event, which is stored once.
    async fn send_notice(&self, message: &DeliveryMessage, endpoint: &mut Endpoint) -> PortResult<Tally> {
        let Some(notice) = endpoint.health.notice.clone() else { return Ok(Tally::default()) };
        let event = notice.event(&message.tenant, endpoint);
        let id = event.id;
        let sent = self.notices.send(event).await?;
        if sent == Sent::ToNobody {
            return Ok(Tally::default()); // the tenant is being erased, so no further event is stored
        }
        let removal = endpoint.health.with_notice_sent();
        if self.control.change_health(&message.tenant, endpoint, &removal).await? == Updated::Done {
            endpoint.health = removal.health;
        }
        Ok(match sent {
            Sent::New { in_inbox } => Tally::stored(&message.tenant, id, in_inbox),
            Sent::Again | Sent::ToNobody => Tally::default(),
        })
    }
}

/// Returns whether the owner enabled the endpoint again after the attempt began.
fn is_enabled_again(before: &Endpoint, now: &Endpoint) -> bool {
    now.rev != before.rev && now.health.failures == 0
}

/// Counts and logs what a change does to the endpoint.
fn tally_of(message: &DeliveryMessage, before: &Health, change: &Change) -> Tally {
    let after = &change.health;
    let name = if change.disables {
        "endpoints_disabled"
    } else if before.open.is_none() && after.open.is_some() {
        "breakers_opened"
    } else if before.open.is_some() && after.open.is_none() {
        "breakers_closed"
    } else {
        return Tally::default();
    };
    let DeliveryMessage { tenant, endpoint, .. } = message;
    tracing::info!(change = name, tenant = tenant.as_str(), %endpoint, "an endpoint changed");
    Tally::once(name)
}
