//! What a query costs, <https://aws.amazon.com/athena/pricing/>. Pure.

/// Athena bills whole megabytes.
const MIB: u64 = 1 << 20;
/// Of each query at least so many.
const LEAST: u64 = 10;
/// Bytes of a terabyte, as AWS bills it.
const TIB: f64 = (1_u64 << 40) as f64;

/// What reading so many bytes costs at this price of a terabyte, in the price's currency. Nothing for a query that reads
/// nothing, as those that describe do.
#[must_use]
#[allow(clippy::cast_precision_loss)] // Of less than 8 PiB no byte is lost, and of more no cent.
pub fn cost(scanned: u64, price_per_tb: f64) -> f64 {
    if scanned == 0 {
        return 0.0;
    }
    let billed = scanned.div_ceil(MIB).max(LEAST).saturating_mul(MIB);
    billed as f64 / TIB * price_per_tb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_megabytes_at_least_and_whole_ones() {
        let dollars = |scanned| format!("{:.8}", cost(scanned, 5.0));
        assert_eq!(dollars(0), "0.00000000");
        assert_eq!(dollars(1), dollars(10 * MIB));
        assert_eq!(dollars(10 * MIB + 1), dollars(11 * MIB));
        assert_eq!(dollars(1 << 40), "5.00000000");
        assert_eq!(dollars(3 << 39), "7.50000000");
    }
}
