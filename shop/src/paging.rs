//! Lists in pages: a limit, a cursor that only we understand, and the address of the next page.

use serde::Deserialize;
use trellis_sdk::core::error::Result;
use trellis_sdk::core::{Error, codes};
use trellis_sdk::http::Page;

use crate::hex;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;
const MAX_CURSOR_LEN: usize = 512;

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PageQuery {
    /// Items on a page, 1 to 200.
    #[serde(default)]
    pub(crate) limit: Option<u32>,
    /// Where the page before ended.
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

/// What part of a list to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Most items on the page.
    limit: u32,
    /// The key after which it begins; `None` for the start.
    pub(crate) after: Option<String>,
}

/// A page and where the next one begins.
#[derive(Debug)]
pub(crate) struct Slice<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// The cursor of the next page; `None` on the last.
    pub(crate) next: Option<String>,
    limit: u32,
}

impl PageQuery {
    /// Checks the query.
    pub(crate) fn window(&self) -> Result<Window> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Error::new(codes::INVALID_PARAMETER, format!("limit must be 1 to {MAX_LIMIT}")));
        }
        let after = self.cursor.as_deref().map(decode).transpose()?;
        Ok(Window { limit, after })
    }
}

impl Window {
    /// How many rows to ask the database for: one more than fit tells whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The key as a number, 0 for the start.
    pub(crate) fn after_id(&self) -> Result<i64> {
        self.after.as_deref().map_or(Ok(0), |key| key.parse().map_err(|_| invalid_cursor()))
    }

    /// The key as text, empty for the start.
    pub(crate) fn after_text(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }

    /// Cuts `rows`, of which there may be one too many, to a page. `key` is what the list is ordered by.
    pub(crate) fn slice<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> String) -> Slice<T> {
        let limit = self.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|last| hex::encode(key(last).as_bytes()));
        Slice { items: rows, next, limit: self.limit }
    }
}

impl<T> Slice<T> {
    /// The page for the wire. `filters` (`&status=completed`) are kept for the next page. Its address is relative, so
    /// that it holds behind a gateway that shows the service under another path.
    pub(crate) fn into_page<U: From<T>>(self, filters: &str) -> Page<U> {
        let limit = self.limit;
        let next = self.next.map(|cursor| format!("?limit={limit}&cursor={cursor}{filters}"));
        Page { items: self.items.into_iter().map(U::from).collect(), next }
    }
}

fn decode(cursor: &str) -> Result<String> {
    let bytes = Some(cursor).filter(|text| (1..=MAX_CURSOR_LEN).contains(&text.len())).and_then(hex::decode);
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|key| !key.contains('\0'));
    key.ok_or_else(invalid_cursor)
}

fn invalid_cursor() -> Error {
    Error::new(codes::INVALID_PARAMETER, "the cursor is not one that a page before gave")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(limit: Option<u32>, cursor: Option<&str>) -> PageQuery {
        PageQuery { limit, cursor: cursor.map(Into::into) }
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let all: Vec<i64> = (1..=5).collect();
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let window = query(Some(2), cursor.as_deref()).window().unwrap();
            let after = window.after_id().unwrap();
            let rows = all.iter().copied().filter(|id| *id > after).take(window.rows() as usize).collect();
            let slice = window.slice(rows, i64::to_string);
            seen.extend(slice.items);
            cursor = slice.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn the_next_address_keeps_limit_and_filters() {
        let window = query(Some(1), None).window().unwrap();
        let page: Page<i64> = window.slice(vec![7, 8], i64::to_string).into_page("&status=pending");
        assert_eq!(page.next.as_deref(), Some("?limit=1&cursor=37&status=pending"));
        let last: Page<i64> = window.slice(vec![7], i64::to_string).into_page("");
        assert_eq!(last.next, None);
    }

    #[test]
    fn odd_queries_are_refused() {
        for (limit, cursor) in [
            (Some(0), None),
            (Some(201), None),
            (None, Some("")),
            (None, Some("zz")),
            (None, Some("abc")),
            (None, Some("ff")),
            (None, Some("00")),
            (None, Some("é")),
        ] {
            let error = query(limit, cursor).window().unwrap_err();
            assert_eq!(error.code(), codes::INVALID_PARAMETER, "{limit:?} {cursor:?}");
        }
        let text = query(None, Some(&hex::encode(b"keyboard"))).window().unwrap();
        assert_eq!(text.after_text(), "keyboard");
        assert!(text.after_id().is_err());
    }
}
