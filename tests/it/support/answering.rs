//! Receivers of a story that answers webhooks, and asks nothing else of them.

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::handshake::{Question, Reply};
use domain::endpoint::url::EndpointUrl;
use domain::timestamp::Timestamp;
use store::webhook_sender::WebhookSender;

/// The receivers of a story.
pub(crate) trait Answering: Clone + Send + Sync + 'static {
    /// Answers a webhook.
    fn answer(&self, request: &WebhookRequest, now: Timestamp) -> impl Future<Output = Answer> + Send;
}

/// Sends webhooks to these receivers. Every URL is allowed, and no receiver answers an ownership handshake.
#[derive(Clone)]
pub(crate) struct Posts<A>(pub(crate) A);

impl<A: Answering> WebhookSender for Posts<A> {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        self.0.answer(request, now).await
    }

    async fn ask(&self, _: &EndpointUrl, _: &Question) -> Result<Reply, Failure> {
        Err(Failure::Refused)
    }

    async fn check(&self, _: &EndpointUrl) -> Result<(), Failure> {
        Ok(())
    }
}
