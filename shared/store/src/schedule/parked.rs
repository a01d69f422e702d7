//! Parked deliveries, and one row for each partition of an endpoint that has some.

use domain::delivery::schedule::{EARLIER_PART, EndpointRow, PARTS, Parked, ParkedPartition, Source};
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
    /// Puts the row of a parked delivery until its event expires. A repeat for the same queue message overwrites the row. The
    /// delivery is parked only when [`Schedule::announce_parked`] has succeeded after this.
    pub async fn put_parked(&self, parked: &Parked, expires_at: Timestamp) -> PortResult<()> {
        self.items.put(write(parked, expires_at)).await
    }

    /// Puts the row that says that a partition has parked deliveries, or gives it another version. One call after all puts of
    /// a batch is enough. The order matters: the row is deleted only if its version is unchanged and nothing is parked.
    pub async fn announce_parked(&self, partition: &ParkedPartition) -> PortResult<()> {
        let row = Update::new(endpoint_key(partition)).set_all(names(partition));
        self.items.update(row.set("version", rand::random::<u64>())).await.map(drop)
    }

    /// Returns the rows of all endpoints in a shard.
    pub async fn endpoint_rows(&self, shard: u8) -> PortResult<Vec<EndpointRow>> {
        let query = Query::consistent(keys::parking(shard));
        self.rows(query, usize::MAX, read_endpoint).await.map(|found| found.rows)
    }

    /// Returns at most `most` parked deliveries of a partition, oldest event first, read consistently. Starts after
    /// `after`, or at the first one.
    pub async fn parked(
        &self,
        partition: &ParkedPartition,
        after: Option<&Parked>,
        most: usize,
    ) -> PortResult<Rows<Parked>> {
        let range = match after {
            Some(parked) => Range::After(keys::parked_row(parked)),
            None => Range::All,
        };
        self.rows(Query::consistent(keys::parked(partition)).range(range), most, read).await
    }

    /// Returns at most `most` parked deliveries of a partition, newest event first, read consistently.
    pub async fn newest_parked(&self, partition: &ParkedPartition, most: usize) -> PortResult<Rows<Parked>> {
        self.rows(Query::consistent(keys::parked(partition)).backwards(), most, read).await
    }

    /// Returns the number of parked deliveries of an endpoint, at most `most`.
    pub async fn count_parked(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        most: usize,
    ) -> PortResult<usize> {
        let mut count = 0;
        for partition in ParkedPartition::all_of(tenant, endpoint) {
            if count < most {
                let query = Query::eventual(keys::parked(&partition));
                count += self.items.count_up_to(most - count, query).await?;
            }
        }
        Ok(count)
    }

    /// Deletes these rows of parked deliveries. A delivery that was parked again after they were read has another row, which
    /// stays.
    ///
    /// # Errors
    /// When the table does not answer. Some rows may be deleted then.
    pub async fn unpark(&self, rows: &[Parked]) -> PortResult<()> {
        let with_own_key = rows.iter().filter(|row| matches!(row.source, Source::Message(_)));
        self.items.delete_all(with_own_key.map(key).collect()).await?;
        for row in rows {
            if let Source::Token(token) = &row.source {
                let delete = Delete::new(key(row)).only_if(equals("token", token.as_str()));
                self.items.delete(delete).await?;
            }
        }
        Ok(())
    }

    /// Deletes the row of a partition, unless it got another version after it was read.
    pub async fn delete_endpoint_row(&self, row: &EndpointRow) -> PortResult<()> {
        let delete = Delete::new(endpoint_key(&row.partition));
        self.items.delete(delete.only_if(equals("version", row.version))).await.map(drop)
    }
}

/// Returns the key of a parked delivery.
pub(crate) fn key(parked: &Parked) -> Key {
    Key::new(keys::parked(&parked.partition()), keys::parked_row(parked))
}

/// Returns the key of the row of a partition.
pub(crate) fn endpoint_key(partition: &ParkedPartition) -> Key {
    Key::new(keys::parking(partition.shard()), keys::parking_row(partition))
}

/// Returns the row of a parked delivery. An earlier version cannot read a row without a token, and leaves it.
pub(crate) fn write(parked: &Parked, expires_at: Timestamp) -> Item {
    let token = match &parked.source {
        Source::Token(token) => Some(token.as_str()),
        Source::Message(_) => None,
    };
    message_row(&parked.message, expires_at)
        .with_some("token", token)
        .with_some("probed", parked.was_probed.then_some(true))
        .at(key(parked))
}

/// Reads a parked delivery.
pub(crate) fn read(row: &Item) -> Result<Parked, Unreadable> {
    let source = if row.has("token") {
        Source::Token(row.text("token")?.to_owned())
    } else {
        let (_, id) = row.text("sk")?.rsplit_once('#').ok_or(Unreadable("sk"))?;
        Source::Message(id.to_owned())
    };
    Ok(Parked { message: read_message(row)?, source, was_probed: row.is_set("probed") })
}

/// Returns the attributes that name a partition. An earlier version cannot read those of a further part, and leaves its row.
pub(crate) fn names(ParkedPartition { tenant, endpoint, part }: &ParkedPartition) -> Item {
    let names = Item::default().with("tenant", tenant.as_str());
    match part {
        &EARLIER_PART => names.with("endpoint", endpoint.as_str()),
        part => names.with("parked_at", endpoint.as_str()).with("part", *part),
    }
}

/// Reads the row of a partition.
pub(crate) fn read_endpoint(row: &Item) -> Result<EndpointRow, Unreadable> {
    let (endpoint, part) =
        if row.has("part") { ("parked_at", row.number("part")?) } else { ("endpoint", EARLIER_PART) };
    if part > PARTS {
        return Err(Unreadable("part"));
    }
    let endpoint = EndpointId::from_stored(row.text(endpoint)?);
    let partition = ParkedPartition { tenant: row.tenant("tenant")?, endpoint, part };
    Ok(EndpointRow { partition, version: row.number("version")? })
}
