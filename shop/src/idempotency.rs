//! The `Idempotency-Key` header.

use http::HeaderMap;
use trellis_sdk::core::error::Result;
use trellis_sdk::core::{Error, codes, headers};

const MAX_LEN: usize = 255;

/// The request's key, if it has one.
pub(crate) fn key(received: &HeaderMap) -> Result<Option<String>> {
    let mut values = received.get_all(headers::IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let fits =
        |text: &&str| (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    match text.filter(fits) {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(Error::new(
            codes::INVALID_PARAMETER,
            format!("Idempotency-Key comes once and has 1 to {MAX_LEN} visible ASCII characters"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>> {
        let mut received = HeaderMap::new();
        for value in values {
            received.append(headers::IDEMPOTENCY_KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        key(&received)
    }

    #[test]
    fn a_key_is_read_or_refused() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["order-7"]).unwrap().as_deref(), Some("order-7"));
        for bad in [&["a", "b"][..], &[""], &["a b"], &["ü"], &["x".repeat(256).as_str()]] {
            assert_eq!(read(bad).unwrap_err().code(), codes::INVALID_PARAMETER, "{bad:?}");
        }
    }
}
