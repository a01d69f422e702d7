//! Tests each rule with random texts: any white space, any spelling of a character, any order of members.

use proptest::prelude::*;

use crate::event::claim_name::{ClaimName, DedupId};
use crate::event::cloud_event::parse_structured;
use crate::event::event_type::EventType;
use crate::event::json::check;
use crate::event::json::rule::{Bounds, Rule};
use crate::event::{InvalidEvent, NewEvent};

const BOUNDS: Bounds = Bounds { depth: 32, nodes: 10_000 };

fn rule(text: &[u8]) -> Option<Rule> {
    check(text, BOUNDS).err().map(|violation| violation.rule)
}

fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

/// One character of a string: plain, or as one of its escapes.
fn character() -> impl Strategy<Value = String> {
    let escaped = |c: char| {
        let mut units = [0; 2];
        c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04X}")).collect::<Vec<_>>().concat()
    };
    prop_oneof![
        "[ !#-\\[\\]-~]",
        any::<char>().prop_map(escaped),
        any::<char>()
            .prop_filter("must be escaped", |c| !matches!(c, '"' | '\\' | '\0'..='\x1f'))
            .prop_map(String::from),
        prop::sample::select(vec![r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t"])
            .prop_map(str::to_owned),
    ]
}

fn string() -> impl Strategy<Value = String> {
    prop::collection::vec(character(), 0..6).prop_map(|text| format!("\"{}\"", text.concat()))
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,6})?([eE][+-]?[0-9]{1,3})?"
}

/// Any JSON value. A number in each key keeps the keys of an object different.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        number(),
        string(),
        prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned)
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let spaced =
            (space(), inner, space()).prop_map(|(before, value, after)| before + &value + &after).boxed();
        let items = prop::collection::vec(spaced.clone(), 1..5);
        let members = prop::collection::vec((space(), string(), space(), spaced), 1..5).prop_map(|members| {
            let mut texts = Vec::new();
            for (place, (before, key, after, value)) in members.iter().enumerate() {
                texts.push(format!("{before}\"{place}{}{after}:{value}", &key[1..]));
            }
            texts
        });
        prop_oneof![
            items.prop_map(|items| format!("[{}]", items.join(","))),
            members.prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// An offset between two characters.
fn place(text: &str, at: prop::sample::Index) -> usize {
    let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
    places[at.index(places.len())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_payload_is_kept_byte_for_byte(payload in value(), before in space(), after in space()) {
        prop_assert_eq!(rule(payload.as_bytes()), None, "{}", payload);
        let body = format!("{{{before}\"payload\"{after}:{before}{payload}{after},\"type\":\"a\"}}");
        prop_assert_eq!(NewEvent::parse(body.as_bytes()).map(|event| event.payload), Ok(payload));
    }

    #[test]
    fn every_cloudevent_is_kept_byte_for_byte(data in value(), before in space(), after in space()) {
        let event = format!(
            "{{{before}\"data\"{after}:{before}{data}{after},\"id\":\"7\",{after}\"type\":\"a\",\"source\":\"s\",\"specversion\":\"1.0\"}}"
        );
        let spaced = format!("{before}{event}{after}");
        prop_assert_eq!(parse_structured(spaced.as_bytes()).map(|event| event.payload), Ok(event));
    }

    #[test]
    fn a_text_that_is_cut_or_has_trailing_bytes_is_refused(
        payload in value().prop_filter("a number cut short is a number", |text| !text.ends_with(|c: char| c.is_ascii_digit())),
        at in any::<prop::sample::Index>(),
        behind in "[^ \t\r\n]",
    ) {
        let cut = at.index(payload.len());
        prop_assert!(rule(&payload.as_bytes()[..cut]).is_some(), "{}", &payload[..place(&payload, at)]);
        let longer = payload + &behind;
        prop_assert!(rule(longer.as_bytes()).is_some(), "{}", longer);
    }

    #[test]
    fn invalid_utf8_is_refused_at_every_offset(payload in value(), at in any::<prop::sample::Index>(), byte in 0xf8u8..) {
        let mut bytes = payload.into_bytes();
        let at = at.index(bytes.len() + 1);
        bytes.insert(at, byte);
        prop_assert!(matches!(rule(&bytes), Some(Rule::Utf8(_))));
    }

    #[test]
    fn an_unpaired_surrogate_is_refused_at_every_place(
        front in prop::collection::vec(character(), 0..4),
        back in prop::collection::vec("[ -!#-\\[\\]-~]", 0..4),
        half in 0xd800u16..0xe000,
    ) {
        let text = format!("[\"{}\\u{half:04x}{}\"]", front.concat(), back.concat());
        let joined = front.last().is_some_and(|last| last.starts_with("\\u"));
        prop_assume!(!joined); // the character before could be the other half
        prop_assert_eq!(rule(text.as_bytes()), Some(Rule::UnpairedSurrogate), "{}", text);
    }

    #[test]
    fn a_repeated_key_is_refused_in_every_spelling(
        key in "[a-z~/é]{1,6}",
        escaped in prop::collection::vec(any::<bool>(), 6),
        between in prop::collection::vec(value(), 0..3),
    ) {
        let spelling: String = key.chars().zip(&escaped).map(|(c, escaped)| {
            if *escaped { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
        }).collect();
        let others: Vec<_> = between.iter().enumerate().map(|(n, value)| format!("\"{n}\":{value},")).collect();
        let text = format!("[{{\"{key}\":1,{}\"{spelling}\":2}}]", others.concat());
        let violation = check(text.as_bytes(), BOUNDS).unwrap_err();
        let pointer = format!("/0/{}", key.replace('~', "~0").replace('/', "~1"));
        prop_assert_eq!((violation.rule, violation.pointer), (Rule::RepeatedKey, pointer), "{}", text);
    }

    #[test]
    fn depth_is_counted_for_all_values(shape in prop::collection::vec(any::<bool>(), 0..60), leaf in number()) {
        let nested = shape.iter().fold(leaf, |inner, list| {
            if *list { format!("[{inner}]") } else { format!("{{\"a\":{inner}}}") }
        });
        let expected = (shape.len() > BOUNDS.depth).then_some(Rule::Depth(BOUNDS.depth));
        prop_assert_eq!(rule(nested.as_bytes()), expected);
    }

    #[test]
    fn values_of_every_kind_are_counted(items in prop::collection::vec(value(), 0..6), bound in 1usize..200) {
        let text = format!("[{}]", items.join(","));
        let nodes = check(text.as_bytes(), BOUNDS).unwrap();
        let each: usize = items.iter().map(|item| check(item.as_bytes(), BOUNDS).unwrap()).sum();
        prop_assert_eq!(nodes, each + 1);
        let within = check(text.as_bytes(), Bounds { nodes: bound, ..BOUNDS });
        prop_assert_eq!(within.is_ok(), nodes <= bound);
    }

    #[test]
    fn a_number_has_up_to_64_characters(digits in "[1-9][0-9]{0,90}", fraction in "(\\.[0-9]{1,40})?") {
        let number = digits + &fraction;
        let expected = (number.len() > 64).then_some(Rule::Number);
        prop_assert_eq!(rule(number.as_bytes()), expected, "{}", number);
    }

    #[test]
    fn a_type_has_allowed_characters_and_an_allowed_length(text in "[a-zA-Z0-9._:/ é#\t\u{2028}-]{0,300}") {
        let allowed = |c: char| !matches!(c, '\t' | '\u{2028}');
        let good = (1..=255).contains(&text.chars().count()) && text.chars().all(allowed);
        prop_assert_eq!(EventType::parse(text.as_str()).is_ok(), good, "{}", text);
    }

    #[test]
    fn a_dedup_id_is_kept_with_its_escapes_decoded(id in "[ -~]{1,255}") {
        let escaped: Vec<_> = id.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let body = format!("{{\"type\":\"a\",\"payload\":1,\"dedup_id\":\"{}\"}}", escaped.concat());
        let name = DedupId::parse(id).map(ClaimName::Dedup);
        prop_assert_eq!(NewEvent::parse(body.as_bytes()).unwrap().name, name);
    }

    #[test]
    fn a_dedup_id_with_another_character_is_refused(front in "[ -~]{0,20}", c in "[^ -~]") {
        let body = serde_json::json!({"type": "a", "payload": 1, "dedup_id": front + &c}).to_string();
        prop_assert_eq!(NewEvent::parse(body.as_bytes()), Err(InvalidEvent::DedupId));
    }

    #[test]
    fn an_unknown_member_is_refused(name in "[a-zA-Z_]{1,12}", value in value()) {
        prop_assume!(!["type", "payload", "dedup_id"].contains(&name.as_str()));
        let body = format!("{{\"type\":\"a\",\"payload\":1,\"{name}\":{value}}}");
        prop_assert!(matches!(NewEvent::parse(body.as_bytes()), Err(InvalidEvent::Shape(_))), "{}", body);
    }
}
