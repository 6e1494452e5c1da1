//! The key of a handshake and its hash. They prove nothing about who answers, only that it has read the request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sha1::{Digest, Sha1};

/// Appended to the key (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key of 16 random bytes.
pub fn new_key(random: [u8; 16]) -> HeaderValue {
    header(&random)
}

/// The `Sec-WebSocket-Accept` that belongs to a key.
pub fn accept(key: &HeaderValue) -> HeaderValue {
    header(&Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize())
}

/// Whether it is 16 bytes in base64.
pub(super) fn is_valid(key: &HeaderValue) -> bool {
    let mut decoded = [0; 18];
    key.len() == 24 && STANDARD.decode_slice(key.as_bytes(), &mut decoded) == Ok(16)
}

fn header(bytes: &[u8]) -> HeaderValue {
    // Base64 has only characters that may be in a header.
    HeaderValue::try_from(STANDARD.encode(bytes)).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        let key = new_key(*b"the sample nonce");
        assert_eq!(key, "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_key() {
        for text in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZSEh",
            "dGhlIHNhbXBsZSBub25j!Q==",
            "dGhlIHNhbXBsZSBub25jZR==",
            "AAAA",
        ] {
            assert!(!is_valid(&HeaderValue::from_static(text)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn keys_that_are_made_are_valid(random: [u8; 16]) {
            prop_assert!(is_valid(&new_key(random)));
        }

        #[test]
        fn any_text_is_survived(text in "[ -~]{0,30}") {
            let key = HeaderValue::try_from(text).unwrap();
            let _ = is_valid(&key);
            prop_assert_eq!(accept(&key).len(), 28);
        }
    }
}
