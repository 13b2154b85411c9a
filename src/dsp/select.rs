//! Which signals of a recording a recipe needs: channel matching before a sample is read.
//!
//! Labels are compared by the keys of `model::channel`. What cannot be decided without samples (two signals for one name,
//! flat channels) stays open here and is settled in `apply`; everything else that is wrong is refused here.

use crate::dsp::electrodes::direction;
use crate::dsp::montage::{Montage, Row};
use crate::dsp::step::is_reference;
use crate::model::channel::Aliases;
use crate::model::recipe::{DuplicatePolicy, SignalRecipe, Step};
use crate::model::recording::SignalHeader;
use crate::model::units::Rate;
use crate::model::{Failure, FailureClass, Note};
use std::collections::{BTreeMap, BTreeSet};

/// A spline through fewer electrodes says nothing about the place of another one.
pub(crate) const FEWEST_SOURCES: usize = 3;
/// Labels named in a message before the rest is only counted.
const LABELS_SHOWN: usize = 40;

/// The signals to read and what becomes of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Indices among the header's signals, ascending.
    pub picks: Vec<usize>,
    /// The signal of the first output channel that was recorded: its rate and length are the recording's.
    pub lead: usize,
    /// Electrodes that will be interpolated, as the recipe writes them.
    pub interpolated: Vec<String>,
    /// The reference suffix of the picked labels, where they have one.
    pub reference: Option<String>,
    /// Labels of the picks that name no physical dimension: µV is assumed.
    pub unit_assumed: Vec<String>,
    /// What is worth knowing about the choice.
    pub notes: Vec<Note>,
    /// The channels before the first step, and the pairs that a bipolar step makes of them.
    pub(crate) montage: Montage,
    /// What a row needs: its signals.
    pub(crate) inputs: Vec<Input>,
    /// Recorded electrodes that interpolation may use; empty where nothing is missing.
    pub(crate) sources: Vec<Source>,
    /// Labels by signal, for messages.
    pub(crate) labels: BTreeMap<usize, String>,
}

/// A channel before the first step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Input {
    /// The name as the recipe writes it.
    pub(crate) name: String,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Origin {
    /// The first of these signals; several only if their bytes must turn out to be equal.
    Recorded(Vec<usize>),
    /// The electrode in this direction, from the sources.
    Interpolated([f64; 3]),
}

/// An electrode that interpolation may use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    /// The signals that answer to its name, as in `Origin::Recorded`.
    pub(crate) signals: Vec<usize>,
    /// Where it is.
    pub(crate) direction: [f64; 3],
}

/// Matches the channels of a recipe with the signals of a recording.
///
/// Fails with `missing-channels`, `ambiguous-channels`, `mixed-reference` or `bad-header` (a picked signal without rate).
/// Units and calibration are checked where samples are read.
pub fn select(signals: &[SignalHeader], recipe: &SignalRecipe) -> Result<Selection, Failure> {
    let mut matching = Matching::new(signals, recipe);
    let montage = matching.montage()?;
    matching.refuse_missing()?;
    let lead = matching.lead()?;
    let interpolated = matching.interpolated();
    let sources = if interpolated.is_empty() { Vec::new() } else { matching.sources(lead)? };
    let picks = matching.picks(&sources);
    let reference = matching.reference(&picks)?;
    for pick in &picks {
        matching.rate(*pick)?;
    }
    let of_picks = picks.iter().map(|pick| &signals[*pick]);
    let unit_assumed =
        of_picks.filter(|signal| signal.dimension.is_empty()).map(|signal| signal.label.clone()).collect();
    let labels = picks.iter().map(|pick| (*pick, signals[*pick].label.clone())).collect();
    let Matching { inputs, notes, .. } = matching;
    Ok(Selection {
        picks,
        lead,
        interpolated,
        reference,
        unit_assumed,
        notes,
        montage,
        inputs,
        sources,
        labels,
    })
}

struct Matching<'a> {
    signals: &'a [SignalHeader],
    recipe: &'a SignalRecipe,
    aliases: Aliases,
    /// Signals by key, in file order.
    by_key: BTreeMap<String, Vec<usize>>,
    references: BTreeMap<usize, String>,
    interpolable: BTreeSet<String>,
    inputs: Vec<Input>,
    missing: Vec<String>,
    notes: Vec<Note>,
}

impl<'a> Matching<'a> {
    fn new(signals: &'a [SignalHeader], recipe: &'a SignalRecipe) -> Self {
        let pairs = recipe.channels.aliases.iter().map(|(from, to)| (from.as_str(), to.as_str()));
        let aliases = Aliases::new(pairs);
        let (mut by_key, mut references) = (BTreeMap::<String, Vec<usize>>::new(), BTreeMap::new());
        for (index, signal) in signals.iter().enumerate().filter(|(_, signal)| !signal.is_annotation) {
            let key = aliases.key(&signal.label);
            // `-` and nothing are place holders (CHB-MIT), not names.
            if key.name.is_empty() || key.name == "-" {
                continue;
            }
            by_key.entry(key.name).or_default().push(index);
            if let Some(reference) = key.reference {
                references.insert(index, reference);
            }
        }
        let interpolable = recipe.channels.interpolate.iter().map(|name| aliases.key(name).name).collect();
        let (inputs, missing, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { signals, recipe, aliases, by_key, references, interpolable, inputs, missing, notes }
    }

    /// Finds an input for every channel before the first step.
    fn montage(&mut self) -> Result<Montage, Failure> {
        let pairs = self.recipe.steps.iter().find_map(|step| match step {
            Step::ReferenceBipolar { pairs } => Some(pairs.clone()),
            _ => None,
        });
        refuse_order(&self.recipe.steps)?;
        let Some(pairs) = pairs else {
            let order = self.recipe.channels.order.clone();
            let rows = order.iter().map(|name| self.row(name)).collect::<Result<_, _>>()?;
            return Ok(Montage { rows, pairs: None });
        };
        let mut differences = Vec::new();
        for (anode, cathode) in &pairs {
            differences.push(Row { name: format!("{anode}-{cathode}"), terms: self.pair(anode, cathode)? });
        }
        let single =
            |(index, input): (usize, &Input)| Row { name: input.name.clone(), terms: vec![(1.0, index)] };
        let rows = self.inputs.iter().enumerate().map(single).collect();
        Ok(Montage { rows, pairs: Some(differences) })
    }

    fn row(&mut self, name: &str) -> Result<Row, Failure> {
        let terms = match name.split_once('-') {
            Some((anode, cathode)) if !anode.is_empty() && !cathode.is_empty() => {
                self.pair(anode, cathode)?
            }
            _ => {
                let input = self.electrode(name)?;
                self.remember_missing(name, input.is_none());
                input.map(|input| (1.0, input)).into_iter().collect()
            }
        };
        Ok(Row { name: name.to_owned(), terms })
    }

    /// A pair is met by a recorded `A-B`, by `B-A` with its sign turned, or by A − B (`EEG_FACTS` section 2).
    fn pair(&mut self, anode: &str, cathode: &str) -> Result<Vec<(f64, usize)>, Failure> {
        let name = format!("{anode}-{cathode}");
        if let Some(input) = self.recorded(&name)? {
            return Ok(vec![(1.0, input)]);
        }
        let turned = format!("{cathode}-{anode}");
        if let Some(input) = self.recorded(&turned)? {
            self.notes.push(Note::new(
                "bipolar",
                format!("`{name}` is the recorded `{turned}` with its sign turned"),
            ));
            return Ok(vec![(-1.0, input)]);
        }
        let (a, b) = (self.electrode(anode)?, self.electrode(cathode)?);
        self.remember_missing(&name, a.is_none() || b.is_none());
        let (Some(a), Some(b)) = (a, b) else { return Ok(Vec::new()) };
        self.notes
            .push(Note::new("bipolar", format!("`{name}` is the difference of `{anode}` and `{cathode}`")));
        Ok(vec![(1.0, a), (-1.0, b)])
    }

    fn remember_missing(&mut self, name: &str, is_missing: bool) {
        if is_missing && !self.missing.iter().any(|known| known == name) {
            self.missing.push(name.to_owned());
        }
    }

    /// Returns the input of an electrode, recorded or to be interpolated; nothing if it is missing.
    fn electrode(&mut self, name: &str) -> Result<Option<usize>, Failure> {
        if let Some(input) = self.recorded(name)? {
            return Ok(Some(input));
        }
        let key = self.aliases.key(name).name;
        let place = self.interpolable.contains(&key).then(|| direction(&key)).flatten();
        Ok(place.map(|direction| self.input(name, Origin::Interpolated(direction))))
    }

    fn recorded(&mut self, name: &str) -> Result<Option<usize>, Failure> {
        let key = self.aliases.key(name).name;
        let Some(signals) = self.candidates(&key)? else { return Ok(None) };
        let found = self.by_key[&key].len();
        if signals.len() < found {
            let text =
                format!("{found} signals answer to `{name}`; signal {}, the first, is used", signals[0]);
            self.notes.push(Note::new("duplicate", text));
        }
        Ok(Some(self.input(name, Origin::Recorded(signals))))
    }

    /// Returns the signals of a key, only the first one where that is the rule.
    fn candidates(&self, key: &str) -> Result<Option<Vec<usize>>, Failure> {
        let Some(found) = self.by_key.get(key) else { return Ok(None) };
        if self.recipe.channels.duplicates == DuplicatePolicy::First {
            return Ok(Some(found[..1].to_vec()));
        }
        let shape = |index: &usize| (self.signals[*index].rate, self.signals[*index].samples_per_record);
        match found.iter().find(|other| shape(other) != shape(&found[0])) {
            Some(other) => {
                Err(ambiguous(key, self.named(found[0]), self.named(*other), "their rates differ"))
            }
            None => Ok(Some(found.clone())),
        }
    }

    fn named(&self, index: usize) -> (usize, &str) {
        (index, &self.signals[index].label)
    }

    fn input(&mut self, name: &str, origin: Origin) -> usize {
        let known = self.inputs.iter().position(|input| input.origin == origin);
        known.unwrap_or_else(|| {
            self.inputs.push(Input { name: name.to_owned(), origin });
            self.inputs.len() - 1
        })
    }

    fn refuse_missing(&self) -> Result<(), Failure> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let wanted = self.missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message =
            format!("{wanted} not recorded{}; the recording has {}", self.why_not(), self.inventory());
        Err(Failure::new(FailureClass::MissingChannels, message))
    }

    fn why_not(&self) -> String {
        match self.recipe.channels.interpolate.as_slice() {
            [] => " (none may be interpolated)".to_owned(),
            names => format!(" (only {} may be interpolated)", names.join(", ")),
        }
    }

    fn inventory(&self) -> String {
        let labels: Vec<&str> = self
            .signals
            .iter()
            .filter(|signal| !signal.is_annotation)
            .map(|signal| signal.label.as_str())
            .collect();
        let shown = labels.iter().take(LABELS_SHOWN).copied().collect::<Vec<_>>().join(", ");
        match labels.len() {
            0 => "no signals".to_owned(),
            count if count > LABELS_SHOWN => {
                format!("{count} signals: {shown}, and {} more", count - LABELS_SHOWN)
            }
            count => format!("{count} signals: {shown}"),
        }
    }

    fn lead(&self) -> Result<usize, Failure> {
        let recorded = self.inputs.iter().find_map(|input| match &input.origin {
            Origin::Recorded(signals) => Some(signals[0]),
            Origin::Interpolated(_) => None,
        });
        recorded.ok_or_else(|| {
            let message =
                format!("none of the recipe's channels was recorded; the recording has {}", self.inventory());
            Failure::new(FailureClass::MissingChannels, message)
        })
    }

    fn interpolated(&self) -> Vec<String> {
        let is_interpolated = |input: &&Input| matches!(input.origin, Origin::Interpolated(_));
        self.inputs.iter().filter(is_interpolated).map(|input| input.name.clone()).collect()
    }

    /// Every recorded electrode with a known place, at Cz's rate (without Cz: at the lead's).
    fn sources(&self, lead: usize) -> Result<Vec<Source>, Failure> {
        let anchor = self.by_key.get(&self.aliases.key("Cz").name).map_or(lead, |signals| signals[0]);
        let rate = self.rate(anchor)?;
        let mut sources = Vec::new();
        for (key, signals) in &self.by_key {
            let Some(direction) = direction(key) else { continue };
            if self.signals[signals[0]].rate == Some(rate) {
                let signals = self.candidates(key)?.unwrap_or_default();
                sources.push(Source { signals, direction });
            }
        }
        sources.sort_by_key(|source| source.signals[0]);
        if sources.len() < FEWEST_SOURCES {
            return Err(too_few_sources(&self.interpolated(), sources.len()));
        }
        Ok(sources)
    }

    fn picks(&self, sources: &[Source]) -> Vec<usize> {
        let mut picks: BTreeSet<usize> =
            sources.iter().flat_map(|source| source.signals.iter().copied()).collect();
        for input in &self.inputs {
            if let Origin::Recorded(signals) = &input.origin {
                picks.extend(signals);
            }
        }
        picks.into_iter().collect()
    }

    /// Returns the one suffix of the picked labels; labels without suffix claim nothing.
    fn reference(&self, picks: &[usize]) -> Result<Option<String>, Failure> {
        let mut stated = picks.iter().filter_map(|pick| self.references.get_key_value(pick));
        let Some((first, reference)) = stated.next() else { return Ok(None) };
        if let Some((other, _)) = stated.find(|(_, other)| *other != reference) {
            let ((a, label), (b, other_label)) = (self.named(*first), self.named(*other));
            let message = format!(
                "signal {a} `{label}` and signal {b} `{other_label}` were recorded against different references"
            );
            return Err(Failure::new(FailureClass::MixedReference, message));
        }
        Ok(Some(reference.clone()))
    }

    fn rate(&self, index: usize) -> Result<Rate, Failure> {
        self.signals[index].rate.ok_or_else(|| {
            let message = format!("signal {index} `{}` has no sampling rate", self.signals[index].label);
            Failure::new(FailureClass::BadHeader, message)
        })
    }
}

/// A recorded pair and a difference of electrodes are the same only as long as nothing has scaled or mixed the channels.
fn refuse_order(steps: &[Step]) -> Result<(), Failure> {
    let Some(at) = steps.iter().rposition(|step| matches!(step, Step::ReferenceBipolar { .. })) else {
        return Ok(());
    };
    let spoils =
        |step: &&Step| is_reference(step) || matches!(step, Step::Zscore { .. } | Step::Robust { .. });
    let Some(before) = steps[..at].iter().find(spoils) else { return Ok(()) };
    let message = format!("`reference: bipolar` cannot follow `{}`: put it first of the two", before.name());
    Err(Failure::new(FailureClass::MissingChannels, message))
}

/// Two signals answer to one name, and nothing says which one is meant.
pub(crate) fn ambiguous(name: &str, first: (usize, &str), second: (usize, &str), why: &str) -> Failure {
    let message = format!(
        "`{name}` could be signal {} `{}` or signal {} `{}`: {why}; `duplicates: first` takes the first",
        first.0, first.1, second.0, second.1
    );
    Failure::new(FailureClass::AmbiguousChannels, message)
}

/// Interpolation has not enough to go by.
pub(crate) fn too_few_sources(interpolated: &[String], count: usize) -> Failure {
    let message = format!(
        "`{}` must be interpolated, which takes at least {FEWEST_SOURCES} recorded electrodes with a known place that \
         are not flat and have Cz's rate; there are {count}",
        interpolated.join("`, `")
    );
    Failure::new(FailureClass::MissingChannels, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::test_recordings::{header, recipe};
    use crate::model::channel::ORDER_10_20;

    fn referential_labels() -> Vec<String> {
        ORDER_10_20.iter().map(|name| format!("EEG {}-REF", name.to_uppercase())).collect()
    }

    fn headers(labels: &[&str]) -> Vec<SignalHeader> {
        labels.iter().map(|label| header(label, 256)).collect()
    }

    fn check(labels: &[&str], recipe: &SignalRecipe, class: FailureClass, words: &[&str]) {
        let failure = select(&headers(labels), recipe).unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        for word in words {
            assert!(failure.message.contains(word), "{word}: {failure}");
        }
    }

    #[test]
    fn channels_are_found_in_any_order_and_spelling() {
        let mut labels = referential_labels();
        labels.reverse();
        labels.insert(3, "EEG EKG1-REF".to_owned());
        labels.push("EDF Annotations".to_owned());
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let mut signals = headers(&labels);
        signals.last_mut().unwrap().is_annotation = true;
        let selection = select(&signals, &recipe(&ORDER_10_20)).unwrap();
        assert_eq!(selection.picks, (0..20).filter(|index| *index != 3).collect::<Vec<_>>());
        assert_eq!(selection.lead, 19);
        assert_eq!(selection.reference.as_deref(), Some("REF"));
        assert!(selection.interpolated.is_empty() && selection.notes.is_empty());
        let synonyms = select(&headers(&["t7", "EEG P8 - le"]), &recipe(&["T3", "T6"])).unwrap();
        assert_eq!(synonyms.picks, [0, 1]);
    }

    #[test]
    fn a_missing_channel_brings_in_everything_with_a_place() {
        let mut labels: Vec<&str> = ORDER_10_20.iter().copied().filter(|name| *name != "Fz").collect();
        labels.extend(["A1", "EKG1", "T1", "T3-P3", "A2", "PHOTIC"]);
        let mut signals = headers(&labels);
        signals.push(header("Oz", 512));
        let selection = select(&signals, &recipe(&ORDER_10_20)).unwrap();
        assert_eq!(selection.interpolated, ["Fz"]);
        assert_eq!(selection.picks.len(), 20);
        let picked =
            |label: &str| selection.picks.contains(&labels.iter().position(|l| *l == label).unwrap());
        assert!(picked("A1") && picked("A2") && !picked("EKG1") && !picked("T1") && !picked("T3-P3"));
    }

    #[test]
    fn failures_name_what_is_wanted_and_what_is_there() {
        let order = recipe(&["Cz", "O1", "O2"]);
        let missing = FailureClass::MissingChannels;
        check(&["EEG CZ-REF", "T3-P3"], &order, missing, &["`O1`, `O2`", "2 signals: EEG CZ-REF, T3-P3"]);
        check(&["-", ""], &recipe(&["-"]), missing, &["`-`"]);
        let ambiguous = FailureClass::AmbiguousChannels;
        let mut different = headers(&["Cz", "O1", "O2", "EEG Cz"]);
        different[3] = header("EEG Cz", 128);
        let failure = select(&different, &order).unwrap_err();
        assert_eq!(failure.class, ambiguous);
        assert!(
            failure.message.contains("signal 0 `Cz`") && failure.message.contains("signal 3 `EEG Cz`"),
            "{failure}"
        );
        let mixed = FailureClass::MixedReference;
        check(&["Cz-REF", "O1-LE", "O2-REF"], &order, mixed, &["signal 0 `Cz-REF`", "signal 1 `O1-LE`"]);
        check(&["Fp1", "Fp2"], &recipe(&["Fz", "Fp1", "Fp2"]), missing, &["`Fz`", "at least 3"]);
    }

    #[test]
    fn duplicates_are_all_picked_unless_the_first_is_the_rule() {
        let mut recipe = recipe(&["T8-P8", "Cz"]);
        let signals = headers(&["T8-P8", "Cz", "T8-P8"]);
        assert_eq!(select(&signals, &recipe).unwrap().picks, [0, 1, 2]);
        recipe.channels.duplicates = DuplicatePolicy::First;
        let selection = select(&signals, &recipe).unwrap();
        assert_eq!(selection.picks, [0, 1]);
        assert_eq!(selection.notes[0].code, "duplicate");
    }

    #[test]
    fn pairs_are_recorded_turned_or_made() {
        let selection =
            select(&headers(&["F7-Fp1", "EEG F7-T7", "P3", "O1"]), &recipe(&["Fp1-F7", "F7-T3", "P3-O1"]));
        let selection = selection.unwrap();
        let terms: Vec<_> = selection.montage.rows.iter().map(|row| row.terms.clone()).collect();
        assert_eq!(terms, [vec![(-1.0, 0)], vec![(1.0, 1)], vec![(1.0, 2), (-1.0, 3)]]);
        assert_eq!(selection.notes.len(), 2);
        let pairs = vec![("Fp1".to_owned(), "F7".to_owned())];
        let mut bipolar = recipe(&["Cz"]);
        bipolar.steps = vec![Step::ReferenceBipolar { pairs }];
        let selection = select(&headers(&["Cz", "F7", "Fp1"]), &bipolar).unwrap();
        assert_eq!(selection.picks, [1, 2]);
        check(&["Cz", "F7"], &bipolar, FailureClass::MissingChannels, &["`Fp1-F7`"]);
    }
}
