//! Names to addresses, and whether we may connect there: if any address behind a name is not public, the name is refused.
//!
//! Only name servers are asked: `/etc/hosts` may hold names of this machine, and search domains would make a public name of
//! an internal one. A lookup blocks no thread and ends with the deadline around it.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;

use crate::address::is_public;
use crate::verdict::Failure;

/// How long one try at one name server may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most questions under way at one name server; a batch of deliveries asks twenty.
const MOST_QUESTIONS: usize = 128;

/// Answers are believed for as long as they say, and at most so long. Each is checked whenever it is used.
const LONGEST_BELIEF: Duration = Duration::from_secs(60);

/// That there is no such name is believed at most so long: its owner may be setting it up.
const LONGEST_DISBELIEF: Duration = Duration::from_secs(5);

/// Asks name servers.
#[derive(Clone)]
pub(super) struct Resolver(TokioResolver);

impl Resolver {
    /// One that asks the system's name servers, and takes nothing else from the system.
    pub(super) fn of_system() -> Result<Self, NetError> {
        let system = read_system_conf().map(|(config, _)| config.name_servers().to_vec());
        Self::asking(ResolverConfig::from_parts(None, Vec::new(), system.unwrap_or_default())) // none: no name is found
    }

    /// One that asks this name server over UDP.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn at(name_server: std::net::SocketAddr) -> Result<Self, NetError> {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
        let mut connection = ConnectionConfig::udp();
        connection.port = name_server.port();
        let server = NameServerConfig::new(name_server.ip(), true, vec![connection]);
        Self::asking(ResolverConfig::from_parts(None, Vec::new(), vec![server]))
    }

    fn asking(config: ResolverConfig) -> Result<Self, NetError> {
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6; // both are connected to, so both are checked
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = PATIENCE;
        options.max_active_requests = MOST_QUESTIONS;
        options.positive_max_ttl = Some(LONGEST_BELIEF);
        options.negative_max_ttl = Some(LONGEST_DISBELIEF);
        builder.build().map(Self)
    }

    /// The addresses of a name, all of them public.
    ///
    /// # Errors
    /// [`Failure::Refused`] for an address in the place of a name, and where any address is not public.
    pub(super) async fn public_addresses(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let name = name.trim_end_matches('.');
        if name.parse::<IpAddr>().is_ok() || name.starts_with('[') {
            return Err(Failure::Refused); // the library would give it back unasked
        }
        // From its labels as they are: the library's own reading refuses an underscore, which the web does not.
        let mut absolute =
            Name::from_labels(name.split('.').map(str::as_bytes)).map_err(|_| Failure::Refused)?;
        absolute.set_fqdn(true);
        let found = self.0.lookup_ip(absolute).await.map_err(|error| match error {
            error if error.is_no_records_found() => Failure::NameNotFound,
            _ => Failure::NameServer,
        })?;
        let addresses: Vec<IpAddr> = found.iter().collect();
        match addresses.iter().all(|address| is_public(*address)) {
            true if addresses.is_empty() => Err(Failure::NameNotFound),
            true => Ok(addresses),
            false => Err(Failure::Refused),
        }
    }
}
