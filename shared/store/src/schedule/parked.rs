//! Parked deliveries, and one row for each endpoint that has some.

use domain::delivery::schedule::{EndpointRow, Parked, shard_of_endpoint};
use domain::endpoint::id::EndpointId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::{Rows, Schedule, message_row, read_message};
use crate::item::{Item, Key, Unreadable};
use crate::keys;
use crate::table::Table;
use crate::table::condition::equals;
use crate::table::query::{Query, Range};
use crate::table::write::{Delete, Update};
use crate::unavailable::PortResult;

impl<T: Table> Schedule<T> {
    /// Puts the row of a parked delivery until its event expires. A repeat for the same attempt overwrites the row. The
    /// delivery is parked only when [`Schedule::announce_parked`] has succeeded after this.
    pub async fn put_parked(&self, parked: &Parked, expires_at: Timestamp) -> PortResult<()> {
        self.items.put(write(parked, expires_at)).await
    }

    /// Puts the row that says that an endpoint has parked deliveries, or raises its version. One call after all puts of a batch
    /// is enough. The order matters: the scheduler deletes the row of an endpoint only if its version is unchanged and
    /// nothing is parked.
    pub async fn announce_parked(&self, tenant: &TenantId, endpoint: &EndpointId) -> PortResult<()> {
        let raise = Update::new(endpoint_key(tenant, endpoint))
            .add("version", 1)
            .set("tenant", tenant.as_str())
            .set("endpoint", endpoint.as_str());
        self.items.update(raise).await.map(drop)
    }

    /// Returns the rows of all endpoints in a shard.
    pub async fn endpoint_rows(&self, shard: u8) -> PortResult<Vec<EndpointRow>> {
        let query = Query::consistent(keys::parking(shard));
        self.rows(query, usize::MAX, read_endpoint).await.map(|found| found.rows)
    }

    /// Returns at most `most` parked deliveries of an endpoint, oldest event first, read consistently. Starts after
    /// `after`, or at the first one.
    pub async fn parked(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        after: Option<&Parked>,
        most: usize,
    ) -> PortResult<Rows<Parked>> {
        let range = match after {
            Some(parked) => Range::After(keys::parked_row(&parked.message)),
            None => Range::All,
        };
        self.rows(Query::consistent(keys::parked(tenant, endpoint)).range(range), most, read).await
    }

    /// Returns at most `most` parked deliveries of an endpoint, newest event first, read consistently.
    pub async fn newest_parked(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        most: usize,
    ) -> PortResult<Rows<Parked>> {
        self.rows(Query::consistent(keys::parked(tenant, endpoint)).backwards(), most, read).await
    }

    /// Returns the number of parked deliveries of an endpoint, at most `most`.
    pub async fn count_parked(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        most: usize,
    ) -> PortResult<usize> {
        self.items.count_up_to(most, Query::eventual(keys::parked(tenant, endpoint))).await
    }

    /// Deletes the row of a parked delivery, unless the delivery was parked again after it was read.
    pub async fn unpark(&self, parked: &Parked) -> PortResult<()> {
        let delete = Delete::new(key(parked)).only_if(equals("token", parked.token.as_str()));
        self.items.delete(delete).await.map(drop)
    }

    /// Deletes the row of an endpoint, unless its version was raised after it was read.
    pub async fn delete_endpoint_row(&self, row: &EndpointRow) -> PortResult<()> {
        let delete = Delete::new(endpoint_key(&row.tenant, &row.endpoint));
        self.items.delete(delete.only_if(equals("version", row.version))).await.map(drop)
    }
}

/// Returns the key of a parked delivery.
pub(crate) fn key(Parked { message, .. }: &Parked) -> Key {
    Key::new(keys::parked(&message.tenant, &message.endpoint), keys::parked_row(message))
}

/// Returns the key of an endpoint's row.
pub(crate) fn endpoint_key(tenant: &TenantId, endpoint: &EndpointId) -> Key {
    Key::new(keys::parking(shard_of_endpoint(endpoint)), keys::parking_row(tenant, endpoint))
}

/// Returns the row of a parked delivery.
pub(crate) fn write(parked: &Parked, expires_at: Timestamp) -> Item {
    message_row(&parked.message, expires_at)
        .with("token", parked.token.as_str())
        .with_some("probed", parked.was_probed.then_some(true))
        .at(key(parked))
}

/// Reads a parked delivery.
pub(crate) fn read(row: &Item) -> Result<Parked, Unreadable> {
    Ok(Parked {
        message: read_message(row)?,
        token: row.text("token")?.to_owned(),
        was_probed: row.is_set("probed"),
    })
}

/// Reads the row of an endpoint.
pub(crate) fn read_endpoint(row: &Item) -> Result<EndpointRow, Unreadable> {
    Ok(EndpointRow {
        tenant: row.tenant("tenant")?,
        endpoint: EndpointId::from_stored(row.text("endpoint")?),
        version: row.number("version")?,
    })
}
