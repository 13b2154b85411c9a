//! Small recordings and recipes for the tests of this module.

use crate::model::channel::SYNONYMS_10_20;
use crate::model::recipe::{
    Channels, Dtype, DuplicatePolicy, FlatPolicy, GapPolicy, Init, Phase, ResampleMethod, SignalRecipe, Step,
    TruncationPolicy,
};
use crate::model::recording::{Calibration, Digital, RawChannel, Recording, SignalHeader, Stretch};
use crate::model::units::{Rate, Seconds};

pub(crate) fn hertz(rate: u64) -> Rate {
    Rate::new(rate, 1).unwrap()
}

pub(crate) fn header(label: &str, rate: u64) -> SignalHeader {
    SignalHeader {
        label: label.to_owned(),
        transducer: String::new(),
        dimension: "uV".to_owned(),
        physical: Some((-3276.8, 3276.7)),
        digital: Some((-32768, 32767)),
        prefilter: String::new(),
        samples_per_record: rate,
        is_annotation: false,
        rate: Some(hertz(rate)),
    }
}

/// A recipe for these channels without steps.
pub(crate) fn recipe(order: &[&str]) -> SignalRecipe {
    SignalRecipe {
        channels: Channels {
            order: order.iter().map(|name| (*name).to_owned()).collect(),
            aliases: SYNONYMS_10_20.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            interpolate: vec!["Fz".to_owned(), "Pz".to_owned()],
            duplicates: DuplicatePolicy::Error,
        },
        gaps: GapPolicy::Error,
        truncated: TruncationPolicy::Quarantine,
        flat: FlatPolicy::Quarantine,
        steps: Vec::new(),
        dtype: Dtype::Float32,
    }
}

/// The steps of the origin.
pub(crate) fn brain_brr() -> Vec<Step> {
    let phase = Phase::Causal(Init::Zero);
    vec![
        Step::Resample { rate_hz: hertz(256), method: ResampleMethod::Fft },
        Step::Bandpass { low_hz: 0.5, high_hz: 120.0, order: 3, phase },
        Step::Notch { freq_hz: 60.0, q: 30.0, phase },
        Step::Zscore { epsilon: 1e-8 },
        Step::Clip { limit: 10.0 },
    ]
}

/// Noise that differs from channel to channel.
pub(crate) fn noise(seed: usize, samples: usize) -> Vec<i16> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 53) as i16 - 1024
    };
    (0..samples).map(|_| next()).collect()
}

/// A channel of 0.1 µV a digital step.
pub(crate) fn channel(signal: usize, rate: u64, samples: Vec<i16>) -> RawChannel {
    RawChannel {
        signal,
        rate: hertz(rate),
        calibration: Calibration { gain_uv: 0.1, offset_uv: 0.0 },
        digital_limits: (-32768, 32767),
        samples: Digital::I16(samples),
    }
}

pub(crate) fn recording(channels: Vec<RawChannel>) -> Recording {
    let stretches = vec![Stretch { first_record: 0, records: 1, onset: Seconds::ZERO }];
    Recording { channels, stretches, offset: Seconds::ZERO, annotations: Vec::new(), notes: Vec::new() }
}
