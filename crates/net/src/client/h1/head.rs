//! The head of an answer.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};

use super::WireError;
use super::decode::Decoder;

/// A head that has been read.
#[derive(Debug)]
pub(super) struct ReadHead {
    pub(super) response: Response<()>,
    pub(super) decoder: Decoder,
    /// The connection can carry another request after this answer.
    pub(super) keeps_alive: bool,
}

/// Most headers of an answer.
const MAX_HEADERS: usize = 256;
/// Nearly all answers have fewer, and room for more has to be blanked each time.
const USUAL_HEADERS: usize = 32;

/// Takes a head off the front of `buffer`; `None` if it is not all there.
pub(super) fn take(buffer: &mut BytesMut, method: &Method) -> Result<Option<ReadHead>, WireError> {
    match parse::<USUAL_HEADERS>(buffer, method) {
        Err(Failed::TooMany) => parse::<MAX_HEADERS>(buffer, method).map_err(WireError::from),
        other => other.map_err(WireError::from),
    }
}

enum Failed {
    TooMany,
    Invalid(&'static str),
}

/// Room for what is added on the way to the client: to grow later is to hash all names anew.
const SPARE: usize = 4;

/// Where a header lies in the buffer.
type Span = (usize, usize);

fn parse<const N: usize>(buffer: &mut BytesMut, method: &Method) -> Result<Option<ReadHead>, Failed> {
    let mut headers = [httparse::EMPTY_HEADER; N];
    let mut parsed = httparse::Response::new(&mut headers);
    let length = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Failed::TooMany),
        Err(_) => return Err(Failed::Invalid("the head cannot be parsed")),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Failed::Invalid("there is no such status"))?;
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let base = buffer.as_ptr() as usize;
    let span = |bytes: &[u8]| (bytes.as_ptr() as usize - base, bytes.len());
    let mut spans: [(Span, Span); N] = [((0, 0), (0, 0)); N];
    let count = parsed.headers.len();
    for (at, header) in spans.iter_mut().zip(parsed.headers.iter()) {
        *at = (span(header.name.as_bytes()), span(header.value));
    }
    let head = buffer.split_to(length).freeze();
    let headers = collect(&head, &spans[..count])?;
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    let decoder = framing(status, version, &headers, method)?;
    let keeps_alive = keeps_alive(version, &headers) && !matches!(decoder, Decoder::UntilClosed);
    *response.headers_mut() = headers;
    Ok(Some(ReadHead { response, decoder, keeps_alive }))
}

/// The headers, whose values stay where they were read.
fn collect(head: &Bytes, spans: &[(Span, Span)]) -> Result<HeaderMap, Failed> {
    let mut headers = HeaderMap::with_capacity(spans.len() + SPARE);
    for ((name, name_length), (value, value_length)) in spans {
        let name = HeaderName::from_bytes(&head[*name..name + name_length]);
        let value = HeaderValue::from_maybe_shared(head.slice(*value..value + value_length));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Failed::Invalid("a header has bytes that it may not have"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// Where the body ends (RFC 9112, section 6.3).
fn framing(
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
    method: &Method,
) -> Result<Decoder, Failed> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let coding = codings.next();
    let length = lengths.next();
    if coding.is_some() && length.is_some() {
        return Err(Failed::Invalid("both Content-Length and Transfer-Encoding are there"));
    }
    let bodiless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || *method == Method::HEAD;
    if bodiless {
        return Ok(Decoder::None);
    }
    if let Some(coding) = coding {
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(Failed::Invalid("Transfer-Encoding is not \"chunked\""));
        }
        if version == Version::HTTP_10 {
            return Err(Failed::Invalid("HTTP/1.0 has no Transfer-Encoding"));
        }
        return Ok(Decoder::chunked());
    }
    let Some(length) = length else { return Ok(Decoder::UntilClosed) };
    if lengths.any(|other| other != length) {
        return Err(Failed::Invalid("two different Content-Lengths"));
    }
    let text = std::str::from_utf8(length.as_bytes()).ok();
    let digits = text.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok());
    length.map(Decoder::length).ok_or(Failed::Invalid("Content-Length is not a number"))
}

fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let mut keep = version == Version::HTTP_11;
    for value in headers.get_all(CONNECTION) {
        for option in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                return false;
            }
            keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keep
}

impl From<Failed> for WireError {
    fn from(failed: Failed) -> Self {
        Self::Invalid(match failed {
            Failed::TooMany => "there are too many headers",
            Failed::Invalid(why) => why,
        })
    }
}
