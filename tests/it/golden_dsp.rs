//! `dsp` against `SciPy` and MNE: the vectors of `tests/golden`, where the script that made them tells their versions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking and reports its figures")]

use eegcache::dsp::{Lanes, Selection, apply, apply_in_double, apply_to_channel, select};
use eegcache::model::Rate;
use eegcache::model::channel::{ORDER_10_20, SYNONYMS_10_20, TCP_22, tcp_20};
use eegcache::model::recipe::{
    Channels, Dtype, DuplicatePolicy, FlatPolicy, GapPolicy, Init, Phase, ResampleMethod, SignalRecipe, Step,
    TruncationPolicy,
};
use eegcache::model::recording::{
    Calibration, Digital, RawChannel, Recording, Signal, SignalHeader, Stretch,
};
use eegcache::model::units::Seconds;
use ndarray::{Array1, ArrayView1};
use ndarray_npy::{ReadNpyExt, ReadableElement};
use serde_json::Value;
use std::path::PathBuf;

/// The arrays and the list of cases.
struct Golden {
    cases: Value,
    int16: Vec<i16>,
    float32: Vec<f32>,
    float64: Vec<f64>,
}

fn load<T: ReadableElement + Clone>(name: &str) -> Vec<T> {
    let file = fs_err::File::open(directory().join(name)).unwrap();
    Array1::<T>::read_npy(file).unwrap().to_vec()
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data")
}

impl Golden {
    fn open() -> Self {
        let cases = fs_err::read_to_string(directory().join("cases.json")).unwrap();
        Self {
            cases: serde_json::from_str(&cases).unwrap(),
            int16: load("int16.npy"),
            float32: load("float32.npy"),
            float64: load("float64.npy"),
        }
    }

    fn cases(&self, kind: &str) -> &[Value] {
        self.cases[kind].as_array().unwrap()
    }

    fn calibration(&self) -> Calibration {
        let number = |key: &str| self.cases[key].as_f64().unwrap();
        Calibration { gain_uv: number("gain_uv"), offset_uv: number("offset_uv") }
    }

    /// Reads the recorded channels of a case and applies the recipe to them.
    fn run(&self, case: &Value, rates: &[Rate], recipe: &SignalRecipe) -> Signal {
        let (selection, recording) = self.read(case, rates, recipe);
        apply(recipe, &selection, &recording).unwrap()
    }

    /// As `run`, for channels of one rate and without the rounding to float32, twelve channels at a time, four, and one by one.
    fn run_in_double(&self, case: &Value, recipe: &SignalRecipe) -> Signal<f64> {
        let rates = vec![rate(case["rate"].as_str().unwrap()); texts(&case["labels"]).len()];
        let (selection, recording) = self.read(case, &rates, recipe);
        let [twelve, four, one] = [Lanes::Twelve, Lanes::Four, Lanes::One]
            .map(|lanes| apply_in_double(lanes, recipe, &selection, &recording).unwrap());
        assert!(twelve == four && four == one, "{}", case["name"]);
        twelve
    }

    fn read(&self, case: &Value, rates: &[Rate], recipe: &SignalRecipe) -> (Selection, Recording) {
        let labels = texts(&case["labels"]);
        let headers: Vec<SignalHeader> =
            labels.iter().zip(rates).map(|(label, rate)| header(label, *rate)).collect();
        let selection = select(&headers, recipe).unwrap();
        let channel = |signal: &usize| RawChannel {
            signal: *signal,
            rate: rates[*signal],
            calibration: self.calibration(),
            digital_limits: (-32768, 32767),
            samples: Digital::I16(slice(&self.int16, &case["digital"][*signal]).to_vec()),
        };
        let channels = selection.picks.iter().map(channel).collect();
        let stretches = vec![Stretch { first_record: 0, records: 1, onset: Seconds::ZERO }];
        let (offset, annotations, notes) = (Seconds::ZERO, Vec::new(), Vec::new());
        (selection, Recording { channels, stretches, offset, annotations, notes })
    }
}

fn slice<'a, T>(store: &'a [T], place: &Value) -> &'a [T] {
    let [begin, length] = [0, 1].map(|i| place[i].as_u64().unwrap() as usize);
    &store[begin..begin + length]
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn rate(text: &str) -> Rate {
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    Rate::new(numerator.parse().unwrap(), denominator.parse().unwrap()).unwrap()
}

fn header(label: &str, rate: Rate) -> SignalHeader {
    SignalHeader {
        label: label.to_owned(),
        transducer: String::new(),
        dimension: "uV".to_owned(),
        physical: Some((-3264.3, 3289.2)),
        digital: Some((-32768, 32767)),
        prefilter: String::new(),
        samples_per_record: rate.numerator(),
        is_annotation: false,
        rate: Some(rate),
    }
}

fn recipe(order: &[String], steps: Vec<Step>) -> SignalRecipe {
    SignalRecipe {
        channels: Channels {
            order: order.to_vec(),
            aliases: SYNONYMS_10_20.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            interpolate: vec!["Fz".to_owned(), "Pz".to_owned()],
            duplicates: DuplicatePolicy::Error,
        },
        gaps: GapPolicy::Error,
        truncated: TruncationPolicy::Quarantine,
        flat: FlatPolicy::Quarantine,
        steps,
        dtype: Dtype::Float32,
    }
}

/// `EEG_FACTS` section 1.
fn brain_brr() -> Vec<Step> {
    let causal = Phase::Causal(Init::Zero);
    vec![
        Step::Resample { rate_hz: rate("256"), method: ResampleMethod::Fft },
        Step::Bandpass { low_hz: 0.5, high_hz: 120.0, order: 3, phase: causal },
        Step::Notch { freq_hz: 60.0, q: 30.0, phase: causal },
        Step::Zscore { epsilon: 1e-8 },
        Step::Clip { limit: 10.0 },
    ]
}

fn step(case: &Value) -> Step {
    let number = |key: &str| case[key].as_f64().unwrap_or(f64::NAN);
    let edge = |index: usize| case["edges"][index].as_f64().unwrap_or(f64::NAN);
    let order = case["order"].as_u64().unwrap_or(0);
    let phase = match case["phase"].as_str() {
        Some("causal_zero") => Phase::Causal(Init::Zero),
        Some("causal_first_sample") => Phase::Causal(Init::FirstSample),
        _ => Phase::Zero,
    };
    let resample = |method| Step::Resample { rate_hz: rate(case["new_rate"].as_str().unwrap()), method };
    match case["step"].as_str().unwrap() {
        "fft" => resample(ResampleMethod::Fft),
        "polyphase" => resample(ResampleMethod::Polyphase),
        "bandpass" => Step::Bandpass { low_hz: edge(0), high_hz: edge(1), order, phase },
        "highpass" => Step::Highpass { freq_hz: edge(0), order, phase },
        "lowpass" => Step::Lowpass { freq_hz: edge(0), order, phase },
        "notch" => Step::Notch { freq_hz: edge(0), q: number("q"), phase },
        "zscore" => Step::Zscore { epsilon: 1e-8 },
        "robust" => Step::Robust { epsilon: 1e-8 },
        "clip" => Step::Clip { limit: number("limit") },
        other => panic!("{other}"),
    }
}

/// Returns max |a − b|.
fn distance(found: impl ExactSizeIterator<Item = f64>, expected: impl ExactSizeIterator<Item = f64>) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, x| largest.max(x.abs()))
}

#[test]
fn every_step_equals_scipy() {
    let golden = Golden::open();
    let Calibration { gain_uv, offset_uv } = golden.calibration();
    let mut worst = 0.0_f64;
    for case in golden.cases("step") {
        let digital = slice(&golden.int16, &case["digital"]);
        let input: Vec<f64> =
            digital.iter().map(|x| f64::from((gain_uv * f64::from(*x) + offset_uv) as f32)).collect();
        let expected = slice(&golden.float64, &case["expected"]);
        let (found, _) =
            apply_to_channel(&[step(case)], rate(case["rate"].as_str().unwrap()), &input).unwrap();
        let error = distance(found.iter().copied(), expected.iter().copied()) / largest(expected);
        eprintln!("{}: {error:.1e}", case["name"]);
        assert!(error <= 1e-9, "{}: {error:e}", case["name"]);
        worst = worst.max(error);
    }
    eprintln!("steps: {worst:.1e}");
}

#[test]
fn the_whole_recipe_equals_scipy() {
    let golden = Golden::open();
    for case in golden.cases("recipe") {
        let rates: Vec<Rate> = texts(&case["rates"]).iter().map(|text| rate(text)).collect();
        let recipe = recipe(&texts(&case["channels"]), brain_brr());
        let found = golden.run(case, &rates, &recipe);
        let expected = slice(&golden.float32, &case["expected"]);
        let error = distance(
            found.data.iter().map(|x| f64::from(*x)).collect::<Vec<_>>().into_iter(),
            expected.iter().map(|x| f64::from(*x)),
        );
        eprintln!("{}: {error:.1e}", case["name"]);
        assert!(error <= 1e-5, "{}: {error:e}", case["name"]);
        assert_eq!(found.rate, rate("256"));
        assert_eq!(found.channels, texts(&case["channels"]));
    }
}

#[test]
fn interpolated_channels_equal_mne() {
    let golden = Golden::open();
    let order: Vec<String> = ORDER_10_20.iter().map(|name| (*name).to_owned()).collect();
    for case in golden.cases("interpolation") {
        let missing = texts(&case["missing"]);
        let rates = vec![rate(case["rate"].as_str().unwrap()); texts(&case["labels"]).len()];
        let order = if case["order"].is_array() { texts(&case["order"]) } else { order.clone() };
        let mut recipe = recipe(&order, Vec::new());
        recipe.channels.interpolate.clone_from(&missing);
        let found = golden.run(case, &rates, &recipe);
        assert!(missing.iter().all(|name| found.interpolated.contains(name)));
        assert_eq!(found.interpolated.len(), missing.len());
        let every = case["every"].as_u64().unwrap() as usize;
        let rows = missing.iter().map(|name| order.iter().position(|known| known == name).unwrap());
        let samples: Vec<f64> = rows
            .flat_map(|row| {
                found.data.row(row).iter().step_by(every).map(|x| f64::from(*x)).collect::<Vec<_>>()
            })
            .collect();
        let expected = slice(&golden.float64, &case["expected"]);
        let error = distance(samples.iter().copied(), expected.iter().copied()) / largest(expected);
        eprintln!("{}: {error:.1e}", case["name"]);
        assert!(error <= 1e-5, "{}: {error:e}", case["name"]);
    }
}

/// Returns the largest difference of rows, each as a share of its own largest value.
fn row_distance<'a>(rows: impl Iterator<Item = ArrayView1<'a, f64>>, expected: &[f64]) -> f64 {
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.iter().map(ArrayView1::len).sum::<usize>(), expected.len());
    let shares = rows
        .iter()
        .zip(expected.chunks(expected.len() / rows.len()))
        .map(|(row, expected)| distance(row.iter().copied(), expected.iter().copied()) / largest(expected));
    shares.fold(0.0, f64::max)
}

/// The sphere's centre is a constant here, where MNE fits one to the electrodes of each recording; so MNE is given ours.
#[test]
fn any_electrode_is_interpolated_as_mne_does_about_the_same_centre() {
    let golden = Golden::open();
    let mut differs = 0.0_f64;
    for case in golden.cases("spline") {
        let (present, missing) = (texts(&case["labels"]), texts(&case["missing"]));
        let mut recipe = recipe(&[present.clone(), missing.clone()].concat(), Vec::new());
        recipe.channels.interpolate.clone_from(&missing);
        let found = golden.run_in_double(case, &recipe);
        assert_eq!(found.interpolated, missing);
        let made = found.data.rows().into_iter().skip(present.len());
        let error = row_distance(made, slice(&golden.float64, &case["expected"]));
        eprintln!("{}: {error:.1e}", case["name"]);
        assert!(error <= 1e-9, "{}: {error:e}", case["name"]);
        differs = differs.max(case["auto_differs"].as_f64().unwrap_or(0.0));
    }
    assert!(differs > 0.01, "the cases do not tell our centre from MNE's");
}

#[test]
fn references_equal_mne() {
    let golden = Golden::open();
    for case in golden.cases("reference") {
        let channels = texts(&case["channels"]);
        let pair = |name: &String| {
            let (anode, cathode) = name.split_once('-').unwrap();
            (anode.to_owned(), cathode.to_owned())
        };
        let recipes = if case["kind"] == "average" {
            vec![recipe(&channels, vec![Step::ReferenceAverage])]
        } else {
            // As channels that are pairs, and as a step over electrodes: needed electrodes come from the pairs.
            let electrodes = texts(&case["labels"]);
            let pairs = channels.iter().map(pair).collect();
            vec![recipe(&channels, Vec::new()), recipe(&electrodes, vec![Step::ReferenceBipolar { pairs }])]
        };
        for recipe in recipes {
            let found = golden.run_in_double(case, &recipe);
            assert_eq!(found.channels, channels);
            let expected = slice(&golden.float64, &case["expected"]);
            let error = row_distance(found.data.rows().into_iter(), expected);
            eprintln!("{}: {error:.1e}", case["name"]);
            assert!(error <= 1e-9, "{}: {error:e}", case["name"]);
        }
    }
}

#[test]
fn the_shipped_montages_are_the_reference_pairs() {
    let golden = Golden::open();
    let of = |name: &str| {
        let case = golden.cases("reference").iter().find(|case| case["name"] == name).unwrap();
        texts(&case["channels"])
    };
    assert_eq!(of("tcp_22"), TCP_22);
    assert_eq!(of("tcp_20"), tcp_20());
}
