//! The table `Schedule`.

use std::future::Future;

use crate::items::Updated;
use crate::unavailable::PortResult;
use domain::delivery::schedule::{Due, EndpointRow, Parked};
use domain::endpoint::id::EndpointId;
use domain::event::claim::{Claim, ClaimName, Claimed};
use domain::inbox::expiry::Cohort;
use domain::job::{Job, JobId};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// The table `Schedule`: what is due later, what is parked ([`domain::delivery::schedule`]), what will expire
/// ([`domain::inbox::expiry`]), and jobs ([`domain::job`]).
pub trait Schedule {
    /// Puts the row of a message that is due later, until its event expires. Putting it again changes nothing.
    fn put_due(&self, due: &Due, expires_at: Timestamp) -> impl Future<Output = PortResult<()>> + Send;

    /// At most `most` rows of a shard that are due before `until`, the earliest first.
    fn due(
        &self,
        shard: u8,
        until: Timestamp,
        most: usize,
    ) -> impl Future<Output = PortResult<Vec<Due>>> + Send;

    /// Deletes the rows of messages that were sent.
    fn delete_due(&self, rows: &[Due]) -> impl Future<Output = PortResult<()>> + Send;

    /// Puts the row of a parked delivery, until its event expires, in place of an older one of the same attempt; and then
    /// puts its endpoint's row, or raises its version. MUST do so in this order.
    fn park(&self, parked: &Parked, expires_at: Timestamp) -> impl Future<Output = PortResult<()>> + Send;

    /// The rows of a shard's endpoints.
    fn endpoint_rows(&self, shard: u8) -> impl Future<Output = PortResult<Vec<EndpointRow>>> + Send;

    /// At most `most` parked deliveries of an endpoint, those of the oldest events first, read consistently: from the
    /// first, or from the one after `after`.
    fn parked(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        after: Option<&Parked>,
        most: usize,
    ) -> impl Future<Output = PortResult<Vec<Parked>>> + Send;

    /// Deletes the row of a parked delivery, unless it was parked again since it was read.
    fn unpark(&self, parked: &Parked) -> impl Future<Output = PortResult<()>> + Send;

    /// Puts the row of a job that is just asked for. One that is under way already stays as it is; one that
    /// has ended begins anew.
    fn put_job(&self, job: &Job) -> impl Future<Output = PortResult<()>> + Send;

    /// Puts the row of a job that is just asked for, and its client's own name for the request: both, or none where the name
    /// stands for another job. MUST decide by [`Claimed::decide`] where a live claim is there.
    fn put_named_job(
        &self,
        job: &Job,
        name: &ClaimName,
        ours: &Claim<JobId>,
    ) -> impl Future<Output = PortResult<Claimed<JobId>>> + Send;

    /// What a client's name for a request stands for, at `now`; read consistently.
    fn named_job(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<Option<Claim<JobId>>>> + Send;

    /// At most `most` jobs under way.
    fn jobs(&self, most: usize) -> impl Future<Output = PortResult<Vec<Job>>> + Send;

    /// A tenant's replay, under way or ended; read consistently.
    fn replay(&self, tenant: &TenantId, id: &JobId) -> impl Future<Output = PortResult<Option<Job>>> + Send;

    /// How many of a tenant's replays are under way.
    fn replays_under_way(&self, tenant: &TenantId) -> impl Future<Output = PortResult<usize>> + Send;

    /// An erasure, under way or ended; read consistently.
    fn erasure(&self, id: &JobId) -> impl Future<Output = PortResult<Option<Job>>> + Send;

    /// Writes a job, only where `rev` is still the one before. One that has ended MUST be readable at any moment meanwhile.
    fn save_job(&self, job: &Job) -> impl Future<Output = PortResult<Updated>> + Send;

    /// Deletes all of a tenant's replays, and their names; how many there were.
    fn purge_replays(&self, tenant: &TenantId) -> impl Future<Output = PortResult<usize>> + Send;

    /// Deletes an endpoint's row, unless its version was raised since it was read.
    fn retire(&self, row: &EndpointRow) -> impl Future<Output = PortResult<()>> + Send;

    /// Puts the row of events that will expire, until the last of them has. Putting it again changes nothing.
    fn put_expiring(&self, cohort: &Cohort) -> impl Future<Output = PortResult<()>> + Send;

    /// At most `most` rows of events whose owners are to be told before `until`, the earliest first.
    fn expiring(&self, until: Timestamp, most: usize)
    -> impl Future<Output = PortResult<Vec<Cohort>>> + Send;

    /// Deletes the row of events whose owner was told.
    fn delete_expiring(&self, cohort: &Cohort) -> impl Future<Output = PortResult<()>> + Send;
}
