//! What the policies make of 64 random bits. None of this is for secrets.

/// One random number after another, all from the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(random: u64) -> Self {
        Self(random)
    }

    /// The bits that were given, then others that look independent of them.
    pub(crate) fn next(&mut self) -> u64 {
        let drawn = self.0;
        self.0 = mix(drawn);
        drawn
    }
}

/// Maps 64 random bits to `0..bound`, evenly.
pub(crate) fn scale(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// Maps 64 random bits to a number from 0 up to but not including 1.
pub(crate) fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// An independent-looking number from another; no two have the same (the finaliser of `SplitMix64`).
pub(crate) fn mix(random: u64) -> u64 {
    let z = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How much a target with `weight` wants the key with this `hash` (rendezvous hashing): the one that wants it most gets
/// it. A change of weights moves keys only to those that gained, and only as many as they gained.
pub(crate) fn claim(hash: u64, target: u64, weight: f64) -> f64 {
    // Of exponential variables with rates `weight`, each is the smallest with its share of the chance.
    weight / -(1.0 - unit(mix(hash ^ target))).ln().min(-f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn everything_stays_in_its_range(random: u64, bound in 1_u64.., weight in 1_u32..) {
            prop_assert!(scale(random, bound) < bound);
            prop_assert!((0.0..1.0).contains(&unit(random)));
            let claim = claim(random, bound, f64::from(weight));
            prop_assert!(claim > 0.0 && !claim.is_nan());
        }
    }
}
