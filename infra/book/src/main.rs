//! `cargo docs`: builds the book from `docs` into `target/book`, with mdBook as a library.

mod links;

use std::error::Error;
use std::fs;
use std::path::Path;

use mdbook_driver::MDBook;
use mdbook_driver::book::Book;
use mdbook_driver::errors::Result as BookResult;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

/// Runs after mdBook's own steps, so it sees what a chapter includes.
struct OutwardLinks;

impl Preprocessor for OutwardLinks {
    fn name(&self) -> &'static str {
        "outward-links"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> BookResult<Book> {
        book.for_each_chapter_mut(|chapter| {
            if let Some(path) = &chapter.source_path {
                chapter.content = links::change_links(path, &chapter.content);
            }
        });
        Ok(book)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let mut book = MDBook::load(root.join("docs"))?;
    book.with_preprocessor(OutwardLinks).build()?;
    let built = root.join("target/book");
    fs::copy(root.join("infra/openapi.json"), built.join("openapi.json"))?;
    println!("{}", built.join("index.html").display());
    Ok(())
}
