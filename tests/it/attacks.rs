//! A corpus of hostile and odd JSON, through the real handler: each text is accepted and kept byte for byte, or refused
//! with the right 4xx; none is answered 5xx, none makes anything panic. The ideas are those of the public suites of JSON
//! parsing tests; every text is posted as a payload and, where it is refused there, as a whole body too.

use store::envelope::read_event;

use crate::pipeline::Pipeline;

/// Texts that every reader understands alike.
const GOOD: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1.0",
    "-0.0",
    "1e1",
    "1E+2",
    "1e-2",
    "123456789012345678901234567890",
    "1E400",
    "-1e-400",
    "0e0",
    "0.1e01",
    "true",
    "false",
    "null",
    "\"\"",
    "\" \"",
    "\"a\"",
    r#""\u0000""#,
    r#""\u0001""#,
    r#""\u001f""#,
    r#""\u007f""#,
    "\"\u{7f}\"",
    r#""\"""#,
    r#""\\""#,
    r#""\/""#,
    r#""\b\f\n\r\t""#,
    r#""\u00e9\u0061\u0301""#,
    "\"é\"",
    "\"\u{2028}\u{2029}\"",
    "\"\u{feff}\"",
    r#""\uFEFF""#,
    r#""\uFFFF""#,
    r#""\uFFFE""#,
    "\"\u{fffe}\"",
    "\"\u{ffff}\"",
    r#""\ud83d\ude00""#,
    r#""\uD83D\uDE00""#,
    r#""\uD834\uDd1e""#,
    r#""\udbff\udfff""#,
    "\"\u{1f600}\"",
    "\"\u{10ffff}\"",
    "\"\u{202e}abc\"",
    r#""\\u0041""#,
    r#""\\\"""#,
    "\"//not a comment\"",
    "\"/* nor this */\"",
    "\"<script>alert(1)</script>\"",
    "\"'; DROP TABLE events; --\"",
    "\"${jndi:ldap://x}\"",
    "\"{{7*7}}\"",
    "\"%s%n%x\"",
    "\"../../etc/passwd\"",
    "\"\\u003cscript\\u003e\"",
    "[]",
    "[ ]",
    "[[]]",
    "[[],[]]",
    "[null]",
    "[1,2,3]",
    "[1 , 2]",
    "[\"\"]",
    "[true,false,null]",
    "[{}]",
    "[\n1\t,\r2]",
    "[[[[1]]]]",
    "{}",
    "{ }",
    r#"{"":0}"#,
    r#"{"":{"":0}}"#,
    r#"{"a":1}"#,
    r#"{"a":1,"b":2}"#,
    r#"{"a":{"a":{"a":1}}}"#,
    r#"{"a":[{"a":1},{"a":2}]}"#,
    r#"{"A":1,"a":2}"#,
    r#"{"a ":1,"a":2}"#,
    r#"{"\u0000":1}"#,
    r#"{"__proto__":{"x":1}}"#,
    r#"{"constructor":1,"prototype":2}"#,
    r#"{"$type":"System.Object"}"#,
    r#"{"@type":"java.lang.Runtime"}"#,
    r#"{"type":"x","payload":{"type":"y"}}"#,
    "{\"é\":1,\"e\u{301}\":2}",
    r#"{"a\nb":1}"#,
    "{ \"a\" : 1 }",
    "{\"a\":\n1}",
];

/// Texts that are no JSON, or that two readers understand differently.
const MALFORMED: &[&str] = &[
    "",
    " ",
    "[",
    "]",
    "{",
    "}",
    "[1",
    "[1,",
    "[,1]",
    "[1,]",
    "[1,,2]",
    "[,]",
    "[1 2]",
    "[1:2]",
    "[1]]",
    "[[1]",
    "[\"a\"",
    "[\"a",
    "[1}",
    "{1}",
    "{1:2}",
    "{a:1}",
    "{'a':1}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\" 1}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{\"a\"::1}",
    "{:1}",
    "{\"a\":1,,\"b\":2}",
    "{\"a\":1;\"b\":2}",
    "{null:1}",
    "{[]:1}",
    "{\"a\":1}}",
    "{\"a\":1}{\"b\":2}",
    "{\"a\":1}#",
    "nul",
    "nulll",
    "NULL",
    "Null",
    "nil",
    "none",
    "undefined",
    "tru",
    "truee",
    "True",
    "TRUE",
    "fals",
    "False",
    "yes",
    "on",
    "NaN",
    "-NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "+1",
    "--1",
    "-",
    "- 1",
    "+",
    "01",
    "-01",
    "00",
    "1.",
    "-1.",
    ".1",
    "-.1",
    "1.e1",
    "1e",
    "1e+",
    "1E-",
    "1ee1",
    "1e1.5",
    "1.2.3",
    "1_000",
    "1,000",
    "0x10",
    "0b1",
    "0o7",
    "1f",
    "1L",
    "1n",
    "1/2",
    "1+1",
    "1 2",
    "\u{ff11}",
    "१",
    "\"",
    "\"a",
    "a\"",
    "'a'",
    "`a`",
    "\"a\"b",
    "\"a\" \"b\"",
    "\"\n\"",
    "\"\r\"",
    "\"\t\"",
    "\"\u{0}\"",
    "\"\u{1f}\"",
    r#""\x41""#,
    r#""\a""#,
    r#""\0""#,
    r#""\ ""#,
    r#""\'""#,
    r#""\""#,
    r#""\u""#,
    r#""\u1""#,
    r#""\u12""#,
    r#""\u123""#,
    r#""\u12G4""#,
    r#""\U0041""#,
    r#""\u{41}""#,
    r#""\u 041""#,
    r#""\u+041""#,
    r#""\ud800""#,
    r#""\udbff""#,
    r#""\udc00""#,
    r#""\udfff""#,
    r#""\ud800\ud800""#,
    r#""\udc00\ud800""#,
    r#""\ud83d\u""#,
    r#""\ud83d\""#,
    r#""\ud83d\n""#,
    r#""\ud83dx""#,
    r#""\ud83d\u0041""#,
    r#"{"\ud800":1}"#,
    r#"{"a":1,"a":1}"#,
    r#"{"a":1,"a":2}"#,
    r#"{"a":1,"\u0061":2}"#,
    r#"{"a":{"b":1,"b":2}}"#,
    r#"[{"b":1,"b":2}]"#,
    r#"{"":1,"":2}"#,
    "\u{feff}1",
    "\u{feff}{}",
    "1\u{feff}",
    "\u{a0}1",
    "1\u{a0}",
    "\u{2003}1",
    "\u{b}1",
    "\u{c}1",
    "\u{0}",
    "1\u{0}",
    "//x\n1",
    "/*x*/1",
    "1//x",
    "1/*x*/",
    "#1",
    "<a/>",
    "<?xml?>",
    "a=1",
    "a: 1",
    "---",
    "%7B%7D",
    "&quot;",
    "(1)",
    "{}()",
    "function(){}",
    "new Date()",
    "@",
    "*",
    "\\",
    "\\u0031",
    "[\u{0}]",
    "{\"a\":\u{1}}",
    "[1\u{c},2]",
];

/// Bytes that are no UTF-8: stray, cut off, overlong, surrogates, beyond Unicode.
const NO_UTF8: &[&[u8]] = &[
    b"\"\xff\"",
    b"\"\xfe\"",
    b"\"\x80\"",
    b"\"\xc3\"",
    b"\"\xe2\x82\"",
    b"\"\xf0\x9f\x98\"",
    b"\"\xc0\xaf\"",
    b"\"\xc1\xbf\"",
    b"\"\xe0\x80\xaf\"",
    b"\"\xf0\x80\x80\xaf\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xed\xbf\xbf\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xf8\x88\x80\x80\x80\"",
    b"\xff",
    b"\xef\xbb",
    b"{\"\xe9\":1}",
    b"[\xc3\x28]",
    b"\xff\xfe1\x00",
    b"\x00\x00\x001",
];

fn as_payload(payload: &[u8]) -> Vec<u8> {
    [br#"{"type":"attack","payload":"#, payload, b"}"].concat()
}

#[tokio::test]
async fn good_texts_are_kept_byte_for_byte() {
    for text in GOOD {
        let pipeline = Pipeline::with_endpoints(0);
        let answer = pipeline.post_bytes("/api/events", &as_payload(text.as_bytes())).await;
        assert_eq!(answer.status(), 202, "{text:?}: {}", answer.body());
        assert_eq!(read_event(&pipeline.events_queue.bodies()[0]).unwrap().payload, *text);
    }
}

#[tokio::test]
async fn malformed_texts_are_refused_as_payloads_and_as_bodies() {
    let pipeline = Pipeline::with_endpoints(0);
    let texts = MALFORMED.iter().map(|text| text.as_bytes()).chain(NO_UTF8.iter().copied());
    for text in texts {
        for body in [as_payload(text), text.to_vec()] {
            for path in ["/api/events", "/api/events/batch"] {
                let answer = pipeline.post_bytes(path, &body).await;
                let shown = String::from_utf8_lossy(&body).into_owned();
                let has_mark = body.starts_with("\u{feff}".as_bytes()); // then the text after it is read
                let refused = if path == "/api/events" && !has_mark { 400..=400 } else { 400..=422 };
                assert!(refused.contains(&answer.status().as_u16()), "{path} {shown:?}: {}", answer.body());
            }
        }
    }
    assert!(pipeline.events_queue.bodies().is_empty(), "nothing is stored");
}

#[tokio::test]
async fn what_would_cost_too_much_is_refused_before_it_does() {
    let pipeline = Pipeline::with_endpoints(0);
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    for (payload, status) in [
        (nested("[", "]", 33), 422),
        (nested("[", "]", 100_000), 422),
        (nested(r#"{"a":"#, "}", 33), 422),
        (nested(r#"[{"a":"#, "}]", 17), 422),
        ("[".repeat(200_000), 422),
        (r#"{"a":"#.repeat(40_000), 422),
        (format!("[{}1]", "1,".repeat(10_000)), 422),
        (format!("[{}[]]", "[],".repeat(10_000)), 422),
        ("1".repeat(65), 422),
        (format!("1e{}", "1".repeat(63)), 422),
        (format!("0.{}", "0".repeat(200_000)), 422),
        (format!("\"{}\"", "x".repeat(256 * 1024)), 413),
        (format!("\"{}\"", "\\u0000".repeat(50_000)), 413),
    ] {
        let answer = pipeline.post_bytes("/api/events", &as_payload(payload.as_bytes())).await;
        let beginning: String = payload.chars().take(20).collect();
        assert_eq!(answer.status(), status, "{beginning}: {}", answer.body());
    }
}

#[test]
fn the_corpus_is_large_and_says_nothing_twice() {
    let texts: Vec<&[u8]> =
        GOOD.iter().chain(MALFORMED).map(|text| text.as_bytes()).chain(NO_UTF8.iter().copied()).collect();
    assert!(texts.len() >= 250, "{}", texts.len());
    let different: std::collections::HashSet<_> = texts.iter().collect();
    assert_eq!(different.len(), texts.len());
}
