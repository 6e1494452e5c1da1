//! Routes by path, in trees of segments: a lookup walks down the path, however many routes there are.

use ahash::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::MethodSet;
use crate::path::{Segments, segments};

/// Most segments of a route's path.
pub(crate) const MAX_SEGMENTS: usize = 64;

/// No node: what hangs on it is the tree of a host.
pub(crate) const HOST: u32 = u32::MAX;

/// No node: what hangs on it is the tree of all hosts with an ending.
pub(crate) const BELOW: u32 = u32::MAX - 1;

/// The bit of the first segment.
const FIRST: u64 = 1 << 63;

/// What a route's path looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// At most [`MAX_SEGMENTS`].
    pub(crate) pieces: Vec<Piece>,
    pub(crate) end: End,
}

/// One segment of a route's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This one, in the form in which it is compared.
    Literal(String),
    /// Any one, under this name.
    Param(Box<str>),
}

/// How a route's path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Here and everything below.
    Below,
    /// With its last segment.
    Here,
    /// With a slash.
    Slash,
}

/// A route at a place of a tree, with what is looked at first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    /// Its index.
    pub(crate) route: u32,
    pub(crate) methods: MethodSet,
    /// Nothing but path, host and method is asked for.
    pub(crate) is_plain: bool,
    /// Its path has parameters.
    pub(crate) has_params: bool,
    pub(crate) end: End,
}

/// Routes in the order of the file.
pub(crate) type Candidates = SmallVec<[Candidate; 2]>;

/// A place of a tree that matches a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    node: u32,
    rank: u32,
    depth: u16,
    end: End,
    /// The first bit is the first segment: 1 for a literal.
    literals: u64,
    tail: u32,
}

/// More than a route's path usually has; what is beyond is kept on the heap.
pub(crate) type Hits = SmallVec<[Hit; 4]>;

/// Any number of trees with one store of nodes.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    nodes: Vec<Node>,
    edges: HashTable<Edge>,
    /// Seeded anew for each forest: nobody outside can make segments collide.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Node {
    /// Where any segment leads. Nothing leads to node 0, a root.
    param: u32,
    has_literals: bool,
    /// Some route ends here in this way, by the number of the [`End`].
    has: [bool; 3],
    /// Together, so that a node is half a cache line.
    routes: Candidates,
}

#[derive(Debug)]
struct Edge {
    parent: u32,
    child: u32,
    name: SmallVec<[u8; 24]>,
}

impl Forest {
    /// A new tree.
    pub(crate) fn plant(&mut self) -> u32 {
        self.nodes.push(Node::default());
        (self.nodes.len() - 1) as u32
    }

    /// The routes at `pattern` so far.
    pub(crate) fn at(&mut self, root: u32, pattern: &Pattern) -> impl Iterator<Item = &Candidate> + Clone {
        let node = self.node(root, pattern);
        self.nodes[node as usize].routes.iter().filter(|candidate| candidate.end == pattern.end)
    }

    /// Adds a route at `pattern` after the others.
    pub(crate) fn add(&mut self, root: u32, pattern: &Pattern, candidate: Candidate) {
        let node = self.node(root, pattern);
        let node = &mut self.nodes[node as usize];
        node.has[candidate.end as usize] = true;
        node.routes.push(candidate);
    }

    fn node(&mut self, root: u32, pattern: &Pattern) -> u32 {
        pattern.pieces.iter().fold(root, |node, piece| match piece {
            Piece::Literal(name) => self.literal(node, name),
            Piece::Param(_) => self.param(node),
        })
    }

    /// Adds to `hits` all places of the tree at `root` that match `path`.
    pub(crate) fn find(&self, root: u32, rank: u32, path: &str, hits: &mut Hits) {
        let start = Hit { node: root, rank, depth: 0, end: End::Below, literals: 0, tail: 0 };
        self.descend(start, segments(path), path, hits);
    }

    /// The routes at a place that was found.
    pub(crate) fn candidates(&self, hit: &Hit) -> impl Iterator<Item = &Candidate> {
        let end = hit.end;
        let node = self.nodes.get(hit.node as usize);
        node.into_iter().flat_map(|node| &node.routes).filter(move |candidate| candidate.end == end)
    }

    /// `at` is the place reached so far. Recursion is as deep as a route's path is long, and only where two ways part.
    fn descend(&self, mut at: Hit, mut rest: Segments<'_>, path: &str, hits: &mut Hits) {
        while let Some(node) = self.nodes.get(at.node as usize) {
            if node.has[End::Below as usize] {
                hits.push(at);
            }
            if node.param == 0
                && !node.has_literals
                && !node.has[End::Here as usize]
                && !node.has[End::Slash as usize]
            {
                return;
            }
            let Some(segment) = rest.next() else {
                let end = if path.ends_with('/') { End::Slash } else { End::Here };
                if node.has[end as usize] {
                    hits.push(Hit { end, tail: path.len() as u32, ..at });
                }
                return;
            };
            let next = Hit { depth: at.depth + 1, tail: segment.end as u32, ..at };
            let literal = if node.has_literals { self.child(at.node, &segment.name) } else { None };
            let literals = at.literals | FIRST.checked_shr(u32::from(at.depth)).unwrap_or(0);
            at = match (literal, node.param) {
                (None, 0) => return,
                (Some(node), 0) => Hit { node, literals, ..next },
                (None, node) => Hit { node, ..next },
                (Some(literal), param) => {
                    self.descend(Hit { node: literal, literals, ..next }, rest.clone(), path, hits);
                    Hit { node: param, ..next }
                }
            };
        }
    }

    /// Where a literal leads.
    pub(crate) fn child(&self, parent: u32, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one((parent, name.as_bytes()));
        let is_it = |edge: &Edge| edge.parent == parent && *edge.name == *name.as_bytes();
        self.edges.find(hash, is_it).map(|edge| edge.child)
    }

    /// Where a literal leads, from now on if not before.
    pub(crate) fn literal(&mut self, parent: u32, name: &str) -> u32 {
        if let Some(child) = self.child(parent, name) {
            return child;
        }
        let child = self.plant();
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            parent.has_literals = true;
        }
        let hasher = &self.hasher;
        let hash = |edge: &Edge| hasher.hash_one((edge.parent, &*edge.name));
        let edge = Edge { parent, child, name: SmallVec::from_slice(name.as_bytes()) };
        self.edges.insert_unique(hash(&edge), edge, hash);
        child
    }

    fn param(&mut self, parent: u32) -> u32 {
        let known = self.nodes[parent as usize].param;
        if known != 0 {
            return known;
        }
        let child = self.plant();
        self.nodes[parent as usize].param = child;
        child
    }
}

impl Hit {
    /// Equal for equal patterns. Exact before prefix, longer before shorter, then whoever has the first literal.
    pub(crate) fn path_rank(&self) -> (bool, u16, u64) {
        (self.end != End::Below, self.depth, self.literals)
    }

    /// More specific is greater.
    pub(crate) fn rank(&self) -> ((bool, u16, u64), u32) {
        (self.path_rank(), self.rank)
    }

    /// Where the part of the path begins that `**` stands for.
    pub(crate) fn tail(&self) -> usize {
        self.tail as usize
    }
}
