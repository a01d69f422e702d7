//! One attribute of a CloudEvent: its text in a member or in a header, and its rule.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::event::InvalidEvent;
use crate::event::event_type::is_no_character;
use crate::event::json::whole_number::without_zero_fraction;
use crate::timestamp::Timestamp;

/// Checks the text of an attribute. The error is the broken rule.
pub(super) fn judge(name: &str, text: &str) -> Result<(), &'static str> {
    if text.chars().any(is_no_character) {
        // the type `String` of the specification excludes them
        return Err("must not have control characters or Unicode noncharacters; remove them");
    }
    match name {
        "specversion" if text != "1.0" => Err("must be `1.0`; send CloudEvents 1.0"),
        "source" if text.chars().any(char::is_whitespace) => {
            Err("must be a URI reference (RFC 3986) without white space; percent-encode it")
        }
        "time" if !Timestamp::is_rfc3339(text) => {
            Err("must be an RFC 3339 time, for example 2026-11-28T17:00:00Z; correct it")
        }
        "id" | "source" | "type" | "subject" | "datacontenttype" | "dataschema" if text.is_empty() => {
            Err("must not be empty; send a value")
        }
        _ => Ok(()),
    }
}

/// Checks the name of an attribute. The error is the broken rule.
pub(super) fn judge_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || !name.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9')) {
        return Err("is not a valid attribute name: use only a-z and 0-9; rename it");
    }
    if name == "data" { Err("is not an attribute; send the data as body") } else { Ok(()) }
}

/// Reads an attribute from a member. `null` counts as absent, and gives `None`.
pub(super) fn of_member(name: &str, raw: &RawValue) -> Result<Option<String>, InvalidEvent> {
    let blame = |rule| InvalidEvent::attribute(name, rule);
    judge_name(name).map_err(blame)?;
    let is_text = matches!(
        name,
        "specversion" | "id" | "source" | "type" | "time" | "subject" | "datacontenttype" | "dataschema"
    );
    let digits = without_zero_fraction(raw.get());
    let text = match serde_json::from_str(raw.get()) {
        Ok(Value::Null) => return Ok(None),
        Ok(Value::String(text)) => text,
        Ok(Value::Bool(value)) if !is_text => value.to_string(),
        Ok(Value::Number(_)) if !is_text && digits.parse::<i32>().is_ok() => digits.to_owned(),
        Ok(_) | Err(_) if is_text => return Err(blame("must be a string; correct it")),
        Ok(_) | Err(_) => {
            return Err(blame(
                "must be a string, a boolean, or a whole number from -2147483648 to 2147483647; correct it",
            ));
        }
    };
    judge(name, &text).map_err(blame)?;
    Ok(Some(text))
}

/// Reads an attribute from a header: removes the quotes (RFC 9110 section 5.6.4), then decodes percent-encoding once.
/// Returns `None` for a header that is not encoded that way.
pub(super) fn of_header(value: &[u8]) -> Option<String> {
    let mut bytes = unquoted(value.trim_ascii())?.into_iter();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        decoded.push(match byte {
            b'%' => u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn unquoted(value: &[u8]) -> Option<Vec<u8>> {
    let Some(rest) = value.strip_prefix(b"\"") else { return Some(value.to_vec()) };
    let mut bytes = rest.strip_suffix(b"\"")?.iter();
    let mut text = Vec::new();
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'\\' => *bytes.next()?,
            b'"' => return None,
            _ => *byte,
        });
    }
    Some(text)
}
