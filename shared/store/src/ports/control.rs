//! The table `Control`.

use std::future::Future;

use crate::items::Updated;
use crate::unavailable::PortResult;
use domain::endpoint::Endpoint;
use domain::endpoint::health::Change;
use domain::endpoint::id::EndpointId;
use domain::job::JobId;
use domain::tenant::api_key::{KeyHash, KeyRecord};
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;

/// What decides how an event of a tenant is stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TenantSettings {
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// How many days it wants its events kept, if it said so; a tier may keep them for fewer.
    pub retention_days: Option<u16>,
    /// Whether its data is being erased, or was: nothing more of it may be stored.
    pub is_erased: bool,
}

/// The table `Control`: keys and endpoints.
pub trait Control {
    /// The record of a key, read consistently: a fresh key works at once.
    fn key(&self, hash: &KeyHash) -> impl Future<Output = PortResult<Option<KeyRecord>>> + Send;

    /// Notes that a key was used, unless that was noted less than [`domain::tenant::api_key::NOTE_USE_EVERY`] before `now`, or the key
    /// is gone.
    fn note_use(
        &self,
        tenant: &TenantId,
        key_id: &str,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// What decides how an event of a tenant is stored, read consistently and at once: an endpoint created a second ago gets
    /// its first event, and an erased tenant gets none. A tenant of which nothing is known has no wishes.
    fn standing(&self, tenant: &TenantId) -> impl Future<Output = PortResult<TenantSettings>> + Send;

    /// All endpoints of a tenant, read consistently.
    fn endpoints(&self, tenant: &TenantId) -> impl Future<Output = PortResult<Vec<Endpoint>>> + Send;

    /// One endpoint, read consistently: what was changed counts for the next attempt.
    fn endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> impl Future<Output = PortResult<Option<Endpoint>>> + Send;

    /// Writes an endpoint's health, only where it is still as it was read and its URL is too: what one URL answered says
    /// nothing about another.
    fn change_health(
        &self,
        tenant: &TenantId,
        seen: &Endpoint,
        change: &Change,
    ) -> impl Future<Output = PortResult<Updated>> + Send;

    /// Marks a tenant as erased by this job, or by the one that did so before: the job it is erased by. From then on nothing of
    /// it is stored.
    fn mark_erased(
        &self,
        tenant: &TenantId,
        job: &JobId,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<JobId>> + Send;

    /// Deletes keys, endpoints and data key of a tenant, and all that is known of it but its mark; how many items there
    /// were.
    fn purge(&self, tenant: &TenantId) -> impl Future<Output = PortResult<usize>> + Send;

    /// A tenant's tier; `None` for one that is erased, or none of ours.
    fn tier(&self, tenant: &TenantId) -> impl Future<Output = PortResult<Option<Tier>>> + Send;
}
