//! What clients send: one instance, in JSON or XML, read strictly and within bounds.

mod announced;
mod port;
mod value;
mod xml;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;
use trellis_core::{Error, codes};

pub(crate) use announced::{Announced, OWN_DATA_CENTER, RENEWAL};
pub(crate) use port::Port;
pub(crate) use value::{number, status};
pub(crate) use xml::is_character;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Xml,
}

impl Format {
    /// The format of an answer: XML unless JSON is asked for, as in Eureka.
    pub(crate) fn of_answer(headers: &HeaderMap) -> Self {
        let mut asked = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if asked.any(|value| value.to_ascii_lowercase().contains("json")) { Self::Json } else { Self::Xml }
    }

    /// The media type of an answer.
    pub(crate) fn media(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
        }
    }

    /// The format of a body.
    pub(crate) fn of_body(headers: &HeaderMap) -> Result<Self, Error> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
        if let Some(coding) = text(CONTENT_ENCODING).filter(|coding| coding != "identity") {
            let detail = format!("the body is compressed with {coding:?}; send it as it is");
            return Err(Error::new(codes::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        match text(CONTENT_TYPE) {
            Some(media) if media.contains("json") => Ok(Self::Json),
            Some(media) if media.contains("xml") => Ok(Self::Xml),
            Some(media) => {
                let detail = format!("the body is {media:?}; send application/json or application/xml");
                Err(Error::new(codes::UNSUPPORTED_MEDIA_TYPE, detail))
            }
            None => {
                // A page in a browser may send such a body anywhere without being asked to.
                let detail = "the body does not say what it is; send Content-Type: application/json or application/xml";
                Err(Error::new(codes::UNSUPPORTED_MEDIA_TYPE, detail))
            }
        }
    }
}

/// Reads the instance in a document.
pub(crate) fn announced(format: Format, body: &[u8]) -> Result<Announced, Error> {
    let document = match format {
        Format::Json => serde_json::from_slice(body)
            .map_err(|error| Error::new(codes::MALFORMED_JSON, format!("the body is not JSON: {error}")))?,
        Format::Xml => xml::parse(body)?,
    };
    Announced::read(instance(&document)?)
}

/// Reads a document as the door would, and says what is wrong with it.
pub fn check(is_json: bool, body: &[u8]) -> Result<(), Error> {
    let announced = announced(if is_json { Format::Json } else { Format::Xml }, body)?;
    let app = announced.app.clone().unwrap_or_default();
    crate::register::registration(&announced, &crate::names::service(&app)?).map(drop)
}

/// The instance is wrapped in an object with one member, or in a list of one; some clients leave the wrapping out.
fn instance(document: &Value) -> Result<&Value, Error> {
    let wrapped = document.as_object().and_then(|members| members.get("instance")).unwrap_or(document);
    let single = match wrapped.as_array() {
        Some(list) => match list.as_slice() {
            [one] => one,
            _ => return Err(value::wrong("instance", "exactly one instance")),
        },
        None => wrapped,
    };
    if single.is_object() { Ok(single) } else { Err(value::wrong("instance", "an object")) }
}
