//! Bounded bodies.

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use trellis_core::error::Result;
use trellis_core::{Error, codes};

use crate::Body;

/// A body that fails once more than `max_bytes` have come; see [`is_over_limit`].
pub fn limit(body: Body, max_bytes: u64) -> Body {
    // One that says it is short enough is let through as it is.
    if body.size_hint().upper().is_some_and(|upper| upper <= max_bytes) {
        return body;
    }
    Body::new(Limited::new(body, usize::try_from(max_bytes).unwrap_or(usize::MAX)))
}

/// Whether an error, or a cause of it, is that a [`limit`] was reached.
pub fn is_over_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<LengthLimitError>() {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Reads a whole body into memory: TRL1009 if it has more than `max_bytes`, TRL1010 if it breaks off.
pub async fn collect(body: Body, max_bytes: u64) -> Result<Bytes> {
    match limit(body, max_bytes).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if is_over_limit(&error) => Err(too_large(max_bytes)),
        Err(error) => Err(Error::new(codes::BAD_REQUEST, "the body broke off").because(error)),
    }
}

/// TRL1009 for a limit of `max_bytes`.
pub fn too_large(max_bytes: u64) -> Error {
    Error::new(codes::BODY_TOO_LARGE, format!("the body may have at most {max_bytes} bytes"))
        .with("max_bytes", max_bytes)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn chunked(chunks: &[&'static str]) -> Body {
        Body::from_stream(stream::iter(
            chunks.iter().map(|c| Ok::<_, std::io::Error>(*c)).collect::<Vec<_>>(),
        ))
    }

    #[tokio::test]
    async fn a_limit_is_exact() {
        assert_eq!(collect(chunked(&["ab", "cd"]), 4).await.unwrap(), "abcd");
        assert_eq!(collect(chunked(&["ab", "cde"]), 4).await.unwrap_err().code(), codes::BODY_TOO_LARGE);
        assert_eq!(collect(Body::from("abcde"), 4).await.unwrap_err().code(), codes::BODY_TOO_LARGE);
    }
}
