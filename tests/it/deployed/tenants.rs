//! Tenants and their keys in the real table, changed by many at once.

use std::time::Duration;

use aws::clients::emulator_clients;
use aws::dynamo_table::DynamoTable;
use aws::ports::Aws;
use domain::tenant::api_key::{KeyHash, KeyRecord, MAX_KEYS, Pepper};
use domain::tenant::spread::Spread;
use domain::tenant::tier::Tier;
use domain::tenant::{InboxMode, Tenant as Owner};
use domain::testing;
use domain::testing::{START, key_of};
use futures_util::future::{join, join_all};
use store::control::Control;
use store::control::api_keys::KeyChange;
use store::items::Updated;
use store::ports::Ports;

use crate::deployed::support::stack::shared;

/// A tenant of the tier pro in the real table, with its first key, and the key's hash.
async fn tenant_in_table() -> (Control<DynamoTable>, Owner, KeyHash) {
    let summary = shared().summary();
    let aws = Aws::of(emulator_clients(&summary.emulator).await);
    let control = Control::new(aws.table(&summary.tables["Control"]));
    let (key, record) = key_of(&testing::tenant(), Tier::Pro);
    let owner = Owner {
        id: record.tenant.clone(),
        organization_name: "Contract".to_owned(),
        tier: record.tier,
        spread: record.spread,
        inbox: InboxMode::All,
        wanted_retention_days: None,
        needs_handshake: false,
        suspension: None,
        created_at: START,
        rev: 1,
    };
    let hash = key.hash(&Pepper::new("pepper"));
    control.create_tenant(&owner, &hash, &record).await.unwrap();
    (control, owner, hash)
}

/// Adds a key to a tenant.
async fn add(control: &Control<DynamoTable>, tenant: &Owner, asking: &KeyHash) -> KeyChange {
    let (key, record) = key_of(&tenant.id, tenant.tier);
    control.add_key(asking, &key.hash(&Pepper::new("pepper")), &record).await.unwrap()
}

/// Gives a tenant another tier, as often as it takes.
async fn set_tier(control: &Control<DynamoTable>, tenant: &Owner, tier: Tier) {
    loop {
        let seen = control.tenant(&tenant.id).await.unwrap().unwrap();
        let next = seen.clone().of_tier(tier, START, Spread::DELAY);
        if control.change_tenant(&seen, &next, START).await.unwrap() == Updated::Done {
            return;
        }
    }
}

#[tokio::test]
async fn every_key_has_its_tenants_tier_and_spread_whatever_happens_at_once() {
    let (control, tenant, first) = tenant_in_table().await;
    for tier in [Tier::Business, Tier::Free, Tier::Enterprise, Tier::Pro] {
        let adding = join_all((0..6).map(|_| add(&control, &tenant, &first)));
        let (added, ()) = join(adding, set_tier(&control, &tenant, tier)).await;
        assert_eq!(added, [KeyChange::Done; 6]);
        let (now, keys) = control.tenant_with_keys(&tenant.id).await.unwrap().unwrap();
        assert_eq!(now.tier, tier);
        for key in keys {
            assert_eq!((key.tier, key.spread), (now.tier, now.spread));
        }
    }
    assert_eq!(control.key(&first).await.unwrap().unwrap().spread.read(), 16);
}

#[tokio::test]
async fn a_tenant_gets_no_key_too_many_however_many_are_made_at_once() {
    let (control, tenant, first) = tenant_in_table().await;
    for _ in 0..MAX_KEYS - 4 {
        assert_eq!(add(&control, &tenant, &first).await, KeyChange::Done);
    }
    let added = join_all((0..8).map(|_| add(&control, &tenant, &first))).await;
    assert_eq!(added.iter().filter(|added| **added == KeyChange::Done).count(), 3);
    let of_tenant = async || control.tenant_with_keys(&tenant.id).await.unwrap().unwrap().1;
    assert_eq!(of_tenant().await.len(), MAX_KEYS);
}

#[tokio::test]
async fn keys_that_ended_are_taken_away_as_others_are_made() {
    let (control, tenant, first) = tenant_in_table().await;
    let key = |minutes| {
        let (key, record) = key_of(&tenant.id, tenant.tier);
        let created_at = START.after(Duration::from_mins(minutes));
        (key.hash(&Pepper::new("pepper")), KeyRecord { created_at, ..record })
    };
    let (old, end) = (control.key(&first).await.unwrap().unwrap(), START.after(Duration::from_mins(1)));
    let (second, second_record) = key(0);
    let rotated = control.rotate_key((&first, &old), (&second, &second_record), Some(end)).await.unwrap();
    assert_eq!(rotated, KeyChange::Done);
    for (minutes, left) in [(0, 3), (1, 3)] {
        let (hash, record) = key(minutes);
        assert_eq!(control.add_key(&second, &hash, &record).await.unwrap(), KeyChange::Done);
        let (_, keys) = control.tenant_with_keys(&tenant.id).await.unwrap().unwrap();
        assert_eq!(keys.len(), left, "after {minutes} minutes");
    }
    assert_eq!(control.key(&first).await.unwrap(), None);
}
