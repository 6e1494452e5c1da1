//! The core's types as the document shows them.

use utoipa::ToSchema;

/// What a client is told about a failure (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the derive only")]
pub(crate) struct Problem {
    /// `urn:trellis:error:` and the code.
    #[schema(rename = "type")]
    kind: String,
    /// The same for every occurrence of the code.
    title: String,
    /// HTTP status.
    status: u16,
    /// About this occurrence.
    detail: String,
    /// The stable code, such as TRL2013.
    code: String,
    /// Who has to act: client, upstream or us.
    #[schema(required = false, nullable = false)]
    blame: Option<String>,
    /// Milliseconds to wait before the same request may be sent again; absent when it must not be.
    #[schema(required = false, nullable = false)]
    retry_after_ms: Option<u64>,
    /// The request this is about.
    #[schema(required = false, nullable = false)]
    request_id: Option<String>,
}
