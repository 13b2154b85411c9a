//! Exact quantities: sampling rates as reduced fractions, times as decimals.
//!
//! Binary floating point loses samples (`int(t * fs)` is off by one for hundreds of four-decimal
//! times), so the way from a time in a file to a sample number passes through integers only.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A sampling rate in Hz as a reduced fraction, at most 10⁹ on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    numerator: u64,
    denominator: u64,
}

const RATE_LIMIT: u64 = 1_000_000_000;

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Rate {
    /// Returns `numerator / denominator` reduced, or nothing where it is no positive rate within the limits.
    #[must_use]
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        if numerator == 0 || denominator == 0 {
            return None;
        }
        let divisor = gcd(numerator, denominator);
        let (numerator, denominator) = (numerator / divisor, denominator / divisor);
        (numerator <= RATE_LIMIT && denominator <= RATE_LIMIT).then_some(Self { numerator, denominator })
    }

    /// Returns the rate that a decimal text such as `256` or `199.8` names, exactly.
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Self> {
        let seconds = Seconds::parse(text)?;
        let numerator = u64::try_from(seconds.mantissa).ok()?;
        Self::new(numerator, 10_u64.checked_pow(seconds.scale)?)
    }

    /// The numerator of the reduced fraction.
    #[must_use]
    pub fn numerator(self) -> u64 {
        self.numerator
    }

    /// The denominator of the reduced fraction.
    #[must_use]
    pub fn denominator(self) -> u64 {
        self.denominator
    }

    /// Returns the nearest double, in Hz.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// Returns how long `samples` last, in seconds (the nearest double).
    #[must_use]
    pub fn duration_s(self, samples: u64) -> f64 {
        samples as f64 * self.denominator as f64 / self.numerator as f64
    }

    /// Returns `self / other` as a reduced pair (up, down): the factor from `other` to `self`.
    #[must_use]
    pub fn ratio_to(self, other: Self) -> (u128, u128) {
        let up = u128::from(self.numerator) * u128::from(other.denominator);
        let down = u128::from(self.denominator) * u128::from(other.numerator);
        let divisor = gcd_wide(up, down);
        (up / divisor, down / divisor)
    }
}

fn gcd_wide(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd_wide(b, a % b) }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 {
            write!(f, "{}", self.numerator)
        } else {
            write!(f, "{}/{}", self.numerator, self.denominator)
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.denominator == 1 {
            serializer.serialize_u64(self.numerator)
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Whole(u64),
            Fraction(String),
        }
        let rate = match Form::deserialize(deserializer)? {
            Form::Whole(hertz) => Self::new(hertz, 1),
            Form::Fraction(text) => {
                text.split_once('/').and_then(|(a, b)| Self::new(a.parse().ok()?, b.parse().ok()?))
            }
        };
        rate.ok_or_else(|| serde::de::Error::custom("expected a rate: a whole number or `a/b`"))
    }
}

/// A time in seconds as an exact decimal: `mantissa / 10^scale`, at most 18 digits behind the point.
#[derive(Debug, Clone, Copy)]
pub struct Seconds {
    mantissa: i128,
    scale: u32,
}

impl Seconds {
    /// No time.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };

    /// Returns a whole number of seconds.
    #[must_use]
    pub fn whole(seconds: i64) -> Self {
        Self { mantissa: seconds.into(), scale: 0 }
    }

    /// Returns when a sample is taken; where that is no decimal of 18 digits, the next one behind it, so that
    /// [`Self::floor_samples`] gives the sample back.
    #[must_use]
    pub fn of_sample(sample: i64, rate: Rate) -> Self {
        const SCALE: u32 = 18;
        let ticks = i128::from(sample) * i128::from(rate.denominator);
        let rate = i128::from(rate.numerator);
        let (whole, rest) = (ticks.div_euclid(rate), ticks.rem_euclid(rate));
        let unit = 10_i128.pow(SCALE);
        let behind = (rest * unit + rate - 1) / rate;
        Self { mantissa: whole.saturating_mul(unit).saturating_add(behind), scale: SCALE }.reduced()
    }

    /// Drops zeros at the end, so that what is equal is written equally.
    fn reduced(mut self) -> Self {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            (self.mantissa, self.scale) = (self.mantissa / 10, self.scale - 1);
        }
        self
    }

    /// Reads a plain decimal: an optional sign, digits, an optional point and digits.
    ///
    /// Exponents, `nan`, `inf` and a decimal comma are refused, and so are more than 18 significant
    /// digits before or behind the point.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(' ');
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let fraction = fraction.trim_end_matches('0');
        let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        let empty = digits.bytes().all(|b| b == b'.');
        if empty || !all_digits(whole) || !all_digits(fraction) || whole.len() > 18 || fraction.len() > 18 {
            return None;
        }
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa * 10 + i128::from(digit - b'0');
        }
        Some(Self { mantissa: if negative { -mantissa } else { mantissa }, scale: fraction.len() as u32 })
    }

    /// Returns ⌊t·rate⌋, exactly; saturates far outside of any recording.
    #[must_use]
    pub fn floor_samples(self, rate: Rate) -> i64 {
        let numerator = self.mantissa.saturating_mul(i128::from(rate.numerator));
        let denominator = 10_i128.pow(self.scale) * i128::from(rate.denominator);
        numerator.div_euclid(denominator).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// Returns `self − other`, exactly.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        let widen = |t: Self| t.mantissa * 10_i128.pow(scale - t.scale);
        Self { mantissa: widen(self) - widen(other), scale }
    }

    /// Returns `self + other`, exactly.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.minus(Self { mantissa: -other.mantissa, scale: other.scale })
    }

    /// Returns the nearest double, in seconds.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.mantissa as f64 / 10_f64.powi(self.scale as i32)
    }

    /// Returns the time as a reduced fraction (numerator, denominator).
    #[must_use]
    pub fn as_fraction(self) -> (i128, i128) {
        let denominator = 10_i128.pow(self.scale);
        let divisor = gcd_wide(self.mantissa.unsigned_abs(), denominator.unsigned_abs()) as i128;
        (self.mantissa / divisor, denominator / divisor)
    }
}

impl PartialEq for Seconds {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Seconds {}

impl PartialOrd for Seconds {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Seconds {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.minus(*other).mantissa.cmp(&0)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:0width$}", self.mantissa.unsigned_abs(), width = self.scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale as usize);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected a decimal number of seconds"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_samples_without_binary_rounding() {
        let rate = |n, d| Rate::new(n, d).unwrap();
        for (text, rate, sample) in [
            ("0.29", rate(100, 1), 29), // int(0.29 * 100) is 28 in binary
            ("1.1", rate(250, 1), 275),
            ("4.35", rate(100, 1), 435),
            ("-0.001", rate(256, 1), -1),
            ("36.8868", rate(256, 1), 9443),
            ("10", rate(512, 3), 1706),
        ] {
            assert_eq!(Seconds::parse(text).unwrap().floor_samples(rate), sample, "{text} s at {rate} Hz");
        }
    }

    #[test]
    fn samples_and_their_times_are_one_and_the_same() {
        for rate in [Rate::new(256, 1), Rate::new(3, 1), Rate::new(512, 3), Rate::new(999, 5)] {
            let rate = rate.unwrap();
            for sample in [0, 1, 2, 83_712, 1_000_003, i64::from(u32::MAX), -5] {
                assert_eq!(
                    Seconds::of_sample(sample, rate).floor_samples(rate),
                    sample,
                    "{sample} at {rate} Hz"
                );
            }
        }
        assert_eq!(Seconds::of_sample(83_712, Rate::new(256, 1).unwrap()).to_string(), "327");
        assert_eq!(Seconds::of_sample(1, Rate::new(256, 1).unwrap()).to_string(), "0.00390625");
    }

    #[test]
    fn only_plain_decimals_are_times() {
        for bad in ["", ".", "-", "1e3", "nan", "inf", "1,5", "0x1", "1 2", "+-1"] {
            assert!(Seconds::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Seconds::parse("+12.3400").unwrap().to_string(), "12.34");
        assert_eq!(Seconds::parse("-.5").unwrap().to_string(), "-0.5");
    }

    #[test]
    fn rates_are_reduced_fractions() {
        assert_eq!(Rate::new(512, 2), Rate::new(256, 1));
        assert_eq!(Rate::from_decimal("199.8"), Rate::new(999, 5));
        assert_eq!(Rate::new(256, 1).unwrap().ratio_to(Rate::new(250, 1).unwrap()), (128, 125));
        assert!(Rate::new(0, 1).is_none());
    }
}
