//! The port to the service that wraps the tenants' data keys.

use std::future::Future;

use domain::sealed::DataKey;
use domain::tenant::id::TenantId;

use crate::unavailable::PortResult;

/// Wraps and unwraps the tenants' data keys (KMS).
pub trait Vault: Clone + Send + Sync + 'static {
    /// Makes a data key for a tenant; returns it, and its wrapped form (`GenerateDataKey`).
    fn new_key(&self, tenant: &TenantId) -> impl Future<Output = PortResult<(DataKey, Vec<u8>)>> + Send;

    /// Unwraps a tenant's data key (`Decrypt`). Fails for a key that was wrapped for another tenant.
    fn unwrap_key(
        &self,
        tenant: &TenantId,
        wrapped: &[u8],
    ) -> impl Future<Output = PortResult<DataKey>> + Send;
}
