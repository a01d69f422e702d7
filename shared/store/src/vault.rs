//! The port to KMS, which wraps and unwraps the root key of the stack and the data keys of the tenants.

use std::future::Future;

use domain::root_key::RootKey;
use domain::sealed::DataKey;
use domain::tenant::id::TenantId;

use crate::unavailable::PortResult;

/// Wraps and unwraps keys. A wrapped key is bound to its tenant, or to being the root key.
pub trait Vault: Clone + Send + Sync + 'static {
    /// Makes a data key for a tenant; returns it, and its wrapped form.
    fn new_key(&self, tenant: &TenantId) -> impl Future<Output = PortResult<(DataKey, Vec<u8>)>> + Send;

    /// Unwraps a tenant's data key.
    fn unwrap_key(
        &self,
        tenant: &TenantId,
        wrapped: &[u8],
    ) -> impl Future<Output = PortResult<DataKey>> + Send;

    /// Makes a root key; returns it, and its wrapped form.
    fn new_root_key(&self) -> impl Future<Output = PortResult<(RootKey, Vec<u8>)>> + Send;

    /// Unwraps the root key.
    fn unwrap_root_key(&self, wrapped: &[u8]) -> impl Future<Output = PortResult<RootKey>> + Send;
}
