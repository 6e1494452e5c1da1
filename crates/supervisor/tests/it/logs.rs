//! What modules write.

use trellis_supervisor::Stream;

use crate::fleet::{Fleet, module};

#[tokio::test]
async fn lines_are_tagged_bounded_and_text() {
    let fleet = Fleet::start(vec![module("talker", "talk"), module("users", "serve")]);
    // It gets as far as serving only if all it writes is read.
    assert_eq!(fleet.handle.settled().await, []);
    assert!(fleet.status("talker-1").last_lines.len() <= 20);
    let story = fleet.stop().await;
    assert!(story.lines.iter().all(|(id, _, _)| id == "talker-1"));
    let wrote =
        |stream, text: &str| story.lines.iter().any(|(_, from, line)| *from == stream && line == text);
    assert!(wrote(Stream::Stdout, "to stdout") && !wrote(Stream::Stderr, "to stdout"));
    assert!(wrote(Stream::Stderr, "to stderr"));
    assert!(wrote(Stream::Stdout, "not \u{fffd} utf-8"));
    let flood = story.lines.iter().filter(|(_, _, line)| line.starts_with('x'));
    assert!(flood.clone().all(|(_, _, line)| line.len() <= 16 << 10), "no line is longer than the bound");
    assert_eq!(flood.map(|(_, _, line)| line.len()).sum::<usize>(), 4 << 20, "nothing is lost");
}
