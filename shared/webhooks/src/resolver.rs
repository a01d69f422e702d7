//! Looks up the addresses of a name, again for each attempt.
//!
//! A lookup does not block a thread, and ends when its future is dropped. Names are absolute, so no search domain is
//! appended. `/etc/hosts` is not read, because its names are not public. There is no cache: the name servers of AWS
//! have one, and a cache here would let one lookup decide many attempts.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::select;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::timeout;

use domain::delivery::verdict::failure::Failure;

/// How long a name server has to answer one query. A query is sent at most twice.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
const REPEATS: usize = 1;

/// How long the query for one family of addresses (A or AAAA) may take, repeats included. Both are sent at once.
const NAME_PATIENCE: Duration = Duration::from_secs(4);

/// How long the answer for one family of addresses is waited for when the other family has addresses (RFC 8305 section 3):
/// some name servers never answer for IPv6.
const OTHER_PATIENCE: Duration = Duration::from_millis(50);

/// Looks up addresses. It is `None` if the system has no name server; then each lookup fails, but the local stack
/// still starts without a network.
#[derive(Clone)]
pub(super) struct Resolver(Option<TokioResolver>);

impl Resolver {
    /// Makes a resolver that asks the name servers in `/etc/resolv.conf`.
    pub(super) fn of_system() -> Self {
        let servers = read_system_conf().map(|(config, _)| config.name_servers().to_vec());
        Self(servers.ok().and_then(build))
    }

    /// Makes a resolver that asks this name server over UDP.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn asking(name_server: std::net::SocketAddr) -> Self {
        use hickory_resolver::config::ConnectionConfig;
        let mut connection = ConnectionConfig::udp();
        connection.port = name_server.port();
        Self(build(vec![NameServerConfig::new(name_server.ip(), true, vec![connection])]))
    }

    /// Returns the addresses of a name, IPv4 and IPv6 in turn. If one of the two queries fails, or is much slower, the
    /// answer of the other counts. The caller checks each address.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let resolver = self.0.as_ref().ok_or(Failure::NameServerFailed)?;
        let mut name = Name::from_ascii(name).map_err(|_| Failure::Refused)?;
        name.set_fqdn(true);
        let v4 = pin!(ask(resolver, &name, RecordType::A));
        let v6 = pin!(ask(resolver, &name, RecordType::AAAA));
        let (first, other) = select(v4, v6).await.factor_first();
        let other = match &first {
            Ok(found) if !found.is_empty() => timeout(OTHER_PATIENCE, other).await.unwrap_or(Ok(Vec::new())),
            _ => other.await,
        };
        let failure = first.as_ref().err().or(other.as_ref().err()).copied();
        let (v4, v6): (Vec<_>, Vec<_>) =
            [first, other].into_iter().flat_map(Result::unwrap_or_default).partition(IpAddr::is_ipv4);
        let addresses = in_turn(&v4, &v6);
        if addresses.is_empty() {
            return Err(failure.unwrap_or(Failure::NameNotFound));
        }
        Ok(addresses)
    }
}

fn build(servers: Vec<NameServerConfig>) -> Option<TokioResolver> {
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    options.positive_max_ttl = Some(Duration::ZERO);
    options.negative_max_ttl = Some(Duration::ZERO);
    options.timeout = ANSWER_PATIENCE;
    options.attempts = REPEATS;
    options.preserve_intermediates = false;
    builder.build().ok()
}

async fn ask(resolver: &TokioResolver, name: &Name, record_type: RecordType) -> Result<Vec<IpAddr>, Failure> {
    let Ok(answer) = timeout(NAME_PATIENCE, resolver.lookup(name.clone(), record_type)).await else {
        return Err(Failure::NameTimedOut);
    };
    match answer {
        Ok(found) => Ok(found.answers().iter().filter_map(|record| address(&record.data)).collect()),
        Err(error) if says_there_is_none(&error) => Ok(Vec::new()),
        Err(NetError::Timeout) => Err(Failure::NameTimedOut),
        Err(NetError::Io(cause)) if cause.kind() == io::ErrorKind::TimedOut => Err(Failure::NameTimedOut),
        Err(_) => Err(Failure::NameServerFailed),
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(v4) => Some(IpAddr::V4(v4.0)),
        RData::AAAA(v6) => Some(IpAddr::V6(v6.0)),
        _ => None,
    }
}

fn says_there_is_none(error: &NetError) -> bool {
    let NetError::Dns(DnsError::NoRecordsFound(none)) = error else { return false };
    matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// Alternates the two lists, so that an unreachable family costs one connection attempt and not all of them.
fn in_turn(v4: &[IpAddr], v6: &[IpAddr]) -> Vec<IpAddr> {
    let mut all = Vec::with_capacity(v4.len() + v6.len());
    for place in 0..v4.len().max(v6.len()) {
        all.extend(v4.get(place));
        all.extend(v6.get(place));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_of_both_families_alternate() {
        let all = in_turn(&addresses(&["1.1.1.1", "1.1.1.2", "1.1.1.3"]), &addresses(&["2606::1"]));
        assert_eq!(all, addresses(&["1.1.1.1", "2606::1", "1.1.1.2", "1.1.1.3"]));
        assert_eq!(in_turn(&[], &addresses(&["2606::1"])), addresses(&["2606::1"]));
    }

    #[tokio::test]
    async fn without_a_name_server_every_lookup_fails() {
        assert_eq!(Resolver(None).addresses("example.com").await, Err(Failure::NameServerFailed));
    }
}
