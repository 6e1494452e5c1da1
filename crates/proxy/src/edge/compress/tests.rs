use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, VARY};
use http::{Method, Response};
use http_body::{Body, Frame};
use proptest::prelude::*;

use super::*;

const WAIT: Step = Step::Wait(false);
const ALL: [Encoding; 3] = [Encoding::Gzip, Encoding::Brotli, Encoding::Zstd];

/// A body that does what is written. It waits until somebody takes the wait away.
#[derive(Clone)]
struct Script(Rc<RefCell<VecDeque<Step>>>);

#[derive(Debug, Clone)]
enum Step {
    Data(Bytes),
    /// Whether it was come to.
    Wait(bool),
    Trailers(HeaderMap),
    Break,
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut steps = self.0.borrow_mut();
        if let Some(Step::Wait(asked)) = steps.front_mut() {
            *asked = true;
            return Poll::Pending;
        }
        match steps.pop_front() {
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Step::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Step::Break) => Poll::Ready(Some(Err(std::io::Error::other("broken")))),
            Some(Step::Wait(_)) | None => Poll::Ready(None),
        }
    }
}

fn compression(change: impl FnOnce(&mut CompressionOptions)) -> Compression {
    let mut options = CompressionOptions::default();
    change(&mut options);
    Compression::compile(&options).unwrap()
}

fn encoder(encoding: Encoding, level: Level) -> Encoder {
    Encoder::new(encoding, level, None, compression(|_| ()).slot().unwrap()).unwrap()
}

/// What came out.
#[derive(Debug, Default)]
struct Run {
    out: Vec<u8>,
    /// How much there was of it at each wait.
    waits: Vec<usize>,
    trailers: Option<HeaderMap>,
    whole: bool,
}

fn script(steps: Vec<Step>) -> Script {
    Script(Rc::new(RefCell::new(steps.into())))
}

fn run(encoding: Encoding, level: Level, steps: Vec<Step>) -> Run {
    let script = script(steps);
    let mut body = pin!(Compressed::new(script.clone(), encoder(encoding, level)));
    let mut run = Run::default();
    loop {
        let frame = match body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                // It also gives way when it has done much at once.
                let mut steps = script.0.borrow_mut();
                if let Some(Step::Wait(true)) = steps.front() {
                    steps.pop_front();
                    run.waits.push(run.out.len());
                }
                continue;
            }
        };
        match frame {
            None => return Run { whole: true, ..run },
            Some(Err(_)) => return run,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    assert!(!data.is_empty(), "an empty frame would end some streams");
                    run.out.extend_from_slice(&data);
                }
                Err(frame) => run.trailers = frame.into_trailers().ok(),
            },
        }
    }
}

fn decode(encoding: Encoding, compressed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    match encoding {
        Encoding::Gzip => flate2::read::GzDecoder::new(compressed).read_to_end(&mut plain)?,
        Encoding::Brotli => brotli::Decompressor::new(compressed, 4096).read_to_end(&mut plain)?,
        Encoding::Zstd => zstd::stream::read::Decoder::new(compressed)?.read_to_end(&mut plain)?,
    };
    Ok(plain)
}

/// What a client can show that has only the beginning.
fn decode_so_far(encoding: Encoding, compressed: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Gzip => {
            let mut decoder = flate2::write::GzDecoder::new(Vec::new());
            decoder.write_all(compressed).unwrap();
            decoder.flush().unwrap();
            decoder.get_ref().clone()
        }
        Encoding::Brotli => {
            // This one keeps what does not go into its buffer.
            let mut decoder = brotli::DecompressorWriter::new(Vec::new(), 4 << 20);
            decoder.write_all(compressed).unwrap();
            decoder.flush().unwrap();
            decoder.get_ref().clone()
        }
        Encoding::Zstd => {
            let mut decoder = zstd::stream::write::Decoder::new(Vec::new()).unwrap();
            decoder.write_all(compressed).unwrap();
            decoder.flush().unwrap();
            decoder.get_ref().clone()
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let text = "[a-f ]{0,200}".prop_map(|text| Step::Data(text.repeat(20).into()));
    let noise = prop::collection::vec(any::<u8>(), 0..3000).prop_map(|noise| Step::Data(noise.into()));
    let zeros = (0..200_000_usize).prop_map(|length| Step::Data(vec![0; length].into()));
    prop_oneof![4 => text, 2 => noise, 1 => zeros, 3 => Just(WAIT)]
}

fn plain(steps: &[Step]) -> Vec<u8> {
    let data =
        steps.iter().filter_map(|step| if let Step::Data(data) = step { Some(&data[..]) } else { None });
    data.collect::<Vec<_>>().concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_went_in_comes_out(
        steps in prop::collection::vec(step(), 0..30),
        encoding in prop::sample::select(&ALL[..]),
        level in prop::sample::select(&[Level::Fast, Level::Balanced, Level::Small][..]),
    ) {
        let run = run(encoding, level, steps.clone());
        prop_assert!(run.whole);
        prop_assert_eq!(decode(encoding, &run.out).unwrap(), plain(&steps));
    }

    #[test]
    fn nothing_is_held_up_while_the_service_waits(
        steps in prop::collection::vec(step(), 1..12),
        encoding in prop::sample::select(&ALL[..]),
    ) {
        let run = run(encoding, Level::Balanced, steps.clone());
        let waits = steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Wait(_))).map(|(at, _)| at);
        for (sent, at) in run.waits.iter().zip(waits) {
            prop_assert!(decode_so_far(encoding, &run.out[..*sent]) == plain(&steps[..at]), "at step {}", at);
        }
    }
}

#[test]
fn a_short_answer_takes_a_small_window() {
    // It may also be longer than it said: then it compresses less well, that is all.
    for encoding in ALL {
        let mut encoder =
            Encoder::new(encoding, Level::Small, Some(1), compression(|_| ()).slot().unwrap()).unwrap();
        let long = "a long answer ".repeat(10_000);
        encoder.write(long.as_bytes()).unwrap();
        let mut out = encoder.take().to_vec();
        out.extend(encoder.finish().unwrap());
        assert!(decode(encoding, &out).unwrap() == long.as_bytes(), "{encoding:?}");
    }
}

#[test]
fn trailers_come_after_the_end() {
    for encoding in ALL {
        let trailers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("x"))]);
        let steps = vec![Step::Data("data".into()), WAIT, Step::Trailers(trailers.clone())];
        let run = run(encoding, Level::Fast, steps);
        assert_eq!(decode(encoding, &run.out).unwrap(), b"data");
        assert_eq!((run.trailers, run.whole), (Some(trailers), true));
    }
}

#[test]
fn half_an_answer_never_looks_whole() {
    for encoding in ALL {
        let run = run(encoding, Level::Fast, vec![Step::Data("data".into()), WAIT, Step::Break]);
        assert_eq!(decode_so_far(encoding, &run.out), b"data");
        assert!(!run.whole && decode(encoding, &run.out).is_err(), "{encoding:?}");
    }
}

#[test]
fn whoever_is_slow_holds_the_service_back() {
    for encoding in ALL {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut frame =
            || Step::Data(std::iter::repeat_with(|| rng.u8(..)).take(64 << 10).collect::<Vec<_>>().into());
        let script = script((0..64).map(|_| frame()).collect());
        let mut body = Box::pin(Compressed::new(script, encoder(encoding, Level::Balanced)));
        let (mut sent, mut frames) = (0, 0);
        while let Poll::Ready(Some(Ok(frame))) =
            body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()))
        {
            let length = frame.data_ref().map_or(0, Bytes::len);
            (sent, frames) = (sent + length, frames + 1);
            assert!(length <= 512 << 10, "{encoding:?}: a frame of {length} bytes");
            if frames == 4 {
                break;
            }
        }
        assert!(sent < 2 << 20, "{encoding:?}: {sent} bytes for 4 frames");
    }
}

fn head(headers: &[(&'static str, &'static str)]) -> Parts {
    let mut response = Response::builder().header(CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap().into_parts().0
}

fn accepts(text: &'static str) -> Accepts {
    Accepts::read(&Method::GET, &HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(text))]))
}

#[test]
fn the_head_tells_the_truth_about_the_body() {
    let compression = compression(|_| ());
    let mut head = head(&[
        ("content-length", "5000"),
        ("etag", "\"v1\""),
        ("accept-ranges", "bytes"),
        ("repr-digest", "sha-256=:x:"),
        ("vary", "Origin"),
        ("x-kept", "1"),
    ]);
    let encoder = compression.prepare(accepts("gzip"), &mut head, &SizeHint::with_exact(5000));
    assert!(encoder.is_some());
    let mut left: Vec<_> =
        head.headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
    left.sort_unstable();
    assert_eq!(
        left,
        [
            "content-encoding: gzip",
            "content-type: application/json",
            "etag: W/\"v1\"",
            "vary: Origin",
            "vary: accept-encoding",
            "x-kept: 1",
        ]
    );
}

#[test]
fn what_could_have_been_compressed_says_so() {
    let mut head = head(&[("content-length", "5000"), ("etag", "W/\"v1\"")]);
    let before = head.headers.clone();
    let size = SizeHint::with_exact(5000);
    assert!(compression(|_| ()).prepare(accepts("deflate"), &mut head, &size).is_none());
    assert_eq!(head.headers.remove(VARY).unwrap(), "accept-encoding");
    assert_eq!(head.headers, before);
}

#[test]
fn some_answers_are_left_as_they_are() {
    let compression = compression(|_| ());
    let large = SizeHint::with_exact(5000);
    let choose = |head: &Parts, size: &SizeHint| compression.negotiate(accepts("gzip"), head, size);
    assert_eq!(choose(&head(&[]), &large), Some(Encoding::Gzip));
    assert_eq!(choose(&head(&[]), &SizeHint::default()), Some(Encoding::Gzip), "of unknown length");
    assert_eq!(choose(&head(&[]), &SizeHint::with_exact(1023)), None);
    for headers in [
        [("content-encoding", "br")],
        [("content-encoding", "identity")],
        [("content-range", "bytes 0-1/2")],
        [("cache-control", "max-age=5, No-Transform")],
        [("content-type", "text/plain")], // beside application/json
    ] {
        assert_eq!(choose(&head(&headers), &large), None, "{headers:?}");
    }
    for status in [100, 101, 204, 205, 206, 304] {
        let mut head = head(&[]);
        head.status = StatusCode::from_u16(status).unwrap();
        assert_eq!(choose(&head, &large), None, "{status}");
    }
    let nothing = self::compression(|o| o.min_bytes = 0);
    assert_eq!(nothing.negotiate(accepts("gzip"), &head(&[]), &SizeHint::with_exact(0)), None);
}

#[test]
fn only_so_many_are_compressed_at_once() {
    let compression = compression(|o| o.max_at_once = 1);
    let prepare = || compression.prepare(accepts("gzip"), &mut self::head(&[]), &SizeHint::default());
    let first = prepare();
    assert!(first.is_some() && prepare().is_none());
    drop(first);
    assert!(prepare().is_some());
    let mut head = head(&[]);
    let never = self::compression(|o| o.algorithms.clear());
    assert!(never.prepare(accepts("gzip"), &mut head, &SizeHint::default()).is_none());
    assert!(!head.headers.contains_key(VARY));
}

#[test]
fn it_can_be_sent_between_threads() {
    fn sent<T: Send + 'static>(_: &T) {}
    sent(&Compressed::new(http_body_util::Empty::<Bytes>::new(), encoder(Encoding::Zstd, Level::Fast)));
    sent(&encoder(Encoding::Brotli, Level::Fast));
}
