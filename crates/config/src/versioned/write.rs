//! Changing keys and schemas: all of one call, or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::address::{Address, Space};
use super::change::{Around, Author, Change, Format, apply};
use super::history::{self, Entry, Record};
use super::item::Item;
use super::schema::SchemaView;
use crate::cells::{Cell, Kind};
use crate::changes::Outcome;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::Step;
use crate::snapshot::Snapshot;

/// A rollback that others are faster with so many times in a row is given up.
const TRIES: u32 = 16;

/// One change of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The key.
    pub address: Address,
    /// What is done to it.
    pub change: Change,
    /// Only if the key is at this version; 0: only if there is none, or it was deleted.
    pub cas: Option<u64>,
}

/// What a change has made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// The key.
    pub key: String,
    /// Its version now; the same as before if nothing was changed.
    pub version: u64,
    /// The revision of its last change.
    pub revision: u64,
}

/// Applies all edits or none. Each sees what those before it have done.
pub(crate) async fn run(engine: &Arc<Engine>, edits: Vec<Edit>, author: Author) -> Result<Vec<Written>> {
    let limit = engine.options.max_ops;
    if edits.len() > limit {
        return Err(Error::TooManyOps { count: edits.len(), limit });
    }
    check_author(&author)?;
    for edit in &edits {
        check(engine, edit)?;
    }
    let purges = edits.iter().any(|edit| matches!(edit.change, Change::Purge));
    let (edits, author) = (Arc::new(edits), Arc::new(author));
    for _ in 0..TRIES {
        let earlier = earlier(engine, &edits).await?;
        let (judge, edits, author) = (engine.clone(), edits.clone(), author.clone());
        let done = engine.change(move |snapshot, revision| {
            if !earlier.holds(snapshot) {
                return Ok(Outcome::unchanged(None));
            }
            let decided = decide(&judge, snapshot, &edits, &author, &earlier, revision)?;
            Ok(Outcome { value: Some(decided.value), steps: decided.steps })
        });
        let (written, revision) = done.await?;
        let Some(written) = written else { continue };
        // Nothing of a key that is purged may stay, and the journal has its last values.
        if revision.is_some() && purges {
            engine.settle().await?;
        }
        return Ok(written);
    }
    Err(Error::Conflict("others change the same keys all the time; try again".into()))
}

/// The versions that rollbacks go back to. They are read before the change is decided, so they hold only as long as their
/// keys are as they were.
#[derive(Default)]
struct Earlier {
    /// Of each key: the revision that it had.
    seen: HashMap<String, u64>,
    contents: HashMap<(String, u64), (Format, Bytes, bool)>,
}

impl Earlier {
    fn holds(&self, snapshot: &Snapshot) -> bool {
        self.seen.iter().all(|(name, seen)| revision_of(snapshot, name) == *seen)
    }
}

fn revision_of(snapshot: &Snapshot, name: &str) -> u64 {
    snapshot.items.get(name).map_or(0, |item| item.revision)
}

async fn earlier(engine: &Engine, edits: &[Edit]) -> Result<Earlier> {
    let mut earlier = Earlier::default();
    for edit in edits {
        let Change::Rollback { to } = &edit.change else { continue };
        let name = edit.address.name();
        // Looked at first: what is read after that is at least as new.
        earlier.seen.entry(name.clone()).or_insert_with(|| revision_of(&engine.snapshot(), &name));
        let stored = history::one(engine, &name, *to).await?;
        let content = stored.content.ok_or_else(|| {
            Error::Conflict(format!("version {to} of {} has no value", edit.address.path()))
        })?;
        let plain = content.plain(&name, &engine.options.keys)?;
        earlier.contents.insert((name, *to), (content.format, plain, content.seal.is_some()));
    }
    Ok(earlier)
}

fn check_author(author: &Author) -> Result<()> {
    if author.actor.len() > 256 || author.reason.len() > 1024 {
        return Err(Error::invalid("/reason", "an actor has at most 256 bytes, a reason at most 1024"));
    }
    Ok(())
}

fn check(engine: &Engine, edit: &Edit) -> Result<()> {
    let limit = engine.options.max_value;
    match &edit.change {
        Change::Set { format, value, .. } | Change::Candidate { format, value, .. } => {
            if value.len() > limit {
                return Err(Error::ValueTooLarge { bytes: value.len(), limit });
            }
            format.check(value)?;
        }
        _ => {}
    }
    if let Change::Candidate { rule, .. } = &edit.change {
        rule.check()?;
    }
    if matches!(edit.change, Change::Delete | Change::Purge) {
        return Ok(());
    }
    let snapshot = engine.snapshot();
    if snapshot.items.len() >= engine.options.max_keys
        && !snapshot.items.contains_key(edit.address.name().as_str())
    {
        let most = engine.options.max_keys;
        return Err(Error::Full(format!(
            "{most} keys are kept, deleted ones included, and no more fit; purge some, or raise [config] max_keys"
        )));
    }
    Ok(())
}

fn decide(
    engine: &Engine,
    snapshot: &Snapshot,
    edits: &[Edit],
    author: &Author,
    earlier: &Earlier,
    revision: u64,
) -> Result<Outcome<Vec<Written>>> {
    let mut items: HashMap<String, Option<Arc<Item>>> = HashMap::new();
    let mut changed: Vec<String> = Vec::new();
    let mut purged: Vec<String> = Vec::new();
    let mut outcome = Outcome::unchanged(Vec::new());
    for edit in edits {
        let name = edit.address.name();
        let old = items.entry(name.clone()).or_insert_with(|| snapshot.items.get(name.as_str()).cloned());
        let old = old.as_deref();
        check_version(edit, old)?;
        let around = Around {
            name: &name,
            revision,
            now_unix_ms: engine.clock.unix_millis(),
            keys: &engine.options.keys,
            author,
            earlier: match &edit.change {
                Change::Rollback { to } => earlier.contents.get(&(name.clone(), *to)).cloned(),
                _ => None,
            },
        };
        let Some((item, record)) = apply(old, &edit.change, &around)? else {
            outcome.value.push(written(&edit.address, old));
            continue;
        };
        check_schemas(engine, snapshot, &edit.address, &item)?;
        outcome.value.push(written(&edit.address, Some(&item)));
        if matches!(edit.change, Change::Purge) {
            outcome.steps.push(Step::Purge(name.clone()));
            items.insert(name.clone(), None);
            if !purged.contains(&name) {
                purged.push(name);
            }
        } else {
            items.insert(name.clone(), Some(Arc::new(item)));
            if !changed.contains(&name) {
                changed.push(name);
            }
        }
        outcome.steps.push(Step::Record(record));
    }
    let gone = purged.iter().map(|name| Cell::new(Kind::Purged, name, revision, false, &()));
    let there = changed.iter().filter_map(|name| items.get(name)?.as_ref()).map(|item| item.to_cell());
    outcome.steps.extend(gone.chain(there).map(Step::Cell));
    Ok(outcome)
}

fn written(address: &Address, item: Option<&Item>) -> Written {
    Written {
        key: address.path().to_owned(),
        version: item.map_or(0, |item| item.version),
        revision: item.map_or(0, |item| item.revision),
    }
}

fn check_version(edit: &Edit, old: Option<&Item>) -> Result<()> {
    let Some(expected) = edit.cas else { return Ok(()) };
    let current = old.filter(|item| item.content.is_some() || expected != 0).map_or(0, |item| item.version);
    if current == expected {
        return Ok(());
    }
    Err(Error::Stale { name: edit.address.path().to_owned(), current, expected })
}

/// Checks the value and the candidate against every schema that holds for the key.
fn check_schemas(engine: &Engine, snapshot: &Snapshot, address: &Address, item: &Item) -> Result<()> {
    if snapshot.schemas.is_empty() {
        return Ok(());
    }
    let names = address.ancestors();
    let schemas = names.iter().filter_map(|name| snapshot.schemas.get(name.as_str()));
    schemas.into_iter().try_for_each(|schema| check_item(engine, schema, item))
}

fn check_item(engine: &Engine, schema: &SchemaView, item: &Item) -> Result<()> {
    let contents = item.content.iter().chain(item.candidate.iter().map(|(content, _)| content));
    for content in contents {
        let plain = content.plain(&item.name, &engine.options.keys)?;
        schema.check(&item.name, content.format, &plain, content.seal.is_some())?;
    }
    Ok(())
}

/// Attaches a schema to a key and all keys below it, or takes it away with `None`. Refused if a value that is there
/// does not match.
pub(crate) async fn set_schema(
    engine: &Arc<Engine>,
    space: &Space,
    path: &str,
    schema: Option<serde_json::Value>,
    author: Author,
) -> Result<u64> {
    check_author(&author)?;
    let name = space.scope(path.trim_end_matches('/'))?;
    let most = 1_000;
    let snapshot = engine.snapshot();
    if schema.is_some() && snapshot.schemas.len() >= most && !snapshot.schemas.contains_key(name.as_str()) {
        return Err(Error::Full(format!("{most} schemas are attached and no more fit")));
    }
    let judge = engine.clone();
    let done = engine.change(move |snapshot, revision| {
        let old = snapshot.schemas.get(name.as_str());
        let (cell, action) = match schema {
            Some(schema) => {
                if old.is_some_and(|old| old.schema == schema) {
                    return Ok(Outcome::unchanged(()));
                }
                let view = SchemaView::new(&name, schema, revision)?;
                check_all(&judge, snapshot, &view, &name)?;
                (view.to_cell(), "set-schema")
            }
            None if old.is_none() => return Ok(Outcome::unchanged(())),
            None => (Cell::new(Kind::Schema, &name, revision, false, &()), "remove-schema"),
        };
        let entry = Entry {
            action: action.into(),
            author,
            at: judge.clock.unix_millis(),
            secret: false,
            content: None,
            rule: None,
        };
        let record = Record { name, version: 0, revision, entry, bytes: Bytes::new() };
        Ok(Outcome { value: (), steps: vec![Step::Record(record), Step::Cell(cell)] })
    });
    Ok(done.await?.1.unwrap_or_else(|| engine.snapshot().revision))
}

/// Every value that the schema would hold for; all that is wrong is told at once.
fn check_all(engine: &Engine, snapshot: &Snapshot, schema: &SchemaView, name: &str) -> Result<()> {
    let mut wrong = Vec::new();
    let below = format!("{}/", name.trim_end_matches('/'));
    for item in snapshot.items_under(name).filter(|item| item.content.is_some()) {
        if *item.name != *name && !item.name.starts_with(&below) {
            continue;
        }
        match check_item(engine, schema, item) {
            Err(Error::Schema { violations, .. }) => wrong.extend(violations),
            other => other?,
        }
        if wrong.len() > 50 {
            break;
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::Schema { schema: format!("at {:?}", schema.path), violations: wrong })
}
