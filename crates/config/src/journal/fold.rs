//! From the journal into the tables.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use trellis_storage::{Dialect, Error, Store, Tx, params};

use super::rows::{Statement, json};
use super::{Step, steps};
use crate::cells::{self, Cell, Kind};
use crate::versioned::history::{self, Record};

/// What rows of the journal come to.
#[derive(Default)]
struct Sum {
    cells: BTreeMap<(Kind, Vec<u8>), Cell>,
    /// Lines of the history.
    versions: Vec<Record>,
    /// Lines of the audit: all.
    audit: Vec<Record>,
    /// Configuration keys that went with their history. They may have come back since.
    purged: BTreeSet<String>,
    forget: Option<u64>,
}

/// Rows of the journal, read, and what has to be run to have them in the tables instead.
pub(crate) struct Fold {
    /// Versions, most of what there is to write. They may be in their table before they leave the journal, so each of these
    /// can be a write of its own, and nobody else's has to wait for all of them.
    ahead: VecDeque<Statement>,
    statements: Vec<Statement>,
    last: i64,
    rows: u64,
}

/// A part of a fold.
pub(crate) struct Ahead {
    statement: Statement,
    last: i64,
}

/// So many versions are written at once, with at most so many bytes.
const AHEAD_ROWS: usize = 512;
const AHEAD_BYTES: usize = 512 << 10;
/// Old versions are removed so many at a time, since each removal touches a page of its own.
const TRIM: u64 = 32;

type Line = (i64, String);

const ROWS: &str = "SELECT revision, body FROM config_journal ORDER BY revision";

/// Folds what there is. `keep`: so many versions of a key are kept.
pub(crate) async fn fold(tx: &mut Tx, keep: u32) -> Result<(), Error> {
    let rows: Vec<Line> = tx.fetch_all(ROWS, params![]).await?;
    match Fold::new(tx.dialect(), &rows, keep)? {
        Some(mut fold) => {
            while let Some(statement) = fold.ahead.pop_front() {
                statement.run(tx).await?;
            }
            fold.run(tx).await.map(drop)
        }
        None => Ok(()),
    }
}

impl Fold {
    /// Reads what there is; `None`: nothing.
    pub(crate) async fn read(store: &Store, keep: u32) -> Result<Option<Self>, Error> {
        let rows: Vec<Line> = store.fetch_all(ROWS, params![]).await?;
        Self::new(store.dialect(), &rows, keep)
    }

    fn new(dialect: Dialect, rows: &[Line], keep: u32) -> Result<Option<Self>, Error> {
        let Some((last, _)) = rows.last() else { return Ok(None) };
        let mut sum = Sum::default();
        for (_, body) in rows {
            for step in steps(body)? {
                sum.add(step);
            }
        }
        let (ahead, statements) = sum.statements(dialect, keep)?;
        Ok(Some(Self { ahead: ahead.into(), statements, last: *last, rows: rows.len() as u64 }))
    }

    /// What can be written before the rest, if there is more of it.
    pub(crate) fn next_ahead(&mut self) -> Option<Ahead> {
        let statement = self.ahead.pop_front()?;
        Some(Ahead { statement, last: self.last })
    }

    /// Runs all that is left; false, and to be taken back: somebody else has folded some of it meanwhile.
    pub(crate) async fn run(self, tx: &mut Tx) -> Result<bool, Error> {
        let sql = "DELETE FROM config_journal WHERE revision <= $1";
        if tx.execute(sql, params![self.last]).await? != self.rows {
            return Ok(false);
        }
        for statement in self.statements {
            statement.run(tx).await?;
        }
        Ok(true)
    }
}

impl Ahead {
    /// Runs it; false, and nothing was done: somebody else has folded this meanwhile, and what was written since may be
    /// gone with good reason.
    pub(crate) async fn run(self, tx: &mut Tx) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM config_journal WHERE revision = $1";
        let is_there: Option<i32> = tx.fetch_optional(sql, params![self.last]).await?;
        if is_there.is_none() {
            return Ok(false);
        }
        self.statement.run(tx).await?;
        Ok(true)
    }
}

impl Sum {
    fn add(&mut self, step: Step) {
        match step {
            Step::Cell(cell) => {
                self.cells.insert((cell.kind, cell.name.clone()), cell);
            }
            Step::Record(record) => {
                if record.version > 0 {
                    self.versions.push(record.clone());
                }
                self.audit.push(record);
            }
            Step::Purge(name) => {
                self.cells.remove(&(Kind::Item, name.as_bytes().to_vec()));
                self.versions.retain(|record| record.name != name);
                self.purged.insert(name);
            }
            Step::Forget(up_to) => self.forget = self.forget.max(Some(up_to)),
        }
    }

    /// What may be run ahead, and the rest.
    fn statements(mut self, dialect: Dialect, keep: u32) -> Result<(Vec<Statement>, Vec<Statement>), Error> {
        let (mut ahead, mut statements) = (Vec::new(), Vec::new());
        if !self.purged.is_empty() {
            let names = json(&self.purged.iter().map(|name| [name]).collect::<Vec<_>>())?;
            statements.push(history::purge(dialect, names));
            let cells: Vec<_> = self.purged.iter().map(|name| (Kind::Item, name.as_bytes())).collect();
            statements.push(cells::remove_all(dialect, &cells)?);
        }
        ahead.extend(self.versions(dialect, u64::from(keep.max(1)))?);
        if !statements.is_empty() {
            // A key that was removed may have come back: first the old versions go.
            statements.append(&mut ahead);
        }
        if !self.audit.is_empty() {
            statements.push(history::add_audit(dialect, &self.audit)?);
        }
        if !self.cells.is_empty() {
            statements.push(cells::put_all(dialect, self.cells.values())?);
        }
        statements.extend(self.forget.map(cells::forget));
        Ok((ahead, statements))
    }

    /// Adds versions and removes those that are too old.
    fn versions(&mut self, dialect: Dialect, keep: u64) -> Result<Vec<Statement>, Error> {
        // In the order of the table: neighbours go into the same pages.
        self.versions.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
        let mut statements = Vec::new();
        let mut gone: Vec<(&str, u64)> = Vec::new();
        let mut kept: Vec<&Record> = Vec::new();
        for of_one in self.versions.chunk_by(|a, b| a.name == b.name) {
            let (Some(first), Some(last)) = (of_one.first(), of_one.last()) else { continue };
            // What would be dropped at once is not written.
            kept.extend(of_one.iter().filter(|record| record.version + keep > last.version));
            gone.extend(trimmed(first, last, keep));
        }
        let mut rest = kept.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |record: &&&Record| {
                bytes += record.bytes.len();
                bytes <= AHEAD_BYTES
            };
            let count = rest.iter().take(AHEAD_ROWS).take_while(fits).count().max(1);
            let (some, more) = rest.split_at(count);
            statements.push(history::add_versions(dialect, some)?);
            rest = more;
        }
        for some in gone.chunks(AHEAD_ROWS) {
            statements.push(history::trim(dialect, json(&some)?));
        }
        Ok(statements)
    }
}

/// Up to which version a key's are removed, if some are: when another [`TRIM`] of them have become too old. Nobody is
/// shown those that wait for it.
fn trimmed<'r>(first: &'r Record, last: &Record, keep: u64) -> Option<(&'r str, u64)> {
    let step = |version: u64| version.saturating_sub(keep) / TRIM;
    let to = step(last.version);
    (to > step(first.version.saturating_sub(1))).then_some((first.name.as_str(), to * TRIM))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trellis_runtime::WallClock;
    use trellis_testkit::Database;

    use super::*;
    use crate::engine::Engine;
    use crate::handle::Handle;
    use crate::options::Options;
    use crate::versioned::{Author, Change, Edit, Format, Space};

    /// An engine that folds when the test says so.
    struct Kept {
        engine: Arc<Engine>,
        handle: Handle,
        space: Space,
        _db: Database,
    }

    impl Kept {
        async fn start(history: u32) -> Self {
            let db = Database::sqlite().unwrap();
            let store = Store::open(trellis_storage::Options::url(db.url()).unwrap()).await.unwrap();
            let options = Options { history, ..Options::default() };
            let engine = Engine::open(options, store, WallClock::fixed(1_000), None).await.unwrap();
            let space = Space { app: "shop".parse().unwrap(), env: "dev".parse().unwrap() };
            Self { handle: Handle::new(engine.clone()), engine, space, _db: db }
        }

        async fn apply(&self, change: Change) {
            let edit = Edit { address: self.space.key("a").unwrap(), change, cas: None };
            let author = Author { actor: "ada".into(), reason: String::new() };
            self.handle.config_apply(vec![edit], author).await.unwrap();
        }

        async fn set(&self, values: std::ops::RangeInclusive<u64>) {
            for n in values {
                self.apply(Change::Set { format: Format::Json, value: n.to_string().into(), secret: None })
                    .await;
            }
        }

        async fn read(&self) -> Fold {
            Fold::read(&self.engine.store, self.engine.options.history).await.unwrap().unwrap()
        }

        async fn run(&self, part: Ahead) -> bool {
            let done: Result<bool, Error> =
                self.engine.store.write_ordered(move |tx| Box::pin(part.run(tx))).await;
            done.unwrap()
        }

        async fn versions(&self) -> Vec<u64> {
            let key = self.space.key("a").unwrap();
            let history = self.handle.config_history(&key, None, 1_000, false).await.unwrap();
            history.iter().rev().map(|view| view.version).collect()
        }

        async fn rows(&self) -> u64 {
            let sql = "SELECT count(*) FROM config_versions";
            self.engine.store.fetch_one(sql, params![]).await.unwrap()
        }
    }

    #[tokio::test]
    async fn old_versions_are_hidden_at_once_and_removed_many_at_a_time() {
        let kept = Kept::start(3).await;
        let mut most = 0;
        for n in 1..=100 {
            kept.set(n..=n).await;
            let shown: Vec<u64> = (n.saturating_sub(2).max(1)..=n).collect();
            assert_eq!(kept.versions().await, shown);
            most = most.max(kept.rows().await);
        }
        assert!((TRIM..=TRIM + 3).contains(&most), "{most} were kept at most");
    }

    #[tokio::test]
    async fn what_is_too_old_at_once_is_not_written() {
        let kept = Kept::start(3).await;
        kept.set(1..=100).await;
        assert_eq!(kept.versions().await, [98, 99, 100]);
        assert_eq!(kept.rows().await, 3);
    }

    #[tokio::test]
    async fn a_fold_that_stopped_halfway_is_done_by_the_next() {
        let kept = Kept::start(1_000).await;
        let many = AHEAD_ROWS as u64 + 10;
        kept.set(1..=many).await;
        let mut fold = kept.read().await;
        assert!(kept.run(fold.next_ahead().unwrap()).await);
        assert_eq!(kept.rows().await, AHEAD_ROWS as u64);
        drop(fold);
        assert_eq!(kept.versions().await, (1..=many).collect::<Vec<_>>());
        assert_eq!(kept.rows().await, many);
    }

    #[tokio::test]
    async fn what_was_purged_does_not_come_back_with_a_fold_that_was_read_before() {
        let kept = Kept::start(100).await;
        kept.set(1..=20).await;
        let mut late = kept.read().await;
        kept.apply(Change::Purge).await;
        kept.set(1..=1).await;
        assert_eq!(kept.versions().await, [1]);
        assert!(!kept.run(late.next_ahead().unwrap()).await);
        assert_eq!((kept.versions().await, kept.rows().await), (vec![1], 1));
    }
}
