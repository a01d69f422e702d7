//! Tests of the circuit breaker's rules.

use super::*;
use crate::testing::START;

fn event() -> EventId {
    EventId::generate(START, 1, &mut rand::rng())
}

fn failed(is_probe: bool) -> Failed {
    Failed { event: event(), error: "500".to_owned(), not_before: None, is_probe, is_gone: false }
}

fn minutes(minutes: u64) -> Timestamp {
    START.after(Duration::from_mins(minutes))
}

fn fail(health: &Health, failed: &Failed, now: Timestamp) -> Option<Change> {
    health.after_failure(failed, &Window::default(), now)
}

fn succeed(health: &Health, now: Timestamp) -> Option<Change> {
    let mut successes = Window::default();
    successes.count_success(now);
    health.after_success(&successes, now)
}

fn after_failures(count: u32) -> Health {
    (0..count).fold(Health::default(), |health, _| fail(&health, &failed(false), START).unwrap().health)
}

const OPENED: Option<Open> = Some(Open { probes: 0, next_probe_at: START_IN_A_MINUTE, last_probed: None });
const START_IN_A_MINUTE: Timestamp = Timestamp::from_millis(START.millis() + 60_000);

#[test]
fn ten_failures_open_the_breaker_and_a_success_among_them_makes_it_more() {
    assert_eq!(after_failures(9).open, None);
    assert_eq!(after_failures(10).open, OPENED);
    let begun_anew = succeed(&after_failures(9), START).unwrap().health;
    assert_eq!((begun_anew.failures, begun_anew.failing_since, begun_anew.rev), (0, None, 10));
    assert_eq!(succeed(&begun_anew, START), None, "a further success writes nothing");
    let more = |count| {
        (0..count).fold(begun_anew.clone(), |health, _| fail(&health, &failed(false), START).unwrap().health)
    };
    assert_eq!((more(3).open, more(4).open), (None, OPENED), "13 failures of 14 attempts");
}

#[test]
fn an_event_that_alone_is_refused_opens_nothing() {
    let poison = failed(false);
    let health = (0..100).fold(Health::default(), |health, _| fail(&health, &poison, START).unwrap().health);
    assert_eq!((health.open, health.failures), (None, 100));
}

#[test]
fn successes_that_an_instance_counted_are_carried_by_its_next_failure() {
    let mut successes = Window::default();
    (0..5).for_each(|_| successes.count_success(START));
    let change = after_failures(9).after_failure(&failed(false), &successes, START).unwrap();
    assert_eq!(change.health.open, None, "10 of 15 attempts failed");
    assert_eq!(change.health.window.minutes[0].attempts, 15);
}

#[test]
fn a_closed_breaker_forgets_the_failures_that_opened_it() {
    let closed = succeed(&after_failures(10), START).unwrap().health;
    assert_eq!((closed.open, closed.failures), (None, 0));
    assert_eq!(fail(&closed, &failed(false), START).unwrap().health.open, None);
}

#[test]
fn probes_are_sent_at_growing_intervals_with_the_newest_and_the_oldest_in_turn() {
    let mut health = after_failures(10);
    let mut at = START;
    let mut probes = Vec::new();
    while probes.len() < 7 {
        at = at.after(Duration::from_mins(1));
        if let Some(open) = health.due_probe(at) {
            let failed = failed(true);
            let change = health.claim_probe(failed.event, at).unwrap();
            assert_eq!(change.health.due_probe(at), None, "one probe at a time");
            assert_eq!(change.health.open.unwrap().last_probed, Some(window::hash(failed.event)));
            health = fail(&change.health, &failed, at).unwrap().health;
            probes.push((at.since(START).as_secs() / 60, open.takes_newest()));
        }
    }
    let sides = probes.iter().map(|(_, takes_newest)| *takes_newest).collect::<Vec<_>>();
    assert_eq!(probes.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 3, 8, 23, 83, 143, 203]);
    assert_eq!(sides, [true, false, true, false, true, false, true]);
}

#[test]
fn an_attempt_in_flight_when_the_breaker_opened_changes_nothing() {
    assert_eq!(fail(&after_failures(10), &failed(false), START), None);
}

#[test]
fn a_retry_after_postpones_the_probe_by_an_hour_at_most() {
    for (asked, expected) in [(30, 30), (24 * 60, 60)] {
        let asking = Failed { not_before: Some(minutes(asked)), ..failed(false) };
        let health = fail(&after_failures(9), &asking, START).unwrap().health;
        assert_eq!(health.open.unwrap().next_probe_at, minutes(expected));
        assert_eq!(health.due_probe(minutes(expected - 1)), None);
    }
}

#[test]
fn a_429_halves_the_rate_once_a_minute_and_is_no_failure() {
    let full = Pace::per_second(30);
    let refuse = |health: &Health, now| health.after_refusal(full, false, now);
    let halved = refuse(&Health::default(), START).unwrap().health;
    assert_eq!(halved.pace(full, START), Pace::per_second(15));
    assert_eq!((halved.failures, halved.failing_since, halved.open), (0, None, None));
    assert_eq!(halved.window, Window::default());
    assert_eq!(refuse(&halved, START.after(Duration::from_secs(59))), None, "requests in flight");
    let again = refuse(&halved, minutes(1)).unwrap().health;
    assert_eq!(again.pace(full, minutes(1)), Pace::per_hour(27_000));
    let failing = fail(&again, &failed(false), minutes(1)).unwrap().health;
    assert_eq!(succeed(&failing, minutes(1)).unwrap().health.throttle, again.throttle);
}

/// An endpoint whose probe was answered 429 at this time.
fn on_trial(at: Timestamp) -> Health {
    let open = after_failures(10).claim_probe(event(), at).unwrap().health;
    open.after_refusal(Pace::per_second(30), true, at).unwrap().health
}

#[test]
fn a_429_to_a_probe_lets_few_deliveries_through_until_one_succeeds() {
    let full = Pace::per_second(30);
    let trial = on_trial(minutes(1));
    assert_eq!((trial.open, trial.is_closed(), trial.failures), (None, false, 10));
    assert_eq!(trial.pace(full, minutes(1)), Pace::per_hour(600));
    assert_eq!(trial.pace(full, minutes(600)), Pace::per_hour(600), "no matter how long it lasts");
    assert_eq!(trial.pace(Pace::per_hour(60), minutes(1)), Pace::per_hour(60), "the configured rate");
    let closed = succeed(&trial, minutes(2)).unwrap().health;
    assert_eq!((closed.is_closed(), closed.failures, closed.failing_since), (true, 0, None));
    assert_eq!(closed.pace(full, minutes(2)), Pace::per_second(15), "half, as after any 429");
    assert_eq!(closed.window, Window::default());
}

#[test]
fn a_429_during_a_trial_lowers_its_rate() {
    let again = on_trial(minutes(1)).after_refusal(Pace::per_second(30), false, minutes(2)).unwrap().health;
    assert_eq!(again.pace(Pace::per_second(30), minutes(2)), Pace::per_hour(300));
    assert_eq!(
        again.trial,
        on_trial(minutes(1))
            .trial
            .map(|trial| Trial { last_probed: again.trial.unwrap().last_probed, ..trial })
    );
}

#[test]
fn a_429_in_flight_when_the_breaker_opened_begins_no_trial() {
    let refused = after_failures(10).after_refusal(Pace::per_second(1), false, START).unwrap();
    assert_eq!((refused.health.open, refused.health.trial, refused.disables), (OPENED, None, false));
}

#[test]
fn one_failure_ends_a_trial_and_the_probes_go_on_at_their_interval() {
    let mut health = after_failures(10);
    for expected in [2, 5, 15, 60, 60] {
        let at = health.open.unwrap().next_probe_at;
        let probed = health.claim_probe(event(), at).unwrap().health;
        let trial = probed.after_refusal(Pace::per_second(1), true, at).unwrap().health;
        health = fail(&trial, &failed(false), at).unwrap().health;
        assert_eq!(health.open.unwrap().next_probe_at, at.after(Duration::from_mins(expected)));
        assert_eq!(
            (health.trial, health.open.unwrap().last_probed),
            (None, trial.trial.unwrap().last_probed)
        );
    }
    assert_eq!(health.failures, 15);
}

#[test]
fn the_time_of_a_trial_disables_nothing() {
    let days = |days: u64| START.after(Duration::from_hours(24 * days));
    let ended = fail(&on_trial(minutes(60)), &failed(false), days(9)).unwrap();
    assert_eq!(
        (ended.disables, ended.health.notice),
        (false, Some(Notice { kind: NoticeKind::Failing, at: days(9) }))
    );
    assert_eq!(days(9).since(ended.health.failing_since.unwrap()), Duration::from_mins(60));
}

#[test]
fn the_owner_ends_a_trial() {
    let mut health = on_trial(minutes(1));
    health.close();
    assert!(health.is_closed());
}

#[test]
fn the_owner_gets_a_notice_after_an_hour_and_one_on_recovery() {
    let health = after_failures(10);
    assert_eq!(fail(&health, &failed(true), minutes(59)).unwrap().health.notice, None);
    let noticed = fail(&health, &failed(true), minutes(60)).unwrap().health;
    assert_eq!(noticed.notice, Some(Notice { kind: NoticeKind::Failing, at: minutes(60) }));
    let again = fail(&noticed.with_notice_sent().health, &failed(true), minutes(90)).unwrap().health;
    assert_eq!(again.notice, None, "one notice is enough");
    let recovered = succeed(&again, minutes(100)).unwrap().health;
    assert_eq!(recovered.notice, Some(Notice { kind: NoticeKind::Recovered, at: minutes(100) }));
    assert_eq!(
        succeed(&health, minutes(100)).unwrap().health.notice,
        None,
        "there was no notice of a failure"
    );
}

#[test]
fn ten_failures_over_five_days_without_a_success_disable_the_endpoint() {
    let days = |days: u64| START.after(Duration::from_hours(24 * days));
    let change = |failures, at| fail(&after_failures(failures), &failed(true), at).unwrap();
    assert!(!change(5, days(6)).disables, "six failures are too few");
    assert!(!change(9, days(4)).disables);
    let disabled = change(9, days(5));
    assert!(disabled.disables);
    assert_eq!(disabled.health.notice.unwrap().kind, NoticeKind::Disabled);
    let recovered = succeed(&after_failures(9), days(4)).unwrap().health;
    let failing = (0..20).fold(recovered, |health, _| fail(&health, &failed(true), days(5)).unwrap().health);
    assert!(!fail(&failing, &failed(true), days(8)).unwrap().disables, "there was a success");
}

#[test]
fn a_410_disables_the_endpoint_at_once() {
    let gone = Failed { is_gone: true, ..failed(false) };
    assert!(fail(&Health::default(), &gone, START).unwrap().disables);
    assert!(fail(&after_failures(10), &gone, START).unwrap().disables);
}
