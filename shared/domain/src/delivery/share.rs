//! The shares into which the endpoints with parked deliveries are divided each minute. An invocation of drain handles one
//! share, so the shares are handled at the same time.
//!
//! The tenants take turns, so a tenant with many endpoints does not delay the endpoint of another. The order begins at
//! another tenant and endpoint each minute: if a minute is not enough for all, different endpoints are left each time.

use std::collections::{BTreeMap, VecDeque};

use super::schedule::{EndpointRow, ParkedPartition};
use crate::endpoint::id::EndpointId;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// The number of invocations of drain at the same time, as the template allows them.
pub const INSTANCES: usize = 20;

/// The largest number of endpoints in a share.
const MAX_ENDPOINTS: usize = 64;

/// The smallest number, or fewer if fewer are left: an invocation has room for some endpoints at the same time.
const MIN_ENDPOINTS: usize = 8;

/// The endpoints that one invocation of drain handles.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Share {
    /// When the next shares are made. Work for this one must have ended by then.
    pub until: Timestamp,
    /// The endpoints. There is at least one.
    pub endpoints: Vec<ParkedEndpoint>,
}

/// An endpoint that has parked deliveries, or recently had some.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParkedEndpoint {
    /// The tenant that owns the endpoint.
    pub tenant: TenantId,
    /// The id of the endpoint.
    pub id: EndpointId,
    /// The version of the row of each part that has a row.
    pub parts: BTreeMap<u8, u64>,
}

impl ParkedEndpoint {
    /// Returns the rows of the endpoint.
    pub fn rows(&self) -> impl Iterator<Item = EndpointRow> {
        self.parts.iter().map(|(part, version)| EndpointRow {
            partition: ParkedPartition {
                tenant: self.tenant.clone(),
                endpoint: self.id.clone(),
                part: *part,
            },
            version: *version,
        })
    }
}

/// Divides the endpoints of these rows into shares. `start` is any number; another one begins with other endpoints.
#[must_use]
pub fn shares(rows: Vec<EndpointRow>, start: usize, until: Timestamp) -> Vec<Share> {
    let endpoints = in_turn(endpoints_of(rows), start);
    let size = endpoints.len().div_ceil(INSTANCES).clamp(MIN_ENDPOINTS, MAX_ENDPOINTS);
    let shares = endpoints.chunks(size);
    shares.map(|endpoints| Share { until, endpoints: endpoints.to_vec() }).collect()
}

/// Returns the endpoints of these rows, by tenant.
fn endpoints_of(rows: Vec<EndpointRow>) -> BTreeMap<TenantId, BTreeMap<EndpointId, ParkedEndpoint>> {
    let mut tenants: BTreeMap<TenantId, BTreeMap<EndpointId, ParkedEndpoint>> = BTreeMap::new();
    for EndpointRow { partition: ParkedPartition { tenant, endpoint, part }, version } in rows {
        let of_tenant = tenants.entry(tenant.clone()).or_default();
        let parked = of_tenant.entry(endpoint.clone());
        let parked =
            parked.or_insert_with(|| ParkedEndpoint { tenant, id: endpoint, parts: BTreeMap::new() });
        parked.parts.insert(part, version);
    }
    tenants
}

/// Returns all endpoints: the first one of each tenant, then the second one of each, and so on.
fn in_turn(
    tenants: BTreeMap<TenantId, BTreeMap<EndpointId, ParkedEndpoint>>,
    start: usize,
) -> Vec<ParkedEndpoint> {
    let turns = tenants.into_values().map(|endpoints| rotated(endpoints.into_values().collect(), start));
    let mut turns = rotated(turns.collect(), start);
    let mut endpoints = Vec::new();
    while let Some(mut turn) = turns.pop_front() {
        endpoints.extend(turn.pop_front());
        if !turn.is_empty() {
            turns.push_back(turn);
        }
    }
    endpoints
}

/// Returns the same circle, begun at another place.
fn rotated<T>(mut circle: VecDeque<T>, start: usize) -> VecDeque<T> {
    if !circle.is_empty() {
        let by = start % circle.len();
        circle.rotate_left(by);
    }
    circle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::delivery::schedule::PARTS;
    use crate::testing::{START, endpoint, tenant};

    /// Returns the rows of this many endpoints of a tenant, each with all parts.
    fn rows(tenant: &TenantId, endpoints: u8) -> Vec<EndpointRow> {
        let partitions =
            (0..endpoints).flat_map(|number| ParkedPartition::all_of(tenant, &endpoint(number).id));
        partitions.map(|partition| EndpointRow { version: u64::from(partition.part), partition }).collect()
    }

    #[test]
    fn every_row_is_in_one_share_and_the_rows_of_an_endpoint_are_together() {
        let all: Vec<EndpointRow> = [rows(&tenant(), 200), rows(&tenant(), 1)].concat();
        let shares = shares(all.clone(), 7, START);
        let sizes: Vec<usize> = shares.iter().map(|share| share.endpoints.len()).collect();
        assert_eq!(sizes, [vec![11; 18], vec![3]].concat());
        let endpoints = shares.iter().flat_map(|share| &share.endpoints);
        assert!(endpoints.clone().all(|endpoint| endpoint.parts.len() == 1 + usize::from(PARTS)));
        let found: BTreeSet<(ParkedPartition, u64)> =
            endpoints.flat_map(ParkedEndpoint::rows).map(|row| (row.partition, row.version)).collect();
        assert_eq!(found, all.into_iter().map(|row| (row.partition, row.version)).collect());
    }

    #[test]
    fn few_endpoints_are_in_few_shares_and_many_in_full_ones() {
        let largest = |tenants: usize, endpoints| {
            let rows = (0..tenants).flat_map(|_| rows(&tenant(), endpoints)).collect();
            let shares = shares(rows, 1, START);
            (shares.len(), shares[0].endpoints.len())
        };
        assert_eq!([largest(1, 1), largest(1, 60), largest(10, 200)], [(1, 1), (8, 8), (32, 64)]);
    }

    #[test]
    fn the_only_endpoint_of_a_tenant_is_among_the_first_beside_a_tenant_with_many() {
        let (many, one) = (tenant(), tenant());
        for start in 0..300 {
            let shares = shares([rows(&many, 200), rows(&one, 1)].concat(), start, START);
            let place = shares[0].endpoints.iter().position(|endpoint| endpoint.tenant == one);
            assert!(place.is_some_and(|place| place < 2), "{start}: {place:?}");
        }
    }

    #[test]
    fn every_endpoint_is_the_first_one_in_some_minute() {
        let tenant = tenant();
        let first = |start| shares(rows(&tenant, 200), start, START)[0].endpoints[0].id.clone();
        assert_eq!((0..200).map(first).collect::<BTreeSet<_>>().len(), 200);
        assert_eq!(shares(Vec::new(), 1, START), []);
    }
}
