//! The data of a CloudEvent.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;

use crate::event::json::read::read;
use crate::event::json::rule::Bounds;
use crate::event::{InvalidEvent, MAX_PAYLOAD_BYTES, PAYLOAD_BOUNDS, json, within};

/// Checks that there is at most one form of data, that it is not too large, and that `data_base64` is base64.
pub(super) fn judge_data(members: &BTreeMap<String, &RawValue>) -> Result<(), InvalidEvent> {
    let value = |name: &str| members.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null");
    within("data", value("data").unwrap_or_default().len(), MAX_PAYLOAD_BYTES)?;
    let Some(encoded) = value("data_base64") else { return Ok(()) };
    let blame = |rule| InvalidEvent::attribute("data_base64", rule);
    if value("data").is_some() {
        return Err(blame("is not allowed beside `/data`; send one of them"));
    }
    let text: Option<String> = serde_json::from_str(encoded).ok();
    match text.map(|text| BASE64.decode(text)) {
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) | None => Err(blame("must be a string in base64 (RFC 4648); correct it")),
    }
}

/// Returns the member that holds the body: as JSON, else as text, else as base64. `Content-Type` decides.
pub(super) fn data_member(
    attributes: &BTreeMap<String, String>,
    body: &[u8],
) -> Result<Option<String>, InvalidEvent> {
    if body.is_empty() {
        return Ok(None);
    }
    let content_type = attributes.get("datacontenttype").map(|text| text.to_ascii_lowercase());
    let (essence, parameters) = match content_type.as_deref() {
        None => ("application/json", ""),
        Some(text) => text.split_once(';').unwrap_or((text, "")),
    };
    let essence = essence.trim();
    if essence.ends_with("/json") || essence.ends_with("+json") {
        let body = json::without_mark(body);
        // The event around the data adds one level and some values, and must keep the limits of a payload.
        let depth = PAYLOAD_BOUNDS.depth - 1;
        let nodes = PAYLOAD_BOUNDS.nodes.saturating_sub(1 + attributes.len());
        json::check(body, Bounds { depth, nodes })?;
        let data: &RawValue = read(body)?;
        return Ok(Some(format!("\"data\":{}", data.get())));
    }
    let text = std::str::from_utf8(body).ok().filter(|_| essence.starts_with("text/") && is_utf8(parameters));
    Ok(Some(match text {
        Some(text) => format!("\"data\":{}", serde_json::Value::from(text)),
        None => format!("\"data_base64\":\"{}\"", BASE64.encode(body)),
    }))
}

/// Returns whether the parameters of a media type say that the text is UTF-8, or say nothing.
fn is_utf8(parameters: &str) -> bool {
    let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
    charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "us-ascii"))
}
