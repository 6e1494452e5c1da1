//! The proxies' configuration files: one template for each proxy, so that what differs between the runs stands in it.
//!
//! `{{name}}` is replaced by a value. A line that begins with `@h1,tls|` is kept, without this mark, in those runs only.

use anyhow::{Context, Result, ensure};

/// Fills `template` for the run called `run`.
pub(super) fn fill(template: &str, run: &str, values: &[(&str, String)]) -> Result<String> {
    let mut text = String::new();
    for line in template.lines() {
        let Some(line) = kept(line, run) else { continue };
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").with_context(|| format!("no end: {line}"))?;
            let value = values.iter().find(|(known, _)| *known == name);
            let (_, value) = value.with_context(|| format!("nothing is called {name}: {line}"))?;
            ensure!(!value.contains(['\n', '"']), "{value:?} cannot stand in a configuration file");
            text.push_str(before);
            text.push_str(value);
            rest = after;
        }
        text.push_str(rest);
        text.push('\n');
    }
    Ok(text)
}

/// The line without its mark; none if it is for other runs.
fn kept<'a>(line: &'a str, run: &str) -> Option<&'a str> {
    let Some((runs, kept)) = line.strip_prefix('@').and_then(|marked| marked.split_once('|')) else {
        return Some(line);
    };
    runs.split(',').any(|one| one == run).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_and_lines_of_other_runs_left_out() {
        let template = "a {{x}}-{{y}};\n@h1|  plain\n@h1,tls|  either\n@grpc|  streams {{z}}\nend";
        let values = [("x", "1".to_owned()), ("y", "2".to_owned())];
        assert_eq!(fill(template, "h1", &values).unwrap(), "a 1-2;\n  plain\n  either\nend\n");
        assert_eq!(fill(template, "tls", &values).unwrap(), "a 1-2;\n  either\nend\n");
        let error = fill(template, "grpc", &values).unwrap_err().to_string();
        assert!(error.contains("nothing is called z"), "{error}");
    }
}
