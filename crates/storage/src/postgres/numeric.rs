//! PostgreSQL's NUMERIC, which `SUM` and `AVG` of whole numbers give.

use crate::Value;

const NEGATIVE: u16 = 0x4000;
const POSITIVE: u16 = 0x0000;
/// Each digit on the wire holds four decimal digits.
const BASE: i128 = 10_000;

/// Reads the binary form: digit count, weight of the first digit, sign, scale, digits. Whole numbers are read exactly,
/// others as floating-point numbers; `None` for NaN, infinities and whole numbers beyond 64 bits.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let [count, weight, sign, _scale, digits @ ..] = words.as_slice() else {
        return None;
    };
    let weight = i32::from(weight.cast_signed());
    let negative = match *sign {
        POSITIVE => false,
        NEGATIVE => true,
        _ => return None,
    };
    let digits = digits.get(..usize::from(*count))?;
    // A digit's place is its power of the base; the places below zero are the fraction.
    let places = || digits.iter().zip(0_i32..).map(|(digit, index)| (*digit, weight - index));
    if places().all(|(digit, place)| digit == 0 || place >= 0) {
        let mut sum: i128 = 0;
        for (digit, place) in places().filter(|(digit, _)| *digit != 0) {
            let power = BASE.checked_pow(place.try_into().ok()?)?;
            sum = sum.checked_add(power.checked_mul(i128::from(digit))?)?;
        }
        let signed = if negative { -sum } else { sum };
        return signed.try_into().ok().map(Value::Int);
    }
    let sum: f64 = places().map(|(digit, place)| f64::from(digit) * (BASE as f64).powi(place)).sum();
    Some(Value::Float(if negative { -sum } else { sum }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(weight: i16, sign: u16, digits: &[u16]) -> Vec<u8> {
        let head = [digits.len() as u16, weight.cast_unsigned(), sign, 0];
        head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn whole_numbers_are_exact() {
        assert_eq!(read(&wire(0, POSITIVE, &[])), Some(Value::Int(0)));
        assert_eq!(read(&wire(0, POSITIVE, &[42])), Some(Value::Int(42)));
        assert_eq!(read(&wire(1, NEGATIVE, &[12, 3456])), Some(Value::Int(-123_456)));
        assert_eq!(
            read(&wire(2, POSITIVE, &[5])),
            Some(Value::Int(500_000_000)),
            "trailing zeros are left out"
        );
        let max = wire(4, POSITIVE, &[922, 3372, 368, 5477, 5807]);
        assert_eq!(read(&max), Some(Value::Int(i64::MAX)));
    }

    #[test]
    fn fractions_become_floats() {
        let Some(Value::Float(n)) = read(&wire(0, NEGATIVE, &[2, 5000])) else { panic!("a float") };
        assert!((n + 2.5).abs() < 1e-12);
        let Some(Value::Float(n)) = read(&wire(-1, POSITIVE, &[3333])) else { panic!("a float") };
        assert!((n - 0.3333).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(read(&wire(4, POSITIVE, &[922, 3372, 368, 5477, 5808])), None, "one more than fits");
        assert_eq!(read(&wire(0, 0xC000, &[])), None, "NaN");
        assert_eq!(read(&wire(30_000, POSITIVE, &[1])), None);
        assert_eq!(read(&[0, 9, 0, 0, 0, 0, 0, 0]), None, "cut short");
        assert_eq!(read(&[]), None);
    }
}
