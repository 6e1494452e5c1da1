//! The encoders behind one face.

use std::fmt;
use std::io::{self, Write};

use brotli::CompressorWriter;
use bytes::buf::Writer;
use bytes::{BufMut, Bytes, BytesMut};
use flate2::write::GzEncoder;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::{Encoding, Slot};

/// Time against size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Least time.
    Fast,
    /// What others use for answers that are made on the spot.
    #[default]
    Balanced,
    /// Smallest answers, at two to four times the time.
    Small,
}

/// Compresses one answer. Takes 0.3 MiB (gzip) to 4 MiB (br, small) of memory for a long one, less for one that is
/// known to be short.
pub struct Encoder {
    coder: Coder,
    _slot: Slot,
}

enum Coder {
    Gzip(Box<GzEncoder<Sink>>),
    Brotli(Box<CompressorWriter<Sink>>),
    Zstd(Box<ZstdEncoder<'static, Sink>>),
}

/// Where compressed bytes gather until they are taken.
type Sink = Writer<BytesMut>;

/// How far back encoders look for repetitions, as a power of two of bytes. It bounds their memory and the client's.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 10..=18;

/// What brotli writes at once.
const BROTLI_BUFFER: usize = 4096;

impl Encoder {
    /// `longest` is how many bytes will come at most, if that is known.
    pub(super) fn new(
        encoding: Encoding,
        level: Level,
        longest: Option<u64>,
        slot: Slot,
    ) -> io::Result<Self> {
        let window = window_log(longest);
        let sink = BytesMut::new().writer();
        let coder = match encoding {
            Encoding::Gzip => {
                let level = flate2::Compression::new(level.of(1, 5, 6));
                Coder::Gzip(Box::new(GzEncoder::new(sink, level)))
            }
            Encoding::Brotli => {
                let quality = level.of(2, 4, 5);
                Coder::Brotli(Box::new(CompressorWriter::new(sink, BROTLI_BUFFER, quality, window)))
            }
            Encoding::Zstd => {
                let mut encoder = ZstdEncoder::new(sink, level.of(1, 3, 6))?;
                encoder.set_parameter(CParameter::WindowLog(window))?;
                Coder::Zstd(Box::new(encoder))
            }
        };
        Ok(Self { coder, _slot: slot })
    }

    pub(super) fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        match &mut self.coder {
            Coder::Gzip(encoder) => encoder.write_all(plain),
            Coder::Brotli(encoder) => encoder.write_all(plain),
            Coder::Zstd(encoder) => encoder.write_all(plain),
        }
    }

    /// Sees to it that all that was written can be decoded from what is taken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match &mut self.coder {
            Coder::Gzip(encoder) => encoder.flush(),
            Coder::Brotli(encoder) => encoder.flush(),
            Coder::Zstd(encoder) => encoder.flush(),
        }
    }

    /// Compressed bytes that wait to be taken.
    pub(super) fn ready(&self) -> usize {
        let sink = match &self.coder {
            Coder::Gzip(encoder) => encoder.get_ref(),
            Coder::Brotli(encoder) => encoder.get_ref(),
            Coder::Zstd(encoder) => encoder.get_ref(),
        };
        sink.get_ref().len()
    }

    /// What has been compressed so far.
    pub(super) fn take(&mut self) -> Bytes {
        let sink = match &mut self.coder {
            Coder::Gzip(encoder) => encoder.get_mut(),
            Coder::Brotli(encoder) => encoder.get_mut(),
            Coder::Zstd(encoder) => encoder.get_mut(),
        };
        sink.get_mut().split().freeze()
    }

    /// The end of the stream.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        let sink = match self.coder {
            Coder::Gzip(encoder) => encoder.finish()?,
            Coder::Brotli(encoder) => encoder.into_inner(),
            Coder::Zstd(encoder) => encoder.finish()?,
        };
        Ok(sink.into_inner().freeze())
    }
}

/// A window that holds `longest` bytes, within the bounds.
fn window_log(longest: Option<u64>) -> u32 {
    let needed = longest.map_or(u32::MAX, |longest| u64::BITS - longest.leading_zeros());
    needed.clamp(*WINDOW_LOG.start(), *WINDOW_LOG.end())
}

impl Level {
    fn of<T>(self, fast: T, balanced: T, small: T) -> T {
        match self {
            Self::Fast => fast,
            Self::Balanced => balanced,
            Self::Small => small,
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoding = match &self.coder {
            Coder::Gzip(_) => Encoding::Gzip,
            Coder::Brotli(_) => Encoding::Brotli,
            Coder::Zstd(_) => Encoding::Zstd,
        };
        f.debug_tuple("Encoder").field(&encoding).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_holds_what_comes() {
        let logs = [Some(0), Some(1023), Some(1024), Some(100_000), Some(u64::MAX), None].map(window_log);
        assert_eq!(logs, [10, 10, 11, 17, 18, 18]);
    }
}
