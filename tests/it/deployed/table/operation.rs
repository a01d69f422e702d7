//! A call of the port, as a value that can be made on any table.

use store::item::{Item, Key};
use store::table::query::{Page, Query};
use store::table::write::{Delete, Put, Transacted, Update, Write, Written};
use store::table::{Consistency, Table};
use store::unavailable::PortResult;

/// More pages than any query of a small key space has.
const MAX_PAGES: usize = 30;

/// A call of the port; for a query, the calls for all its pages.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Get(Key),
    Query(Query),
    Put(Put),
    Update(Update),
    Delete(Delete),
    Transact(Vec<Write>),
    BatchGet(Vec<Key>),
    BatchDelete(Vec<Key>),
}

/// What a table answers; or why it refuses the call.
pub(crate) type Answer = Result<Found, String>;

#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    Item(Option<Item>),
    Pages(Vec<Page>),
    Written(Written),
    Transacted(Transacted),
    /// Items in the order of their keys, and the keys left.
    Batch(Vec<Item>, Vec<Key>),
}

impl Operation {
    /// Makes the call.
    pub(crate) async fn on(&self, table: &impl Table) -> Answer {
        self.try_on(table).await.map_err(|error| error.to_string())
    }

    async fn try_on(&self, table: &impl Table) -> PortResult<Found> {
        Ok(match self {
            Self::Get(key) => Found::Item(table.get(key, Consistency::Strong).await?),
            Self::Query(query) => Found::Pages(pages(table, query).await?),
            Self::Put(put) => Found::Written(table.put(put).await?),
            Self::Update(update) => Found::Written(table.update(update).await?),
            Self::Delete(delete) => Found::Written(table.delete(delete).await?),
            Self::Transact(writes) => Found::Transacted(table.transact(writes).await?),
            Self::BatchGet(keys) => {
                let (mut items, left) = table.batch_get(keys).await?;
                items.sort_by_key(|item| item.key().ok());
                Found::Batch(items, left)
            }
            Self::BatchDelete(keys) => Found::Batch(Vec::new(), table.batch_delete(keys).await?),
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Get(_) => "get",
            Self::Query(_) => "query",
            Self::Put(_) => "put",
            Self::Update(_) => "update",
            Self::Delete(_) => "delete",
            Self::Transact(_) => "transact",
            Self::BatchGet(_) => "batch get",
            Self::BatchDelete(_) => "batch delete",
        }
    }
}

impl Found {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Item(Some(_)) => "found",
            Self::Item(None) => "absent",
            Self::Pages(pages) if pages.iter().all(|page| page.count == 0) => "empty",
            Self::Pages(pages) if pages.len() > 1 => "paged",
            Self::Written(Written::Refused(_) | Written::Conflict) => "refused",
            Self::Transacted(Transacted::Canceled(_)) => "canceled",
            _ => "done",
        }
    }
}

async fn pages(table: &impl Table, query: &Query) -> PortResult<Vec<Page>> {
    let (mut pages, mut next) = (Vec::new(), query.clone());
    loop {
        let page = table.query(&next).await?;
        next.start.clone_from(&page.next);
        pages.push(Page { half_units: 0, ..page }); // the emulator says half a unit or a whole one for every query
        assert!(pages.len() < MAX_PAGES, "a query that does not end: {query:?}");
        if next.start.is_none() {
            return Ok(pages);
        }
    }
}
