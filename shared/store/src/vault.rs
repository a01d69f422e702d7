//! The port to KMS, which wraps and unwraps data keys.

use std::future::Future;

use domain::sealed::DataKey;
use domain::tenant::id::TenantId;

use crate::unavailable::PortResult;

/// Wraps and unwraps the tenants' data keys.
pub trait Vault: Clone + Send + Sync + 'static {
    /// Makes a data key for a tenant; returns it, and its wrapped form.
    fn new_key(&self, tenant: &TenantId) -> impl Future<Output = PortResult<(DataKey, Vec<u8>)>> + Send;

    /// Unwraps a tenant's data key.
    fn unwrap_key(
        &self,
        tenant: &TenantId,
        wrapped: &[u8],
    ) -> impl Future<Output = PortResult<DataKey>> + Send;
}
