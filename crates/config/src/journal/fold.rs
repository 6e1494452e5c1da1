//! From the journal into the tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    statements: Vec<Statement>,
    last: i64,
    rows: u64,
}

type Line = (i64, String);

const ROWS: &str = "SELECT revision, body FROM config_journal ORDER BY revision";

/// Folds what there is. `keep`: so many versions of a key are kept.
pub(crate) async fn fold(tx: &mut Tx, keep: u32) -> Result<(), Error> {
    let rows: Vec<Line> = tx.fetch_all(ROWS, params![]).await?;
    match Fold::new(tx.dialect(), &rows, keep)? {
        Some(fold) => fold.run(tx).await.map(drop),
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
        Ok(Some(Self { statements: sum.statements(dialect, keep)?, last: *last, rows: rows.len() as u64 }))
    }

    /// Runs it; false, and to be taken back: somebody else has folded some of it meanwhile.
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

    fn statements(mut self, dialect: Dialect, keep: u32) -> Result<Vec<Statement>, Error> {
        let mut statements = Vec::new();
        if !self.purged.is_empty() {
            let names = json(&self.purged.iter().map(|name| [name]).collect::<Vec<_>>())?;
            statements.push(history::purge(dialect, names));
            let cells: Vec<_> = self.purged.iter().map(|name| (Kind::Item, name.as_bytes())).collect();
            statements.push(cells::remove_all(dialect, &cells)?);
        }
        let mut newest: HashMap<String, u64> = HashMap::new();
        for record in &self.versions {
            newest.insert(record.name.clone(), record.version);
        }
        let keep = u64::from(keep.max(1));
        let below = |name: &str| newest.get(name).map_or(0, |version| version.saturating_sub(keep));
        // What would be dropped at once is not written.
        self.versions.retain(|record| record.version > below(&record.name));
        if !self.versions.is_empty() {
            statements.push(history::add_versions(dialect, &self.versions)?);
        }
        let gone: Vec<_> = newest.keys().map(|name| (name, below(name))).filter(|(_, to)| *to > 0).collect();
        if !gone.is_empty() {
            statements.push(history::trim(dialect, json(&gone)?));
        }
        if !self.audit.is_empty() {
            statements.push(history::add_audit(dialect, &self.audit)?);
        }
        if !self.cells.is_empty() {
            statements.push(cells::put_all(dialect, self.cells.values())?);
        }
        statements.extend(self.forget.map(cells::forget));
        Ok(statements)
    }
}
