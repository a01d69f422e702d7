//! The book: that it can be built, that its links lead somewhere, and that every page is in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ureq::http::Uri;

use crate::stack;
use crate::tools::{output_of, root};

/// Returns the files below a folder with this ending.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns the values of an attribute in HTML.
fn attributes<'h>(html: &'h str, name: &str) -> Vec<&'h str> {
    let opening = format!(" {name}=\"");
    html.split(&opening).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Checks one link of a page. Returns why it is wrong.
fn check_link(pages: &BTreeMap<PathBuf, String>, page: &Path, link: &str) -> Result<(), &'static str> {
    if link.contains("://") {
        let uri: Uri = link.replace("&amp;", "&").parse().map_err(|_| "it is no URL")?;
        let is_web = matches!(uri.scheme_str(), Some("https" | "http"));
        return if is_web && uri.host().is_some_and(|host| host.contains('.')) {
            Ok(())
        } else {
            Err("no web address")
        };
    }
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => page.to_owned(),
        path => page.parent().expect("a folder").join(path),
    };
    let target = target.canonicalize().map_err(|_| "there is no such file")?;
    if fragment.is_empty() {
        return Ok(());
    }
    let html = pages.get(&target).ok_or("a fragment leads to a page")?;
    let is_there = html.contains(&format!("id=\"{fragment}\""));
    if is_there { Ok(()) } else { Err("the page has no such heading") }
}

fn build() -> PathBuf {
    let _turn = stack::take_turn();
    let mut cargo = Command::new(env!("CARGO"));
    output_of(cargo.arg("docs").current_dir(root()));
    root().join("target/book").canonicalize().expect("the book")
}

#[test]
fn the_book_is_built_and_every_link_leads_somewhere() {
    let book = build();
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).expect("a page"));
    let pages: BTreeMap<PathBuf, String> = files(&book, "html").into_iter().map(read).collect();
    let (mut links, mut wrong) = (0, Vec::new());
    for (page, html) in &pages {
        for link in ["href", "src"].into_iter().flat_map(|name| attributes(html, name)) {
            links += 1;
            if let Err(reason) = check_link(&pages, page, link) {
                wrong.push(format!(
                    "{}: {link}: {reason}",
                    page.strip_prefix(&book).expect("a page").display()
                ));
            }
        }
        let loaded = attributes(html, "src");
        assert!(!loaded.iter().any(|source| source.contains("//")), "{}: {loaded:?}", page.display());
        assert!(!html.contains("{{#"), "{}: a file that it includes is absent", page.display());
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(links > 1000, "{links} links");

    // The check sees what is wrong.
    let page = book.join("limits.html");
    for link in ["no.html", "errors.html#no", "images/retries.svg#x", "ftp://example.com", "https://nowhere"]
    {
        assert!(check_link(&pages, &page, link).is_err(), "{link}");
    }
}

#[test]
fn every_page_of_the_docs_is_in_the_book() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).expect("the summary");
    for page in files(&docs, "md") {
        let page = page.strip_prefix(&docs).expect("a page").display().to_string();
        let count = summary.matches(&format!("]({page})\n")).count();
        assert_eq!(count, usize::from(page != "SUMMARY.md"), "docs/{page} in docs/SUMMARY.md");
    }
}

#[test]
fn every_guide_says_where_to_go_next() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).expect("the summary");
    let guides = summary.split("# How it is built").next().expect("guides");
    let pages: Vec<&str> = guides.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(pages.len() > 12, "{pages:?}");
    for page in pages {
        let text = fs::read_to_string(docs.join(page)).expect("a page");
        let last = text.trim_end().lines().rev().take_while(|line| !line.is_empty()).last().expect("a line");
        assert!(last.starts_with("Next: ["), "docs/{page} ends with: {last}");
    }
}
