//! L1, pure: bytes become a `Recording` of raw integers, and annotation files become events in samples.
//!
//! EDF, EDF+, BDF and BDF+ pass through one code path that sees only `Read`, once and forward; each
//! annotation format has a file of its own. No path and no clock is seen here. What contradicts itself
//! is a `Failure` with its class, what is merely odd is a `Note`; nothing that a file claims is
//! believed before the file's size has confirmed it.

mod annotation;
mod bids_events;
mod calibration;
mod chbmit_summary;
mod clock;
mod coverage;
mod cross_check;
mod date;
mod edf_annotations;
mod field;
mod header;
mod input;
mod label;
mod order;
mod records;
mod samples;
mod siena_list;
mod tal;
mod timeline;
mod tuh_tse;
mod tusz_csv;
mod tusz_csv_bi;
mod wfdb_seizures;

pub use annotation::{AnnotationRow, AnnotationTable, SEIZURE, TimeOrigin, read_annotations};
pub use calibration::calibration;
pub use date::{Start, iso_start, start};
pub use edf_annotations::{has_annotations, own_annotations};
pub use header::read_header;
pub use label::{Labels, Piece, Recorded, has_seizures, label, label_parts, label_piece, says_nothing};
pub use records::{is_cut_off, read_recording, records_to_read};
pub use samples::{Annotated, TimeGap, visit_samples};

use crate::model::units::{Rate, Seconds};

/// 10⁻¹⁸ s, the unit in which times are compared: every `Seconds` is a whole number of them.
const ATTOSECONDS: i128 = 1_000_000_000_000_000_000;

/// Returns the time in attoseconds, exactly.
fn attoseconds(time: Seconds) -> i128 {
    let (numerator, denominator) = time.as_fraction();
    numerator.saturating_mul(ATTOSECONDS / denominator)
}

/// Returns how long `samples` last in attoseconds, rounded down.
fn length_attoseconds(samples: u64, rate: Rate) -> i128 {
    let ticks = i128::from(samples) * i128::from(rate.denominator());
    let (whole, rest) = (ticks / i128::from(rate.numerator()), ticks % i128::from(rate.numerator()));
    whole.saturating_mul(ATTOSECONDS).saturating_add(rest * ATTOSECONDS / i128::from(rate.numerator()))
}

/// Returns attoseconds as seconds for a message, to the nanosecond.
fn shown(attoseconds: i128) -> f64 {
    (attoseconds as f64 / 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_times_meet_exactly() {
        for (samples, rate, text) in
            [(256, (256, 1), "1"), (1706, (512, 3), "9.99609375"), (1, (1000, 1), "0.001")]
        {
            let rate = Rate::new(rate.0, rate.1).unwrap();
            assert_eq!(
                length_attoseconds(samples, rate),
                attoseconds(Seconds::parse(text).unwrap()),
                "{text}"
            );
        }
        let widest = Seconds::parse("999999999999999999.999999999999999999").unwrap();
        assert!(
            attoseconds(widest) > 0 && length_attoseconds(u64::MAX, Rate::new(1, 1_000_000_000).unwrap()) > 0
        );
    }
}
