//! Answers compressed on their way to the client: gzip (RFC 1952), br (RFC 7932) and zstd (RFC 8878), chosen as RFC
//! 9110, section 12.5.3 says.
//!
//! Only what a service sends plain is compressed; what it has encoded itself goes through as it is. An answer that
//! repeats what the client sent next to a secret should not be compressed at all (the BREACH attack): such a service
//! says `Cache-Control: no-transform`.

mod accepts;
mod body;
mod encoder;
mod media;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::SizeHint;

use super::headers::{has_item, only, vary};
use media::MediaTypes;

pub use accepts::Accepts;
pub use body::Compressed;
pub use encoder::{Encoder, Level};

/// What is compressed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressionOptions {
    /// Media types: `text/html`, `text/*`, `application/*+json`. A wildcard does not mean `text/event-stream`.
    pub types: Vec<String>,
    /// Smaller answers are left as they are, in bytes. An answer of unknown length is taken for a large one.
    pub min_bytes: u64,
    /// What may be used. Among those that a client likes equally, the first. Nothing is compressed if empty.
    pub algorithms: Vec<Encoding>,
    /// Time against size.
    pub level: Level,
    /// Most answers that are compressed at once, because each takes memory (see [`Encoder`]); others go out plain.
    pub max_at_once: usize,
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `gzip`: everybody understands it.
    Gzip,
    /// `br`: smallest for text.
    Brotli,
    /// `zstd`: fastest.
    Zstd,
}

/// Compiled [`CompressionOptions`].
#[derive(Debug, Clone)]
pub struct Compression {
    types: MediaTypes,
    min_bytes: u64,
    algorithms: Vec<Encoding>,
    level: Level,
    max_at_once: usize,
    at_once: Arc<AtomicUsize>,
}

/// Leave to compress one answer.
#[derive(Debug)]
struct Slot(Arc<AtomicUsize>);

/// Hashes of bytes that are not sent.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

impl Compression {
    /// Checks the options; the error says what is wrong and what is expected.
    pub fn compile(options: &CompressionOptions) -> Result<Self, String> {
        Ok(Self {
            types: MediaTypes::compile(&options.types)?,
            min_bytes: options.min_bytes,
            algorithms: options.algorithms.clone(),
            level: options.level,
            max_at_once: options.max_at_once,
            at_once: Arc::default(),
        })
    }

    /// How to compress an answer, if it is. `size` is its body's.
    pub fn negotiate(&self, accepts: Accepts, head: &Parts, size: &SizeHint) -> Option<Encoding> {
        if self.suits(head, size) { accepts.choose(&self.algorithms) } else { None }
    }

    /// Decides, and changes the head accordingly. The body then has to go through the encoder: [`Compressed::new`].
    pub fn prepare(&self, accepts: Accepts, head: &mut Parts, size: &SizeHint) -> Option<Encoder> {
        if !self.suits(head, size) {
            return None;
        }
        // Also without compression: a cache must know that others could get another form.
        vary(&mut head.headers, "accept-encoding");
        let encoding = accepts.choose(&self.algorithms)?;
        let encoder = Encoder::new(encoding, self.level, size.upper(), self.slot()?).ok()?;
        encoding.mark(&mut head.headers);
        Some(encoder)
    }

    /// Whether an answer is one that gains.
    fn suits(&self, head: &Parts, size: &SizeHint) -> bool {
        let headers = &head.headers;
        let has_body = !head.status.is_informational()
            && !matches!(
                head.status,
                StatusCode::NO_CONTENT
                    | StatusCode::RESET_CONTENT
                    | StatusCode::PARTIAL_CONTENT
                    | StatusCode::NOT_MODIFIED
            );
        has_body
            && !self.algorithms.is_empty()
            && size.upper().is_none_or(|upper| upper >= self.min_bytes.max(1))
            && !headers.contains_key(CONTENT_ENCODING)
            && !headers.contains_key(CONTENT_RANGE)
            && only(headers, &CONTENT_TYPE).is_some_and(|media| self.types.contain(media))
            && !has_item(headers, &CACHE_CONTROL, "no-transform")
    }

    fn slot(&self) -> Option<Slot> {
        let slot = Slot(Arc::clone(&self.at_once));
        // Counted first, so that two cannot take the last place; too many are given back by the drop.
        (self.at_once.fetch_add(1, Ordering::Relaxed) < self.max_at_once).then_some(slot)
    }
}

impl Encoding {
    /// As in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Makes a head that of the compressed answer.
    fn mark(self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(self.name()));
        headers.remove(CONTENT_LENGTH);
        // Ranges would be those of the plain form.
        headers.remove(ACCEPT_RANGES);
        for digest in DIGESTS {
            headers.remove(digest);
        }
        // A strong tag promises the same bytes (RFC 9110, section 8.8.1).
        if let Some(weak) = headers.get(ETAG).and_then(weak) {
            headers.insert(ETAG, weak);
        }
    }
}

/// The weak form of a strong tag.
fn weak(tag: &HeaderValue) -> Option<HeaderValue> {
    let strong = tag.as_bytes().starts_with(b"\"");
    if strong { HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok() } else { None }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for CompressionOptions {
    fn default() -> Self {
        let types = [
            "text/*",
            "application/json",
            "application/*+json",
            "application/javascript",
            "application/xml",
            "application/*+xml",
            "application/wasm",
            "image/svg+xml",
        ];
        Self {
            types: types.map(Into::into).into(),
            min_bytes: 1024,
            algorithms: vec![Encoding::Zstd, Encoding::Brotli, Encoding::Gzip],
            level: Level::Balanced,
            max_at_once: 128,
        }
    }
}
