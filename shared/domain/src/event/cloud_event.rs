//! CloudEvents 1.0.2 over HTTP (<https://github.com/cloudevents/spec>). In the structured form the body is the whole
//! event in the JSON format. In the binary form the attributes are headers and the body is the data.
//!
//! The payload is always the whole event in the JSON format, so that a receiver can pass it to any CloudEvents
//! library. For the structured form it is the exact text that was sent. For the binary form it is built so that every
//! repeat has the same text.

mod attribute;
mod data;

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use serde_json::value::RawValue;

use self::attribute::{judge, judge_name, of_header, of_member};
use self::data::{data_member, judge_data};
use crate::event::claim_name::ClaimName;
use crate::event::event_type::EventType;
use crate::event::json::read::read;
use crate::event::{InvalidEvent, MAX_BODY_BYTES, MAX_PAYLOAD_BYTES, NewEvent, PAYLOAD_BOUNDS, json, within};

/// The header that marks the binary form.
pub const BINARY_HEADER: &str = "ce-specversion";

/// The error text for a missing required attribute.
const MISSING: &str = "is missing; add it";

/// The required attributes, in the order in which a payload has them.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

/// Reads an event in the structured form, or one item of a batch.
///
/// ```
/// use domain::event::cloud_event::parse_structured;
/// let body = br#"{"specversion":"1.0","id":"7","source":"/shop","type":"order.created","data":{"n":1.50}}"#;
/// let event = parse_structured(body).unwrap();
/// assert_eq!(event.payload.as_bytes(), body);
/// assert_eq!(event.event_type.as_str(), "order.created");
/// ```
///
/// # Errors
/// [`InvalidEvent`] with the first broken rule.
pub fn parse_structured(body: &[u8]) -> Result<NewEvent, InvalidEvent> {
    within("event", body.len(), MAX_BODY_BYTES)?;
    json::check(body, PAYLOAD_BOUNDS)?;
    let whole: &RawValue = read(body)?;
    let members: BTreeMap<String, &RawValue> = read(body)?;
    let mut attributes = BTreeMap::new();
    for (name, raw) in &members {
        if name == "data" || name == "data_base64" {
            continue;
        }
        if let Some(text) = of_member(name, raw)? {
            attributes.insert(name.clone(), text);
        }
    }
    judge_data(&members)?;
    let missing = |name: &str| InvalidEvent::attribute(name, MISSING);
    event(&attributes, whole.get().to_owned(), missing)
}

/// Reads an event in the binary form.
///
/// # Errors
/// [`InvalidEvent`] with the first broken rule.
pub fn parse_binary(headers: &HeaderMap, body: &[u8]) -> Result<NewEvent, InvalidEvent> {
    within("data", body.len(), MAX_PAYLOAD_BYTES)?;

    // 1. Collect the attributes from the headers.
    let mut attributes = attributes_of(headers)?;
    add_content_type(headers, &mut attributes)?;

    // 2. Write the event in the JSON format, and read it from its attributes.
    let data = data_member(&attributes, body)?;
    let payload = payload(&attributes, data);
    within("event", payload.len(), MAX_BODY_BYTES)?;
    let missing = |name: &str| InvalidEvent::header(&format!("ce-{name}"), MISSING);
    event(&attributes, payload, missing).map_err(|error| match error {
        InvalidEvent::Type(_) => InvalidEvent::header("ce-type", EventType::RULE),
        other => other,
    })
}

/// Reads the attributes in the `ce-` headers.
fn attributes_of(headers: &HeaderMap) -> Result<BTreeMap<String, String>, InvalidEvent> {
    let mut attributes = BTreeMap::new();
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix("ce-") else { continue };
        let blame = |rule| InvalidEvent::header(header.as_str(), rule);
        judge_name(name).map_err(blame)?;
        let text = of_header(value.as_bytes())
            .ok_or_else(|| blame("is not valid percent-encoded UTF-8; encode it as CloudEvents says"))?;
        judge(name, &text).map_err(blame)?;
        if attributes.insert(name.to_owned(), text).is_some() {
            return Err(blame("is sent twice; send it once"));
        }
    }
    Ok(attributes)
}

/// Adds the header `Content-Type`, which is the attribute `datacontenttype`. Some senders send the attribute too.
fn add_content_type(
    headers: &HeaderMap,
    attributes: &mut BTreeMap<String, String>,
) -> Result<(), InvalidEvent> {
    let Some(value) = headers.get(CONTENT_TYPE).filter(|value| !value.is_empty()) else { return Ok(()) };
    let rule = "must have printable ASCII characters only; correct it";
    let text = value.to_str().map_err(|_| InvalidEvent::header("content-type", rule))?;
    let sent = attributes.insert("datacontenttype".to_owned(), text.to_owned());
    if sent.is_some_and(|sent| !sent.eq_ignore_ascii_case(text)) {
        let rule = "must be equal to Content-Type; correct it, or send only Content-Type";
        return Err(InvalidEvent::header("ce-datacontenttype", rule));
    }
    Ok(())
}

/// Makes the event from its attributes, each of which is valid. `missing` makes the error for a missing attribute.
fn event(
    attributes: &BTreeMap<String, String>,
    payload: String,
    missing: impl Fn(&str) -> InvalidEvent,
) -> Result<NewEvent, InvalidEvent> {
    if let Some(name) = REQUIRED.iter().find(|name| !attributes.contains_key(**name)) {
        return Err(missing(name));
    }
    let of = |name: &str| attributes.get(name).cloned().unwrap_or_default();
    let name = ClaimName::CloudEvent { source: of("source"), id: of("id") };
    Ok(NewEvent { event_type: EventType::parse(of("type"))?, payload, name: Some(name) })
}

/// Writes the event in the JSON format. The order of the attributes does not depend on the order of the headers.
fn payload(attributes: &BTreeMap<String, String>, data: Option<String>) -> String {
    let required = REQUIRED.iter().filter_map(|name| attributes.get_key_value(*name));
    let others = attributes.iter().filter(|(name, _)| !REQUIRED.contains(&name.as_str()));
    let mut members: Vec<String> = Vec::new();
    for (name, text) in required.chain(others) {
        members.push(format!("\"{name}\":{}", Value::from(text.as_str())));
    }
    members.extend(data);
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"{"specversion":"1.0","id":"7","source":"/shop","type":"a"}"#;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let good = [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-source", "/shop"), ("ce-type", "a")];
        let own = pairs.iter().map(pair);
        own.chain(good.iter().filter(|(name, _)| pairs.iter().all(|(own, _)| own != name)).map(pair))
            .collect()
    }

    /// The valid event with one member replaced or added.
    fn with(name: &str, value: &str) -> String {
        let mut members: serde_json::Map<String, Value> = serde_json::from_str(GOOD).unwrap();
        members.insert(name.to_owned(), serde_json::from_str(value).unwrap());
        Value::from(members).to_string()
    }

    #[test]
    fn source_and_id_name_the_event_and_its_text_is_the_payload() {
        let body = "\n {\"type\":\"a\", \"id\":\"7\",\"source\":\"\\u002fshop\",\"specversion\":\"1.0\",\"data\":1.50} ";
        let event = parse_structured(body.as_bytes()).unwrap();
        assert_eq!(event.payload, body.trim());
        assert_eq!(event.name, Some(ClaimName::CloudEvent { source: "/shop".into(), id: "7".into() }));
    }

    #[test]
    fn each_attribute_has_its_rule() {
        for (name, good, bad) in [
            ("specversion", &[r#""1.0""#][..], &[r#""1""#, r#""0.3""#, "1.0", "null"][..]),
            ("id", &[r#""é ""#], &[r#""""#, "7", "null", r#""\u0007""#, r#""\ufdd0""#, r#""\uffff""#]),
            ("source", &[r#""urn:x:y""#, r#""a""#], &[r#""""#, r#""a b""#, "true"]),
            ("type", &[r#""a.b""#, r#""Scheduled Event""#, r#""注文""#], &[r#""""#, r#""a\u2028b""#, "[]"]),
            (
                "time",
                &[
                    r#""2018-04-05T17:31:00Z""#,
                    r#""2018-04-05T17:31:00.5+02:00""#,
                    r#""1960-01-01T00:00:00Z""#,
                    "null",
                ],
                &[r#""now""#, "5"],
            ),
            ("subject", &[r#""s s""#, "null"], &[r#""""#, "{}"]),
            ("datacontenttype", &[r#""text/plain""#], &[r#""""#, "1"]),
            ("dataschema", &[r#""https://x/y""#], &[r#""""#, "1"]),
            ("ext1", &[r#""""#, "true", "-2147483648", "43.0", "null"], &["2147483648", "1.5", "{}", "[]"]),
            ("Ext", &[], &[r#""x""#]),
            ("my_ext", &[], &[r#""x""#]),
            ("", &[], &[r#""x""#]),
            ("data", &["null", "{}", "[1]"], &[]),
            ("data_base64", &[r#""AAA=""#, "null"], &[r#""A""#, "1", r#""é""#]),
        ] {
            for value in good {
                assert!(parse_structured(with(name, value).as_bytes()).is_ok(), "{name} {value}");
            }
            for value in bad {
                let error = parse_structured(with(name, value).as_bytes()).unwrap_err();
                assert_eq!(error.pointer(), Some(format!("/{name}")), "{name} {value} {error}");
            }
        }
    }

    #[test]
    fn required_attributes_and_one_form_of_data_are_checked() {
        for missing in REQUIRED {
            let mut members: serde_json::Map<String, Value> = serde_json::from_str(GOOD).unwrap();
            members.remove(missing);
            let error = parse_structured(Value::from(members).to_string().as_bytes()).unwrap_err();
            assert_eq!(error, InvalidEvent::attribute(missing, MISSING));
        }
        let both = with("data", "1").replace("\"data\"", "\"data_base64\":\"AAAA\",\"data\"");
        assert!(parse_structured(both.as_bytes()).is_err());
        assert!(matches!(parse_structured(b"[]"), Err(InvalidEvent::Shape(_))));
        assert!(matches!(parse_structured(b"{\"id\":1,\"id\":1}"), Err(InvalidEvent::Json(_))));
    }

    #[test]
    fn a_binary_event_reads_as_the_same_event_in_the_json_format() {
        let all = headers(&[
            ("ce-zz", "Euro%20%E2%82%AC"),
            ("content-type", "application/json"),
            ("ce-subject", "\"a \\\"b\\\"\""),
            ("ce-type", "a"),
        ]);
        let event = parse_binary(&all, b" {\"b\":1.50, \"a\":\"\\u00e9\"}\n").unwrap();
        let expected = concat!(
            r#"{"specversion":"1.0","id":"7","source":"/shop","type":"a","datacontenttype":"application/json","#,
            r#""subject":"a \"b\"","zz":"Euro €","data":{"b":1.50, "a":"\u00e9"}}"#
        );
        assert_eq!(event.payload, expected);
        assert_eq!(
            parse_structured(event.payload.as_bytes()),
            Ok(event),
            "the payload is an event in the structured form"
        );
    }

    #[test]
    fn data_is_json_or_text_or_base64() {
        let data = |content_type: &str, body: &[u8]| {
            let headers = if content_type.is_empty() {
                headers(&[])
            } else {
                headers(&[("content-type", content_type)])
            };
            parse_binary(&headers, body)
                .map(|event| event.payload.split_once(r#","data"#).unwrap_or_default().1.to_owned())
        };
        assert_eq!(data("", b"[1]").unwrap(), "\":[1]}");
        assert_eq!(
            data("application/x+JSON; charset=utf-8", b"7").unwrap(),
            "contenttype\":\"application/x+JSON; charset=utf-8\",\"data\":7}"
        );
        assert!(data("text/plain", b"a\n\"b\"").unwrap().ends_with(r#""data":"a\n\"b\""}"#));
        assert!(data("text/plain", b"\xff\x00\x01").unwrap().ends_with(r#""data_base64":"/wAB"}"#));
        assert!(data("text/plain; charset=UTF-8", b"a").unwrap().ends_with(r#""data":"a"}"#));
        assert!(
            data("text/plain; charset=\"utf-16\"", b"h\0").unwrap().ends_with(r#""data_base64":"aAA="}"#)
        );
        assert!(data("text/json", b"{\"a\":1}").unwrap().ends_with(r#""data":{"a":1}}"#));
        assert!(data("image/png;x=%41%", b"abc").unwrap().contains("image/png;x=%41%"));
        assert!(data("image/png", b"abc").unwrap().ends_with(r#""data_base64":"YWJj"}"#));
        assert_eq!(data("", b"").unwrap(), "");
        assert!(matches!(data("application/json", b"{"), Err(InvalidEvent::Json(_))));
        let large = vec![0; MAX_PAYLOAD_BYTES];
        assert!(
            matches!(data("image/png", &large), Err(InvalidEvent::TooLarge { .. })),
            "base64 adds a third"
        );
    }

    #[test]
    fn the_type_of_the_data_may_be_sent_twice_if_it_is_equal() {
        let once = [("content-type", "application/json")];
        let expected = parse_binary(&headers(&once), b"1").unwrap();
        for more in ["application/json", "Application/JSON", "\"application/json\""] {
            let twice = [once[0], ("ce-datacontenttype", more)];
            assert_eq!(parse_binary(&headers(&twice), b"1").as_ref(), Ok(&expected), "{more}");
        }
        let alone = [("ce-datacontenttype", "application/json")];
        assert_eq!(parse_binary(&headers(&alone), b"\xef\xbb\xbf1"), Ok(expected));
    }

    #[test]
    fn a_binary_event_keeps_the_limits_of_a_payload() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let many = |count: usize| format!("[{}1]", "1,".repeat(count - 2));
        for (good, bad) in [(nested(31), nested(32)), (many(9_995), many(9_996))] {
            let event = parse_binary(&headers(&[]), good.as_bytes()).unwrap();
            assert!(parse_structured(event.payload.as_bytes()).is_ok());
            assert!(matches!(parse_binary(&headers(&[]), bad.as_bytes()), Err(InvalidEvent::Json(_))));
        }
    }

    #[test]
    fn an_error_repeats_little_of_the_request() {
        for name in ["\\\"".repeat(50_000), "a".repeat(100_000)] {
            let body = GOOD.replace("\"id\"", &format!("\"{name}\":[],\"id\""));
            let error = parse_structured(body.as_bytes()).unwrap_err();
            assert!(error.to_string().len() < 500 && error.pointer().unwrap().len() < 2000, "{error}");
        }
    }

    #[test]
    fn an_error_names_the_header() {
        for (name, value) in [
            ("ce-id", ""),
            ("ce-id", "%zz"),
            ("ce-id", "%ff"),
            ("ce-id", "\"open"),
            ("ce-specversion", "0.3"),
            ("ce-source", "a%20b"),
            ("ce-type", "a%E2%80%AEb"),
            ("ce-time", "now"),
            ("ce-my-ext", "x"),
            ("ce-data", "x"),
        ] {
            let error = parse_binary(&headers(&[(name, value)]), b"1").unwrap_err();
            assert!(error.to_string().contains(name), "{name} {value}: {error}");
        }
        let types = [("content-type", "application/json"), ("ce-datacontenttype", "text/json")];
        let error = parse_binary(&headers(&types), b"1").unwrap_err();
        assert!(error.to_string().contains("ce-datacontenttype"), "{error}");
        let mut twice = headers(&[]);
        twice.append("ce-id", HeaderValue::from_static("8"));
        assert_eq!(
            parse_binary(&twice, b"1"),
            Err(InvalidEvent::header("ce-id", "is sent twice; send it once"))
        );
        twice.remove("ce-id");
        assert_eq!(parse_binary(&twice, b"1"), Err(InvalidEvent::header("ce-id", MISSING)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_from_its_header(text in "\\PC{1,40}") {
            let encoded: String = text.bytes().map(|byte| match byte {
                b'!'..=b'~' if byte != b'"' && byte != b'%' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            }).collect();
            let event = parse_binary(&headers(&[("ce-subject", &encoded)]), b"").unwrap();
            let payload: Value = serde_json::from_str(&event.payload).unwrap();
            prop_assert_eq!(payload["subject"].as_str(), Some(text.as_str()));
        }

        #[test]
        fn no_input_makes_the_readers_panic(body in proptest::collection::vec(any::<u8>(), 0..200), value in "[ -~]{0,20}") {
            let _ = parse_structured(&body);
            let _ = parse_binary(&headers(&[("ce-id", &value), ("content-type", &value)]), &body);
        }
    }
}
