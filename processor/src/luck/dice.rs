//! Numbers that a seed decides.

/// A stream of numbers (SplitMix64). Each part of a case has its own, so that one more draw in one part changes nothing in
/// the others.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, part: u64) -> Dice {
        let mut dice = Dice(seed ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        dice.roll();
        Dice(dice.roll())
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to `sides` - 1.
    pub(super) fn below(&mut self, sides: usize) -> usize {
        usize::try_from((self.roll() >> 11) % sides.max(1) as u64).unwrap()
    }

    /// Both ends included.
    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }

    /// Each of them or not, `percent` in a hundred.
    pub(super) fn some<T: Clone>(&mut self, among: &[T], percent: usize) -> Vec<T> {
        among.iter().filter(|_| self.chance(percent)).cloned().collect()
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }

    /// A seed for somebody else's dice.
    pub(super) fn seed(&mut self) -> u64 {
        self.roll()
    }
}
