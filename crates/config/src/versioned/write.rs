//! Changing keys and schemas: all of one call, or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use trellis_storage::Tx;

use super::address::{Address, Space};
use super::change::{Around, Author, Change, apply};
use super::history::{self, Entry, Record};
use super::item::Item;
use super::schema::SchemaView;
use crate::cells::{self, Cell, Kind};
use crate::engine::{Engine, Outcome};
use crate::error::{Error, Result};

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
    let judge = engine.clone();
    let done = engine.change(move |tx, revision| {
        Box::pin(async move { decide(&judge, tx, &edits, &author, revision).await })
    });
    Ok(done.await?.0)
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

async fn decide(
    engine: &Engine,
    tx: &mut Tx,
    edits: &[Edit],
    author: &Author,
    revision: u64,
) -> Result<Outcome<Vec<Written>>> {
    let mut items: HashMap<String, Option<Item>> = HashMap::new();
    let mut changed: Vec<String> = Vec::new();
    let mut purged: Vec<String> = Vec::new();
    let mut outcome = Outcome { value: Vec::new(), cells: Vec::new(), records: Vec::new() };
    for edit in edits {
        let name = edit.address.name();
        if !items.contains_key(&name) {
            let cell = cells::one(tx, Kind::Item, &name).await?;
            let item = cell.map(|cell| Item::of_cell(&cell)).transpose().map_err(unreadable)?;
            items.insert(name.clone(), item);
        }
        let old = items.get(&name).and_then(Option::as_ref);
        check_version(edit, old)?;
        let earlier = match &edit.change {
            Change::Rollback { to } => {
                let stored = history::one_in(tx, &name, *to).await?;
                let content = stored.content.ok_or_else(|| {
                    Error::Conflict(format!("version {to} of {} has no value", edit.address.path()))
                })?;
                let plain = content.plain(&name, &engine.options.keys)?;
                Some((content.format, plain, content.seal.is_some()))
            }
            _ => None,
        };
        let around = Around {
            name: &name,
            revision,
            now_unix_ms: engine.clock.unix_millis(),
            keys: &engine.options.keys,
            author,
            earlier,
        };
        match apply(old, &edit.change, &around)? {
            Some((item, record)) => {
                check_schemas(engine, tx, &edit.address, &item).await?;
                outcome.value.push(written(&edit.address, Some(&item)));
                if matches!(edit.change, Change::Purge) {
                    history::purge(tx, &name).await?;
                    cells::remove(tx, Kind::Item, &name).await?;
                    // What was written earlier in this call is no version either; the audit still tells of it.
                    let written = outcome.records.iter_mut().filter(|written| written.name == name);
                    written.for_each(|written| written.version = 0);
                    outcome.records.push(record);
                    items.insert(name.clone(), None);
                    if !purged.contains(&name) {
                        purged.push(name);
                    }
                    continue;
                }
                outcome.records.push(record);
                items.insert(name.clone(), Some(item));
                if !changed.contains(&name) {
                    changed.push(name);
                }
            }
            None => outcome.value.push(written(&edit.address, old)),
        }
    }
    let gone = purged.iter().map(|name| Cell::new(Kind::Purged, name, revision, false, &()));
    let there = changed.iter().filter_map(|name| items.get(name)?.as_ref()).map(Item::to_cell);
    outcome.cells = gone.chain(there).collect();
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
async fn check_schemas(engine: &Engine, tx: &mut Tx, address: &Address, item: &Item) -> Result<()> {
    let mut schemas = Vec::new();
    for name in address.ancestors() {
        if let Some(cell) = cells::one(tx, Kind::Schema, &name).await?.filter(|cell| cell.live) {
            // The one in memory is compiled already.
            let known = engine.snapshot().schemas.get(name.as_str()).cloned();
            match known.filter(|known| known.revision == cell.revision) {
                Some(known) => schemas.push(known),
                None => schemas.push(Arc::new(SchemaView::of_cell(&cell).map_err(unreadable)?)),
            }
        }
    }
    schemas.iter().try_for_each(|schema| check_item(engine, schema, item))
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
    let done = engine.change(move |tx, revision| {
        Box::pin(async move {
            let old = cells::one(tx, Kind::Schema, &name).await?.filter(|cell| cell.live);
            let (cell, action) = match schema {
                Some(schema) => {
                    let view = SchemaView::new(&name, schema, revision)?;
                    let cell = view.to_cell();
                    if old.as_ref().is_some_and(|old| old.meta == cell.meta) {
                        return Ok(unchanged());
                    }
                    check_all(&judge, tx, &view, &name).await?;
                    (cell, "set-schema")
                }
                None if old.is_none() => return Ok(unchanged()),
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
            let record = Record { name, version: 0, revision, entry, bytes: bytes::Bytes::new() };
            Ok(Outcome { value: (), cells: vec![cell], records: vec![record] })
        })
    });
    Ok(done.await?.1.unwrap_or_else(|| engine.snapshot().revision))
}

fn unchanged() -> Outcome<()> {
    Outcome { value: (), cells: Vec::new(), records: Vec::new() }
}

/// Every value that the schema would hold for; all that is wrong is told at once.
async fn check_all(engine: &Engine, tx: &mut Tx, schema: &SchemaView, name: &str) -> Result<()> {
    let mut wrong = Vec::new();
    let below = format!("{}/", name.trim_end_matches('/'));
    for cell in cells::under(tx, Kind::Item, name).await?.iter().filter(|cell| cell.live) {
        let item = Item::of_cell(cell).map_err(unreadable)?;
        if *item.name != *name && !item.name.starts_with(&below) {
            continue;
        }
        match check_item(engine, schema, &item) {
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

fn unreadable(cause: String) -> Error {
    trellis_storage::Error::Decode(cause).into()
}
