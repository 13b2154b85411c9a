//! The explicit list of steps, and the rules that hold for steps however they were written.

use crate::config::check::Cursor;
use crate::config::node::Datum;
use crate::config::suggest::{did_you_mean, quoted};
use crate::model::channel::Aliases;
use crate::model::recipe::{Dtype, Init, Phase, ResampleMethod, Step};
use crate::model::units::Rate;
use std::collections::BTreeSet;

/// Every step with a line that can be copied.
const STEPS: [(&str, &str); 9] = [
    ("bandpass", "{low_hz: 0.5, high_hz: 120, order: 4, phase: zero}"),
    ("highpass", "{freq_hz: 0.5, order: 4, phase: zero}"),
    ("lowpass", "{freq_hz: 120, order: 4, phase: zero}"),
    ("notch", "{freq_hz: 60, q: 30, phase: zero}"),
    ("resample", "{rate_hz: 256, method: polyphase}"),
    ("reference", "average"),
    ("zscore", "{epsilon: 1.0e-8}"),
    ("robust", "{epsilon: 1.0e-8}"),
    ("clip", "{limit: 10}"),
];

/// Added to deviations and ranges where nothing else is said; the origin's value.
pub(crate) const EPSILON: f64 = 1e-8;
/// The quality of a notch where nothing else is said; the origin's value.
pub(crate) const NOTCH_Q: f64 = 30.0;
/// The highest order of a filter: beyond it a design in doubles is no longer trustworthy.
const MAX_ORDER: u64 = 12;

/// A step and where it was written.
pub(crate) type Placed<'a> = (Cursor<'a>, Step);

/// Reads the list `preprocessing.steps`.
pub(crate) fn read<'a>(list: &Cursor<'a>) -> Option<Vec<Placed<'a>>> {
    let steps: Vec<Option<Placed<'a>>> = list.items()?.iter().map(step).collect();
    steps.into_iter().collect()
}

fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|(name, _)| *name)
}

fn step<'a>(item: &Cursor<'a>) -> Option<Placed<'a>> {
    let (name, bare) = match item.node.map(|node| &node.datum) {
        Some(Datum::Text(name)) => (name.clone(), true),
        Some(Datum::Map(entries)) if entries.len() == 1 => (entries.keys().next()?.clone(), false),
        _ => {
            return item
                .wrong("one step", "write one `- name: {…}` a line, for instance `- clip: {limit: 10}`");
        }
    };
    let Some((_, template)) = STEPS.iter().find(|(step, _)| *step == name) else {
        let hint = format!("{}the steps are {}", did_you_mean(&name, names()), quoted(names()));
        return item.fail(format!("unknown step `{name}` in `{}`", item.key), hint);
    };
    let inside = item.at(&name);
    match name.as_str() {
        "zscore" | "robust" if bare => Some((item.clone(), normaliser(&name, EPSILON))),
        _ if bare => item
            .fail(format!("the step `{name}` needs its parameters"), format!("write `- {name}: {template}`")),
        "reference" => Some((item.clone(), reference(&inside)?)),
        _ => {
            // A step without parameters (`- zscore:`) is a map without keys.
            let is_map = matches!(inside.node.map(|node| &node.datum), Some(Datum::Map(_) | Datum::Null));
            if !is_map {
                return inside.wrong("a map", format!("write `- {name}: {template}`"));
            }
            Some((item.clone(), parameters(&name, &inside, template)?))
        }
    }
}

fn normaliser(name: &str, epsilon: f64) -> Step {
    if name == "zscore" { Step::Zscore { epsilon } } else { Step::Robust { epsilon } }
}

fn parameters(name: &str, at: &Cursor<'_>, template: &str) -> Option<Step> {
    let known: &[&str] = match name {
        "bandpass" => &["low_hz", "high_hz", "order", "phase", "init"],
        "highpass" | "lowpass" => &["freq_hz", "order", "phase", "init"],
        "notch" => &["freq_hz", "q", "phase", "init"],
        "resample" => &["rate_hz", "method"],
        "clip" => &["limit"],
        _ => &["epsilon"],
    };
    at.keys(known);
    let hint = format!("write for instance `- {name}: {template}`");
    let need = |key: &str| at.at(key).required(&hint);
    match name {
        "bandpass" => {
            let complete = ["low_hz", "high_hz", "order", "phase"].map(need);
            let (low, high) = (at.at("low_hz").positive(), at.at("high_hz").positive());
            let (order, phase) = (order(at), phase(at));
            complete.iter().all(|given| *given).then_some(())?;
            band(at, low?, high?, order?, phase?)
        }
        "highpass" | "lowpass" => {
            let complete = ["freq_hz", "order", "phase"].map(need);
            let (freq_hz, order, phase) = (at.at("freq_hz").positive(), order(at), phase(at));
            complete.iter().all(|given| *given).then_some(())?;
            let (freq_hz, order, phase) = (freq_hz?, order?, phase?);
            Some(if name == "highpass" {
                Step::Highpass { freq_hz, order, phase }
            } else {
                Step::Lowpass { freq_hz, order, phase }
            })
        }
        "notch" => {
            let complete = ["freq_hz", "phase"].map(need);
            let q = if at.at("q").is_given() { at.at("q").positive() } else { Some(NOTCH_Q) };
            let (freq_hz, phase) = (at.at("freq_hz").positive(), phase(at));
            complete.iter().all(|given| *given).then_some(())?;
            Some(Step::Notch { freq_hz: freq_hz?, q: q?, phase: phase? })
        }
        "resample" => {
            let complete = ["rate_hz", "method"].map(need);
            let rate_hz = rate(&at.at("rate_hz"));
            let method = at.at("method").choice(ResampleMethod::ALL, ResampleMethod::as_str);
            complete.iter().all(|given| *given).then_some(())?;
            Some(Step::Resample { rate_hz: rate_hz?, method: method? })
        }
        "clip" => need("limit").then(|| limit(&at.at("limit")))?.map(|limit| Step::Clip { limit }),
        _ => {
            let epsilon =
                if at.at("epsilon").is_given() { at.at("epsilon").positive() } else { Some(EPSILON) };
            Some(normaliser(name, epsilon?))
        }
    }
}

/// A limit that a stored number can reach.
pub(crate) fn limit(at: &Cursor<'_>) -> Option<f64> {
    let limit = at.positive()?;
    if limit > f64::from(f32::MAX) {
        let message = format!("`{}` is {limit:e}, more than any float32 ({:e})", at.key, f32::MAX);
        return at.fail(message, "leave the step out, or write a limit such as 10");
    }
    Some(limit)
}

/// A band-pass, if its edges are in order.
pub(crate) fn band(at: &Cursor<'_>, low_hz: f64, high_hz: f64, order: u64, phase: Phase) -> Option<Step> {
    if low_hz >= high_hz {
        let message = format!(
            "`{}` has its lower edge ({low_hz} Hz) at or above its upper edge ({high_hz} Hz)",
            at.key
        );
        return at.fail(message, "write the lower edge first, for instance 0.5 and 120");
    }
    Some(Step::Bandpass { low_hz, high_hz, order, phase })
}

fn order(at: &Cursor<'_>) -> Option<u64> {
    match at.at("order").whole()? {
        order @ 1..=MAX_ORDER => Some(order),
        _ => at.at("order").wrong(&format!("a whole number from 1 to {MAX_ORDER}"), "4 is a usual order"),
    }
}

fn phase(at: &Cursor<'_>) -> Option<Phase> {
    let init = at.at("init");
    match at.at("phase").choice(&["zero", "causal"], |name| name)? {
        "zero" if init.is_given() => init.fail(
            format!("`{}` has no effect on a zero-phase filter", init.key),
            "delete `init`, or write `phase: causal`",
        ),
        "zero" => Some(Phase::Zero),
        _ if init.is_given() => Some(Phase::Causal(self::init(&init)?)),
        _ => Some(Phase::Causal(Init::Zero)),
    }
}

/// The state of a causal filter before the first sample.
pub(crate) fn init(at: &Cursor<'_>) -> Option<Init> {
    let name = |init| if init == Init::Zero { "zero" } else { "first_sample" };
    at.choice(&[Init::Zero, Init::FirstSample], name)
}

/// A rate: a number, or a fraction such as `512/3`.
pub(crate) fn rate(at: &Cursor<'_>) -> Option<Rate> {
    let fraction = match at.node.map(|node| &node.datum) {
        Some(Datum::Text(text)) => text.split_once('/'),
        _ => None,
    };
    let rate = match fraction {
        Some((a, b)) => a.trim().parse().ok().zip(b.trim().parse().ok()).and_then(|(a, b)| Rate::new(a, b)),
        None => Rate::from_decimal(&at.decimal()?),
    };
    rate.or_else(|| at.wrong("a rate in Hz above 0", "write for instance `256`"))
}

fn reference(at: &Cursor<'_>) -> Option<Step> {
    let hint = "write `- reference: average` or `- reference: {bipolar: [[Fp1, F7], [F7, T3]]}`";
    match at.node.map(|node| &node.datum) {
        Some(Datum::Text(text)) if text == "average" => Some(Step::ReferenceAverage),
        Some(Datum::Map(_)) => {
            at.keys(&["bipolar"]);
            at.at("bipolar").required(hint).then(|| pairs(&at.at("bipolar")))?
        }
        _ => at.wrong("`average` or a list of bipolar pairs", hint),
    }
}

fn pairs(at: &Cursor<'_>) -> Option<Step> {
    let items = at.items()?;
    if items.is_empty() {
        return at.fail(format!("`{}` is an empty list", at.key), "list at least one pair: `[[Fp1, F7]]`");
    }
    let mut seen = BTreeSet::new();
    let mut pairs = Vec::new();
    for item in &items {
        let names: Vec<String> = item.texts()?.into_iter().map(|(name, _)| name).collect();
        let [a, b] = names.as_slice() else {
            return item.wrong("a pair of two electrodes", "write `[Fp1, F7]`");
        };
        let keys = (Aliases::default().key(a).name, Aliases::default().key(b).name);
        if keys.0 == keys.1 || a.contains('-') || b.contains('-') {
            return item.fail(
                format!("`{}` is `{a}` against `{b}`, which is no pair of electrodes", item.key),
                "write two different electrodes: `[Fp1, F7]`",
            );
        }
        if !seen.insert(keys) {
            return item.fail(
                format!("`{}` lists the pair `{a}-{b}` a second time", item.key),
                "delete one of the two",
            );
        }
        pairs.push((a.clone(), b.clone()));
    }
    Some(Step::ReferenceBipolar { pairs })
}

/// Checks what depends on the steps before: the rate at every filter, and the number of references.
pub(crate) fn check_sequence(steps: &[Placed<'_>]) {
    let mut rate: Option<Rate> = None;
    let mut reference = None;
    for (at, step) in steps {
        match step {
            Step::Resample { rate_hz, .. } => rate = Some(*rate_hz),
            Step::Bandpass { high_hz: edge, .. }
            | Step::Highpass { freq_hz: edge, .. }
            | Step::Lowpass { freq_hz: edge, .. }
            | Step::Notch { freq_hz: edge, .. } => check_edge(at, step.name(), *edge, rate),
            Step::ReferenceAverage | Step::ReferenceBipolar { .. } => {
                if let Some(first) = reference.replace(at.place()) {
                    at.fail::<()>(
                        format!("`{}` is a second reference; the first is at {first}", at.key),
                        "keep one `reference` step",
                    );
                }
            }
            Step::Zscore { .. } | Step::Robust { .. } | Step::Clip { .. } => {}
        }
    }
}

fn check_edge(at: &Cursor<'_>, name: &str, edge: f64, rate: Option<Rate>) {
    let Some(rate) = rate.filter(|rate| edge >= rate.as_f64() / 2.0) else { return };
    let half = rate.as_f64() / 2.0;
    at.fail::<()>(
        format!(
            "`{}`: the {name} edge {edge} Hz is not below {half} Hz, half the rate at that point ({rate} Hz)",
            at.key
        ),
        format!("choose an edge below {half} Hz, or a higher rate"),
    );
}

/// Checks that float16 holds what comes out: values within ±64 after a normalisation.
pub(crate) fn check_dtype(at: &Cursor<'_>, dtype: Dtype, steps: &[Step]) {
    let normalised = steps.iter().rposition(|step| matches!(step, Step::Zscore { .. } | Step::Robust { .. }));
    let clipped =
        |from: usize| steps[from..].iter().any(|step| matches!(step, Step::Clip { limit } if *limit <= 64.0));
    if dtype == Dtype::Float16 && !normalised.is_some_and(clipped) {
        at.fail::<()>(
            format!("`{}: float16` needs a clip of at most 64 after a z-score or robust step", at.key),
            "add the steps (`normalize: zscore` and `clip: 10`), or write `dtype: float32`",
        );
    }
}
