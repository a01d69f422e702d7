//! A secret is rotated while deliveries go on: whoever holds the old one or the new one finds every request genuine for as long
//! as he was promised.

use std::time::{Duration, Instant};

use domain::delivery::signature::SigningSecrets;
use domain::delivery::webhook_request::{self, AttemptOf};
use domain::endpoint::private::Private;
use domain::endpoint::secret::{Secret, Secrets};
use domain::endpoint::url::{EndpointUrl, UrlPolicy};
use domain::inbox::Head;
use domain::tenant::api_key::Pepper;
use domain::testing::{endpoint_of, event, private, tenant};
use domain::timestamp::Timestamp;
use http::{HeaderMap, HeaderName};
use standardwebhooks::Webhook;
use store::clock::Clock;

use aws::system_clock::SystemClock;

const DELIVERIES: u32 = 100_000;

/// The library takes no request that is older or newer than five minutes.
const BEGINS_BEFORE: Duration = Duration::from_secs(240);

const SPAN_MS: u32 = 480_000;

#[test]
fn a_hundred_thousand_deliveries_across_a_rotation_are_genuine_for_holders_of_either_secret() {
    let now = SystemClock.now();
    let start = now.before(BEGINS_BEFORE);
    let [rotated_at, overlap_ends] = [120, 360].map(|seconds| start.after(Duration::from_secs(seconds)));
    let [old, new] = [0, 1].map(|_| Secret::generate(&mut rand::rng()));
    let before = Secrets::new(old.clone());
    let after = before.rotate(new.clone(), rotated_at, overlap_ends);
    let holders = [old, new].map(|secret| Webhook::new(secret.expose()).unwrap());
    let (tenant, signing) = (tenant(), SigningSecrets::new(Pepper::new("signing").into()));
    let (endpoint, payload) = (endpoint_of(&tenant, 1), r#"{"n": 1.50}"#);
    let event = event(&tenant, "order.created", payload, start);
    let head = Head::new(&event, []);
    let url = EndpointUrl::parse("https://example.com/", UrlPolicy::Strict).unwrap();

    let (begun, mut genuine) = (Instant::now(), [0, 0]);
    for n in 0..DELIVERIES {
        let sent_at =
            start.after(Duration::from_millis(u64::from(n) * u64::from(SPAN_MS) / u64::from(DELIVERIES)));
        let secrets = if sent_at < rotated_at { before.clone() } else { after.clone() };
        let private = Private { secrets, ..private() };
        let request = webhook_request::request(
            url.clone(),
            &endpoint,
            &private,
            &signing,
            head.content(payload),
            AttemptOf::FIRST,
            sent_at,
        );
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            headers.insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        let found = [0, 1].map(|holder| holders[holder].verify(&request.body, &headers).is_ok());
        assert_eq!(found, promised(sent_at, rotated_at, overlap_ends), "delivery {n}");
        for holder in [0, 1] {
            genuine[holder] += u32::from(found[holder]);
        }
    }
    println!(
        "{DELIVERIES} deliveries in {:?}: {} genuine for the old secret, {} for the new, none unexpectedly",
        begun.elapsed(),
        genuine[0],
        genuine[1],
    );
    assert_eq!(genuine.map(|count| count >= DELIVERIES / 2), [true, true]);
}

/// For which of the two secrets a request of this moment must be genuine.
fn promised(sent_at: Timestamp, rotated_at: Timestamp, overlap_ends: Timestamp) -> [bool; 2] {
    [sent_at < overlap_ends, sent_at >= rotated_at]
}
