//! The output of `cargo dev listen`: lines for a person, or a line of JSON for a script.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use time::format_description::FormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::webhook::{Payload, Webhook};

/// The time of day in UTC, as `cargo dev` shows it.
const TIME: &[FormatItem<'_>] = format_description!("[hour]:[minute]:[second].[subsecond digits:3]");

/// How many characters of a payload are shown.
const MAX_PAYLOAD_CHARS: usize = 200;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// Returns two or three lines: what arrived and whether it verifies, the payload, and the answer if it was not plainly 200.
pub(super) fn text(webhook: &Webhook, colours: bool) -> String {
    let paint = |code: &str, text: &str| {
        let text = escape(text);
        if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text }
    };
    let or = |text: &str, absent: &str| if text.is_empty() { absent.to_owned() } else { text.to_owned() };
    let time = webhook.received_at.format(TIME).unwrap_or_default();
    let replay =
        webhook.replay.as_ref().map(|id| paint(YELLOW, &format!("  replay {id}"))).unwrap_or_default();
    let verdict = match webhook.refusal {
        None => paint(GREEN, "verified"),
        Some(reason) => paint(RED, &format!("NOT VERIFIED: {reason}")),
    };
    let mut lines = vec![format!(
        "{}  {}  {}  attempt {}{replay}  {verdict}",
        paint(DIM, &time),
        paint(BOLD, &or(&webhook.event_type, "(no type)")),
        escape(&or(&webhook.id, "(no id)")),
        escape(&or(&webhook.attempt, "(no number)")),
    )];
    lines.push(format!("    {}", paint(DIM, &shorten(webhook.payload.text()))));
    if let Some((code, line)) = answer(webhook) {
        lines.push(format!("    {}", paint(code, &line)));
    }
    lines.join("\n")
}

/// Returns the line about the answer. A verified webhook that is not forwarded gets 200 and has none.
fn answer(webhook: &Webhook) -> Option<(&'static str, String)> {
    let Some(forwarded) = &webhook.forwarded else {
        return webhook.refusal.map(|_| (RED, format!("answered {}", webhook.answer)));
    };
    let (url, ms) = (&forwarded.url, forwarded.duration.as_millis());
    Some(match &forwarded.result {
        Ok(status @ 200..300) => (GREEN, format!("forwarded to {url}: {status} in {ms} ms")),
        Ok(status) => (RED, format!("forwarded to {url}: {status} in {ms} ms")),
        Err(reason) => (RED, format!("not forwarded to {url}: {reason}; answered {}", webhook.answer)),
    })
}

/// A webhook as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    received_at: String,
    r#type: &'a str,
    id: &'a str,
    attempt: Option<u32>,
    replay: Option<&'a str>,
    verified: bool,
    reason: Option<&'a str>,
    answered: u16,
    forwarded: Option<Value>,
    /// Raw, so that its numbers stay as they were sent.
    payload: Option<Box<RawValue>>,
}

/// Returns one line of JSON.
pub(super) fn json(webhook: &Webhook) -> String {
    let forwarded = webhook.forwarded.as_ref().map(|forwarded| {
        let (status, error) = (forwarded.result.as_ref().ok(), forwarded.result.as_ref().err());
        let duration_ms = u64::try_from(forwarded.duration.as_millis()).unwrap_or(u64::MAX);
        json!({"url": forwarded.url, "status": status, "error": error, "duration_ms": duration_ms})
    });
    let payload = match &webhook.payload {
        // Line ends are only between the tokens of JSON: its strings cannot have them.
        Payload::Json(payload) => RawValue::from_string(payload.get().replace(['\r', '\n'], " ")),
        Payload::Text(body) => to_raw_value(body),
    };
    let line = Line {
        received_at: webhook.received_at.format(&Rfc3339).unwrap_or_default(),
        r#type: &webhook.event_type,
        id: &webhook.id,
        attempt: webhook.attempt.parse().ok(),
        replay: webhook.replay.as_deref(),
        verified: webhook.refusal.is_none(),
        reason: webhook.refusal,
        answered: webhook.answer,
        forwarded,
        payload: payload.ok(),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

impl Payload {
    fn text(&self) -> &str {
        match self {
            Self::Json(payload) => payload.get(),
            Self::Text(body) => body,
        }
    }
}

/// Returns the beginning of a payload in one line, and the size of a payload that is cut.
fn shorten(payload: &str) -> String {
    let line = payload.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_PAYLOAD_CHARS) {
        None => line,
        Some((end, _)) => format!("{}... ({} bytes)", &line[..end], payload.len()),
    }
}

/// Replaces characters that control a terminal or the direction of text: a sender must not write on the reader's screen.
fn escape(text: &str) -> String {
    let controls = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().flat_map(|c| if controls(c) { c.escape_unicode().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;
    use crate::listen::forward::Forwarded;

    fn webhook() -> Webhook {
        Webhook {
            received_at: datetime!(2026-11-29 16:53:39.25 UTC),
            event_type: "order.created".to_owned(),
            id: "evt_1".to_owned(),
            attempt: "2".to_owned(),
            replay: Some("rpl_1".to_owned()),
            payload: Payload::Json(RawValue::from_string("{\"total\":\n 79.90}".to_owned()).unwrap()),
            refusal: None,
            forwarded: None,
            answer: 200,
        }
    }

    #[test]
    fn a_verified_webhook_is_two_lines_with_and_without_colours() {
        let plain = text(&webhook(), false);
        let expected =
            "16:53:39.250  order.created  evt_1  attempt 2  replay rpl_1  verified\n    {\"total\": 79.90}";
        assert_eq!(plain, expected);
        let coloured = text(&webhook(), true);
        assert!(coloured.contains("\x1b[32mverified\x1b[0m"), "{coloured:?}");
        let codes = [DIM, BOLD, YELLOW, GREEN, "0"].map(|code| format!("\x1b[{code}m"));
        assert_eq!(codes.iter().fold(coloured, |text, code| text.replace(code, "")), plain);
    }

    #[test]
    fn a_sender_cannot_control_the_terminal() {
        let hostile = "a\x1b[31m\u{9b}2J\r\n\u{202e}".to_owned();
        let webhook = Webhook {
            event_type: hostile.clone(),
            id: hostile.clone(),
            attempt: hostile.clone(),
            replay: Some(hostile.clone()),
            payload: Payload::Text(hostile),
            refusal: Some("it has no header `webhook-id`"),
            answer: 400,
            ..webhook()
        };
        let text = text(&webhook, false);
        assert_eq!(text.lines().count(), 3, "{text:?}");
        assert!(!text.contains(['\x1b', '\u{9b}', '\r', '\u{202e}']), "{text:?}");
        assert!(text.contains("NOT VERIFIED: it has no header `webhook-id`\n"), "{text}");
        assert!(text.ends_with("answered 400"), "{text}");
    }

    #[test]
    fn json_is_one_line_that_keeps_the_text_of_numbers() {
        let forwarded = Forwarded {
            url: "http://a/".to_owned(),
            result: Err("gone".to_owned()),
            duration: Duration::ZERO,
        };
        let line = json(&Webhook { forwarded: Some(forwarded), answer: 502, ..webhook() });
        assert!(line.ends_with(",\"payload\":{\"total\":  79.90}}"), "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["forwarded"]["error"], "gone");
        assert_eq!((&value["attempt"], &value["answered"]), (&2.into(), &502.into()));
        let text =
            Webhook { payload: Payload::Text("\"\n".to_owned()), attempt: "x".to_owned(), ..webhook() };
        assert!(
            json(&text).contains("\"attempt\":null") && json(&text).ends_with("\"payload\":\"\\\"\\n\"}")
        );
    }
}
