//! W3C Trace Context, level 1: the `traceparent` header.

use std::fmt;
use std::str::FromStr;

/// Which trace a request belongs to and which span called.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Never zero.
    pub trace_id: u128,
    /// The span that sends this context on. Never zero.
    pub span_id: u64,
    /// The caller may have recorded this trace.
    pub sampled: bool,
}

/// A `traceparent` that must be ignored (section 3.2 of the specification).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid traceparent")]
pub struct InvalidTraceparent;

impl TraceContext {
    /// Starts a trace from random bits; zero, which the specification forbids, becomes one.
    pub fn root(trace_id: u128, span_id: u64, sampled: bool) -> Self {
        Self { trace_id: trace_id.max(1), span_id: span_id.max(1), sampled }
    }

    /// The same trace, called from a new span.
    #[must_use]
    pub fn child(self, span_id: u64) -> Self {
        Self { span_id: span_id.max(1), ..self }
    }
}

fn hex(field: &str, digits: usize) -> Result<u128, InvalidTraceparent> {
    // from_str_radix alone would take upper case and a sign.
    let lower_hex = field.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if field.len() != digits || !lower_hex {
        return Err(InvalidTraceparent);
    }
    u128::from_str_radix(field, 16).map_err(|_| InvalidTraceparent)
}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields = text.splitn(5, '-');
        let mut next = |digits| hex(fields.next().unwrap_or_default(), digits);
        let version = next(2)?;
        let trace_id = next(32)?;
        let span_id = next(16)? as u64;
        let flags = next(2)?;
        // Version 00 has exactly four fields; later ones may append more.
        let too_long = version == 0 && text.len() > 55;
        if version == 0xff || trace_id == 0 || span_id == 0 || too_long {
            return Err(InvalidTraceparent);
        }
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_written_is_read_back() {
        let context: TraceContext = GOOD.parse().unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), GOOD);
        assert_eq!(context.child(0).span_id, 1);
    }

    #[test]
    fn a_later_version_may_be_longer() {
        assert!(GOOD.replacen("00", "cc", 1).parse::<TraceContext>().is_ok());
        assert!(format!("{}-more", GOOD.replacen("00", "cc", 1)).parse::<TraceContext>().is_ok());
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTraceparent), "{bad:?}");
        }
    }
}
