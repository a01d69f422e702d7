//! All ports on AWS.

use std::error::Error;

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::handshake::{Question, Reply};
use domain::endpoint::url::EndpointUrl;
use domain::timestamp::Timestamp;
use store::ports::Ports;
use store::webhook_sender::WebhookSender;

use crate::clients::{Clients, Patience, connect};
use crate::dynamo_table::DynamoTable;
use crate::kms_vault::KmsVault;
use crate::secrets;
use crate::sqs_queue::SqsQueue;
use crate::system_clock::SystemClock;
use crate::warm::warm;

/// All ports on AWS, and the way to the endpoints where a function has one.
#[derive(Clone)]
pub struct Aws<W = NoWebhooks> {
    clients: Clients,
    webhooks: W,
}

/// The way to the endpoints of a function that has none: it refuses every address.
#[derive(Clone, Copy, Debug)]
pub struct NoWebhooks;

impl Aws {
    /// Makes the clients from the environment that Lambda gives. Opens no connection. A client that waits for a response waits
    /// `factor` times as long as for AWS.
    ///
    /// # Errors
    /// When the trust store cannot be read, which only a wrong build can cause.
    pub async fn connect(patience: Patience, factor: u32) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self::of(connect(patience, factor).await?))
    }

    /// Reads secrets by their ARNs. Each has a name, which stays with its value.
    ///
    /// # Errors
    /// When Secrets Manager does not answer, or a secret is absent.
    pub async fn secrets(
        &self,
        named: Vec<(&'static str, String)>,
    ) -> Result<Vec<(&'static str, String)>, Box<dyn Error + Send + Sync>> {
        secrets::read(&self.clients, named).await
    }

    /// Opens the connections to the services of this table and this queue. A service that does not answer is no error.
    pub async fn warm(&self, table: &str, queue: &str) {
        warm(&self.clients, table, queue).await;
    }

    /// Returns the ports over these clients.
    #[must_use]
    pub fn of(clients: Clients) -> Self {
        Self { clients, webhooks: NoWebhooks }
    }

    /// Returns the same ports with this way to the endpoints.
    #[must_use]
    pub fn with_webhooks<W: WebhookSender>(self, webhooks: W) -> Aws<W> {
        Aws { clients: self.clients, webhooks }
    }
}

impl<W: WebhookSender> Ports for Aws<W> {
    type Table = DynamoTable;
    type Queue = SqsQueue;
    type Vault = KmsVault;
    type Webhooks = W;
    type Clock = SystemClock;

    fn table(&self, name: &str) -> DynamoTable {
        DynamoTable::new(&self.clients, name.to_owned())
    }

    fn queue(&self, url: &str) -> SqsQueue {
        SqsQueue::new(&self.clients, url.to_owned())
    }

    fn vault(&self, key: &str) -> KmsVault {
        KmsVault::new(&self.clients, key.to_owned())
    }

    fn webhooks(&self) -> W {
        self.webhooks.clone()
    }

    fn clock(&self) -> SystemClock {
        SystemClock
    }
}

impl WebhookSender for NoWebhooks {
    async fn post(&self, _: &WebhookRequest, _: Timestamp) -> Answer {
        Answer::None(Failure::Refused)
    }

    async fn ask(&self, _: &EndpointUrl, _: &Question) -> Result<Reply, Failure> {
        Err(Failure::Refused)
    }

    async fn check(&self, _: &EndpointUrl) -> Result<(), Failure> {
        Err(Failure::Refused)
    }
}
