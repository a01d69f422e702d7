//! The pages that are compiled into `api`, the console and the API reference: a policy lets nothing else run in them.

use std::io::Read;

use flate2::bufread::GzDecoder;
use serde_json::{Value, json};

use crate::support::client::{Reply, call};
use crate::support::openapi::document;
use crate::support::place::Place;
use crate::support::python::run;

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The pages.
const PAGES: [&str; 2] = ["/console", "/docs"];

/// A file that is compiled in: its path, the content type that a browser accepts for it under `nosniff`, and its bytes.
struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const fn file(path: &'static str, content_type: &'static str, bytes: &'static [u8]) -> File {
    File { path, content_type, bytes }
}

const FILES: [File; 8] = [
    file("/console", HTML, include_bytes!("../../functions/api/console/dist/index.html")),
    file("/console/app.js", JAVASCRIPT, include_bytes!("../../functions/api/console/dist/console/app.js")),
    file("/console/app.css", CSS, include_bytes!("../../functions/api/console/dist/console/app.css")),
    file("/console/icon.svg", SVG, include_bytes!("../../functions/api/console/dist/console/icon.svg")),
    file("/docs", HTML, include_bytes!("../../functions/api/reference/dist/index.html")),
    file("/docs/app.js", JAVASCRIPT, include_bytes!("../../functions/api/reference/dist/docs/app.js.gz")),
    file("/docs/app.css", CSS, include_bytes!("../../functions/api/reference/dist/docs/app.css.gz")),
    file("/docs/icon.svg", SVG, include_bytes!("../../functions/api/reference/dist/docs/icon.svg")),
];

impl File {
    /// Returns whether it is compiled in as gzip, which begins with these bytes (RFC 1952, section 2.3.1).
    fn is_compressed(&self) -> bool {
        self.bytes.starts_with(&[0x1f, 0x8b])
    }

    fn text(&self) -> String {
        if self.is_compressed() { decoded(self.bytes) } else { String::from_utf8_lossy(self.bytes).into() }
    }
}

fn get(path: &str, headers: &[(&str, &str)]) -> Reply {
    call("GET", &format!("{}{path}", Place::memory().url()), headers, "")
}

fn decoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).expect("gzip");
    text
}

#[test]
fn a_page_is_served_to_anybody_with_a_strict_policy() {
    for file in FILES {
        let path = file.path;
        let reply = get(path, &[]).expect(200);
        assert!(reply.text() == file.text() && reply.header("content-encoding").is_none(), "{path}");
        assert_eq!(reply.header("content-type"), Some(file.content_type));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        let policy = reply.header("content-security-policy").expect("a policy");
        let mut rules: Vec<&str> = policy.split("; ").collect();
        rules.sort_unstable();
        let expected = [
            "base-uri 'none'",
            "connect-src 'self'",
            "default-src 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "img-src 'self' data:",
            "script-src 'self'",
            "style-src 'self'",
        ];
        assert_eq!(rules, expected, "{path}");
    }
}

#[test]
fn a_browser_gets_a_page_compressed_and_only_once() {
    for file in FILES {
        let path = file.path;
        let compressed = get(path, &[("accept-encoding", "gzip, br")]).expect(200);
        assert_eq!(compressed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(compressed.header("vary"), Some("accept-encoding"));
        assert_eq!(compressed.header("cache-control"), Some("no-cache"), "a new version shows at once");
        assert!(decoded(&compressed.body) == file.text(), "{path}");
        assert!(!file.is_compressed() || compressed.body == file.bytes, "{path} is not compressed again");

        let tag = compressed.header("etag").expect("a tag");
        let again = get(path, &[("if-none-match", tag)]).expect(304);
        assert!(again.body.is_empty() && again.header("content-security-policy").is_some(), "{path}");
    }
}

#[test]
fn each_file_has_a_tag_of_its_own() {
    let tags = FILES.map(|file| get(file.path, &[]).expect(200).header("etag").expect("a tag").to_owned());
    let (mut distinct, icons) = (tags.to_vec(), [&tags[3], &tags[7]]);
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 7, "{tags:?}");
    assert_eq!(icons[0], icons[1], "it is the same icon");
}

#[test]
fn what_a_page_needs_is_small() {
    let size = |path| get(path, &[("accept-encoding", "gzip")]).expect(200).body.len();
    for (page, max) in PAGES.into_iter().zip([60_000, 480_000]) {
        let paths = FILES.iter().map(|file| file.path).filter(|path| path.starts_with(page));
        let total: usize = paths.map(size).sum();
        assert!(total <= max, "{page}: {total} bytes");
    }
}

#[test]
fn a_page_names_its_files_relative_to_its_own_url() {
    for path in PAGES {
        let page = get(path, &[]).expect(200).text();
        let attributes = ["src=\"", "href=\""];
        let named = attributes.iter().flat_map(|word| page.split(word).skip(1)).filter_map(ends);
        let named: Vec<&str> = named.filter(|name| !name.starts_with('#')).collect();
        assert!(named.len() >= 3, "{named:?}");
        for name in named {
            let file = name.strip_prefix("./").unwrap_or_else(|| panic!("{name} works below no stage"));
            get(&format!("/{file}"), &[]).expect(200);
        }
        assert!(!page.contains("<style") && !page.contains(" style="), "the policy forbids both");
        assert!(!page.contains("<script>") && !page.contains("http"), "{page}");
    }
}

/// Returns what comes before the next quotation mark.
fn ends(text: &str) -> Option<&str> {
    text.split('"').next()
}

#[test]
fn a_slash_at_the_end_leads_to_the_one_url_of_the_page() {
    for path in PAGES {
        let reply = get(&format!("{path}/"), &[]).expect(308);
        let expected = format!("..{path}");
        assert_eq!(reply.header("location"), Some(expected.as_str()), "relative: the stage stays before it");
    }
}

#[test]
fn an_unknown_file_of_a_page_is_not_found() {
    for page in PAGES {
        for end in ["/other.js", "/index.html", "/app.js.gz", "/a/b", "/..%2fapi", "s"] {
            get(&format!("{page}{end}"), &[]).problem(404, "not-found");
        }
        let url = format!("{}{page}", Place::memory().url());
        call("POST", &url, &[], "").problem(405, "method-not-allowed");
    }
}

/// Checks examples against their schemas.
const CHECK: &str = "
import json, sys
from jsonschema import Draft202012Validator as Validator
call = json.load(sys.stdin)
for example in call['examples']:
    schema = example['schema'] | {'components': call['components']}
    for error in Validator(schema, format_checker=Validator.FORMAT_CHECKER).iter_errors(example['value']):
        sys.exit(f\"{example['name']} {list(error.absolute_path)}: {error.message}\")
print(len(call['examples']))
";

#[test]
fn every_json_body_has_an_example_that_keeps_its_schema() {
    let mut examples = Vec::new();
    for (path, item) in document()["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let content = operation.pointer("/requestBody/content").and_then(Value::as_object);
            for (media_type, body) in content.into_iter().flatten().filter(|(name, _)| name.ends_with("json"))
            {
                let name = format!("{method} {path} {media_type}");
                let value = body.get("example").unwrap_or_else(|| panic!("{name} has no example"));
                examples.push(json!({"name": name, "schema": body["schema"], "value": value}));
            }
        }
    }
    let count = examples.len().to_string();
    assert!(examples.len() >= 19, "{count}");
    let call = json!({"components": document()["components"], "examples": examples});
    assert_eq!(run(CHECK, &call), Ok(count));
}
