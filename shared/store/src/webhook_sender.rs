//! The port to the endpoints.

use std::future::Future;

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::url::EndpointUrl;
use domain::timestamp::Timestamp;

/// Sends webhooks.
pub trait WebhookSender: Clone + Send + Sync + 'static {
    /// Sends one POST and waits for its answer within one deadline. MUST refuse addresses that are not public when it connects,
    /// and MUST NOT follow redirects.
    fn post(&self, request: &WebhookRequest, now: Timestamp) -> impl Future<Output = Answer> + Send;

    /// Checks the addresses that the name of a URL has now. A name that has none yet passes: it is checked again at every
    /// attempt.
    ///
    /// # Errors
    /// The failure of an attempt that would be refused.
    fn check(&self, url: &EndpointUrl) -> impl Future<Output = Result<(), Failure>> + Send;
}
