//! Instances of ingest within this process, over the real tables: many of them at once, as Lambda has them.

use aws::dynamo_table::DynamoTable;
use aws::kms_vault::KmsVault;
use aws::ports::{Aws, NoWebhooks};
use ingest::config::{Config, SECRETS};
use ingest::handler::Ingest;
use runtime::config::Secrets;
use store::clock::Clock;
use store::ports::Ports;
use store::queue::Queue;

use super::runtime::environment;
use crate::support::lines::no_log;

/// The real tables beside another queue and another clock.
#[derive(Clone)]
pub(crate) struct Mixed<Q, C> {
    pub(crate) aws: Aws,
    pub(crate) queue: Q,
    pub(crate) clock: C,
}

/// An instance of its own keys, tokens, queue and clock.
pub(crate) type Instance<Q, C> = Ingest<Mixed<Q, C>>;

impl<Q: Queue, C: Clock> Ports for Mixed<Q, C> {
    type Table = DynamoTable;
    type Queue = Q;
    type Vault = KmsVault;
    type Webhooks = NoWebhooks;
    type Clock = C;

    fn table(&self, name: &str) -> DynamoTable {
        self.aws.table(name)
    }

    fn queue(&self, _: &str) -> Q {
        self.queue.clone()
    }

    fn vault(&self, key: &str) -> KmsVault {
        self.aws.vault(key)
    }

    fn webhooks(&self) -> NoWebhooks {
        NoWebhooks
    }

    fn clock(&self) -> C {
        self.clock.clone()
    }
}

/// An instance whose tables are the stack's.
pub(crate) async fn instance<Q: Queue, C: Clock>(ports: &Mixed<Q, C>) -> Instance<Q, C> {
    let variables = environment("ingest", &[]);
    let variable = |name: &str| variables[name].clone();
    let named = SECRETS.map(|name| (name, variable(name))).to_vec();
    let secrets = Secrets::new(ports.aws.secrets(named).await.expect("the secrets"));
    let config = Config {
        control_table: variable("CONTROL_TABLE"),
        limits_table: variable("LIMITS_TABLE"),
        claims_table: variable("CLAIMS_TABLE"),
        events_queue: variable("EVENTS_QUEUE_URL"),
        peppers: secrets.versions(SECRETS[0]).expect("a pepper"),
        shed_after: None,
    };
    Ingest::new(ports, config, no_log())
}
