//! Receivers of webhooks that answer from a script.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::yield_now;

use crate::webhook_sender::WebhookSender;
use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::handshake::{Question, Reply};
use domain::endpoint::url::EndpointUrl;
use domain::timestamp::Timestamp;

/// An action while the receiver handles the request.
type During = Box<dyn FnOnce() + Send>;

/// Returns the status for a request at a time, or `None` for the next answer of the script.
type Rule = Box<dyn Fn(&WebhookRequest, Timestamp) -> Option<u16> + Send>;

/// Receivers that answer 200 unless the script has another answer.
#[derive(Clone, Default)]
pub struct ScriptedWebhooks(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    during: Option<During>,
    rule: Option<Rule>,
    hangs: bool,
    received: Vec<(Timestamp, WebhookRequest)>,
    replies: VecDeque<Result<Reply, Failure>>,
    asked: Vec<(EndpointUrl, Question)>,
}

impl ScriptedWebhooks {
    /// Adds a status to the script. The script answers the next requests in order.
    pub fn answer(&self, code: u16) {
        self.state().answers.push_back(answer(code));
    }

    /// Adds a status with this `Retry-After` to the script.
    pub fn answer_after(&self, code: u16, retry_after: Duration) {
        let answer = Answer::Status { code, retry_after: Some(retry_after), excerpt: String::new() };
        self.state().answers.push_back(answer);
    }

    /// Adds a reply to the script of the ownership handshakes. Without a reply, a receiver does not know them.
    pub fn reply(&self, reply: Result<Reply, Failure>) {
        self.state().replies.push_back(reply);
    }

    /// Returns the URL and the question of each ownership handshake.
    #[must_use]
    pub fn asked(&self) -> Vec<(EndpointUrl, Question)> {
        self.state().asked.clone()
    }

    /// Answers every request by this rule.
    pub fn answer_by(&self, rule: impl Fn(&WebhookRequest, Timestamp) -> Option<u16> + Send + 'static) {
        self.state().rule = Some(Box::new(rule));
    }

    /// Answers no request from now on.
    pub fn hang(&self) {
        self.state().hangs = true;
    }

    /// Runs this action while the receiver handles the next request.
    pub fn during_next(&self, act: impl FnOnce() + Send + 'static) {
        self.state().during = Some(Box::new(act));
    }

    /// Returns all requests that were received.
    #[must_use]
    pub fn received(&self) -> Vec<WebhookRequest> {
        self.state().received.iter().map(|(_, request)| request.clone()).collect()
    }

    /// Returns the time of each request.
    #[must_use]
    pub fn received_at(&self) -> Vec<Timestamp> {
        self.state().received.iter().map(|(at, _)| *at).collect()
    }

    /// Does what is to happen during the next request. Does not return if the receivers hang.
    async fn meet(&self) {
        yield_now().await;
        let during = self.state().during.take();
        if let Some(act) = during {
            act();
        }
        if self.state().hangs {
            pending::<()>().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WebhookSender for ScriptedWebhooks {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        self.meet().await;
        let mut state = self.state();
        state.received.push((now, request.clone()));
        if let Some(code) = state.rule.as_ref().and_then(|rule| rule(request, now)) {
            return answer(code);
        }
        state.answers.pop_front().unwrap_or_else(|| answer(200))
    }

    async fn ask(&self, url: &EndpointUrl, question: &Question) -> Result<Reply, Failure> {
        self.meet().await;
        let mut state = self.state();
        state.asked.push((url.clone(), question.clone()));
        let unknown = Reply { code: 405, ..Reply::default() };
        state.replies.pop_front().unwrap_or(Ok(unknown))
    }

    async fn check(&self, _: &EndpointUrl) -> Result<(), Failure> {
        Ok(())
    }
}

fn answer(code: u16) -> Answer {
    Answer::Status { code, retry_after: None, excerpt: String::new() }
}
