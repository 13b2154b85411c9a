//! From digital steps to microvolts: the unit rule of `EEG_FACTS` section 5 and the line through the limits.

use crate::model::recording::{Calibration, Kind, SignalHeader};
use crate::model::{Failure, FailureClass};

/// Returns the line µV = gain · digital + offset of a signal.
///
/// gain = (pmax − pmin) / (dmax − dmin) and offset = pmin − gain · dmin, scaled to µV. An empty dimension counts
/// as µV (the caller notes `unit-assumed`); another one that is no voltage is class `bad-unit`. Limits that define no
/// line, or digital limits beyond the sample type, are class `bad-calibration`. Inverted limits turn the sign.
pub fn calibration(signal: &SignalHeader, kind: Kind) -> Result<Calibration, Failure> {
    let microvolts = microvolts_per_unit(&signal.dimension).ok_or_else(|| bad_unit(signal))?;
    let bad = |what: String| {
        Failure::new(FailureClass::BadCalibration, format!("channel `{}`: {what}", signal.label))
    };
    let (low, high) =
        signal.physical.ok_or_else(|| bad("a physical limit is no finite number".to_owned()))?;
    let (bottom, top) = signal.digital.ok_or_else(|| bad("a digital limit is no whole number".to_owned()))?;
    let (least, most) = sample_range(kind);
    if bottom.min(top) < least || bottom.max(top) > most {
        return Err(bad(format!(
            "digital limits {bottom} to {top} are beyond the sample type, {least} to {most}"
        )));
    }
    if bottom == top {
        return Err(bad(format!("both digital limits are {bottom}")));
    }
    let gain = (high - low) / (top - bottom) as f64;
    let offset = low - gain * bottom as f64;
    let line = Calibration { gain_uv: gain * microvolts, offset_uv: offset * microvolts };
    if line.gain_uv == 0.0 || !line.gain_uv.is_finite() || !line.offset_uv.is_finite() {
        return Err(bad(format!("physical limits {low} to {high} define no scale")));
    }
    Ok(line)
}

/// The numbers that a sample can hold.
pub(super) fn sample_range(kind: Kind) -> (i64, i64) {
    match kind {
        Kind::Edf => (-32_768, 32_767),
        Kind::Bdf => (-8_388_608, 8_388_607),
    }
}

fn bad_unit(signal: &SignalHeader) -> Failure {
    let message = format!(
        "channel `{}`: physical dimension `{}` is no voltage (uV, mV, V or nV)",
        signal.label, signal.dimension
    );
    Failure::new(FailureClass::BadUnit, message)
}

/// Returns µV per unit of a written dimension; case does not matter, an empty dimension is µV.
fn microvolts_per_unit(dimension: &str) -> Option<f64> {
    // The micro sign and Greek mu, each proper, and as UTF-8 or ISO 8859-7 bytes that were decoded as Latin-1.
    const MICRO: [&str; 6] = ["u", "\u{b5}", "\u{3bc}", "\u{c2}\u{b5}", "\u{ce}\u{bc}", "\u{ec}"];
    if dimension.is_empty() {
        return Some(1.0);
    }
    match dimension.strip_suffix(['V', 'v'])? {
        "" => Some(1e6),
        "m" | "M" => Some(1e3),
        "n" | "N" => Some(1e-3),
        "U" => Some(1.0),
        prefix => MICRO.contains(&prefix).then_some(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(dimension: &str, physical: Option<(f64, f64)>, digital: Option<(i64, i64)>) -> SignalHeader {
        SignalHeader {
            label: "Cz".to_owned(),
            transducer: String::new(),
            dimension: dimension.to_owned(),
            physical,
            digital,
            prefilter: String::new(),
            samples_per_record: 1,
            is_annotation: false,
            rate: None,
        }
    }

    #[test]
    fn voltages_are_honoured_and_nothing_else() {
        let factors = [
            ("uV", 1.0),
            ("UV", 1.0),
            ("uv", 1.0),
            ("µV", 1.0),
            ("\u{3bc}V", 1.0),
            ("ÂµV", 1.0),
            ("Î¼V", 1.0),
            ("ìV", 1.0),
            ("", 1.0),
            ("mV", 1e3),
            ("mv", 1e3),
            ("V", 1e6),
            ("nV", 1e-3),
        ];
        for (dimension, factor) in factors {
            let line =
                calibration(&signal(dimension, Some((-10.0, 10.0)), Some((-100, 100))), Kind::Edf).unwrap();
            assert_eq!(line, Calibration { gain_uv: 0.1 * factor, offset_uv: 0.0 }, "{dimension}");
        }
        for dimension in ["%", "DegC", "u", "Ohm", "kV", "Boolean", "µV/cm", "uVolt"] {
            let failure = calibration(&signal(dimension, Some((-10.0, 10.0)), Some((-100, 100))), Kind::Edf)
                .unwrap_err();
            assert_eq!(failure.class, FailureClass::BadUnit, "{dimension}");
        }
    }

    #[test]
    fn limits_define_a_line_or_are_refused() {
        let line = |physical, digital, kind| calibration(&signal("uV", physical, digital), kind);
        let full = Some((-32768, 32767));
        let unit = Some((-1.0, 1.0));
        for (physical, digital, kind) in [
            (None, full, Kind::Edf),
            (unit, None, Kind::Edf),
            (Some((5.0, 5.0)), full, Kind::Edf),
            (unit, Some((5, 5)), Kind::Edf),
            (unit, Some((-32768, 40000)), Kind::Edf),
            (unit, Some((-8_388_609, 0)), Kind::Bdf),
            (unit, Some((i64::MIN, i64::MAX)), Kind::Bdf),
            (Some((-1e308, 1e308)), full, Kind::Edf),
            (Some((0.0, 1e-323)), full, Kind::Edf),
        ] {
            let class = line(physical, digital, kind).unwrap_err().class;
            assert_eq!(class, FailureClass::BadCalibration, "{physical:?} {digital:?}");
        }
        assert!(line(unit, Some((-32768, 40000)), Kind::Bdf).is_ok());
        let inverted = line(Some((3276.7, -3276.8)), full, Kind::Edf).unwrap();
        assert!((inverted.gain_uv + 0.1).abs() < 1e-12 && (inverted.offset_uv + 0.1).abs() < 1e-9);
    }
}
