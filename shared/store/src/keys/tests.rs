//! Keys of two tenants never meet, and an event sorts between its bounds.

use std::collections::HashSet;

use super::*;
use domain::event::claim_name::DedupId;

#[test]
fn two_tenants_share_no_key() {
    let now = Timestamp::from_millis(1);
    let event = EventId::generate(now, 1, &mut rand::rng());
    let name = ClaimName::Dedup(DedupId::parse("same").unwrap());
    let endpoint = EndpointId::from_stored("ep_1");
    let lease_id = LeaseId::generate(&mut rand::rng());
    let job = JobId::generate_replay(now, &mut rand::rng());
    let keys = |id: &TenantId| {
        let minute = |metered| minute(&Meter { tenant: id.clone(), metered }, 7);
        [
            tenant(id),
            audit(id),
            minute(Metered::Events),
            minute(Metered::EventsOfKey("key_1".to_owned())),
            minute(Metered::Requests),
            claim(id, &name),
            shard(id, event.shard()),
            payload(id, event),
            backlog(id),
            stats(id),
            pace(id, Line::Endpoint(&endpoint)),
            pace(id, Line::Slow),
            pace(id, Line::Allowance),
            in_flight(id, Line::Endpoint(&endpoint), 7),
            parked(&ParkedPartition { tenant: id.clone(), endpoint: endpoint.clone(), part: 1 }),
            attempts(id, &endpoint),
            lease(id, &lease_id),
            job_row(id, &job),
            ended_replays(id),
            unreadable_of(Some(id)),
        ]
    };
    let a = TenantId::generate(now, &mut rand::rng());
    let b = TenantId::generate(now, &mut rand::rng());
    let all: HashSet<String> = keys(&a).into_iter().chain(keys(&b)).collect();
    assert_eq!(all.len(), 40);
    for key in keys(&a) {
        assert!(key.starts_with(&format!("t#{a}")), "{key}");
    }
}

#[test]
fn the_parts_of_an_endpoint_share_no_key() {
    let (tenant, endpoint) = (domain::testing::tenant(), domain::testing::endpoint(1).id);
    let parts: Vec<_> = ParkedPartition::all_of(&tenant, &endpoint).collect();
    let keys: HashSet<String> = parts.iter().flat_map(|part| [parked(part), parking_row(part)]).collect();
    assert_eq!(keys.len(), 2 * parts.len());
    assert!(keys.iter().all(|key| key.starts_with(&format!("t#{tenant}#"))), "{keys:?}");
}

#[test]
fn an_event_and_its_attempts_lie_between_the_bounds_around_it() {
    let id = |last| EventId::parse(&format!("evt_018bcfe5687b7fff8ffffffffffff{last}")).unwrap();
    for ids in [["000", "001", "002"], ["009", "00a", "00b"], ["0ff", "100", "101"]] {
        let [before, event, after] = ids.map(id);
        let attempt = |event: EventId| format!("{event}#ep_1#01#7");
        let sorted = [
            events_from(event.accepted_at()),
            head(before),
            attempt(before),
            before_event(event),
            head(event),
            attempt(event),
            after_event(event),
            head(after),
            attempt(after),
            events_from(Timestamp::from_millis(event.accepted_at().millis() + 1)),
            events_from(Timestamp::from_millis(u64::MAX)),
        ];
        assert!(sorted.is_sorted(), "{sorted:#?}");
    }
}
