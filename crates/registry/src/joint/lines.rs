//! Rows, and what has to be true for them to be written.

use crate::rows::{Line, Named};
use crate::state::{Dirty, Now, Standing, State};
use crate::table::Row;

/// A row as it is to be written on what is known here.
pub(super) fn line(row: Row, takes_over: bool, state: &State) -> Line {
    let what = what(&row);
    let standing = what
        .map_or_else(|| Standing { revision: 0, holder: state.me().clone() }, |what| state.standing(&what));
    let holder = if takes_over { state.me().clone() } else { standing.holder };
    Line { row, base: standing.revision, holder }
}

fn what(row: &Row) -> Option<Dirty> {
    match row {
        Row::Instance(key, _) | Row::NoInstance(key) => Some(Dirty::Instance(key.clone())),
        Row::Node(name, _) | Row::NoNode(name) => Some(Dirty::Node(name.clone())),
        Row::Override(..) => None,
    }
}

/// The nodes of instances that are written; one of them may be gone.
pub(super) fn nodes_of(lines: &[Line]) -> impl Iterator<Item = Named> {
    lines.iter().filter_map(|line| match &line.row {
        Row::Instance(key, _) => Some(Named::of(&Dirty::Node(key.node.clone()))),
        _ => None,
    })
}

/// Memory is told where a row stands by now.
pub(super) fn stand(line: &Line, revision: u64, state: &mut State, now: Now) {
    let standing = Standing { revision, holder: line.holder.clone() };
    match &line.row {
        Row::Instance(key, _) if state.record(key).is_none() => state.bury(key, revision),
        Row::Instance(..) | Row::Node(..) => {
            if let Some(what) = what(&line.row) {
                state.stand(&what, standing, now);
            }
        }
        Row::NoInstance(key) => state.unbury(key),
        Row::NoNode(_) | Row::Override(..) => {}
    }
}
