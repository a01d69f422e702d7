//! Messages that are due later than SQS can delay them. They are spread over shards, and sorted by time in each.

use domain::delivery::schedule::{Due, shard_of_event};
use domain::timestamp::Timestamp;

use super::{Schedule, message_row, read_message};
use crate::item::{Item, Key};
use crate::keys;
use crate::table::Table;
use crate::table::query::{Query, Range};
use crate::unavailable::PortResult;

impl<T: Table> Schedule<T> {
    /// Puts the row of a message, until its event expires. Putting it twice has the same effect as once.
    pub async fn put_due(&self, due: &Due, expires_at: Timestamp) -> PortResult<()> {
        let row = message_row(&due.message, expires_at).with("due_at", due.at);
        self.items.put(row.at(key(due))).await
    }

    /// Returns at most `most` messages of a shard that are due before `until`, earliest first.
    pub async fn due(&self, shard: u8, until: Timestamp, most: usize) -> PortResult<Vec<Due>> {
        let query = Query::consistent(keys::due(shard)).range(Range::Before(keys::due_until(until)));
        let read = |row: &Item| Ok(Due { message: read_message(row)?, at: row.timestamp("due_at")? });
        self.rows(query, most, read).await.map(|found| found.rows)
    }

    /// Deletes the rows of messages that were sent.
    ///
    /// # Errors
    /// When the table does not answer. Some rows may be deleted then.
    pub async fn delete_due(&self, rows: &[Due]) -> PortResult<()> {
        self.items.delete_all(rows.iter().map(key).collect()).await
    }
}

fn key(due: &Due) -> Key {
    Key::new(keys::due(shard_of_event(due.message.event)), keys::due_row(due))
}
