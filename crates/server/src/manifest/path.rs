//! Places in a manifest, as its keys spell them: `route[2].aggregate.compute."stats.revenue"`.

use std::fmt;

/// One step from a table or list to what is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// A member of a table.
    Key(String),
    /// An item of a list, from 0.
    Index(usize),
}

/// The way from the root of a manifest to one value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Path(pub Vec<Segment>);

impl Path {
    /// A path of keys only.
    pub fn keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self(keys.into_iter().map(|key| Segment::Key(key.to_owned())).collect())
    }

    /// This path and one more key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    /// This path and one more index.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// The path without its last step.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    /// The last key on the way, which is what people call the value.
    pub fn name(&self) -> &str {
        self.0
            .iter()
            .rev()
            .find_map(|segment| match segment {
                Segment::Key(key) => Some(key.as_str()),
                Segment::Index(_) => None,
            })
            .unwrap_or_default()
    }

    /// Reads a path as [`Display`](fmt::Display) writes it. What cannot be read ends the path early: a place that is
    /// too wide still helps more than none.
    pub fn parse(text: &str) -> Self {
        let mut path = Self::default();
        let mut rest = text;
        while let Some((segment, after)) = next_segment(rest) {
            path.0.push(segment);
            rest = after;
        }
        path
    }

    fn with(&self, segment: Segment) -> Self {
        let mut longer = self.clone();
        longer.0.push(segment);
        longer
    }
}

fn next_segment(text: &str) -> Option<(Segment, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (digits, after) = inner.split_once(']')?;
        return Some((Segment::Index(digits.parse().ok()?), after));
    }
    let text = text.strip_prefix('.').unwrap_or(text);
    if text.starts_with('"') {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let key = stream.next()?.ok()?;
        return Some((Segment::Key(key), &text[stream.byte_offset()..]));
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    (end > 0).then(|| (Segment::Key(text[..end].to_owned()), &text[end..]))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    let dot = if i > 0 { "." } else { "" };
                    let bare = !key.is_empty()
                        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                    if bare {
                        write!(f, "{dot}{key}")?;
                    } else {
                        write!(f, "{dot}{}", serde_json::Value::from(key.as_str()))?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment() -> impl Strategy<Value = Segment> {
        prop_oneof![any::<String>().prop_map(Segment::Key), (0..1000_usize).prop_map(Segment::Index)]
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(segments in prop::collection::vec(segment(), 0..6)) {
            let path = Path(segments);
            prop_assert_eq!(Path::parse(&path.to_string()), path);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".*") {
            let _ = Path::parse(&text);
        }
    }

    #[test]
    fn keys_with_dots_are_quoted() {
        let path = Path::keys(["route"]).index(2).key("aggregate").key("compute").key("stats.revenue");
        assert_eq!(path.to_string(), r#"route[2].aggregate.compute."stats.revenue""#);
        assert_eq!(path.name(), "stats.revenue");
    }
}
