//! From the journal into the tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use trellis_storage::{Error, Tx, params};

use super::rows::json;
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

/// Folds all rows; how many. `keep`: so many versions of a key are kept.
pub(crate) async fn fold(tx: &mut Tx, keep: u32) -> Result<usize, Error> {
    let rows: Vec<(i64, String)> =
        tx.fetch_all("SELECT revision, body FROM config_journal ORDER BY revision", params![]).await?;
    let Some((last, _)) = rows.last() else { return Ok(0) };
    let last = *last;
    let mut sum = Sum::default();
    for (_, body) in &rows {
        for step in steps(body)? {
            sum.add(step);
        }
    }
    sum.write(tx, keep).await?;
    tx.execute("DELETE FROM config_journal WHERE revision <= $1", params![last]).await?;
    Ok(rows.len())
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

    async fn write(mut self, tx: &mut Tx, keep: u32) -> Result<(), Error> {
        if !self.purged.is_empty() {
            let names = json(&self.purged.iter().map(|name| [name]).collect::<Vec<_>>())?;
            history::purge(tx, names).await?;
            let cells: Vec<_> = self.purged.iter().map(|name| (Kind::Item, name.as_bytes())).collect();
            cells::remove_all(tx, &cells).await?;
        }
        let mut newest: HashMap<&str, u64> = HashMap::new();
        for record in &self.versions {
            newest.insert(&record.name, record.version);
        }
        let keep = u64::from(keep.max(1));
        let gone: Vec<_> =
            newest.iter().map(|(name, version)| (name.to_string(), version.saturating_sub(keep))).collect();
        let below: HashMap<String, u64> = gone.iter().cloned().collect();
        // What would be dropped at once is not written.
        self.versions.retain(|record| below.get(&record.name).is_none_or(|below| record.version > *below));
        history::add_versions(tx, &self.versions).await?;
        let gone: Vec<_> = gone.iter().filter(|(_, below)| *below > 0).collect();
        if !gone.is_empty() {
            history::trim(tx, json(&gone)?).await?;
        }
        history::add_audit(tx, &self.audit).await?;
        cells::put_all(tx, self.cells.values()).await?;
        if let Some(up_to) = self.forget {
            cells::forget(tx, up_to).await?;
        }
        Ok(())
    }
}
