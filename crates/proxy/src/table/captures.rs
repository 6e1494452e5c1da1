//! What the parts of a route's path matched.

use smallvec::SmallVec;

use crate::path;

/// A part of the path, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// What the parameters of a route matched, and what `**` stands for. Places in the path, so that nothing is copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Captures {
    spans: SmallVec<[Span; 4]>,
    tail: Span,
    /// The path that the places are in, if it is not the one that came: regular expressions see the compared form.
    normal: Option<Box<str>>,
}

/// Parameters with their names and values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Params<'a> {
    names: &'a [Box<str>],
    captures: &'a Captures,
    path: &'a str,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        // Request heads are bounded far below 4 GB.
        let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: place(start), end: place(end) }
    }

    fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl Captures {
    /// What segments number `places` (in order) of `path` are, and all from `tail` on.
    pub(crate) fn of_path(path: &str, places: &[u16], tail: usize) -> Self {
        let mut captures = Self { tail: Span::new(tail, path.len()), ..Self::default() };
        if let Some(last) = places.last() {
            for (index, segment) in path::segments(path).enumerate().take(usize::from(*last) + 1) {
                if places.iter().any(|place| usize::from(*place) == index) {
                    captures.spans.push(Span::new(segment.start, segment.end));
                }
            }
        }
        captures
    }

    /// What the groups of a regular expression matched in `normal`, which `is_as_it_came` or not.
    pub(crate) fn of_groups(groups: &regex::Captures<'_>, normal: &str, is_as_it_came: bool) -> Self {
        let spans = groups.iter().skip(1);
        let spans = spans.map(|group| group.map_or(Span::default(), |m| Span::new(m.start(), m.end())));
        Self {
            spans: spans.collect(),
            tail: Span::default(),
            normal: (!is_as_it_came).then(|| normal.into()),
        }
    }

    /// With the names they have in the route, over the path as it came.
    pub(crate) fn named<'a>(&'a self, names: &'a [Box<str>], path: &'a str) -> Params<'a> {
        Params { names, captures: self, path: self.normal.as_deref().unwrap_or(path) }
    }
}

impl<'a> Params<'a> {
    /// The value of parameter number `index`, as it came; empty if there is none.
    pub(crate) fn value(&self, index: usize) -> &'a str {
        self.captures.spans.get(index).map_or("", |span| span.of(self.path))
    }

    /// What `**` stands for: empty, or beginning with a slash.
    pub(crate) fn tail(&self) -> &'a str {
        self.captures.tail.of(self.path)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let this = *self;
        self.names.iter().enumerate().map(move |(index, name)| (&**name, this.value(index)))
    }
}
