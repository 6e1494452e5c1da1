//! Routes by path, in a tree of segments: a lookup walks down the path once, however many routes there are.

use std::collections::HashMap;

use crate::path::{Segment, segments};

/// What a route's path looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Exactly these segments, with or without a slash at the end.
    Exact { segments: Vec<String>, slash: bool },
    /// These segments and everything below them.
    Prefix { segments: Vec<String> },
}

/// Which routes have the most specific pattern that matches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found<'t> {
    /// In the order of the file; never empty.
    pub(crate) routes: &'t [usize],
    /// Where the part of the path begins that `**` stands for.
    pub(crate) tail: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Trie {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    exact: Vec<usize>,
    exact_with_slash: Vec<usize>,
    prefix: Vec<usize>,
}

impl Trie {
    /// The routes at `pattern` so far, to which one may be added.
    pub(crate) fn at(&mut self, pattern: &Pattern) -> &mut Vec<usize> {
        let (Pattern::Exact { segments, .. } | Pattern::Prefix { segments }) = pattern;
        let mut node = &mut self.root;
        for segment in segments {
            node = node.children.entry(segment.as_str().into()).or_default();
        }
        match pattern {
            Pattern::Prefix { .. } => &mut node.prefix,
            Pattern::Exact { slash: true, .. } => &mut node.exact_with_slash,
            Pattern::Exact { slash: false, .. } => &mut node.exact,
        }
    }

    /// Exact before prefix, longer prefix before shorter.
    pub(crate) fn find(&self, path: &str) -> Option<Found<'_>> {
        let mut node = &self.root;
        let mut best = node.as_prefix(0);
        for Segment { name, end } in segments(path) {
            match node.children.get(name.as_ref()) {
                Some(child) => node = child,
                None => return best,
            }
            best = node.as_prefix(end).or(best);
        }
        let exact = if path.ends_with('/') { &node.exact_with_slash } else { &node.exact };
        if exact.is_empty() { best } else { Some(Found { routes: exact, tail: path.len() }) }
    }
}

impl Node {
    fn as_prefix(&self, tail: usize) -> Option<Found<'_>> {
        (!self.prefix.is_empty()).then_some(Found { routes: &self.prefix, tail })
    }
}
