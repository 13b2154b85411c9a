//! Micro-benchmarks of the kernels: `make bench`. Figures are to be read beside each other, from one run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]
#![allow(missing_docs, reason = "criterion's macros write functions without")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use eegcache::model::channel::{ORDER_10_20, SYNONYMS_10_20};
use eegcache::model::recipe::{
    Channels, Dtype, DuplicatePolicy, FlatPolicy, GapPolicy, Init, Phase, ResampleMethod, SignalRecipe, Step,
    TruncationPolicy,
};
use eegcache::model::recording::{Calibration, Digital, RawChannel, Recording, SignalHeader, Stretch};
use eegcache::model::window::{Span, Windowing};
use eegcache::model::{Rate, Seconds};
use eegcache::{dsp, formats};
use std::fmt::Write as _;
use std::hint::black_box;

const SECONDS: u64 = 300;

fn brain_brr() -> SignalRecipe {
    let phase = Phase::Causal(Init::Zero);
    SignalRecipe {
        channels: Channels {
            order: ORDER_10_20.map(str::to_owned).to_vec(),
            aliases: SYNONYMS_10_20.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            interpolate: vec!["Fz".to_owned(), "Pz".to_owned()],
            duplicates: DuplicatePolicy::Error,
        },
        gaps: GapPolicy::Error,
        truncated: TruncationPolicy::Quarantine,
        flat: FlatPolicy::Quarantine,
        steps: vec![
            Step::Resample { rate_hz: Rate::new(256, 1).unwrap(), method: ResampleMethod::Fft },
            Step::Bandpass { low_hz: 0.5, high_hz: 120.0, order: 3, phase },
            Step::Notch { freq_hz: 60.0, q: 30.0, phase },
            Step::Zscore { epsilon: 1e-8 },
            Step::Clip { limit: 10.0 },
        ],
        dtype: Dtype::Float32,
    }
}

fn header(name: &str, rate: u64) -> SignalHeader {
    SignalHeader {
        label: format!("EEG {name}-REF"),
        transducer: String::new(),
        dimension: "uV".to_owned(),
        physical: Some((-3276.8, 3276.7)),
        digital: Some((-32768, 32767)),
        prefilter: String::new(),
        samples_per_record: rate,
        is_annotation: false,
        rate: Rate::new(rate, 1),
    }
}

/// 19 channels of a walk that never repeats; the kernels do not care about the shape of the signal.
fn recording(rate: u64) -> (Vec<SignalHeader>, Recording) {
    let channel = |signal: usize| {
        let mut state = 1 + signal as u64;
        let sample = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 52) as i16 - 2048
        };
        RawChannel {
            signal,
            rate: Rate::new(rate, 1).unwrap(),
            calibration: Calibration { gain_uv: 0.1, offset_uv: 0.0 },
            digital_limits: (-32768, 32767),
            samples: Digital::I16(std::iter::repeat_with(sample).take((rate * SECONDS) as usize).collect()),
        }
    };
    let headers = ORDER_10_20.iter().map(|name| header(name, rate)).collect();
    let channels = (0..ORDER_10_20.len()).map(channel).collect();
    let stretches = vec![Stretch { first_record: 0, records: 1, onset: Seconds::ZERO }];
    (headers, Recording { channels, stretches, offset: Seconds::ZERO, annotations: vec![], notes: vec![] })
}

fn apply(c: &mut Criterion) {
    let mut group = c.benchmark_group("brain_brr, 19 channels, 5 minutes");
    group.sample_size(10);
    for rate in [250, 256, 400, 512] {
        let ((headers, recording), recipe) = (recording(rate), brain_brr());
        let selection = dsp::select(&headers, &recipe).unwrap();
        group.throughput(Throughput::Elements(19 * rate * SECONDS));
        group.bench_function(format!("{rate} Hz"), |b| {
            b.iter(|| dsp::apply(&recipe, &selection, black_box(&recording)).unwrap());
        });
    }
    group.finish();
}

/// Every step by itself, on groups of four channels abreast; `none` is loading and writing alone, which all of them contain.
fn steps(c: &mut Criterion) {
    let (zero, causal) = (Phase::Zero, Phase::Causal(Init::Zero));
    let hertz = |rate| Rate::new(rate, 1).unwrap();
    let resample = |rate, method| Step::Resample { rate_hz: hertz(rate), method };
    let pairs = ORDER_10_20.windows(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    let cases = [
        ("none", None),
        ("bandpass, causal", Some(Step::Bandpass { low_hz: 0.5, high_hz: 120.0, order: 3, phase: causal })),
        ("bandpass, zero phase", Some(Step::Bandpass { low_hz: 0.5, high_hz: 120.0, order: 4, phase: zero })),
        ("highpass", Some(Step::Highpass { freq_hz: 0.5, order: 4, phase: causal })),
        ("lowpass", Some(Step::Lowpass { freq_hz: 40.0, order: 4, phase: causal })),
        ("notch, zero phase", Some(Step::Notch { freq_hz: 60.0, q: 30.0, phase: zero })),
        ("resample, polyphase 128/125", Some(resample(256, ResampleMethod::Polyphase))),
        ("resample, fft 128/125", Some(resample(256, ResampleMethod::Fft))),
        ("resample, fft 126.5/125", Some(resample(253, ResampleMethod::Fft))),
        ("reference, average", Some(Step::ReferenceAverage)),
        ("reference, bipolar", Some(Step::ReferenceBipolar { pairs })),
        ("zscore", Some(Step::Zscore { epsilon: 1e-8 })),
        ("robust", Some(Step::Robust { epsilon: 1e-8 })),
        ("clip", Some(Step::Clip { limit: 10.0 })),
    ];
    let mut group = c.benchmark_group("one step, 19 channels, 5 minutes at 250 Hz");
    group.sample_size(10).throughput(Throughput::Elements(19 * 250 * SECONDS));
    let (headers, recording) = recording(250);
    for (name, step) in cases {
        let recipe = SignalRecipe { steps: step.into_iter().collect(), ..brain_brr() };
        let selection = dsp::select(&headers, &recipe).unwrap();
        group.bench_function(name, |b| {
            b.iter(|| dsp::apply(&recipe, &selection, black_box(&recording)).unwrap());
        });
    }
    group.finish();
}

/// Decoding the picked channels of a file in memory.
fn decode(c: &mut Criterion) {
    let (rate, count) = (250_usize, ORDER_10_20.len());
    let fields: [(usize, &dyn Fn(usize) -> String); 9] = [
        (16, &|channel| format!("EEG {}-REF", ORDER_10_20[channel])),
        (80, &|_| String::new()),
        (8, &|_| "uV".to_owned()),
        (8, &|_| "-5000".to_owned()),
        (8, &|_| "5000".to_owned()),
        (8, &|_| "-32767".to_owned()),
        (8, &|_| "32767".to_owned()),
        (80, &|_| String::new()),
        (8, &|_| rate.to_string()),
    ];
    let mut file = format!(
        "{:<8}{:<160}01.01.1200.00.00{:<8}{:<44}{SECONDS:<8}{:<8}{count:<4}",
        0,
        "X",
        256 * (count + 1),
        "",
        1
    );
    for (width, text) in fields {
        (0..count).for_each(|channel| {
            let _ = write!(file, "{:<width$}", text(channel));
        });
    }
    let _ = write!(file, "{:width$}", "", width = 32 * count);
    let mut file = file.into_bytes();
    file.extend((0..count * rate * SECONDS as usize).flat_map(|i| (i as i16).to_le_bytes()));
    let mut group = c.benchmark_group("reading an EDF file in memory");
    group.sample_size(10).throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("19 of 19 channels, 5 minutes at 250 Hz", |b| {
        b.iter(|| {
            let mut reader = black_box(&file[..]);
            let header = formats::read_header(&mut reader, file.len() as u64).unwrap();
            let picks: Vec<usize> = (0..count).collect();
            formats::read_recording(
                &mut reader,
                &header,
                &picks,
                TruncationPolicy::Quarantine,
                GapPolicy::Error,
            )
            .unwrap()
        });
    });
    group.finish();
}

fn annotations(c: &mut Criterion) {
    let mut text =
        String::from("# duration = 3600.0000 secs\nchannel,start_time,stop_time,label,confidence\n");
    for channel in 0..22 {
        for event in 0..40 {
            let (start, end) = (event * 90, (event + 1) * 90);
            let label = if event % 2 == 0 { "bckg" } else { "fnsz" };
            let _ = writeln!(text, "C{channel},{start}.0000,{end}.0000,{label},1.0000");
        }
    }
    let format = eegcache::model::recipe::AnnotationFormat::TuszCsv;
    c.bench_function("annotation file, 880 rows", |b| {
        b.iter(|| formats::read_annotations(format, black_box(text.as_bytes()), "").unwrap());
    });
}

fn windows(c: &mut Criterion) {
    let windowing = Windowing::new(15_360, 2_560).unwrap();
    let spans: Vec<Span> = (0..50).map(|i| Span { start: i * 40_000, end: i * 40_000 + 9_000 }).collect();
    c.bench_function("classes of 776 windows from 50 seizures", |b| {
        b.iter_batched(
            || spans.clone(),
            |spans| windowing.classify(2_000_000, &spans, &[]),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, apply, steps, decode, annotations, windows);
criterion_main!(benches);
