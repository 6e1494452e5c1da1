//! Gray release: which instances get the candidate of a key instead of its value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trellis_core::Share;

use super::condition::Condition;
use crate::error::{Error, Result};

/// Who gets the candidate. All conditions that are given have to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Instances with all of these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// This share of all instances, chosen by their ids: the same ones each time, and more of them with a larger share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Instances for which this holds: CEL over `instance.id` and `labels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
}

/// An instance that asks for its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Rule {
    pub(crate) fn check(&self) -> Result<()> {
        if self.labels.is_empty() && self.share.is_none() && self.when.is_none() {
            let text = "say who gets the candidate: labels, a share, a condition (when), or several of them";
            return Err(Error::invalid("/rule", text));
        }
        if self.labels.len() > 16 || self.labels.iter().any(|(k, v)| k.len() + v.len() > 512) {
            return Err(Error::invalid("/rule/labels", "at most 16 labels of at most 512 bytes"));
        }
        self.when.as_ref().map_or(Ok(()), Condition::check)
    }

    /// Whether this instance gets the candidate of the key.
    pub fn includes(&self, key: &str, instance: &Instance) -> bool {
        let labelled = self.labels.iter().all(|(name, value)| instance.labels.get(name) == Some(value));
        labelled
            && self.share.is_none_or(|share| share.includes(draw(key, &instance.id)))
            && self.when.as_ref().is_none_or(|when| when.holds(instance))
    }
}

/// Where an instance is in `0.0..1.0` for a key: always at the same place, and at another one for another key.
fn draw(key: &str, id: &str) -> f64 {
    let hash = Sha256::new().chain_update(key).chain_update([0]).chain_update(id).finalize();
    let number = hash.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(n: usize) -> Instance {
        Instance { id: format!("orders-{n}"), labels: [("zone".into(), format!("z{}", n % 2))].into() }
    }

    #[test]
    fn a_larger_share_has_the_smaller_one_in_it() {
        let rule = |percent| Rule { share: Some(Share::percent(percent)), ..Rule::default() };
        let chosen = |percent| -> Vec<usize> {
            (0..1000).filter(|n| rule(percent).includes("a/b/c", &instance(*n))).collect()
        };
        let (few, many) = (chosen(10), chosen(30));
        assert!((60..140).contains(&few.len()) && (240..360).contains(&many.len()), "{}", few.len());
        assert!(few.iter().all(|n| many.contains(n)));
        assert!(chosen(0).is_empty() && chosen(100).len() == 1000);
    }

    #[test]
    fn labels_choose() {
        let rule = Rule { labels: [("zone".into(), "z1".into())].into(), ..Rule::default() };
        assert!(rule.includes("k", &instance(1)) && !rule.includes("k", &instance(2)));
        assert!(Rule::default().check().is_err());
    }
}
