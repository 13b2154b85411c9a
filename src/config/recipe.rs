//! `preprocessing`, `storage` and `labels` become the Recipe: presets and flat keys are expanded here.
//!
//! The flat keys mean the origin's pipeline (`EEG_FACTS` section 1); an explicit list replaces them. A flat
//! key that an explicit list makes void is a mistake unless a lower layer wrote it.

use crate::config::check::{Cursor, Noted};
use crate::config::node::Datum;
use crate::config::sections::Sections;
use crate::config::spelling::{contradiction, one_of_two};
use crate::config::steps::{self, EPSILON, NOTCH_Q, Placed};
use crate::config::suggest::quoted;
use crate::model::channel::{Aliases, ORDER_10_20, SYNONYMS_10_20, TCP_22, tcp_20};
use crate::model::recipe::{
    Channels, Dtype, DuplicatePolicy, FlatPolicy, GapPolicy, Init, Phase, ResampleMethod, SignalRecipe, Step,
    TruncationPolicy,
};
use crate::model::units::Rate;
use std::collections::BTreeMap;

/// Keys that an explicit `steps` list replaces.
pub(crate) const FLAT_STEPS: [&str; 6] =
    ["sampling_rate", "bandpass", "notch_freq", "normalize", "clip", "init"];
const KEYS: [&str; 13] = [
    "montage",
    "sampling_rate",
    "bandpass",
    "notch_freq",
    "normalize",
    "clip",
    "init",
    "channels",
    "gaps",
    "truncated",
    "flat",
    "steps",
    "use_mne",
];
/// The origin's band-pass: `SciPy`'s N = 3 (`EEG_FACTS` section 1, step 6).
const BANDPASS_ORDER: u64 = 3;

/// Returns the signal recipe.
pub(crate) fn signal(sections: &Sections<'_>) -> Option<SignalRecipe> {
    let at = &sections.preprocessing;
    at.keys(&KEYS);
    // The origin's switch between two readers of the same bytes: accepted, without effect.
    at.at("use_mne").flag();
    let channels = channels(at);
    let placed = if at.at("steps").is_given() { explicit(at) } else { flat(sections) };
    if let Some(placed) = &placed {
        steps::check_sequence(placed);
    }
    check_origin_rate(sections, placed.as_deref());
    let steps: Option<Vec<Step>> = placed.map(|placed| placed.into_iter().map(|(_, step)| step).collect());
    let gaps = policy(&at.at("gaps"), GapPolicy::Error, GapPolicy::ALL, GapPolicy::as_str);
    let truncated = policy(
        &at.at("truncated"),
        TruncationPolicy::Quarantine,
        TruncationPolicy::ALL,
        TruncationPolicy::as_str,
    );
    let flat = policy(&at.at("flat"), FlatPolicy::Quarantine, FlatPolicy::ALL, FlatPolicy::as_str);
    let dtype = dtype(&sections.storage, steps.as_deref());
    Some(SignalRecipe {
        channels: channels?,
        gaps: gaps?,
        truncated: truncated?,
        flat: flat?,
        steps: steps?,
        dtype: dtype?,
    })
}

fn policy<T: Copy>(at: &Cursor<'_>, default: T, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
    if at.is_given() { at.choice(all, name) } else { Some(default) }
}

fn dtype(storage: &Cursor<'_>, steps: Option<&[Step]>) -> Option<Dtype> {
    storage.keys(&["dtype"]);
    let at = storage.at("dtype");
    let dtype = policy(&at, Dtype::Float32, Dtype::ALL, Dtype::as_str)?;
    if let Some(steps) = steps {
        steps::check_dtype(&at, dtype, steps);
    }
    Some(dtype)
}

/// The explicit list, after a look for flat keys that it makes void.
fn explicit<'a>(at: &Cursor<'a>) -> Option<Vec<Placed<'a>>> {
    let list = at.at("steps");
    for key in FLAT_STEPS {
        void_key(&at.at(key), &list, "put it into the list, or delete it");
    }
    steps::read(&list)
}

/// Beside an explicit list, the origin's `data.sampling_rate` can only confirm what the list does.
fn check_origin_rate(sections: &Sections<'_>, placed: Option<&[Placed<'_>]>) {
    let (list, theirs) = (sections.preprocessing.at("steps"), sections.data.at("sampling_rate"));
    let (true, true, Some(placed)) = (list.is_given(), theirs.is_given(), placed) else { return };
    let Some(claimed) = steps::rate(&theirs) else { return };
    let resampled = placed.iter().rev().find_map(|(_, step)| match step {
        Step::Resample { rate_hz, .. } => Some(*rate_hz),
        _ => None,
    });
    if resampled != Some(claimed) {
        let own = resampled.map_or_else(
            || "without a `resample` step".to_owned(),
            |rate| format!("resampling to {rate} Hz"),
        );
        contradiction::<()>(&list, &own, &theirs, &claimed.to_string(), "");
    }
}

/// Notes that `key` has no effect because `winner` replaces it, unless a lower layer wrote it.
fn void_key(key: &Cursor<'_>, winner: &Cursor<'_>, hint: &str) {
    let (Some(node), Some(other)) = (key.node, winner.origin()) else { return };
    if node.origin.layer >= other.layer {
        let message =
            format!("`{}` has no effect, because `{}` ({}) replaces it", key.key, winner.key, other.place);
        key.fail::<()>(message, hint);
    }
}

fn flat<'a>(sections: &Sections<'a>) -> Option<Vec<Placed<'a>>> {
    let at = &sections.preprocessing;
    let phase = policy(&at.at("init"), Init::Zero, &[Init::Zero, Init::FirstSample], |init| {
        if init == Init::Zero { "zero" } else { "first_sample" }
    })
    .map(Phase::Causal);
    let parts = [
        flat_resample(sections),
        flat_bandpass(&at.at("bandpass"), phase),
        flat_notch(&at.at("notch_freq"), phase),
        flat_normalize(&at.at("normalize")),
        flat_clip(&at.at("clip")),
    ];
    let complete: Result<Vec<Option<Placed<'a>>>, Noted> = parts.into_iter().collect();
    Some(complete.ok()?.into_iter().flatten().collect())
}

/// A step, or none where it is switched off.
type FlatStep<'a> = Result<Option<Placed<'a>>, Noted>;

/// Reads a flat key that `null` or `false` switches off.
fn flat_step<'a>(at: &Cursor<'a>, read: impl FnOnce() -> Option<Step>) -> FlatStep<'a> {
    if at.is_off() { Ok(None) } else { read().map(|step| Some((at.clone(), step))).ok_or(Noted) }
}

fn flat_resample<'a>(sections: &Sections<'a>) -> FlatStep<'a> {
    let (ours, theirs) = (sections.preprocessing.at("sampling_rate"), sections.data.at("sampling_rate"));
    // No rate: each recording keeps its own.
    let read = |at: &Cursor<'_>| if at.is_off() { Some(None) } else { steps::rate(at).map(Some) };
    let show = |rate: &Option<Rate>| rate.map_or_else(|| "null".to_owned(), |rate| rate.to_string());
    let (at, rate) = one_of_two(&ours, &theirs, read, show, "").ok_or(Noted)?;
    Ok(rate.map(|rate_hz| (at, Step::Resample { rate_hz, method: ResampleMethod::Fft })))
}

fn flat_bandpass<'a>(at: &Cursor<'a>, phase: Option<Phase>) -> FlatStep<'a> {
    flat_step(at, || {
        let edges: Option<Vec<f64>> = at.items()?.iter().map(Cursor::positive).collect();
        match edges?.as_slice() {
            [low, high] => steps::band(at, *low, *high, BANDPASS_ORDER, phase?),
            _ => at.wrong("two edges in Hz", "write `bandpass: [0.5, 120.0]`, or `null` for none"),
        }
    })
}

fn flat_notch<'a>(at: &Cursor<'a>, phase: Option<Phase>) -> FlatStep<'a> {
    flat_step(at, || Some(Step::Notch { freq_hz: at.positive()?, q: NOTCH_Q, phase: phase? }))
}

fn flat_normalize<'a>(at: &Cursor<'a>) -> FlatStep<'a> {
    let node = at.node.map(|node| (&node.datum, node.to_flow()));
    match node {
        Some((Datum::Text(_), text)) if text == "none" => Ok(None),
        // The origin's spelling.
        Some((Datum::Flag(true), _)) => flat_step(at, || Some(Step::Zscore { epsilon: EPSILON })),
        _ => flat_step(at, || match at.choice(&["zscore", "robust", "none"], |name| name)? {
            "robust" => Some(Step::Robust { epsilon: EPSILON }),
            _ => Some(Step::Zscore { epsilon: EPSILON }),
        }),
    }
}

fn flat_clip<'a>(at: &Cursor<'a>) -> FlatStep<'a> {
    flat_step(at, || Some(Step::Clip { limit: steps::limit(at)? }))
}

fn channels(at: &Cursor<'_>) -> Option<Channels> {
    let explicit = at.at("channels");
    if explicit.is_given() {
        explicit.keys(&["order", "aliases", "interpolate", "duplicates"]);
    }
    let order = explicit.at("order");
    let mut channels = if order.is_given() {
        void_key(&at.at("montage"), &order, "delete it: `channels.order` says which channels there are");
        Channels {
            order: order.texts()?.into_iter().map(|(name, _)| name).collect(),
            aliases: BTreeMap::new(),
            interpolate: Vec::new(),
            duplicates: DuplicatePolicy::Error,
        }
    } else {
        montage(&at.at("montage"))?
    };
    if explicit.at("aliases").is_given() {
        channels.aliases = aliases(&explicit.at("aliases"))?;
    }
    if explicit.at("duplicates").is_given() {
        let at = explicit.at("duplicates");
        channels.duplicates = at.choice(DuplicatePolicy::ALL, DuplicatePolicy::as_str)?;
    }
    let fits = check_order(&order, &channels);
    if explicit.at("interpolate").is_given() {
        channels.interpolate = interpolate(&explicit.at("interpolate"), &channels)?;
    }
    fits.then_some(channels)
}

/// The channels of a montage by its name; electrodes may be interpolated in `10-20` only, pairs never.
fn montage(at: &Cursor<'_>) -> Option<Channels> {
    let named = at.text();
    let (order, interpolate) = match named.as_deref() {
        Some("10-20") => (ORDER_10_20.to_vec(), vec!["Fz".to_owned(), "Pz".to_owned()]),
        Some("tcp_22") => (TCP_22.to_vec(), Vec::new()),
        Some("tcp_20") => (tcp_20(), Vec::new()),
        None if at.is_given() => return None,
        None => {
            return at.fail(
                format!("`{}` is not set", at.key),
                "write `montage: \"10-20\"`, or list `channels: {order: […]}`",
            );
        }
        Some(other) => {
            let message = format!("`{}` is `{other}`, which is no montage", at.key);
            return at.fail(
                message,
                "the montages are `\"10-20\"`, `tcp_20` and `tcp_22`; other channels are listed in `channels: {order: […]}`",
            );
        }
    };
    Some(Channels {
        order: order.into_iter().map(str::to_owned).collect(),
        aliases: SYNONYMS_10_20.map(|(from, to)| (from.to_owned(), to.to_owned())).into(),
        interpolate,
        duplicates: DuplicatePolicy::Error,
    })
}

fn aliases(at: &Cursor<'_>) -> Option<BTreeMap<String, String>> {
    let aliases: BTreeMap<String, String> = at.text_entries()?.into_iter().collect();
    let upper: BTreeMap<String, &String> =
        aliases.iter().map(|(from, to)| (from.to_uppercase(), to)).collect();
    for (from, to) in &aliases {
        if from.to_uppercase() != to.to_uppercase() && upper.contains_key(&to.to_uppercase()) {
            let message = format!("`{}` leads to `{to}`, which is itself an alias", at.at(from).key);
            return at.at(from).fail(message, "let every alias lead straight to the final name");
        }
    }
    Some(aliases)
}

/// Checks the names of the order against each other and against the rules of matching.
fn check_order(at: &Cursor<'_>, channels: &Channels) -> bool {
    let aliases = Aliases::new(channels.aliases.iter().map(|(from, to)| (from.as_str(), to.as_str())));
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    let mut fits = true;
    let items = at.items().unwrap_or_default();
    if channels.order.is_empty() {
        return at
            .fail::<()>(format!("`{}` is an empty list", at.key), "list at least one channel")
            .is_some();
    }
    for (index, name) in channels.order.iter().enumerate() {
        let here = items.get(index).unwrap_or(at);
        if let Some(first) = seen.insert(aliases.key(name).name, name) {
            let message = format!("`{}` lists `{name}` although `{first}` is already there", here.key);
            let hint = "every channel stands in the order once, under one of its names";
            fits = here.fail::<()>(message, hint).is_some();
        }
    }
    fits
}

fn interpolate(at: &Cursor<'_>, channels: &Channels) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for (name, item) in at.texts()? {
        match channels.order.iter().find(|known| known.eq_ignore_ascii_case(&name)) {
            Some(known) if !names.contains(known) => names.push(known.clone()),
            Some(_) => item.fail(format!("`{}` lists `{name}` twice", at.key), "delete one of the two")?,
            None => {
                let known = channels.order.iter().map(String::as_str);
                let hint = format!(
                    "{}the channels are {}",
                    crate::config::suggest::did_you_mean(&name, known.clone()),
                    quoted(known)
                );
                item.fail(format!("`{}` names `{name}`, which is not in the channel order", item.key), hint)?;
            }
        }
    }
    Some(names)
}
