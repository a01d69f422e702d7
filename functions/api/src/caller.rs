//! Extractors for the caller of a request. They authenticate the API key and check the scope of the route, so a handler
//! with such an argument cannot run without authentication.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use domain::problem::Problem;
use domain::tenant::api_key::{KeyHash, KeyRecord, Scope};
use domain::timestamp::Timestamp;
use http::request::Parts;
use store::clock::Clock;
use store::ports::Ports;

use crate::access::admin_only;
use crate::deps::Api;
use crate::failure::Failure;

/// A caller whose API key has the scope `S`.
pub(crate) struct Caller<S> {
    /// The hash of the API key.
    pub(crate) hash: KeyHash,
    /// The record of the API key.
    pub(crate) key: KeyRecord,
    /// The time of the authentication. All decisions about the request use this time.
    pub(crate) now: Timestamp,
    scope: PhantomData<S>,
}

/// A caller whose API key was read from the table for this request. Changes that outlive the key use it, because the
/// cache may still accept a revoked key.
pub(crate) struct FreshCaller<S>(pub(crate) Caller<S>);

/// A [`FreshCaller`] whose tenant is not suspended. All changes use it, except those that protect data: a suspended
/// tenant can still delete an event.
pub(crate) struct ActiveCaller<S>(pub(crate) Caller<S>);

/// The operator of the service: the bearer of the admin token.
pub(crate) struct Operator;

/// A scope as a type.
pub(crate) trait Required: Send + 'static {
    /// The scope that the API key must have.
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

impl<S: Required, P: Ports> FromRequestParts<Arc<Api<P>>> for ActiveCaller<S> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api<P>>) -> Result<Self, Failure> {
        let FreshCaller(caller) = FreshCaller::from_request_parts(parts, api).await?;
        if caller.key.is_suspended { Err(Problem::suspended().into()) } else { Ok(Self(caller)) }
    }
}

impl<P: Ports> FromRequestParts<Arc<Api<P>>> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api<P>>) -> Result<Self, Failure> {
        if api.admin.is_bearer(&parts.headers) { Ok(Self) } else { Err(admin_only().into()) }
    }
}
