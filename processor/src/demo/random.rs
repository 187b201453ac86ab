//! A small generator of numbers for the simulation: SplitMix64, seeded, so that a seed always tells the same day.

/// SplitMix64, as Steele, Lea and Flood describe it (OOPSLA 2014). Good enough to shuffle a story; not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789abcdef";

impl Random {
    /// A generator that `seed` determines.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator that `name` determines: what it yields first can serve as that thing's identifier on every day.
    pub(crate) fn named(name: &str) -> Self {
        // FNV-1a.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..limit`; 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // The high half of the product is in range, and its bias is far below what anybody could see here.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(high.abs_diff(low) + 1) as i64
    }

    /// True in `per_mille` of a thousand cases.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of `items`, of which there must be some.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// `length` hexadecimal digits.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.letters(HEX, length)
    }

    /// `prefix` and 16 capitals and digits: the shape of access keys (`AKIA…`) and of principal ids (`AROA…`).
    pub(crate) fn unique_id(&mut self, prefix: &str) -> String {
        format!("{prefix}{}", self.letters(BASE32, 16))
    }

    /// `length` characters of base 64.
    pub(crate) fn base64(&mut self, length: usize) -> String {
        self.letters(BASE64, length)
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0x0fff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }

    fn letters(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(*self.pick(alphabet))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_sequence() {
        // The first outputs for seed 1234567 in the reference implementation.
        let mut random = Random::new(1_234_567);
        let got: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(got, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn stays_in_range_and_reaches_both_ends() {
        let mut random = Random::new(7);
        let seen: Vec<i64> = (0..500).map(|_| random.between(-2, 2)).collect();
        assert!(seen.iter().all(|n| (-2..=2).contains(n)));
        assert!(seen.contains(&-2) && seen.contains(&2));
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn makes_identifiers_of_the_right_shape() {
        let mut random = Random::new(1);
        let uuid = random.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
        assert_eq!(random.unique_id("AKIA").len(), 20);
        assert_eq!(Random::named("a").next(), Random::named("a").next());
        assert_ne!(Random::named("a").next(), Random::named("b").next());
    }
}
