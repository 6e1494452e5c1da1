//! Which media types are compressed.

use http::HeaderValue;

/// Compiled media types.
#[derive(Debug, Clone)]
pub(super) struct MediaTypes(Vec<Pattern>);

/// `before*after`, or exactly `before`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    before: Box<str>,
    after: Option<Box<str>>,
}

/// It is meant to arrive event by event, so it is compressed only where it is asked for by name.
const EVENT_STREAM: &str = "text/event-stream";

/// Messages of gRPC have a compression of their own, and its clients know no other.
const GRPC: &str = "application/grpc";

impl MediaTypes {
    pub(super) fn compile(types: &[String]) -> Result<Self, String> {
        types.iter().map(|text| Pattern::compile(text)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an answer with this `Content-Type` is compressed.
    pub(super) fn contain(&self, content_type: &HeaderValue) -> bool {
        let Ok(text) = content_type.to_str() else { return false };
        let media = text.split(';').next().unwrap_or_default().trim();
        // gRPC-Web and `application/grpc+proto`, too.
        if media.get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC)) {
            return false;
        }
        let by_name = media.eq_ignore_ascii_case(EVENT_STREAM);
        self.0.iter().any(|pattern| (!by_name || pattern.after.is_none()) && pattern.matches(media))
    }
}

impl Pattern {
    fn compile(text: &str) -> Result<Self, String> {
        let in_type = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        let is_type = |part: &str| !part.is_empty() && part.bytes().all(in_type);
        let (kind, rest) = text.split_once('/').unwrap_or_default();
        let (star, after) = rest.strip_prefix('*').map_or((false, rest), |after| (true, after));
        let whole =
            if star { after.is_empty() || after.starts_with('+') && is_type(after) } else { is_type(after) };
        if !is_type(kind) || !whole {
            return Err(format!(
                "types: {text:?} is not a media type, such as \"text/html\", \"text/*\" or \"application/*+json\""
            ));
        }
        Ok(if star {
            Self { before: format!("{kind}/").into(), after: Some(after.into()) }
        } else {
            Self { before: text.into(), after: None }
        })
    }

    fn matches(&self, media: &str) -> bool {
        let Some(after) = &self.after else { return media.eq_ignore_ascii_case(&self.before) };
        // Longer than both, because the star stands for something.
        let middle = media.len().checked_sub(self.before.len() + after.len());
        let starts =
            media.get(..self.before.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.before));
        let ends =
            || media.get(media.len() - after.len()..).is_some_and(|end| end.eq_ignore_ascii_case(after));
        middle.is_some_and(|length| length > 0) && starts && ends()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn types(list: &[&str]) -> MediaTypes {
        MediaTypes::compile(&list.iter().map(|&t| t.into()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn types_are_matched() {
        let types = types(&["text/*", "application/json", "application/*+json"]);
        for (media, yes) in [
            ("text/html; charset=utf-8", true),
            ("TEXT/CSS", true),
            ("application/json", true),
            ("application/problem+json;x=1", true),
            ("Application/LD+Json", true),
            ("application/+json", false),
            ("application/jsonx", false),
            ("image/png", false),
            ("text/", false),
            ("text", false),
            ("", false),
            ("text/event-stream", false),
        ] {
            assert_eq!(types.contain(&HeaderValue::from_static(media)), yes, "{media}");
        }
    }

    #[test]
    fn event_streams_are_asked_for_by_name_and_grpc_never_is() {
        let types = types(&["text/event-stream", "application/*", "application/grpc"]);
        for (media, yes) in [
            ("text/event-stream;charset=utf-8", true),
            ("text/plain", false),
            ("application/grpc", false),
            ("application/grpc+proto", false),
            ("application/grpc-web-text", false),
            ("application/gzip", true),
        ] {
            assert_eq!(types.contain(&HeaderValue::from_static(media)), yes, "{media}");
        }
    }

    #[test]
    fn mistakes_name_the_type() {
        for text in
            ["html", "", "text/", "/html", "*/*", "te*/x", "text/h*", "text/*x", "a/b/c", "text/html; q=1"]
        {
            let error = MediaTypes::compile(&[text.into()]).unwrap_err();
            assert!(error.starts_with(&format!("types: {text:?}")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(media in "\\PC{0,30}", pattern in "[a-z+*/ö]{0,12}") {
            if let (Ok(types), Ok(value)) = (MediaTypes::compile(&[pattern]), HeaderValue::from_str(&media)) {
                let _ = types.contain(&value);
            }
        }
    }
}
