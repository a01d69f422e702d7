//! The outside world from a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use crate::webhook_sender::WebhookSender;
use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::url::EndpointUrl;
use domain::timestamp::Timestamp;

/// What happens while the request is with the receiver.
type During = Box<dyn FnOnce() + Send>;

/// What a receiver answers to a request at a moment; `None` leaves it to the script.
type Rule = Box<dyn Fn(&WebhookRequest, Timestamp) -> Option<u16> + Send>;

/// Receivers that answer 200 unless the script says otherwise.
#[derive(Clone, Default)]
pub struct ScriptedWebhooks(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    during: Option<During>,
    rule: Option<Rule>,
    received: Vec<(Timestamp, WebhookRequest)>,
}

impl ScriptedWebhooks {
    /// Answers the next request with this status.
    pub fn answer(&self, code: u16) {
        self.state().answers.push_back(answer(code));
    }

    /// Answers every request by this rule.
    pub fn answer_by(&self, rule: impl Fn(&WebhookRequest, Timestamp) -> Option<u16> + Send + 'static) {
        self.state().rule = Some(Box::new(rule));
    }

    /// Does this while the next request is with its receiver.
    pub fn during_next(&self, act: impl FnOnce() + Send + 'static) {
        self.state().during = Some(Box::new(act));
    }

    /// Every request so far.
    #[must_use]
    pub fn received(&self) -> Vec<WebhookRequest> {
        self.state().received.iter().map(|(_, request)| request.clone()).collect()
    }

    /// When each request came.
    #[must_use]
    pub fn received_at(&self) -> Vec<Timestamp> {
        self.state().received.iter().map(|(at, _)| *at).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WebhookSender for ScriptedWebhooks {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        yield_now().await;
        let during = self.state().during.take();
        if let Some(act) = during {
            act();
        }
        let mut state = self.state();
        state.received.push((now, request.clone()));
        if let Some(code) = state.rule.as_ref().and_then(|rule| rule(request, now)) {
            return answer(code);
        }
        state.answers.pop_front().unwrap_or_else(|| answer(200))
    }

    async fn check(&self, _: &EndpointUrl) -> Result<(), Failure> {
        Ok(())
    }
}

fn answer(code: u16) -> Answer {
    Answer::Status { code, retry_after: None, excerpt: String::new() }
}
