//! When active checks change what is thought of a member.

/// Counts checks in a row, so that one of them changes nothing by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hysteresis {
    rise: u32,
    fall: u32,
    is_up: bool,
    /// Checks in a row that say the contrary.
    contrary: u32,
}

/// What a check has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It works now.
    Up,
    /// It no longer works.
    Down,
}

impl Hysteresis {
    /// So many good checks in a row to be up, so many bad ones to be down; 0 is taken as 1.
    pub fn new(rise: u32, fall: u32, is_up: bool) -> Self {
        Self { rise: rise.max(1), fall: fall.max(1), is_up, contrary: 0 }
    }

    /// Counts one check.
    pub fn observe(&mut self, ok: bool) -> Option<Change> {
        if ok == self.is_up {
            self.contrary = 0;
            return None;
        }
        self.contrary += 1;
        if self.contrary < if ok { self.rise } else { self.fall } {
            return None;
        }
        (self.is_up, self.contrary) = (ok, 0);
        Some(if ok { Change::Up } else { Change::Down })
    }

    /// What is thought of it.
    pub fn is_up(&self) -> bool {
        self.is_up
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_takes_some_in_a_row() {
        let mut checks = Hysteresis::new(2, 3, true);
        let changes =
            [false, false, true, false, false, false, true, false, true, true].map(|ok| checks.observe(ok));
        let (mut expected, up, down) = ([None; 10], Some(Change::Up), Some(Change::Down));
        (expected[5], expected[9]) = (down, up);
        assert_eq!(changes, expected);
    }

    proptest! {
        #[test]
        fn it_is_what_the_last_run_says(rise in 0_u32..5, fall in 0_u32..5, checks in prop::collection::vec(any::<bool>(), 0..60)) {
            let mut state = Hysteresis::new(rise, fall, true);
            for n in 1..=checks.len() {
                let before = state.is_up();
                let change = state.observe(checks[n - 1]);
                prop_assert_eq!(change.is_some(), before != state.is_up());
                let run = checks[..n].iter().rev().take_while(|&&ok| ok == checks[n - 1]).count();
                let needed = if checks[n - 1] { rise } else { fall }.max(1) as usize;
                prop_assert_eq!(state.is_up() == checks[n - 1], before == checks[n - 1] || run >= needed);
            }
        }
    }
}
