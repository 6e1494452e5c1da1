//! One thing that a change does.

use serde::{Deserialize, Serialize};

use crate::cells::Cell;
use crate::versioned::history::Record;

/// One thing that a change does to the tables. In the order in which they are written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    /// A cell has become this.
    Cell(Cell),
    /// A line of history and audit.
    Record(Record),
    /// A configuration key and all its versions are gone, as if they had never been.
    Purge(String),
    /// Deletions up to this revision are forgotten.
    Forget(u64),
}

impl Step {
    /// About how many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Cell(cell) => cell.name.len() + cell.meta.len() + cell.value.len(),
            Self::Record(record) => record.name.len() + record.bytes.len() + 256,
            Self::Purge(name) => name.len(),
            Self::Forget(_) => 8,
        }
    }

    /// What it counts for, so that neither many steps nor large ones have to be folded at once.
    pub(crate) fn weight(&self) -> usize {
        1 + self.bytes() / 512
    }

    pub(crate) fn cell(&self) -> Option<&Cell> {
        if let Self::Cell(cell) = self { Some(cell) } else { None }
    }
}

/// Bytes in JSON: as they are if they are text, which people can read; else in Base64. The first letter tells which.
pub(crate) mod text {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, to: S) -> Result<S::Ok, S::Error> {
        let bytes = bytes.as_ref();
        match std::str::from_utf8(bytes) {
            Ok(text) => to.collect_str(&format_args!("t{text}")),
            Err(_) => to.collect_str(&format_args!("b{}", BASE64_STANDARD.encode(bytes))),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, B: From<Vec<u8>>>(from: D) -> Result<B, D::Error> {
        let mut text = String::deserialize(from)?;
        let kind = if text.is_empty() { '?' } else { text.remove(0) };
        match kind {
            't' => Ok(text.into_bytes().into()),
            'b' => BASE64_STANDARD.decode(text).map(B::from).map_err(D::Error::custom),
            _ => Err(D::Error::custom("bytes begin with t or b")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cells::Kind;

    proptest! {
        #[test]
        fn what_is_written_down_is_read_again(
            name in ".*", value in proptest::collection::vec(any::<u8>(), 0..64), revision in 0..1_u64 << 53,
            owner in proptest::option::of(".*"), live in any::<bool>(),
        ) {
            let cell = Cell::new(Kind::Kv, &name, revision, live, &value).with(value, owner);
            let steps = [Step::Cell(cell.clone()), Step::Purge(name), Step::Forget(revision)];
            let body = serde_json::to_string(&steps).unwrap();
            prop_assert!(!body.contains('\0'));
            let read = crate::journal::steps(&body).unwrap();
            prop_assert_eq!(read[0].cell(), Some(&cell));
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), body);
        }
    }

    #[test]
    fn text_stays_readable_and_other_bytes_stay_whole() {
        let cell = |value: &[u8]| Cell::new(Kind::Kv, "k", 1, true, &()).with(value.to_vec(), None);
        let text = serde_json::to_string(&cell("größe".as_bytes())).unwrap();
        assert!(text.contains("tgröße"), "{text}");
        let other = serde_json::to_string(&cell(b"\xff\x00")).unwrap();
        assert!(other.contains("b/wA="), "{other}");
        assert_eq!(serde_json::from_str::<Cell>(&other).unwrap(), cell(b"\xff\x00"));
        for wrong in ["", "x", "b*"] {
            let text = other.replace("b/wA=", wrong);
            assert!(serde_json::from_str::<Cell>(&text).is_err(), "{text}");
        }
    }
}
