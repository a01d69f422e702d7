//! Claims the names of an event, and marks the claims whose client got a 503.
//!
//! A request can have two names: the header `Idempotency-Key`, which is judged first, and the event's own name. Both lead
//! to one id, however often and in whatever order the two are repeated:
//!
//! ```text
//!   put key -- First ----------> new id --\             /-- First, or our own id --> that id
//!           \- Repeat(first id) -> first id --> put own --- Repeat(first id) --------> its id
//! ```

use domain::event::claim::{Claim, Claimed};
use domain::event::claim_name::ClaimName;
use domain::event::fingerprint::Fingerprint;
use domain::event::id::EventId;
use domain::event::{Event, NewEvent};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::tenant::id::TenantId;
use store::ports::Ports;

use crate::claimed_event::{ClaimedEvent, Duplicate, HeldClaim};
use crate::handler::Ingest;
use crate::invocation::Invocation;

impl<P: Ports> Ingest<P> {
    /// Claims the names of an event: `key`, the name of its request, and then its own. A duplicate gets the id of the
    /// first event.
    ///
    /// # Errors
    /// 422 if a name is claimed by an event with other content; 503 if the table does not answer.
    pub(crate) async fn claim(
        &self,
        bearer: &KeyRecord,
        event: NewEvent,
        key: Option<ClaimName>,
        Invocation { now, trace, .. }: &Invocation,
    ) -> Result<ClaimedEvent, Problem> {
        let (tenant, now) = (&bearer.tenant, *now);
        let new_id = EventId::generate(now, bearer.spread.write_at(now), &mut rand::rng());
        let (mut id, mut duplicate, mut claims) = (new_id, Duplicate::No, Vec::new());
        for (name, fingerprint) in names_of(&event, key) {
            let ours = Claim::new(id, fingerprint, now);
            let claimed = self.claims.claim(tenant, &name, &ours, now).await.map_err(Problem::from);
            let (claim, is_new) = match claimed {
                Ok(Claimed::First) => (ours, id == new_id),
                Ok(Claimed::Repeat(held)) => (held, false),
                Ok(Claimed::Mismatch(first)) => {
                    self.mark(tenant, &claims, true).await; // the key that is new names no event yet
                    return Err(mismatch(&name, first));
                }
                Err(problem) => {
                    if id == new_id {
                        claims.push(HeldClaim { name, claim: ours, is_new: true }); // its put may have taken effect
                    }
                    self.mark(tenant, &claims, true).await;
                    return Err(problem);
                }
            };
            if claim.id != id && !claim.is_unconfirmed {
                duplicate = Duplicate::of(&name);
            }
            id = claim.id;
            claims.push(HeldClaim { name, claim, is_new });
        }
        let event = Event { trace: *trace, ..event.into_event(id, tenant.clone(), bearer.tier) };
        Ok(ClaimedEvent { event, duplicate, claims })
    }

    /// Writes, best effort, whether the client has seen nothing but a 503 for the names that this request claimed or that
    /// were marked before.
    pub(crate) async fn mark(&self, tenant: &TenantId, claims: &[HeldClaim], is_unconfirmed: bool) {
        for held in claims.iter().filter(|held| held.is_new || !is_unconfirmed) {
            let claim = Claim { is_unconfirmed, ..held.claim };
            if let Err(error) = self.claims.mark(tenant, &held.name, &claim).await {
                tracing::warn!(cause = %error, "a claim was not marked; a repeat may get another status");
            }
        }
    }

    /// Marks the claims of an event after its sending: unconfirmed if it failed, and confirmed if they were not.
    pub(crate) async fn mark_sent(&self, claimed: &ClaimedEvent, is_sent: bool) {
        if !is_sent || claimed.was_unconfirmed() {
            self.mark(&claimed.event.tenant, &claimed.claims, !is_sent).await;
        }
    }
}

/// Returns the names of an event with their fingerprints, in the order in which they are judged.
fn names_of(event: &NewEvent, key: Option<ClaimName>) -> Vec<(ClaimName, Fingerprint)> {
    let own = event.name.clone();
    if key.is_none() && own.is_none() {
        return Vec::new();
    }
    let content = Fingerprint::of(event);
    let fingerprint = |name: &ClaimName| match name {
        ClaimName::CloudEvent { .. } => content.of_name_alone(),
        _ => content,
    };
    key.into_iter().chain(own).map(|name| (name.clone(), fingerprint(&name))).collect()
}

/// Makes the 422 for a name that an event with other content has claimed.
fn mismatch(name: &ClaimName, first: EventId) -> Problem {
    let (what, correction) = match name {
        ClaimName::Dedup(_) => ("`/dedup_id`", "send a new `dedup_id`"),
        ClaimName::CloudEvent { .. } => ("the pair of `source` and `id`", "send a new `id`"),
        ClaimName::Idempotency(_) | ClaimName::IdempotencyItem { .. } => {
            ("the header Idempotency-Key", "send a new key")
        }
    };
    let detail = format!(
        "{what} was used within 24 hours for the event `{first}`, which has another type or payload; \
         send the type and payload of that event, or {correction}"
    );
    let problem = Problem::new(Kind::IdempotencyMismatch, detail).of_first(first.to_string());
    if matches!(name, ClaimName::Dedup(_)) { problem.at("/dedup_id") } else { problem }
}
