//! The console: a page that is compiled into `api`, with a policy that lets nothing else run in it.

use std::io::Read;

use flate2::bufread::GzDecoder;

use crate::support::client::{Reply, call};
use crate::support::place::Place;

/// The files that are compiled in, with the content types that a browser accepts for them under `nosniff`.
const FILES: [(&str, &str, &str); 4] = [
    ("/console", "text/html; charset=utf-8", include_str!("../../functions/api/console/dist/index.html")),
    (
        "/console/app.js",
        "text/javascript; charset=utf-8",
        include_str!("../../functions/api/console/dist/console/app.js"),
    ),
    (
        "/console/app.css",
        "text/css; charset=utf-8",
        include_str!("../../functions/api/console/dist/console/app.css"),
    ),
    ("/console/icon.svg", "image/svg+xml", include_str!("../../functions/api/console/dist/console/icon.svg")),
];

fn get(path: &str, headers: &[(&str, &str)]) -> Reply {
    call("GET", &format!("{}{path}", Place::memory().url()), headers, "")
}

#[test]
fn the_console_is_served_to_anybody_with_a_strict_policy() {
    for (path, content_type, text) in FILES {
        let reply = get(path, &[]).expect(200);
        assert_eq!(reply.text(), text, "{path}");
        assert_eq!(reply.header("content-type"), Some(content_type));
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
fn a_browser_gets_the_console_compressed_and_only_once() {
    for (path, _, text) in FILES {
        let compressed = get(path, &[("accept-encoding", "gzip, br")]).expect(200);
        assert_eq!(compressed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(compressed.header("vary"), Some("accept-encoding"));
        assert_eq!(compressed.header("cache-control"), Some("no-cache"), "a new version shows at once");
        let mut decoded = String::new();
        GzDecoder::new(compressed.body.as_slice()).read_to_string(&mut decoded).expect("gzip");
        assert_eq!(decoded, text, "{path}");

        let tag = compressed.header("etag").expect("a tag");
        let again = get(path, &[("if-none-match", tag)]).expect(304);
        assert!(again.body.is_empty() && again.header("content-security-policy").is_some(), "{path}");
    }
}

#[test]
fn what_the_console_needs_is_small() {
    let size = |path| get(path, &[("accept-encoding", "gzip")]).expect(200).body.len();
    let total: usize = FILES.iter().map(|(path, ..)| size(path)).sum();
    assert!(total <= 60_000, "{total} bytes");
}

#[test]
fn the_page_names_its_files_relative_to_its_own_url() {
    let page = get("/console", &[]).expect(200).text();
    let named: Vec<&str> =
        ["src=\"", "href=\""].iter().flat_map(|word| page.split(word).skip(1)).filter_map(ends).collect();
    assert_eq!(named.len(), 3, "{named:?}");
    for name in named {
        let file = name.strip_prefix("./").unwrap_or_else(|| panic!("{name} works below no stage"));
        get(&format!("/{file}"), &[]).expect(200);
    }
    assert!(!page.contains("<style") && !page.contains(" style="), "the policy forbids both");
    assert!(!page.contains("<script>") && !page.contains("http"), "{page}");
}

/// Returns what comes before the next quotation mark.
fn ends(text: &str) -> Option<&str> {
    text.split('"').next()
}

#[test]
fn a_slash_at_the_end_leads_to_the_one_url_of_the_page() {
    let reply = get("/console/", &[]).expect(308);
    assert_eq!(reply.header("location"), Some("../console"), "relative: the stage stays in front of it");
}

#[test]
fn an_unknown_file_of_the_console_is_not_found() {
    for path in ["/console/other.js", "/console/index.html", "/console/a/b", "/console/..%2fapi", "/consoles"]
    {
        get(path, &[]).problem(404, "not-found");
    }
    let url = format!("{}/console", Place::memory().url());
    call("POST", &url, &[], "").problem(405, "method-not-allowed");
}
