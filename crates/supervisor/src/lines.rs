//! Bytes into lines.

/// Cuts a stream of bytes into lines of bounded length.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    max: usize,
}

impl Lines {
    /// Lines of up to `max` bytes, at least 64; longer ones come in pieces.
    pub(crate) fn new(max: usize) -> Self {
        Self { buffer: Vec::new(), max: max.max(64) }
    }

    /// Takes the next bytes, and gives each line that they end.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(&str)) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.append(line, emit);
            bytes = rest;
            if end.is_some() {
                bytes = &rest[1..];
                self.flush(emit);
            }
        }
    }

    /// Gives what is left when the stream ends.
    pub(crate) fn finish(&mut self, emit: &mut impl FnMut(&str)) {
        if !self.buffer.is_empty() {
            self.flush(emit);
        }
    }

    fn append(&mut self, mut part: &[u8], emit: &mut impl FnMut(&str)) {
        while self.buffer.len() + part.len() > self.max {
            let (fits, rest) = part.split_at(self.max - self.buffer.len());
            self.buffer.extend_from_slice(fits);
            let next = rest.first().copied().unwrap_or_default();
            let cut = cut(&self.buffer, next);
            emit(&String::from_utf8_lossy(&self.buffer[..cut]));
            self.buffer.drain(..cut);
            part = rest;
        }
        self.buffer.extend_from_slice(part);
    }

    fn flush(&mut self, emit: &mut impl FnMut(&str)) {
        let line = self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer);
        emit(&String::from_utf8_lossy(line));
        self.buffer.clear();
    }
}

/// Where to cut a full buffer that goes on with `next`: before a character that is not whole yet.
fn cut(buffer: &[u8], next: u8) -> usize {
    let continues = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    if !continues(next) {
        return buffer.len();
    }
    let tail = buffer.iter().rev().take(3);
    match tail.clone().position(|&byte| !continues(byte)) {
        Some(back) => buffer.len() - back - 1,
        None => buffer.len(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(max: usize, chunks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::new(max);
        let mut emit = |line: &str| found.push(line.to_owned());
        for chunk in chunks {
            lines.feed(chunk, &mut emit);
        }
        lines.finish(&mut emit);
        found
    }

    #[test]
    fn lines_end_with_either_end_or_with_the_stream() {
        assert_eq!(lines(64, &[b"one\ntwo\r\n\nfo", b"ur"]), ["one", "two", "", "four"]);
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        assert_eq!(lines(64, &[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_long_line_comes_in_pieces() {
        let line = "x".repeat(150);
        assert_eq!(lines(64, &[line.as_bytes()]), ["x".repeat(64), "x".repeat(64), "x".repeat(22)]);
        assert_eq!(lines(64, &[&line.as_bytes()[..64], b"\nnext"]), ["x".repeat(64), "next".into()]);
    }

    proptest! {
        #[test]
        fn text_survives_any_chunks(text in "([a-zäß€😀]{0,200}\n){0,5}", size in 1_usize..100, max in 64_usize..200) {
            let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
            let found = lines(max, &chunks);
            prop_assert!(found.iter().all(|line| line.len() <= max && !line.contains(char::REPLACEMENT_CHARACTER)));
            prop_assert_eq!(found.concat(), text.replace('\n', ""));
            prop_assert_eq!(found, lines(max, &[text.as_bytes()]));
        }

        #[test]
        fn any_bytes_are_taken_and_bounded(bytes: Vec<u8>, size in 1_usize..100) {
            let chunks: Vec<_> = bytes.chunks(size).collect();
            prop_assert!(lines(64, &chunks).iter().all(|line| line.len() <= 3 * 64));
        }
    }
}
