//! What a command writes, and where.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;
use trellis_core::error::chain;
use trellis_core::{Error, Problem, codes};

/// Writes `text` to standard output. A reader that went away (`trellis services | head`) is no failure.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(codes::INTERNAL, "cannot write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

/// Writes `value` as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::new(codes::INTERNAL, "no JSON form").because(error))?;
    print(&(text + "\n"))
}

/// Narrowest terminal that a table is made to fit.
const NARROWEST: u16 = 100;

/// A table that fits the terminal; without one, plain columns for other programs.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    // Columns too narrow to read are worse than lines that the terminal breaks.
    if table.width().is_some_and(|width| width >= NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// How long before `now` something was, both in milliseconds since 1970.
pub(crate) fn ago(now: i64, then: i64) -> String {
    rough(u64::try_from(now - then).unwrap_or(0)) + " ago"
}

/// A time in the two largest units that it has.
pub(crate) fn rough(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Writes why a command failed to standard error: in the manner of rustc, or as a problem document.
pub(crate) fn report(error: &Error, json: bool) {
    let text = if json { problem(error) } else { human(error) };
    // If standard error is gone there is nobody left to tell.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn problem(error: &Error) -> String {
    let mut problem = Problem::from(error);
    if let Some(cause) = cause(error) {
        problem.extensions.insert("cause".into(), cause.into());
    }
    serde_json::to_string(&problem).unwrap_or_default() + "\n"
}

fn human(error: &Error) -> String {
    let id = error.code().id;
    let mut text = format!("error[{id}]: {}\n", error.detail());
    if let Some(cause) = cause(error) {
        let _ = writeln!(text, "  = note: {cause}");
    }
    for advice in advice(error) {
        let _ = writeln!(text, "  = help: {advice}");
    }
    text + &format!("  = help: `trellis explain {id}` tells more\n")
}

/// The private cause: whoever runs the command may see it.
fn cause(error: &Error) -> Option<String> {
    let cause = std::error::Error::source(error).map(chain)?;
    (!error.detail().contains(&cause)).then_some(cause)
}

/// The member of an error that says what to do.
const HELP: &str = "help";

/// Says what to do about `error`.
pub(crate) fn help(error: Error, advice: &[&str]) -> Error {
    error.with(HELP, advice.to_vec())
}

fn advice(error: &Error) -> Vec<&str> {
    error
        .extensions()
        .get(HELP)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_code_its_cause_and_the_way_out() {
        let error =
            help(Error::new(codes::NO_PLATFORM, "nobody is there").because("refused"), &["run `trellis up`"]);
        insta::assert_snapshot!(human(&error), @r"
        error[TRL3009]: nobody is there
          = note: refused
          = help: run `trellis up`
          = help: `trellis explain TRL3009` tells more
        ");
        assert!(problem(&error).contains(r#""cause":"refused""#));
    }

    #[test]
    fn times_are_rough() {
        assert_eq!(rough(999), "0s");
        assert_eq!(rough(61_000), "1m 1s");
        assert_eq!(rough(90_061_000), "1d 1h");
        assert_eq!(ago(5_000, 9_000), "0s ago");
    }

    #[test]
    fn a_table_without_a_terminal_is_plain() {
        let text = table(["NAME", "STATUS"], [["users".into(), "UP".into()], ["x".into(), String::new()]]);
        assert_eq!(text, "NAME   STATUS\nusers  UP\nx\n");
    }
}
