//! Going through many instances in an order that is another one each time.

/// Every number below `len` once, from a random one on, in random strides. Takes no room and no time in advance, so
/// the first few of a hundred thousand cost as much as the first few of ten; each is among them equally often.
#[derive(Debug)]
pub(super) struct Walk {
    len: usize,
    at: usize,
    stride: usize,
    left: usize,
}

/// How often a stride is drawn; then it is 1. A draw fails more often than not only for lengths with many small
/// factors, and so many in a row next to never.
const TRIES: usize = 16;

impl Walk {
    pub(super) fn new(len: usize, random: &mut fastrand::Rng) -> Self {
        if len < 2 {
            return Self { len, at: 0, stride: 1, left: len };
        }
        let stride = (0..TRIES).map(|_| random.usize(1..len)).find(|stride| gcd(*stride, len) == 1);
        Self { len, at: random.usize(..len), stride: stride.unwrap_or(1), left: len }
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        self.at = (at + self.stride) % self.len;
        Some(at)
    }
}

fn gcd(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_comes_once(len in 0_usize..300, seed: u64) {
            let mut seen: Vec<usize> = Walk::new(len, &mut fastrand::Rng::with_seed(seed)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn each_is_among_the_first_equally_often() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            for at in Walk::new(10, &mut random).take(3) {
                counts[at] += 1;
            }
        }
        assert!(counts.iter().all(|count| (2_700..3_300).contains(count)), "{counts:?}");
    }
}
