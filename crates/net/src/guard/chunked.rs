//! The framing of a chunked body (RFC 9112, section 7.1).

use super::Ambiguity;

/// Where in a chunked body the scan is.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// Of the line that is being read, for a bound on chunk extensions and trailers.
    line: u32,
    /// Of all trailers.
    trailers: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The digits of a size.
    Size {
        value: u64,
        digits: u8,
    },
    /// What a sender may add to a size; nobody reads it.
    Extension {
        size: u64,
    },
    /// The LF after a size.
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// The beginning of a trailer line.
    Trailer,
    /// Inside one.
    TrailerLine,
    TrailerLf,
    /// The LF of the empty line that ends it all.
    LastLf,
}

const MAX_LINE: u32 = 4 << 10;
const MAX_TRAILERS: u32 = 64 << 10;
/// Enough for any size that fits 64 bits.
const MAX_DIGITS: u8 = 16;

impl Chunks {
    /// Looks at `bytes`; returns how many of them belong to the body, and whether it ends there.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<(usize, bool), Ambiguity> {
        let mut index = 0;
        while let Some(byte) = bytes.get(index) {
            if let At::Data { left } = self.at {
                let here = left.min((bytes.len() - index) as u64);
                index += here as usize;
                self.at = if here == left { At::DataCr } else { At::Data { left: left - here } };
                continue;
            }
            let ends = self.at == At::LastLf;
            self.at = self.next(*byte)?;
            index += 1;
            if ends {
                return Ok((index, true));
            }
        }
        Ok((index, false))
    }

    fn next(&mut self, byte: u8) -> Result<At, Ambiguity> {
        match self.at {
            At::Size { value, digits } => match (byte as char).to_digit(16) {
                Some(_) if digits == MAX_DIGITS => Err(Ambiguity::Chunk),
                Some(digit) => Ok(At::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }),
                None if digits == 0 => Err(Ambiguity::Chunk),
                None => self.after_size(byte, value),
            },
            At::Extension { size } if byte == b'\r' => Ok(At::SizeEnd { size }),
            At::Extension { .. } if byte == b'\n' => Err(Ambiguity::BareLf),
            At::Extension { .. } => self.longer(),
            At::SizeEnd { size: 0 } | At::TrailerLf if byte == b'\n' => Ok(At::Trailer),
            At::SizeEnd { size } if byte == b'\n' => Ok(At::Data { left: size }),
            At::DataCr if byte == b'\r' => Ok(At::DataLf),
            At::DataLf | At::LastLf if byte == b'\n' => Ok(At::default()),
            At::Trailer if byte == b'\r' => Ok(At::LastLf),
            At::Trailer if matches!(byte, b' ' | b'\t') => Err(Ambiguity::Folded),
            At::Trailer | At::TrailerLine if byte == b'\n' => Err(Ambiguity::BareLf),
            At::TrailerLine if byte == b'\r' => Ok(At::TrailerLf),
            At::Trailer | At::TrailerLine => self.in_trailer(),
            _ => Err(Ambiguity::Chunk),
        }
    }

    fn after_size(&mut self, byte: u8, size: u64) -> Result<At, Ambiguity> {
        self.line = 0;
        match byte {
            b'\r' => Ok(At::SizeEnd { size }),
            b'\n' => Err(Ambiguity::BareLf),
            b';' => Ok(At::Extension { size }),
            _ => Err(Ambiguity::Chunk),
        }
    }

    fn longer(&mut self) -> Result<At, Ambiguity> {
        self.line += 1;
        if self.line > MAX_LINE { Err(Ambiguity::Chunk) } else { Ok(self.at) }
    }

    fn in_trailer(&mut self) -> Result<At, Ambiguity> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS { Err(Ambiguity::Chunk) } else { Ok(At::TrailerLine) }
    }
}

impl Default for At {
    fn default() -> Self {
        Self::Size { value: 0, digits: 0 }
    }
}
