//! The AWS clients: made once per process, with explicit timeouts and their own trust store.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

/// The authorities that sign AWS' endpoints (<https://www.amazontrust.com/repository/>). Reading the system's
/// ~144 certificates instead would be four fifths of a cold start.
const AMAZON_ROOTS: [&[u8]; 5] = [
    include_bytes!("amazon_roots/Amazon_Root_CA_1.pem"),
    include_bytes!("amazon_roots/Amazon_Root_CA_2.pem"),
    include_bytes!("amazon_roots/Amazon_Root_CA_3.pem"),
    include_bytes!("amazon_roots/Amazon_Root_CA_4.pem"),
    include_bytes!("amazon_roots/Starfield_Services_Root_G2.pem"),
];

/// Pauses before each try of a call about many items: what a busy table leaves undone, or another transaction was in the way of,
/// is asked for again.
pub(super) const BATCH_PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// How long a function waits for AWS. The SDK itself would wait for ever.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// A client is waiting for a 202: one attempt within 1 s, all within 3 s; so many times as long as `factor` says.
    Interactive,
    /// A queue is waiting: one attempt within 3 s, all within 10 s.
    Background,
}

/// One client for each service.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) kms: aws_sdk_kms::Client,
}

impl Clients {
    fn of(config: &aws_config::SdkConfig) -> Self {
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            kms: aws_sdk_kms::Client::new(config),
        }
    }
}

/// The clients, from the environment that Lambda gives.
///
/// # Errors
/// When the trust store cannot be read, which only a wrong build can cause, or a variable says nothing that can be read.
pub async fn clients(
    patience: Patience,
    factor: u32,
) -> Result<Clients, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = TrustStore::empty();
    for pem in AMAZON_ROOTS {
        roots.add_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(roots).build()?;
    let provider = Provider::Rustls(CryptoMode::Ring);
    let http = Builder::new().tls_provider(provider).tls_context(context).build_https();
    let (attempt, operation, attempts) = match patience {
        Patience::Interactive => (Duration::from_secs(1) * factor, Duration::from_secs(3) * factor, 2),
        Patience::Background => (Duration::from_secs(3), Duration::from_secs(10), 3),
    };
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build();
    let loader =
        aws_config::from_env().http_client(http).timeout_config(timeouts).retry_config(retries(attempts));
    let config = loader.load().await;
    Ok(Clients::of(&config))
}

/// So many attempts, the second one soon.
fn retries(attempts: u32) -> RetryConfig {
    RetryConfig::standard().with_max_attempts(attempts).with_initial_backoff(Duration::from_millis(50))
}

/// The clients of an emulator, over plain HTTP, as somebody who may do everything.
#[cfg(any(test, feature = "testing"))]
pub async fn emulator_clients(endpoint: &str) -> Clients {
    emulator_clients_as(endpoint, "test", "test").await
}

/// The clients of an emulator, over plain HTTP, as whoever has this key and its secret.
#[cfg(any(test, feature = "testing"))]
pub async fn emulator_clients_as(endpoint: &str, key_id: &str, secret: &str) -> Clients {
    let credentials = aws_sdk_sqs::config::Credentials::new(key_id, secret, None, None, "test");
    let config = aws_config::from_env()
        .http_client(Builder::new().build_http())
        .region("us-east-1")
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .retry_config(retries(3))
        .load()
        .await;
    Clients::of(&config)
}
