//! How each registry that speaks HTTP/1.1 wants to be asked. A door is a pure translation: bytes out, and whether the
//! bytes that came back are a good answer.

mod consul;
mod dns;
mod etcd;
mod eureka;
mod nacos;
mod trellis;

use std::fmt::Write as _;

use memchr::memmem;

use super::act::{Act, COPIES};
use crate::connection::Answer;

pub(super) use consul::{Consul, stored};
pub(super) use dns::Dns;
pub(super) use etcd::{Etcd, WATCH, judge_watch, watch};
pub(super) use eureka::Eureka;
pub(super) use nacos::{Nacos, listen, value};
pub(super) use trellis::{Trellis, endpoints, poll, raw};

/// One registry's way to say things.
pub(super) trait Door: Send + Sync {
    /// The request for `act`, whole.
    fn request(&self, act: Act) -> String;

    /// Whether this is what was asked for; the reason if not.
    fn judge(&self, act: Act, answer: &Answer) -> Result<(), String>;
}

/// A request of HTTP/1.1 without more than it needs.
fn http(method: &str, path: &str, content_type: &str, body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    if !body.is_empty() || method != "GET" {
        // Writing to a String cannot fail.
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    if !body.is_empty() {
        let _ = write!(text, "Content-Type: {content_type}\r\n");
    }
    text + "\r\n" + body
}

/// Refuses everything but 2xx, with what was said.
fn good(answer: &Answer) -> Result<(), String> {
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
}

/// A service that is asked for has so many instances, each of which is written with `mark` once.
fn all_there(answer: &Answer, mark: &str) -> Result<(), String> {
    good(answer)?;
    let found = memmem::find_iter(&answer.body, mark.as_bytes()).count() as u64;
    if found == COPIES {
        return Ok(());
    }
    Err(format!("{found} instances instead of {COPIES}: {}", String::from_utf8_lossy(&answer.body)))
}

/// An answer that has to hold this.
fn holds(answer: &Answer, text: &str) -> Result<(), String> {
    good(answer)?;
    if memmem::find(&answer.body, text.as_bytes()).is_some() {
        return Ok(());
    }
    Err(format!("{text} is not in the answer: {}", String::from_utf8_lossy(&answer.body)))
}

#[cfg(test)]
mod tests {
    use super::super::act::{Instance, Key, Service};
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.into(), is_last: false }
    }

    #[test]
    fn every_request_is_whole() {
        let acts = [
            Act::Discover(Service(3)),
            Act::Register(Instance::new(Service(3), 7)),
            Act::Renew(Instance::new(Service(3), 7)),
            Act::Read(Key(5)),
            Act::Write(Key(5), 1),
        ];
        for door in [&Trellis as &dyn Door, &Nacos, &Consul, &Eureka] {
            for act in acts {
                let text = door.request(act);
                let mut headers = [httparse::EMPTY_HEADER; 16];
                let mut head = httparse::Request::new(&mut headers);
                let start = head.parse(text.as_bytes()).unwrap().unwrap();
                let length = head.headers.iter().find(|header| header.name == "Content-Length");
                let length = length
                    .map_or(0, |header| std::str::from_utf8(header.value).unwrap().parse::<usize>().unwrap());
                assert_eq!(text.len() - start, length, "{text}");
                assert!(door.judge(act, &answer(503, "")).is_err());
            }
        }
    }

    #[test]
    fn a_service_with_too_few_instances_is_no_good_answer() {
        let act = Act::Discover(Service(3));
        assert!(Trellis.judge(act, &answer(200, &"\"authority\":".repeat(10))).is_ok());
        assert!(Trellis.judge(act, &answer(200, &"\"authority\":".repeat(9))).is_err());
        assert!(Nacos.judge(act, &answer(200, "{}")).is_err());
    }
}
