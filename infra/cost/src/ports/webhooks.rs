//! Receivers of webhooks that take time, and whose requests are recorded.

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::handshake::{Question, Reply};
use domain::endpoint::url::EndpointUrl;
use domain::timestamp::Timestamp;
use store::testing::webhooks::ScriptedWebhooks;
use store::webhook_sender::WebhookSender;
use tokio::time::sleep;

use crate::latency::WEBHOOK;
use crate::recorded::Recorder;

/// The receivers. They answer 200 unless the script has another answer.
#[derive(Clone)]
pub struct MeteredWebhooks {
    /// The script.
    pub script: ScriptedWebhooks,
    recorder: Recorder,
}

impl MeteredWebhooks {
    /// Returns receivers whose requests this recorder gets.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { script: ScriptedWebhooks::default(), recorder }
    }
}

impl WebhookSender for MeteredWebhooks {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        let headers = request.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        let bytes = headers.sum::<usize>() + request.body.len();
        self.recorder.record(|current| current.webhooks.push(bytes));
        sleep(WEBHOOK).await;
        self.script.post(request, now).await
    }

    async fn ask(&self, url: &EndpointUrl, question: &Question) -> Result<Reply, Failure> {
        self.script.ask(url, question).await
    }

    async fn check(&self, url: &EndpointUrl) -> Result<(), Failure> {
        self.script.check(url).await
    }
}
