//! The caller of a request, as an extractor: authenticated, with the scope that the route wants. A handler that takes a caller cannot
//! forget to authenticate.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use domain::tenant::api_key::{KeyHash, KeyRecord, Scope};
use domain::timestamp::Timestamp;
use http::request::Parts;
use store::clock::Clock;
use store::ports::Ports;

use crate::deps::Api;
use crate::failure::Failure;

/// The caller, whose API key has the scope `S`.
pub(crate) struct Caller<S> {
    /// The hash of its key.
    pub(crate) hash: KeyHash,
    /// Its key.
    pub(crate) key: KeyRecord,
    /// When it was authenticated: all decisions about the request are made for this time.
    pub(crate) now: Timestamp,
    scope: PhantomData<S>,
}

/// The caller, whose API key was read again for this request: for changes that must not outlive a revoked key.
pub(crate) struct FreshCaller<S>(pub(crate) Caller<S>);

/// A scope, as a type.
pub(crate) trait Required: Send + 'static {
    /// The scope.
    const SCOPE: Scope;
}

macro_rules! scopes {
    ($($scope:ident),*) => {
        $(
            #[doc = concat!("The scope `", stringify!($scope), "`.")]
            pub(crate) struct $scope;

            impl Required for $scope {
                const SCOPE: Scope = Scope::$scope;
            }
        )*
    };
}

scopes!(InboxRead, InboxAck, EventsReplay, EndpointsAdmin, KeysAdmin, TenantAdmin);

impl<S: Required, P: Ports> FromRequestParts<Arc<Api<P>>> for Caller<S> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api<P>>) -> Result<Self, Failure> {
        let now = api.clock.now();
        let (hash, key) = api.authenticator.authenticate(&parts.headers, S::SCOPE, now).await?;
        Ok(Self { hash, key, now, scope: PhantomData })
    }
}

impl<S: Required, P: Ports> FromRequestParts<Arc<Api<P>>> for FreshCaller<S> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api<P>>) -> Result<Self, Failure> {
        let now = api.clock.now();
        let (hash, key) = api.authenticator.authenticate_now(&parts.headers, S::SCOPE, now).await?;
        Ok(Self(Caller { hash, key, now, scope: PhantomData }))
    }
}
