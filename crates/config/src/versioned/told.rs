//! Answers to those who follow keys, made once for all who are told the same.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use trellis_net::Index;

use super::gray::Instance;
use super::view::Look;
use super::watch::{Found, Update};
use crate::engine::Engine;
use crate::error::Result;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a JSON document.
    Json,
    /// As a server-sent event, whose id is the revision.
    Event,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Told {
    /// Nothing has changed.
    pub is_empty: bool,
    /// The answer; its bytes are shared by all who are told the same.
    pub body: Bytes,
}

impl Form {
    pub(super) fn write(self, update: &Update) -> Bytes {
        // None of its parts can fail to be written.
        let json = serde_json::to_string(update).unwrap_or_default();
        if self == Self::Json {
            return json.into();
        }
        let kind = if update.resync { "resync" } else { "change" };
        let mut text = String::with_capacity(json.len() + 64);
        let _ = writeln!(text, "event: {kind}\nid: {}", update.revision);
        // A value stands in it as it came in, with its line ends.
        for line in json.split(['\n', '\r']) {
            let _ = writeln!(text, "data: {line}");
        }
        text.push('\n');
        text.into()
    }
}

/// The answer, from those that are there if it is.
pub(super) fn make(
    engine: &Engine,
    scope: &Arc<str>,
    found: &Found,
    instance: Option<&Instance>,
    reveal: bool,
    form: Form,
) -> Result<Bytes> {
    let secret = found.items.iter().any(|item| item.secret);
    let look = Look { instance, reveal: reveal && secret, values: true };
    let write = || {
        engine.answers_made.fetch_add(1, Ordering::Relaxed);
        found.update(&look, &engine.options.keys).map(|update| form.write(&update))
    };
    if look.reveal {
        // A secret that was opened stays nowhere.
        return write();
    }
    let (variant, most) = (variant(found, instance, form), engine.options.max_cached_bytes);
    let (answer, _) =
        engine.answers.get(scope, &variant, Index::Since(found.last), most, || write().unwrap_or_default());
    // Where it could not be made, everybody is told why.
    if answer.body.is_empty() { write() } else { Ok(answer.body.clone()) }
}

/// What an answer depends on beside the scope: between its first and its last change nothing else has changed there. So
/// it does not matter from which revision on exactly one follows; nor who asks, but for which candidates that gets.
fn variant(found: &Found, instance: Option<&Instance>, form: Form) -> String {
    let revisions =
        found.items.iter().map(|item| item.revision).chain(found.purged.iter().map(|(_, at)| *at));
    let first = if found.resync { 0 } else { revisions.min().unwrap_or_default() };
    let mut variant = format!("{form:?} {first} {} {}", found.last, found.floor);
    for item in found.items.iter().filter(|item| item.candidate.is_some()) {
        variant.push_str(if item.pick(instance).is_some_and(|(_, is)| is) { " c" } else { " -" });
    }
    variant
}
