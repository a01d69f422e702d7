//! Events that are not taken, over the real tables: their owner gets a notice before they expire.

use std::time::Duration;

use aws::system_clock::SystemClock;
use domain::inbox::notice_type::EXPIRING;
use domain::testing::event;
use domain::timestamp::Timestamp;
use serde_json::json;
use store::clock::Clock;

use crate::support::client::Tenant;
use crate::support::{eventually, tables};

#[test]
fn over_the_real_tables_an_owner_finds_it_in_the_inbox() {
    let tenant = Tenant::deployed();
    let id = tenant.accepted("order.created");
    tenant.shown_as("pending", &id);
    let mut row = eventually("its row is put", || tables::expiring_rows(&tenant).pop());
    assert_eq!(row["retention_hours"]["N"], "720");

    // The same a month ago: an event, and the row whose time has come.
    let now = SystemClock.now();
    let born = now.before(Duration::from_hours(30 * 24 - 12));
    let old = event(&domain::testing::tenant(), "order.created", "1", born);
    let mut item = tables::item(&tenant, &id);
    item["sk"]["S"] = old.id.to_string().into();
    tables::put(&tenant, "Events", &item);
    let day = Timestamp::from_seconds(born.days() * 86_400);
    let notice_at = day.after(Duration::from_hours(29 * 24));
    row["born_from"]["N"] = day.millis().to_string().into();
    row["sk"]["S"] = format!("{:015}#{}#{}", notice_at.millis(), tenant.id, day.millis()).into();
    for _ in 0..2 {
        tables::put(&tenant, "Schedule", &row);
        tenant.place.run_scheduler();
        eventually("its row is taken away", || (tables::expiring_rows(&tenant).len() == 1).then_some(()));
    }
    let told = tenant.inbox(&format!("?type={EXPIRING}"));
    let told = told["events"].as_array().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["created_at"], notice_at.to_string());
    let payload = &told[0]["payload"];
    println!("{payload}");
    assert_eq!((&payload["count"], &payload["count_is_exact"]), (&json!(1), &json!(true)));
    assert_eq!(payload["oldest_event_id"], old.id.to_string());
    assert_eq!(payload["first_expires_at"], born.after(Duration::from_hours(30 * 24)).to_string());
}
