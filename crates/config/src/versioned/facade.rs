//! What others do with versioned configuration.

use std::time::Duration;

use serde_json::Value;

use super::address::{Address, Space, path_of};
use super::change::{Author, Format};
use super::diff::{DiffView, diff, lines};
use super::gray::Instance;
use super::history::{self, AuditView, Stored, VersionView};
use super::item::Content;
use super::schema::SchemaView;
use super::view::{ItemView, ListView, Look, MASK, shown};
use super::watch::{Update, Watch};
use super::write::{self, Edit, Written};
use crate::cells::Kind;
use crate::error::{Error, Result};
use crate::handle::Handle;

/// Most versions or entries of the audit in one answer.
const MAX_PAGE: u32 = 1_000;

/// Versioned configuration. Reads are answered from memory, but for what was.
impl Handle {
    /// One key, as an instance gets it.
    pub fn config_get(
        &self,
        address: &Address,
        instance: Option<&Instance>,
        reveal: bool,
    ) -> Result<ItemView> {
        let snapshot = self.engine().snapshot();
        let item = snapshot.items.get(address.name().as_str()).filter(|item| item.content.is_some());
        let item = item.ok_or_else(|| Error::NotFound(format!("there is no key {}", address.path())))?;
        ItemView::new(item, &Look { instance, reveal, values: true }, &self.options().keys)
    }

    /// The value of one key as text, and its format and version.
    pub fn config_text(
        &self,
        address: &Address,
        instance: Option<&Instance>,
        reveal: bool,
    ) -> Result<(Format, bytes::Bytes, u64)> {
        let snapshot = self.engine().snapshot();
        let name = address.name();
        let found = snapshot.items.get(name.as_str()).and_then(|item| Some((item, item.pick(instance)?.0)));
        let (item, content) =
            found.ok_or_else(|| Error::NotFound(format!("there is no key {}", address.path())))?;
        if content.seal.is_some() && !reveal {
            return Ok((Format::Text, MASK.into(), item.version));
        }
        Ok((content.format, content.plain(&name, &self.options().keys)?, item.version))
    }

    /// All keys that begin so, with or without their values.
    pub fn config_list(
        &self,
        space: &Space,
        prefix: &str,
        instance: Option<&Instance>,
        values: bool,
        reveal: bool,
    ) -> Result<ListView> {
        let snapshot = self.engine().snapshot();
        let look = Look { instance, reveal, values };
        let scope = space.scope(prefix)?;
        let there = snapshot.items_under(&scope).filter(|item| item.content.is_some());
        let items =
            there.map(|item| ItemView::new(item, &look, &self.options().keys)).collect::<Result<_>>()?;
        Ok(ListView { revision: snapshot.revision, items })
    }

    /// Applies all edits or none; at most `Options::max_ops`.
    pub async fn config_apply(&self, edits: Vec<Edit>, author: Author) -> Result<Vec<Written>> {
        write::run(self.engine(), edits, author).await
    }

    /// Attaches a schema to a key and all below it, or takes it away with `None`. The revision since which it is so.
    pub async fn config_set_schema(
        &self,
        space: &Space,
        path: &str,
        schema: Option<Value>,
        author: Author,
    ) -> Result<u64> {
        write::set_schema(self.engine(), space, path, schema, author).await
    }

    /// The schemas of an app and environment.
    pub fn config_schemas(&self, space: &Space) -> Vec<SchemaView> {
        let snapshot = self.engine().snapshot();
        let prefix = space.prefix();
        snapshot.schemas.values().filter(|s| s.name.starts_with(&prefix)).map(|s| (**s).clone()).collect()
    }

    /// The newest versions of a key before `before`, newest first, at most `limit`.
    pub async fn config_history(
        &self,
        address: &Address,
        before: Option<u64>,
        limit: u32,
        reveal: bool,
    ) -> Result<Vec<VersionView>> {
        let name = address.name();
        if !self.engine().snapshot().items.contains_key(name.as_str()) {
            return Err(Error::NotFound(format!("there is no key {}", address.path())));
        }
        let before = before.unwrap_or(u64::MAX);
        let rows = history::list(self.engine(), &name, before, limit.clamp(1, MAX_PAGE)).await?;
        rows.into_iter().map(|stored| self.version_view(&name, stored, reveal)).collect()
    }

    /// One version of a key.
    pub async fn config_version(&self, address: &Address, version: u64, reveal: bool) -> Result<VersionView> {
        let name = address.name();
        let stored = history::one(self.engine(), &name, version).await?;
        self.version_view(&name, stored, reveal)
    }

    /// What is different between two versions of a key. A version that brought no value counts as none.
    pub async fn config_diff(&self, address: &Address, from: u64, to: u64, reveal: bool) -> Result<DiffView> {
        let name = address.name();
        let before = history::one(self.engine(), &name, from).await?;
        let after = history::one(self.engine(), &name, to).await?;
        let value = |stored: &Stored| self.value(&name, stored.content.as_ref(), reveal);
        let (old, new) = (value(&before)?, value(&after)?);
        let mut differences = diff(old.as_ref(), new.as_ref());
        let mut text = lines(&pretty(old.as_ref()), &pretty(new.as_ref()));
        // Two secrets look alike when they are masked; that they are not is no secret.
        if differences.is_empty() && !reveal && self.differ(&name, &before, &after)? {
            let mask = || Some(Value::String(MASK.into()));
            differences =
                vec![super::diff::Difference { pointer: String::new(), before: mask(), after: mask() }];
            text = format!("-{MASK}\n+{MASK}\n");
        }
        Ok(DiffView { from, to, differences, text })
    }

    /// Who changed what below a prefix, newest first, before a revision; at most `limit`.
    pub async fn config_audit(
        &self,
        space: &Space,
        prefix: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditView>> {
        let scope = space.scope(prefix)?;
        let before = before.unwrap_or(u64::MAX);
        history::audit(self.engine(), &scope, before, limit.clamp(1, MAX_PAGE)).await
    }

    /// Follows all keys that begin so, from what has changed after a revision on; 0: from everything on.
    pub fn watch(
        &self,
        space: &Space,
        prefix: &str,
        after_revision: u64,
        instance: Option<Instance>,
        reveal: bool,
    ) -> Result<Watch> {
        Ok(Watch::new(self.clone(), space.scope(prefix)?, after_revision, instance, reveal))
    }

    /// One step of a watch, for a door.
    pub async fn watch_once(
        &self,
        space: &Space,
        prefix: &str,
        after_revision: u64,
        wait: Duration,
        instance: Option<Instance>,
        reveal: bool,
    ) -> Result<Update> {
        self.watch(space, prefix, after_revision, instance, reveal)?.next(wait).await
    }

    /// The revision of the last change of any key that begins so, deletions included; at least 1. What was purged long
    /// ago may be forgotten; then it is the revision up to which such things are.
    pub fn config_index(&self, space: &Space, prefix: &str) -> Result<u64> {
        Ok(self.index_under(&space.scope(prefix)?))
    }

    /// [`Self::config_index`] as soon as it is another than `after`, or when `wait` has passed (at most
    /// `Options::max_wait`).
    pub async fn config_index_after(
        &self,
        space: &Space,
        prefix: &str,
        after: u64,
        wait: Duration,
    ) -> Result<u64> {
        let scope = space.scope(prefix)?;
        let look = || Some(self.index_under(&scope)).filter(|index| *index != after);
        let found = self.wait_for(Kind::Item, &scope, true, wait, look).await?;
        Ok(found.unwrap_or_else(|| self.index_under(&scope)))
    }

    fn index_under(&self, scope: &str) -> u64 {
        let snapshot = self.engine().snapshot();
        let changed = snapshot.items_under(scope).map(|item| item.revision);
        let last = changed.chain(snapshot.purged_under(scope).map(|(_, at)| at)).max();
        last.unwrap_or_default().max(snapshot.floor).max(1)
    }

    fn version_view(&self, name: &str, stored: Stored, reveal: bool) -> Result<VersionView> {
        let value = self.value(name, stored.content.as_ref(), reveal)?;
        Ok(VersionView {
            version: stored.version,
            revision: stored.revision,
            action: stored.entry.action,
            actor: stored.entry.author.actor,
            reason: stored.entry.author.reason,
            at_unix_ms: stored.entry.at,
            content_type: stored.content.map(|content| content.format.media_type()),
            secret: stored.entry.secret,
            value,
            rule: stored.entry.rule,
        })
    }

    fn value(&self, name: &str, content: Option<&Content>, reveal: bool) -> Result<Option<Value>> {
        let Some(content) = content else { return Ok(None) };
        let raw = shown(content, name, reveal, &self.options().keys)?;
        let unreadable = |_| Error::Conflict(format!("{} holds what is no JSON", path_of(name)));
        serde_json::from_str(raw.get()).map(Some).map_err(unreadable)
    }

    fn differ(&self, name: &str, before: &Stored, after: &Stored) -> Result<bool> {
        let plain = |stored: &Stored| {
            stored.content.as_ref().map(|content| content.plain(name, &self.options().keys)).transpose()
        };
        Ok(plain(before)? != plain(after)?)
    }
}

fn pretty(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => serde_json::to_string_pretty(value).unwrap_or_default(),
    }
}
