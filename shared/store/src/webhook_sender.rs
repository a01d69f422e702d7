//! The port to the endpoints of the tenants.

use std::future::Future;

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::handshake::{Question, Reply};
use domain::endpoint::url::EndpointUrl;
use domain::timestamp::Timestamp;

/// Sends webhooks.
pub trait WebhookSender: Clone + Send + Sync + 'static {
    /// Sends one POST, and waits for the answer until a deadline. MUST refuse addresses that are not public when it
    /// connects, and MUST NOT follow redirects.
    fn post(&self, request: &WebhookRequest, now: Timestamp) -> impl Future<Output = Answer> + Send;

    /// Sends one `OPTIONS` with the question of an ownership handshake. The rules of [`post`](Self::post) hold.
    ///
    /// # Errors
    /// The failure if there is no answer.
    fn ask(
        &self,
        url: &EndpointUrl,
        question: &Question,
    ) -> impl Future<Output = Result<Reply, Failure>> + Send;

    /// Checks the addresses to which the host name of a URL resolves now. A name without an address passes, because
    /// every attempt checks it again.
    ///
    /// # Errors
    /// The failure that an attempt would have.
    fn check(&self, url: &EndpointUrl) -> impl Future<Output = Result<(), Failure>> + Send;
}
