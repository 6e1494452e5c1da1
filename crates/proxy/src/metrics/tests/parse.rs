//! A reader of the text format that forgives nothing.

use std::collections::{BTreeMap, BTreeSet};

/// One line that is no comment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

/// Reads a text, or says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    let mut families = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut lines = text.strip_suffix('\n').ok_or("the last line does not end")?.split('\n').peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(|| format!("no HELP: {line}"))?;
        let kind =
            lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
        let kind = kind.ok_or_else(|| format!("no TYPE: {name}"))?;
        if !is_name(name, true) || help.is_empty() || !families.insert(name) {
            return Err(format!("{name} is no name, has no help or comes twice"));
        }
        if (kind == "counter") != name.ends_with("_total")
            || !["counter", "gauge", "histogram"].contains(&kind)
        {
            return Err(format!("{name} is not called like a {kind}"));
        }
        let mut family = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let sample = sample(line).ok_or_else(|| format!("no sample: {line}"))?;
            let suffix = sample.name.strip_prefix(name).ok_or_else(|| format!("not of {name}: {line}"))?;
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            if !suffixes.contains(&suffix) {
                return Err(format!("not of a {kind}: {line}"));
            }
            if kind == "counter" && sample.value < 0.0 {
                return Err(format!("a counter below zero: {line}"));
            }
            if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(format!("twice: {line}"));
            }
            family.push(sample);
        }
        if kind == "histogram" {
            check_histogram(name, &family)?;
        }
        samples.extend(family);
    }
    Ok(samples)
}

fn check_histogram(name: &str, family: &[Sample]) -> Result<(), String> {
    let mut series = BTreeMap::<_, Vec<_>>::new();
    for sample in family {
        let mut labels = sample.labels.clone();
        let bound = labels.pop_if(|(label, _)| label == "le").map(|(_, bound)| bound);
        series.entry(labels).or_default().push((
            sample.name.strip_prefix(name).unwrap_or_default(),
            bound,
            sample.value,
        ));
    }
    for (labels, lines) in series {
        let wrong = |what: &str| Err(format!("{name}{labels:?}: {what}"));
        let Some([(inf, Some(bound), last), (sum, None, total), (count, None, all)]) = lines.last_chunk()
        else {
            return wrong("does not end with its largest bucket, sum and count");
        };
        if (*inf, bound.as_str(), *sum, *count) != ("_bucket", "+Inf", "_sum", "_count") {
            return wrong("does not end with its largest bucket, sum and count");
        }
        if last.total_cmp(all).is_ne() || *total < 0.0 {
            return wrong("the largest bucket is not the count");
        }
        let buckets = &lines[..lines.len() - 2];
        let bounds: Vec<f64> =
            buckets.iter().filter_map(|(_, bound, _)| bound.as_ref()?.parse().ok()).collect();
        if bounds.len() != buckets.len() || !bounds.is_sorted_by(|a, b| a < b) {
            return wrong("the bounds do not rise");
        }
        if !buckets.is_sorted_by(|(_, _, a), (_, _, b)| a <= b) {
            return wrong("the buckets are not cumulative");
        }
    }
    Ok(())
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            let known = labels.iter().any(|(known, _)| known == label);
            if !is_name(label, false) || known {
                return None;
            }
            labels.push((label.to_owned(), value));
            match after.split_at_checked(1)? {
                (",", after) => rest = after,
                ("}", after) => {
                    rest = after;
                    break;
                }
                _ => return None,
            }
        }
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    is_name(name, true).then(|| Sample { name: name.to_owned(), labels, value })
}

/// A value up to its quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                same @ ('\\' | '"') => same,
                _ => return None,
            }),
            (_, other) => value.push(other),
        }
    }
}

/// Metrics may have colons in their names, labels may not.
fn is_name(name: &str, metric: bool) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || (metric && c == ':'))
}

#[test]
fn it_forgives_nothing() {
    let head = "# HELP a_total A.\n# TYPE a_total counter\n";
    assert_eq!(parse(&format!("{head}a_total{{b=\"\\\"\\\\\\n\"}} 1\n")).unwrap()[0].labels[0].1, "\"\\\n");
    for wrong in [
        "a_total 1\n",
        "# TYPE a_total counter\na_total 1\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        &format!("{head}a_total 1"),
        &format!("{head}a_total 1\na_total 2\n"),
        &format!("{head}a_total 1\n{head}a_total{{b=\"\"}} 1\n"),
        &format!("{head}b_total 1\n"),
        &format!("{head}a_total{{b=\"\\x\"}} 1\n"),
        &format!("{head}a_total{{b=\"1\",b=\"2\"}} 1\n"),
        &format!("{head}a_total{{b=\"1\",}} 1\n"),
        &format!("{head}a_total{{1=\"1\"}} 1\n"),
        &format!("{head}a_total -1\n"),
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
