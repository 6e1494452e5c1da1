//! The entries of which chains are made, as far as they say where requests go.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::kept::Kept;
use crate::refusal::{Refusal, Reply};
use crate::request::Object;

/// Where to go on: another service, or a subset; what is empty stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) service: String,
    pub(crate) subset: String,
}

/// `service-router`: by request.
pub(crate) struct Router {
    /// The routes as they were written, and where each leads.
    pub(crate) routes: Vec<(Value, Next)>,
}

/// `service-splitter`: by share.
pub(crate) struct Splitter {
    /// Shares in percent, and where each leads.
    pub(crate) splits: Vec<(f64, Next)>,
}

/// `service-resolver`: to instances.
#[derive(Default)]
pub(crate) struct Resolver {
    pub(crate) default_subset: String,
    /// What instances each subset has, as it was written.
    pub(crate) subsets: BTreeMap<String, Value>,
    pub(crate) redirect: Option<Next>,
    /// Where to go when there is no instance, by subset or `*`.
    pub(crate) failover: BTreeMap<String, Vec<Next>>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) request_timeout: Option<Duration>,
}

impl Next {
    fn read(object: &mut Object) -> Reply<Self> {
        object.without(
            &["Namespace", "Partition", "Peer", "SamenessGroup"],
            "there is one namespace and one cluster",
        )?;
        Ok(Self { service: object.text("Service")?, subset: object.text("ServiceSubset")? })
    }
}

impl Router {
    pub(crate) fn read(kept: &Kept) -> Reply<Self> {
        let mut entry = kept.fields()?;
        let mut routes = Vec::new();
        for definition in entry.values("Routes")? {
            let mut route = Object::new("Routes", definition.clone())?;
            let mut destination = route.object("Destination")?.unwrap_or_default();
            routes.push((definition, Next::read(&mut destination)?));
        }
        Ok(Self { routes })
    }
}

impl Splitter {
    pub(crate) fn read(kept: &Kept) -> Reply<Self> {
        let mut entry = kept.fields()?;
        let mut splits = Vec::new();
        for mut split in entry.objects("Splits")? {
            let weight = split.take("Weight").as_ref().map_or(Some(0.0), Value::as_f64);
            let weight = weight.filter(|weight| (0.0..=100.0).contains(weight));
            let weight = weight.ok_or_else(|| Refusal::bad("Weight of Splits is a number from 0 to 100"))?;
            splits.push((weight, Next::read(&mut split)?));
        }
        let sum: f64 = splits.iter().map(|(weight, _)| weight).sum();
        if (sum - 100.0).abs() > 0.005 {
            return Err(Refusal::bad(format!("the sum of all split weights must be 100, not {sum:.2}")));
        }
        Ok(Self { splits })
    }
}

impl Resolver {
    pub(crate) fn read(kept: &Kept) -> Reply<Self> {
        let mut entry = kept.fields()?;
        let mut failover = BTreeMap::new();
        for (subset, given) in entry.map("Failover")? {
            let mut given = Object::new("Failover", given)?;
            let mut targets =
                given.objects("Targets")?.iter_mut().map(Next::read).collect::<Reply<Vec<_>>>()?;
            let own = Next::read(&mut given)?;
            if own != Next::default() {
                targets.insert(0, own);
            }
            failover.insert(subset, targets);
        }
        let redirect = entry.object("Redirect")?.map(|mut redirect| Next::read(&mut redirect)).transpose()?;
        let resolver = Self {
            default_subset: entry.text("DefaultSubset")?,
            subsets: entry.map("Subsets")?,
            redirect: redirect.filter(|redirect| *redirect != Next::default()),
            failover,
            connect_timeout: entry.duration("ConnectTimeout")?,
            request_timeout: entry.duration("RequestTimeout")?,
        };
        let known = |subset: &str| resolver.subsets.contains_key(subset);
        if !resolver.default_subset.is_empty() && !known(&resolver.default_subset) {
            let name = &resolver.default_subset;
            return Err(Refusal::bad(format!("DefaultSubset {name:?} is none of the subsets")));
        }
        if let Some(name) = resolver.failover.keys().find(|name| *name != "*" && !known(name)) {
            return Err(Refusal::bad(format!("Failover {name:?} is for none of the subsets")));
        }
        Ok(resolver)
    }
}
