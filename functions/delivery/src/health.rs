//! What an attempt says about its endpoint: noted where it changes something, and told to the endpoint's owner.

use domain::delivery::verdict::{Answer, Verdict};
use domain::delivery::{Bypass, DeliveryMessage};
use domain::endpoint::Endpoint;
use domain::endpoint::health::{Change, Failed, Health};
use store::clock::Clock;
use store::events::Inserted;
use store::items::Updated;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::handler::Delivery;
use crate::tally::Tally;

/// How often a raced change is decided again. Whoever lost so often was beaten by others who noted the same.
const MAX_RACES: usize = 5;

impl<P: Ports> Delivery<P> {
    /// Notes what the attempt says about its endpoint. Where that fails, nothing is lost but the note.
    pub(crate) async fn note_health(
        &self,
        message: &DeliveryMessage,
        endpoint: &Endpoint,
        answer: &Answer,
        verdict: Verdict,
    ) -> Tally {
        let noted = self.try_note_health(message, endpoint, answer, verdict).await;
        noted.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, "an endpoint's health is not noted");
            Tally::default()
        })
    }

    async fn try_note_health(
        &self,
        message: &DeliveryMessage,
        endpoint: &Endpoint,
        answer: &Answer,
        verdict: Verdict,
    ) -> PortResult<Tally> {
        let (mut seen, mut tally) = (endpoint.clone(), Tally::default());
        for _ in 0..MAX_RACES {
            tally = tally.plus(&self.tell(message, &mut seen).await?); // whoever noted it may have died before telling
            let Some(change) = self.change(&seen.health, message, answer, verdict) else { return Ok(tally) };
            if self.control.change_health(&message.tenant, &seen, &change).await? == Updated::Done {
                tally = tally.plus(&transition(&seen.health, &change));
                seen.health = change.health;
                return Ok(tally.plus(&self.tell(message, &mut seen).await?));
            }
            match self.control.endpoint(&message.tenant, &message.endpoint).await? {
                Some(now) if now.url == seen.url && !has_begun_anew(endpoint, &now) => seen = now,
                _ => return Ok(tally), // deleted, given another URL, enabled again: about that one nothing is known
            }
        }
        Ok(tally)
    }

    /// Tells what the owner of an endpoint should have been told already.
    pub(crate) async fn tell_what_is_left(&self, message: &DeliveryMessage, endpoint: &Endpoint) -> Tally {
        let told = self.tell(message, &mut endpoint.clone()).await;
        told.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, "an endpoint's owner is not told");
            Tally::default()
        })
    }

    fn change(
        &self,
        health: &Health,
        message: &DeliveryMessage,
        answer: &Answer,
        verdict: Verdict,
    ) -> Option<Change> {
        let now = self.clock.now();
        if verdict == Verdict::Delivered {
            return health.after_success(now);
        }
        let not_before = match verdict {
            Verdict::RetryAt(at) if answer.asks_for_a_pause() => Some(at),
            _ => None,
        };
        let failed = Failed {
            error: answer.to_string(),
            not_before,
            is_probe: message.bypass == Bypass::Probe,
            is_gone: verdict == Verdict::DisableEndpoint,
        };
        health.after_failure(&failed, now)
    }

    /// Puts what the owner is still to be told into the inbox, and strikes it out. Should that fail or lose a race, it is
    /// told once more: the same event, which is stored once.
    async fn tell(&self, message: &DeliveryMessage, endpoint: &mut Endpoint) -> PortResult<Tally> {
        let Some(notice) = endpoint.health.notice.clone() else { return Ok(Tally::default()) };
        let Some(tier) = self.control.tier(&message.tenant).await? else {
            return Ok(Tally::default()); // its owner is being erased: nothing more of it is stored
        };
        let (event, head) = notice.event(&message.tenant, tier, endpoint);
        let inserted = self.events.insert(&event, &head).await?;
        let told = endpoint.health.with_notice_sent();
        if self.control.change_health(&message.tenant, endpoint, &told).await? == Updated::Done {
            endpoint.health = told.health;
        }
        let is_new = inserted == Inserted::New;
        Ok(if is_new { Tally::stored(&message.tenant, event.id) } else { Tally::default() })
    }
}

/// Whether its owner enabled the endpoint again since an attempt began: its answer is of before that.
fn has_begun_anew(before: &Endpoint, now: &Endpoint) -> bool {
    now.rev != before.rev && now.health.failures == 0
}

/// What happened to the endpoint, for the metrics.
fn transition(before: &Health, change: &Change) -> Tally {
    let after = &change.health;
    if change.disables {
        Tally::once("endpoints_disabled")
    } else if before.open.is_none() && after.open.is_some() {
        Tally::once("breakers_opened")
    } else if before.open.is_some() && after.open.is_none() {
        Tally::once("breakers_closed")
    } else {
        Tally::default()
    }
}
