//! The AWS clients: made once per process, with explicit timeouts and their own trust store.

use std::error::Error;
use std::time::Duration;

use aws_config::SdkConfig;
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

/// How long a connection without a request is kept. AWS closes idle connections, and does not say after how long; a closed one costs a
/// failed attempt. While Lambda freezes the process this clock may stand still: then the attempt fails, and the SDK makes another one.
const MAX_IDLE: Duration = Duration::from_secs(20);

/// How long a function waits for AWS. Without these timeouts the SDK waits for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// A client waits for a response: two attempts of 1 s each, at most 3 s in all, each multiplied by `factor`.
    Interactive,
    /// A queue waits: three attempts of 3 s each, at most 10 s in all.
    Background,
}

/// One client for each service.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) kms: aws_sdk_kms::Client,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
}

impl Clients {
    fn new(config: &SdkConfig) -> Self {
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            kms: aws_sdk_kms::Client::new(config),
            secrets: aws_sdk_secretsmanager::Client::new(config),
        }
    }
}

/// Makes the clients from the environment that Lambda gives. Opens no connection.
///
/// # Errors
/// When the trust store cannot be read, which only a wrong build can cause.
pub async fn connect(patience: Patience, factor: u32) -> Result<Clients, Box<dyn Error + Send + Sync>> {
    let mut roots = TrustStore::empty();
    for pem in AMAZON_ROOTS {
        roots.add_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(roots).build()?;
    let provider = Provider::Rustls(CryptoMode::Ring);
    let http =
        Builder::new().pool_idle_timeout(MAX_IDLE).tls_provider(provider).tls_context(context).build_https();
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
    Ok(Clients::new(&config))
}

/// Returns the rule for retries: this many attempts in all, the second one soon.
fn retries(attempts: u32) -> RetryConfig {
    RetryConfig::standard().with_max_attempts(attempts).with_initial_backoff(Duration::from_millis(50))
}

/// Makes the clients of an emulator, over plain HTTP, with credentials that allow everything.
#[cfg(any(test, feature = "testing"))]
pub async fn emulator_clients(endpoint: &str) -> Clients {
    emulator_clients_as(endpoint, "test", "test").await
}

/// Makes the clients of an emulator, over plain HTTP, with these credentials. The SDK has a quota of retries for all clients of a process
/// in a region. These clients have one of their own, so that the faults of a test leave the retries of the others.
#[cfg(any(test, feature = "testing"))]
pub async fn emulator_clients_as(endpoint: &str, key_id: &str, secret: &str) -> Clients {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_sdk_dynamodb::config::retry::RetryPartition;

    static MADE: AtomicU64 = AtomicU64::new(0);
    let credentials = aws_sdk_sqs::config::Credentials::new(key_id, secret, None, None, "test");
    let config = aws_config::from_env()
        .http_client(Builder::new().build_http())
        .region("us-east-1")
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .retry_config(retries(3))
        .load()
        .await;
    let quota = RetryPartition::new(format!("emulator {}", MADE.fetch_add(1, Ordering::Relaxed)));
    let dynamodb = aws_sdk_dynamodb::config::Builder::from(&config).retry_partition(quota).build();
    Clients { dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb), ..Clients::new(&config) }
}
