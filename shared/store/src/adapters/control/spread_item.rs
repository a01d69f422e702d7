//! A [`Spread`] as an attribute of a tenant and of each of its keys.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::adapters::item::{Item, Unreadable, item, map, n, number};
use domain::tenant::spread::Spread;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;

/// The attribute.
const NAME: &str = "spread";

pub(super) fn write(spread: Spread) -> AttributeValue {
    AttributeValue::M(item([
        ("before", n(spread.before.into())),
        ("shards", n(spread.shards.into())),
        ("from", n(spread.from.millis())),
    ]))
}

/// What an item says; one of before there was such an attribute has the spread that its tier begins with.
pub(super) fn read(item: &Item, tier: Tier) -> Result<Spread, Unreadable> {
    if !item.contains_key(NAME) {
        return Ok(Spread::of(tier));
    }
    let spread = map(item, NAME)?;
    let shards = |name| number(spread, name)?.try_into().map_err(|_| Unreadable(NAME));
    Ok(Spread {
        before: shards("before")?,
        shards: shards("shards")?,
        from: Timestamp::from_millis(number(spread, "from")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_says_its_spread_or_has_that_of_its_tier() {
        let spread = Spread { before: 1, shards: 16, from: Timestamp::from_millis(7) };
        let written = item([(NAME, write(spread))]);
        assert_eq!(read(&written, Tier::Free).unwrap(), spread);
        assert_eq!(read(&Item::new(), Tier::Business).unwrap(), Spread::of(Tier::Business));
        let strange = item([(NAME, n(3))]);
        assert!(read(&strange, Tier::Free).is_err());
    }
}
