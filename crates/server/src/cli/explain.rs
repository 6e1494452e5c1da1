//! `trellis explain`: the page of an error code, compiled in.

use serde_json::json;
use trellis_core::{Error, codes};

use super::output;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Prints the page of `code`, or all codes.
pub(crate) fn run(code: Option<&str>, json: bool) -> Result<(), Error> {
    match code {
        Some(code) => one(code, json),
        None => all(json),
    }
}

fn one(name: &str, json: bool) -> Result<(), Error> {
    let wanted = full_name(name);
    let (code, text) = PAGES.iter().find(|(code, _)| *code == wanted).ok_or_else(|| {
        let error = Error::new(codes::NOT_FOUND, format!("there is no error code {name:?}"));
        output::help(error, &["`trellis explain` without a code lists them all"])
    })?;
    if json {
        return output::print_json(&json!({ "code": code, "title": title(text), "text": text }));
    }
    output::print(text)
}

fn all(json: bool) -> Result<(), Error> {
    let titles = PAGES.iter().map(|(code, text)| (*code, title(text)));
    if json {
        let list: Vec<_> = titles.map(|(code, title)| json!({ "code": code, "title": title })).collect();
        return output::print_json(&list);
    }
    output::print(&output::table(
        ["CODE", "MEANING"],
        titles.map(|(code, title)| [code.to_owned(), title.to_owned()]),
    ))
}

/// What follows the code in a page's first line, `# TRL3002: Cannot listen`.
fn title(page: &str) -> &str {
    page.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, title)| title)
}

/// `3002` and `trl3002` mean TRL3002.
fn full_name(name: &str) -> String {
    let name = name.trim().to_ascii_uppercase();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("TRL{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_platform_can_be_explained() {
        for code in codes::ALL {
            let page = PAGES.iter().find(|(id, _)| *id == code.id).map(|(_, text)| title(text));
            assert_eq!(page, Some(code.title), "docs/errors/{}.md", code.id);
        }
    }

    #[test]
    fn a_code_may_be_written_short() {
        assert_eq!(full_name("3002"), "TRL3002");
        assert_eq!(full_name(" trl3002"), "TRL3002");
    }
}
