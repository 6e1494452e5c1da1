//! Header names that Trellis sets or reads on every hop.

use http::HeaderName;

/// One id per request, made at the edge and kept on every hop.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context, level 1.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// W3C Trace Context, vendor part; passed on unchanged.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Milliseconds the caller will still wait, as a decimal number; shrinks on every hop.
pub const TIMEOUT_MS: HeaderName = HeaderName::from_static("trellis-timeout-ms");
/// Makes a write safe to send again (IETF draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that a proxy made itself, because it could not get the service's own.
pub const PROXY: HeaderName = HeaderName::from_static("trellis-proxy");
