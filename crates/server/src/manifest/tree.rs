//! A TOML document as JSON, and where each of its values is written.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::Mistake;
use super::path::{Path, Segment};

/// Where a value is written. Offsets are bytes from the start of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its key; absent for items of lists and the root.
    pub key: Option<Range<usize>>,
    /// The value; for a table with a header, the header.
    pub value: Range<usize>,
    children: Children,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Children {
    None,
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
}

impl Node {
    /// The value at `path`, if it is written in the text.
    pub(crate) fn get(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, segment| match (segment, &node.children) {
            (Segment::Key(key), Children::Table(table)) => table.get(key),
            (Segment::Index(index), Children::List(list)) => list.get(*index),
            _ => None,
        })
    }

    /// The value at `path` or, if that is not written, the innermost one around it.
    pub(crate) fn nearest(&self, path: &Path) -> &Self {
        let mut path = path.clone();
        loop {
            match self.get(&path) {
                Some(node) => return node,
                None => path = path.parent(),
            }
        }
    }

    /// Every value below this one that is not a table or list, with its path.
    pub(crate) fn leaves(&self) -> Vec<(Path, &Self)> {
        let mut found = Vec::new();
        self.collect_leaves(&Path::default(), &mut found);
        found
    }

    fn collect_leaves<'a>(&'a self, path: &Path, found: &mut Vec<(Path, &'a Self)>) {
        match &self.children {
            Children::None => found.push((path.clone(), self)),
            Children::Table(table) => {
                for (key, node) in table {
                    node.collect_leaves(&path.key(key), found);
                }
            }
            Children::List(list) => {
                for (index, node) in list.iter().enumerate() {
                    node.collect_leaves(&path.index(index), found);
                }
            }
        }
    }
}

/// Reads a document. Values that JSON cannot hold become mistakes, and `null` in the JSON.
pub(crate) fn read(document: &Spanned<DeTable<'_>>) -> (Value, Node, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let path = Path::default();
    let (value, children) = read_table(document.get_ref(), &path, &mut mistakes);
    (value, Node { key: None, value: 0..0, children }, mistakes)
}

fn read_table(table: &DeTable<'_>, path: &Path, mistakes: &mut Vec<Mistake>) -> (Value, Children) {
    let mut object = serde_json::Map::new();
    let mut nodes = BTreeMap::new();
    for (key, value) in table {
        let name = key.get_ref().to_string();
        let (json, mut node) = read_value(value, &path.key(&name), mistakes);
        node.key = Some(key.span());
        object.insert(name.clone(), json);
        nodes.insert(name, node);
    }
    (Value::Object(object), Children::Table(nodes))
}

fn read_value(value: &Spanned<DeValue<'_>>, path: &Path, mistakes: &mut Vec<Mistake>) -> (Value, Node) {
    let mut refuse = |found: String, help: &str| {
        mistakes
            .push(Mistake::value(path.clone(), found, "a text, number, boolean, list or table").help(help));
        (Value::Null, Children::None)
    };
    let (json, children) = match value.get_ref() {
        DeValue::String(text) => (Value::from(text.as_ref()), Children::None),
        DeValue::Boolean(flag) => (Value::from(*flag), Children::None),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(whole) => (Value::from(whole), Children::None),
            Err(_) => refuse(format!("{number}"), "whole numbers have at most 64 bits"),
        },
        DeValue::Float(number) => match number.as_str().parse().ok().and_then(serde_json::Number::from_f64) {
            Some(finite) => (Value::Number(finite), Children::None),
            None => refuse(format!("{number}"), "numbers are finite here"),
        },
        DeValue::Datetime(time) => {
            refuse(format!("the date-time {time}"), "put it in quotes if a text is meant")
        }
        DeValue::Array(items) => {
            let (values, nodes) = items
                .iter()
                .enumerate()
                .map(|(index, item)| read_value(item, &path.index(index), mistakes))
                .unzip();
            (Value::Array(values), Children::List(nodes))
        }
        DeValue::Table(table) => read_table(table, path, mistakes),
    };
    (json, Node { key: None, value: value.span(), children })
}
