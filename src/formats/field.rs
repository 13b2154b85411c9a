//! Fixed-width header fields: bytes to text and numbers. Tolerant of padding, exact about values.

use crate::model::Seconds;

/// Returns the field as Latin-1 text without padding (spaces, and the NULs of careless writers).
pub(super) fn decode_text(bytes: &[u8]) -> String {
    let text: String = bytes.iter().copied().map(char::from).collect();
    text.trim_matches([' ', '\0']).to_owned()
}

/// Returns the field as a whole number; `-5` and `+5` are, `5.0` and `5 0` are not.
pub(super) fn decode_whole(bytes: &[u8]) -> Option<i64> {
    decode_text(bytes).parse().ok()
}

/// Returns a digital limit: a whole number, also as `32767.0`, which some writers print.
pub(super) fn decode_digital(bytes: &[u8]) -> Option<i64> {
    let text = decode_text(bytes);
    let whole = text.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|b| b == b'0'));
    whole.map_or(text.as_str(), |(whole, _)| whole).parse().ok()
}

/// A number and whether it was written with a decimal comma.
pub(super) type Decimal<T> = Option<(T, bool)>;

/// Returns a physical limit, which is finite.
pub(super) fn decode_float(bytes: &[u8]) -> Decimal<f64> {
    with_comma(&decode_text(bytes), |text| text.parse().ok().filter(|value: &f64| value.is_finite()))
}

/// Returns a duration, exactly.
pub(super) fn decode_seconds(bytes: &[u8]) -> Decimal<Seconds> {
    with_comma(&decode_text(bytes), Seconds::parse)
}

fn with_comma<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Decimal<T> {
    match parse(text) {
        Some(value) => Some((value, false)),
        None => parse(&text.replacen(',', ".", 1)).map(|value| (value, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_written() {
        for (text, whole, digital, float) in [
            ("42      ", Some(42), Some(42), Some((42.0, false))),
            (" -1", Some(-1), Some(-1), Some((-1.0, false))),
            ("7\0\0", Some(7), Some(7), Some((7.0, false))),
            ("32767.0", None, Some(32767), Some((32767.0, false))),
            ("256.5", None, None, Some((256.5, false))),
            ("-3,5", None, None, Some((-3.5, true))),
            ("1,0,0", None, None, None),
            ("1e3", None, None, Some((1000.0, false))),
            ("1e400", None, None, None),
            ("inf", None, None, None),
            ("nan", None, None, None),
            ("", None, None, None),
        ] {
            let bytes = text.as_bytes();
            assert_eq!(
                (decode_whole(bytes), decode_digital(bytes), decode_float(bytes)),
                (whole, digital, float),
                "{text}"
            );
        }
    }

    #[test]
    fn durations_are_exact() {
        assert_eq!(decode_seconds(b"0.97656 "), Some((Seconds::parse("0.97656").unwrap(), false)));
        assert_eq!(decode_seconds(b"1,0     "), Some((Seconds::parse("1").unwrap(), true)));
        assert_eq!(decode_seconds(b"1e-300  "), None);
    }
}
