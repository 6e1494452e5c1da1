//! Which member a key belongs to.

use std::sync::Arc;

use super::Member;

/// The member that a key belongs to, the same for everyone who has the same list, in whatever order; none only if the
/// list is empty. When a member comes or goes, only its own keys move. (Highest random weight, Thaler and Ravishankar
/// 1996.)
pub fn owner_of<'m>(members: &'m [Member], key: &str) -> Option<&'m Arc<str>> {
    members.iter().map(|member| &member.node_id).max_by_key(|node| (weight(node, key), *node))
}

/// FNV-1a over node and key, then stirred, since FNV alone leaves the last bytes in the low bits. It must be the same in
/// every version of the program that shares a store.
fn weight(node: &str, key: &str) -> u64 {
    let bytes = node.bytes().chain([0]).chain(key.bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The finaliser of SplitMix64: https://prng.di.unimi.it/splitmix64.c
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn members(ids: &BTreeSet<u32>) -> Vec<Member> {
        ids.iter().map(|id| member(&format!("node-{id}"))).collect()
    }

    fn member(id: &str) -> Member {
        let (name, address) = ("".into(), "".into());
        Member { node_id: id.into(), name, address, started_unix_ms: 0, expires_unix_ms: None }
    }

    proptest! {
        #[test]
        fn only_the_keys_of_who_comes_or_goes_move(
            ids in prop::collection::btree_set(any::<u32>(), 1..12),
            other in any::<u32>(),
            keys in prop::collection::vec(".{0,12}", 1..50),
        ) {
            let few: BTreeSet<u32> = ids.iter().copied().filter(|id| *id != other).collect();
            let mut many = few.clone();
            many.insert(other);
            let (few, many) = (members(&few), members(&many));
            let other = format!("node-{other}");
            for key in &keys {
                let with = owner_of(&many, key).unwrap();
                if **with != *other {
                    prop_assert_eq!(owner_of(&few, key), Some(with));
                }
            }
        }

        #[test]
        fn the_order_of_the_list_does_not_matter(
            ids in prop::collection::btree_set(any::<u32>(), 1..12),
            key in ".{0,12}",
        ) {
            let list = members(&ids);
            let mut other = list.clone();
            other.reverse();
            prop_assert_eq!(owner_of(&list, &key), owner_of(&other, &key));
        }
    }

    #[test]
    fn keys_are_shared_out_evenly() {
        let list = members(&(0..5).collect());
        let mut counts = BTreeMap::new();
        for key in 0..10_000 {
            *counts.entry(owner_of(&list, &format!("service/{key}")).unwrap()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 5);
        assert!(counts.values().all(|count| (1700..=2300).contains(count)), "{counts:?}");
    }

    #[test]
    fn it_is_the_same_in_every_version() {
        let list = members(&(0..5).collect());
        let owners: Vec<_> = ["a", "b", "c", "d"].map(|key| owner_of(&list, key).unwrap().to_string()).into();
        // Computed by other means.
        assert_eq!(owners, ["node-3", "node-1", "node-1", "node-4"]);
        assert_eq!(owner_of(&[], "a"), None);
    }
}
