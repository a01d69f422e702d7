//! The ownership handshake of a URL that a request sets.

use domain::delivery::verdict::failure::Failure;
use domain::endpoint::handshake::{Denial, Permission, Question};
use domain::endpoint::url::EndpointUrl;
use domain::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use http::HeaderMap;
use http::header::HOST;
use store::clock::Clock;
use store::ports::Ports;
use store::unavailable::Unavailable;
use store::webhook_sender::WebhookSender;
use tokio::time::timeout;

use super::settings::Settings;
use super::turn;
use crate::body::{Patch, invalid, member};
use crate::deps::Api;

/// What a request changes.
pub(super) struct Wanted<'a> {
    /// The endpoint as it is stored; `None` for a new one.
    pub(super) seen: Option<&'a Endpoint>,
    /// The settings in the request.
    pub(super) settings: &'a Settings,
    /// The URL in the request.
    pub(super) url: Option<&'a EndpointUrl>,
    /// The JSON pointer to the URL.
    pub(super) pointer: &'a str,
}

/// The result of the handshake of one request.
pub(super) struct Handshake {
    is_of_tenant: bool,
    permitted: Option<(String, Permission)>,
}

impl Handshake {
    /// Asks the receiver if the request sets a URL that needs the handshake, or asks for a handshake of the current URL.
    ///
    /// # Errors
    /// 422 if the receiver does not allow webhooks, or if the request turns off what the tenant demands; 429 if the turn of the
    /// tenant is taken; 503 if a table does not answer.
    pub(super) async fn perform<P: Ports>(
        api: &Api<P>,
        bearer: &KeyRecord,
        headers: &HeaderMap,
        wanted: Wanted<'_>,
    ) -> Result<Self, Problem> {
        let Wanted { seen, settings, url, pointer } = wanted;
        if url.is_none() && !settings.handshake.is_present() {
            return Ok(Self { is_of_tenant: false, permitted: None });
        }
        let tenant = api.control.tenant(&bearer.tenant).await?.ok_or_else(Problem::not_found)?;
        let handshake = Self { is_of_tenant: tenant.needs_handshake, permitted: None };
        let was_needed = seen.is_some_and(|seen| seen.needs_handshake);
        if !handshake.is_needed(settings, was_needed)? {
            return Ok(handshake);
        }
        let current = seen.and_then(|seen| api.own_hosts.url_elsewhere(&seen.url, api.url_policy));
        let Some(url) = url.or(current.as_ref()) else {
            let rule = "is refused: the URL of the endpoint is not allowed any more; change `url` too";
            return Err(invalid(member("/handshake"), rule));
        };
        let configured = seen.map_or(DEFAULT_RATE_PER_SECOND, |seen| seen.rate_per_second);
        let rate = settings.rate_per_second.value().copied().unwrap_or(configured);
        let question = Question { origin: origin(api, headers)?, rate_per_minute: rate.saturating_mul(60) };
        let permission = turn::take(api, &bearer.tenant, async {
            turn::count_in_allowance(api, &bearer.tenant, bearer.tier).await?;
            ask(api, url, &question).await.map_err(|denial| refused(pointer, &question, &denial))
        })
        .await?;
        Ok(Self { permitted: Some((url.as_str().to_owned(), permission)), ..handshake })
    }

    /// Sets what the handshake decides. The endpoint has its new URL already; `seen` is the stored one.
    ///
    /// # Errors
    /// 503 if another request changed the URL during the handshake.
    pub(super) fn apply(
        &self,
        settings: &Settings,
        seen: Option<&Endpoint>,
        endpoint: &mut Endpoint,
    ) -> Result<(), Problem> {
        if seen.is_some_and(|seen| seen.url != endpoint.url) {
            endpoint.permission = None;
        }
        let was_needed = endpoint.needs_handshake;
        if settings.handshake.is_present() || self.is_of_tenant {
            endpoint.needs_handshake = self.is_needed(settings, was_needed)?;
        }
        match &self.permitted {
            Some((url, permission)) if *url == endpoint.url => endpoint.permission = Some(*permission),
            None if !endpoint.needs_handshake || seen.is_some_and(|seen| seen.url == endpoint.url) => {}
            _ => {
                let reason = "another request changed it during the ownership handshake";
                return Err(Unavailable::new("changing an endpoint", reason).into());
            }
        }
        Ok(())
    }

    fn is_needed(&self, settings: &Settings, was_needed: bool) -> Result<bool, Problem> {
        let is_needed = match settings.handshake {
            Patch::Absent => was_needed || self.is_of_tenant,
            Patch::Set(true) => true,
            Patch::Reset => self.is_of_tenant,
            Patch::Set(false) if self.is_of_tenant => {
                let rule =
                    "must be true: the tenant demands the handshake (see `GET /api/tenant`); leave it out";
                return Err(invalid(member("/handshake"), rule));
            }
            Patch::Set(false) => false,
        };
        Ok(is_needed)
    }
}

/// Sends the question, and waits at most [`turn::REQUEST_TIME`] for the reply.
async fn ask<P: Ports>(api: &Api<P>, url: &EndpointUrl, question: &Question) -> Result<Permission, Denial> {
    let reply = timeout(turn::REQUEST_TIME, api.webhooks.ask(url, question)).await;
    question.permission(reply.unwrap_or(Err(Failure::TimedOut)), api.clock.now())
}

/// Returns the 422 for a URL whose receiver gave no permission.
fn refused(pointer: &str, question: &Question, denial: &Denial) -> Problem {
    let origin = &question.origin;
    let rule = format!(
        "is refused: its receiver gave no permission for webhooks ({denial}); let it answer `OPTIONS` with status 200 and `WebHook-Allowed-Origin: {origin}`, or do not ask for the ownership handshake"
    );
    invalid(member(pointer), rule)
}

/// Returns the host name of this API: the configured one, or that to which the client sent the request.
fn origin<P: Ports>(api: &Api<P>, headers: &HeaderMap) -> Result<String, Problem> {
    let called = headers.get(HOST).and_then(|value| value.to_str().ok());
    let called = called.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let missing = || Problem::new(Kind::Malformed, "the request has no `Host`; send it");
    api.own_hosts.name().or(called).map(str::to_owned).ok_or_else(missing)
}
