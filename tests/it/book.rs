//! The numbers and the drawing of the book are those of the code.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use domain::delivery::at_once::AtOnce;
use domain::delivery::retry_schedule::{ATTEMPTS, MAX_PUT_OFF, next_attempt_at};
use domain::endpoint::health::window::Window;
use domain::endpoint::health::{Failed, Health};
use domain::endpoint::pace::Pace;
use domain::endpoint::{DEFAULT_RATE_PER_SECOND, MAX_ENDPOINTS, MAX_RATE_PER_SECOND};
use domain::event::claim::CLAIM_LIFETIME;
use domain::event::json::rule::MAX_NUMBER_CHARS;
use domain::event::{MAX_BODY_BYTES, MAX_PAYLOAD_BYTES, PAYLOAD_BOUNDS};
use domain::tenant::allowance::{INCLUDED, units_per_minute};
use domain::tenant::api_key::MAX_KEYS;
use domain::tenant::rate_limit::READ_UNITS_PER_TOKEN;
use domain::tenant::tier::Tier;
use domain::testing::{START, event, failed, tenant};
use rand::TryRng;
use serde_json::Value;

use crate::support::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Returns a number with commas, as the book writes it.
fn write_number(number: u64) -> String {
    let digits = number.to_string();
    let mut written = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

fn write_size(number: usize) -> String {
    write_number(u64::try_from(number).unwrap())
}

#[test]
fn the_tiers_of_the_book_are_those_of_the_code() {
    let page = read("docs/limits.md");
    let limits = Tier::ALL.map(Tier::limits);
    let rows = [
        ("events per minute", limits.map(|limits| limits.events_per_minute.into())),
        ("other requests per minute", limits.map(|limits| limits.requests_per_minute.into())),
        ("events in the inbox", limits.map(|limits| limits.undelivered_events)),
        ("days that an event is kept", limits.map(|limits| limits.retention_days.into())),
        (
            "units of delivery per minute beyond those included",
            Tier::ALL.map(|tier| units_per_minute(tier).into()),
        ),
    ];
    let names = Tier::ALL.map(Tier::as_str).join(" | ");
    assert!(page.contains(&format!("| | {names} |\n")));
    for (name, values) in rows {
        let values = values.map(write_number).join(" | ");
        let row = format!("| {name} | {values} |\n");
        assert!(page.contains(&row), "docs/limits.md has no row {row}");
    }
    assert!(page.contains(&format!("one for each {READ_UNITS_PER_TOKEN} read units")));
    assert!(page.contains(&format!("includes {INCLUDED} units.")));
}

#[test]
fn the_limits_of_the_book_are_those_of_the_code() {
    let openapi: Value = serde_json::from_str(&read("infra/openapi.json")).unwrap();
    let schema = |pointer: &str| openapi["components"]["schemas"].pointer(pointer).unwrap().as_u64().unwrap();
    let hours = CLAIM_LIFETIME.as_secs() / 3600;
    let (depth, values) = (PAYLOAD_BOUNDS.depth, write_size(PAYLOAD_BOUNDS.nodes));
    let highest = write_number(MAX_RATE_PER_SECOND.into());
    let in_flight = AtOnce::to_endpoint(Pace::per_second(1)).most(u32::MAX);
    let rows = [
        ("payload of an event", format!("{} bytes", write_size(MAX_PAYLOAD_BYTES))),
        ("request with one event", format!("{} bytes", write_size(MAX_BODY_BYTES))),
        ("depth of a payload, values in it", format!("{depth}, {values}")),
        ("characters of a number", MAX_NUMBER_CHARS.to_string()),
        ("events of a batch", write_number(schema("/NewBatch/properties/events/maxItems"))),
        ("life of a `dedup_id` or an `Idempotency-Key`", format!("{hours} hours")),
        ("API keys", MAX_KEYS.to_string()),
        ("endpoints", MAX_ENDPOINTS.to_string()),
        (
            "rate of an endpoint, in requests per second",
            format!("{DEFAULT_RATE_PER_SECOND} if not set, {highest} at most"),
        ),
        (
            "requests in flight to an endpoint",
            format!("those of one second at its rate, at least {in_flight}"),
        ),
        ("attempts of a delivery", ATTEMPTS.to_string()),
        ("seconds of a lease", write_number(schema("/LeaseSeconds/maximum"))),
        ("events of a lease", write_number(schema("/LeaseRequest/properties/lease_limit/maximum"))),
        ("seconds until the head of your receiver's answer", "13".to_owned()),
    ];
    let page = read("docs/limits.md");
    let table = page.split("## For every tenant").nth(1).unwrap();
    assert_eq!(table.lines().filter(|line| line.starts_with("| ")).count(), rows.len() + 1, "and a heading");
    for (name, value) in rows {
        let row = format!("| {name} | {value} |\n");
        assert!(table.contains(&row), "docs/limits.md has no row {row}");
    }
}

#[test]
fn the_page_about_retries_has_the_numbers_of_the_schedule() {
    let seconds = MAX_PUT_OFF.as_secs();
    let total = format!("{} h {} m {} s", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let page = read("docs/retries.md");
    assert!(page.contains(&format!("{ATTEMPTS} attempts over {total}")), "{total}");
    assert!(read("docs/concepts.md").contains(&format!("after {ATTEMPTS} attempts")));
}

/// Numbers in sentences: a page and its words, and the line of the code that they come from.
const SENTENCES: [(&str, &str, &str, &str); 17] = [
    (
        "limits.md",
        "your receiver's answer | 13 |",
        "shared/webhooks/src/client.rs",
        "DEADLINE: Duration = Duration::from_secs(13)",
    ),
    (
        "receiving.md",
        "within 13 seconds",
        "shared/webhooks/src/client.rs",
        "DEADLINE: Duration = Duration::from_secs(13)",
    ),
    (
        "security.md",
        "15 s in all",
        "shared/webhooks/src/exchange.rs",
        "BODY_PATIENCE: Duration = Duration::from_secs(2)",
    ),
    ("security.md", "| 443, 8443 |", "shared/domain/src/endpoint/url.rs", "None | Some(\"443\" | \"8443\")"),
    (
        "security.md",
        "For a day (`overlap_seconds`",
        "functions/api/src/routes/endpoints.rs",
        "DEFAULT_OVERLAP_SECONDS: u64 = 24 * 3600",
    ),
    (
        "security.md",
        "up to 7 days",
        "functions/api/src/routes/endpoints.rs",
        "MAX_OVERLAP_SECONDS: u64 = 7 * 24 * 3600",
    ),
    (
        "security.md",
        "within 60 seconds",
        "shared/store/src/authentication.rs",
        "STALE_FOR: Duration = Duration::from_secs(60)",
    ),
    ("inbox.md", "up to 12 hours", "functions/api/src/routes/queue.rs", "MAX_DELAY_SECONDS: u64 = 12 * 3600"),
    ("inbox.md", "10th lease", "template.yaml", "QuarantineAfterLeases:\n    Type: Number\n    Default: 10"),
    (
        "sending.md",
        "500 events and 1 MiB",
        "functions/ingest/src/intake.rs",
        "MAX_BATCH_BYTES: usize = 1024 * 1024",
    ),
    ("retries.md", "up to 20 %", "shared/domain/src/delivery/retry_schedule.rs", "JITTER_PERCENT: u64 = 20"),
    (
        "retries.md",
        "24 hours at most",
        "shared/domain/src/delivery/retry_schedule.rs",
        "MAX_RETRY_AFTER: Duration = Duration::from_hours(24)",
    ),
    (
        "retries.md",
        "within five minutes, at least ten",
        "shared/domain/src/endpoint/health/window.rs",
        "MINUTES: u64 = 5",
    ),
    (
        "retries.md",
        "at least ten attempts",
        "shared/domain/src/endpoint/health/window.rs",
        "MIN_ATTEMPTS: u64 = 10",
    ),
    (
        "retries.md",
        "70 % or more",
        "shared/domain/src/endpoint/health/window.rs",
        "MIN_FAILED_PERCENT: u64 = 70",
    ),
    (
        "retries.md",
        "has failed for an hour",
        "shared/domain/src/endpoint/health.rs",
        "TELL_AFTER: Duration = Duration::from_hours(1)",
    ),
    (
        "retries.md",
        "five days, ten times or more",
        "shared/domain/src/endpoint/health.rs",
        "DISABLE_AFTER: Duration = Duration::from_hours(5 * 24)",
    ),
];

#[test]
fn the_numbers_in_sentences_are_those_of_the_code() {
    for (page, words, file, line) in SENTENCES {
        let text = read(&format!("docs/{page}")).replace('\n', " ");
        assert!(text.contains(words), "docs/{page} has no `{words}`");
        assert!(read(file).contains(line), "{file} has no `{line}`: correct `{words}` in docs/{page}");
    }
}

/// Draws the middle of every range, so that a delay has no jitter.
struct Middle;

impl TryRng for Middle {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::MAX / 2)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::MAX / 2)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0x7f);
        Ok(())
    }
}

/// Returns the seconds from the first attempt to each attempt.
fn attempts() -> Vec<u64> {
    let (mut now, mut seconds) = (START, vec![0]);
    for n in 1..=ATTEMPTS {
        if let Some(at) = next_attempt_at(n, now, None, &mut Middle) {
            now = START.after(Duration::from_secs((at.millis_since(START) + 500) / 1000));
            seconds.push(now.since(START).as_secs());
        }
    }
    seconds
}

/// Returns the seconds from the opening of a circuit breaker to each of its first probes, if all fail.
fn probes(count: usize) -> Vec<u64> {
    let mut health = Health::default();
    for n in 0..10 {
        let id = event(&tenant(), "order.created", "{}", START.after(Duration::from_millis(n))).id;
        let failure = Failed { event: id, ..failed(false) };
        health = health.after_failure(&failure, &Window::default(), START).unwrap().health;
    }
    let mut seconds = Vec::new();
    while seconds.len() < count {
        let at = health.open.expect("an open circuit breaker").next_probe_at;
        seconds.push(at.since(START).as_secs());
        health = health.claim_probe(failed(true).event, at).unwrap().health;
        health = health.after_failure(&failed(true), &Window::default(), at).unwrap().health;
    }
    seconds
}

fn write_duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Returns where a time is drawn, on a logarithmic scale from 5 s to five days.
#[expect(clippy::cast_precision_loss, reason = "a place in a drawing")]
fn place(seconds: u64) -> f64 {
    if seconds == 0 { 70.0 } else { 110.0 + 64.0 * (seconds as f64 / 5.0).ln() }
}

/// Draws one line of the picture. Labels take turns above and below, so that they do not touch.
fn draw_row(svg: &mut String, y: u32, color: &str, name: &str, times: &[u64]) {
    let end = place(*times.last().unwrap());
    let _ = writeln!(svg, r#"  <text x="12" y="{}" font-weight="bold">{name}</text>"#, y - 38);
    let _ = writeln!(svg, r##"  <path d="M70 {y} H{end:.0}" stroke="#999"/>"##);
    for (n, seconds) in times.iter().enumerate() {
        let (x, below) = (place(*seconds), if n.is_multiple_of(2) { 22 } else { -12 });
        let label_y = i64::from(y) + below;
        let _ = writeln!(svg, r#"  <circle cx="{x:.0}" cy="{y}" r="5" fill="{color}"/>"#);
        let label = write_duration(*seconds);
        let _ = writeln!(svg, r#"  <text x="{x:.0}" y="{label_y}" text-anchor="middle">{label}</text>"#);
    }
}

fn draw() -> String {
    let mut svg = String::from(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 230" font-family="sans-serif" font-size="12" fill="#222">
  <rect width="860" height="230" rx="6" fill="#fff"/>
"##,
    );
    draw_row(&mut svg, 75, "#2563eb", "attempts of a delivery, after the first one", &attempts());
    draw_row(&mut svg, 175, "#d97706", "probes of an open circuit breaker, after it opened", &probes(8));
    svg.push_str("</svg>\n");
    svg
}

#[test]
fn the_drawing_of_the_retries_is_made_from_the_schedule() {
    let drawn = draw();
    let path = "docs/images/retries.svg";
    let made: PathBuf = root().join("target/retries.svg");
    fs::write(&made, &drawn).unwrap();
    let kept = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(kept == drawn, "copy {} to {path}: the schedule has changed", made.display());
}

#[test]
fn the_schedule_that_is_drawn_has_no_jitter_and_ends_with_the_total() {
    let attempts = attempts();
    assert_eq!(attempts[..5], [0, 5, 35, 155, 755]);
    assert_eq!((attempts.len(), attempts.last()), (14, Some(&MAX_PUT_OFF.as_secs())));
    let minutes: Vec<u64> = probes(6).iter().map(|seconds| seconds / 60).collect();
    assert_eq!(minutes, [1, 3, 8, 23, 83, 143]);
}
