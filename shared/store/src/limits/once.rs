//! Updates that count once. The SDK repeats an update whose answer is lost, and a repeated addition would count twice.
//!
//! Each update writes a random mark to the item, on the condition that the item does not have this mark yet. A repeated
//! update finds its mark: it has already had its effect, and the stored item is its result. An item keeps one mark,
//! therefore a repeat that comes after another update counts again.

use rand::RngExt;

use crate::item::Value;
use crate::items::{Items, Outcome};
use crate::table::Table;
use crate::table::condition::differs;
use crate::table::write::Update;
use crate::unavailable::PortResult;

/// The attribute with the mark.
const MARK: &str = "mark";

/// Makes an update that counts once. Returns the changed attributes, or the stored item if the condition of the update
/// does not hold. The update may have counted if this fails.
pub(crate) async fn update_once<T: Table>(items: &Items<T>, update: Update) -> PortResult<Outcome> {
    let mark = Value::from(rand::rng().random::<[u8; 8]>().to_vec());
    let marked = update.returning().set(MARK, mark.clone()).only_if(differs(MARK, mark.clone()));
    match items.update(marked).await? {
        // The item has this mark: the first try had its effect, and its answer was lost.
        Outcome::Refused(item) if item.get(MARK) == Some(&mark) => Ok(Outcome::Done(item)),
        outcome => Ok(outcome),
    }
}
