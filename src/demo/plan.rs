//! What the corpus consists of: who, where, how long, at which rate, with which seizures and defects.
//!
//! Decided before any signal is made. Counts are quotas rather than chances, so that every seed gives a corpus
//! of the same make-up and size.

use crate::demo::DemoSpec;
use crate::demo::electrode::{VENDOR_ORDERS, position, spread};
use crate::demo::random::Random;

/// From so many recordings on there is room for defects and for recordings without Fz and Pz.
const ROOM_FOR_SPECIALS: usize = 12;

/// Ten-thousandths of a second, the resolution of the annotation files.
pub(super) type Ticks = u64;
/// Ticks in a second.
pub(super) const TICKS: Ticks = 10_000;

/// A recording to be generated.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// Its number in path order within its split, all splits counted on: also its random stream.
    pub number: u64,
    /// `train`, `dev` or `eval`.
    pub folder: &'static str,
    /// Its subject.
    pub subject: String,
    /// Session and token, from 1 and from 0.
    pub session: (usize, usize),
    /// The reference in the labels, `REF` or `LE`.
    pub reference: &'static str,
    /// Samples a second of the EEG channels.
    pub rate: usize,
    /// Whole seconds.
    pub seconds: usize,
    /// The channels in file order.
    pub channels: Vec<Channel>,
    /// Its seizures in order of time.
    pub seizures: Vec<Seizure>,
    /// What is wrong with it.
    pub defect: Option<Defect>,
}

/// A signal of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// An electrode, by its name.
    Eeg(&'static str),
    /// The electrocardiogram.
    Ekg,
    /// The lamp's trigger line.
    Photic,
    /// A derived number at 1 Hz, by its name.
    Derived(&'static str),
}

/// A seizure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seizure {
    /// Where it begins.
    pub start: Ticks,
    /// Where it ends.
    pub end: Ticks,
    /// Its annotation code.
    pub code: &'static str,
    /// The electrode where it begins; nothing where it is everywhere at once.
    pub focus: Option<&'static str>,
}

/// What is wrong with a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// The file ends before its header says.
    Truncated,
    /// Cz was not recorded.
    NoCz,
    /// There are no annotation files.
    NoAnnotation,
    /// One electrode gives the same number throughout.
    Flat,
}

impl Planned {
    /// The stem of its files, which is its id.
    pub(super) fn stem(&self) -> String {
        format!("{}_s{:03}_t{:03}", self.subject, self.session.0, self.session.1)
    }

    /// The directory of its files below the corpus, with `/`.
    pub(super) fn parent(&self) -> String {
        let ears = self.channels.contains(&Channel::Eeg("A1"));
        let montage = match (self.reference, ears) {
            ("REF", true) => "01_tcp_ar",
            ("REF", false) => "03_tcp_ar_a",
            (_, true) => "02_tcp_le",
            (_, false) => "04_tcp_le_a",
        };
        format!("{}/{}/s{:03}_{}/{montage}", self.folder, self.subject, self.session.0, self.year())
    }

    /// The year in which it claims to have been made.
    pub(super) fn year(&self) -> usize {
        2011 + self.session.0
    }
}

/// Returns the corpus, each split in path order.
pub(super) fn plan(spec: DemoSpec) -> Vec<Planned> {
    let random = &mut Random::new(spec.seed, 0);
    let mut planned = people(spec.recordings, random);
    give_rates_and_lengths(&mut planned, random);
    for folder in ["train", "dev", "eval"] {
        let members: Vec<usize> = (0..planned.len()).filter(|i| planned[*i].folder == folder).collect();
        give_roles(&mut planned, folder, &members, spec.recordings >= ROOM_FOR_SPECIALS, random);
    }
    planned
}

/// Sizes of train, dev and eval: about 38 : 12 : 10.
fn split_sizes(recordings: usize) -> [(&'static str, usize); 3] {
    let (dev, eval) = ((recordings + 3) / 5, (recordings + 3) / 6);
    let eval = if recordings < 3 { 0 } else { eval };
    [("train", recordings - dev - eval), ("dev", dev), ("eval", eval)]
}

/// Makes subjects with one to four recordings in one or more sessions; nobody is in two splits.
fn people(recordings: usize, random: &mut Random) -> Vec<Planned> {
    let mut planned = Vec::with_capacity(recordings);
    let mut name = 0;
    for (folder, size) in split_sizes(recordings) {
        let mut left = size;
        while left > 0 {
            name += 1 + random.below(40);
            let count = random.pick(&[1, 1, 1, 1, 2, 2, 2, 3, 3, 4]).min(left);
            left -= count;
            planned.extend(person(folder, &subject_name(name), count, random));
        }
    }
    for (number, one) in planned.iter_mut().enumerate() {
        one.number = number as u64;
    }
    planned
}

/// `demo` and four letters, so that nobody takes the subject for a person.
fn subject_name(mut number: usize) -> String {
    let mut letters = [b'a'; 4];
    for letter in letters.iter_mut().rev() {
        *letter += (number % 26) as u8;
        number /= 26;
    }
    format!("demo{}", letters.map(char::from).iter().collect::<String>())
}

fn person(folder: &'static str, subject: &str, count: usize, random: &mut Random) -> Vec<Planned> {
    let mut session = (1, 0);
    let mut setup = Setup::draw(random);
    let mut recordings = Vec::with_capacity(count);
    for index in 0..count {
        if index > 0 && random.chance(0.45) {
            session = (session.0 + 1, 0);
            setup = Setup::draw(random);
        } else if index > 0 {
            session.1 += 1;
        }
        recordings.push(Planned {
            number: 0,
            folder,
            subject: subject.to_owned(),
            session,
            reference: setup.reference,
            rate: 0,
            seconds: 0,
            channels: setup.channels.clone(),
            seizures: Vec::new(),
            defect: None,
        });
    }
    recordings
}

/// How the electrodes of a session were connected.
struct Setup {
    reference: &'static str,
    channels: Vec<Channel>,
}

impl Setup {
    fn draw(random: &mut Random) -> Self {
        let reference = if random.chance(0.2) { "LE" } else { "REF" };
        let order = random.pick(&VENDOR_ORDERS);
        let mut channels: Vec<Channel> = order.into_iter().map(Channel::Eeg).collect();
        if random.chance(0.65) {
            // The ears come before the midline, as they do where both were plugged in.
            let at = channels.iter().position(|one| *one == Channel::Eeg("FZ")).unwrap_or(0);
            channels.splice(at..at, [Channel::Eeg("A1"), Channel::Eeg("A2")]);
        }
        let derived = ["IBI", "BURSTS", "SUPPR"].map(Channel::Derived);
        if random.chance(0.7) {
            channels.push(Channel::Ekg);
        }
        if random.chance(0.35) {
            channels.push(Channel::Photic);
        }
        if random.chance(0.4) {
            channels.extend(derived);
        }
        Self { reference, channels }
    }
}

/// Deals rates and lengths from decks: 12 in 15 at 250 or 256 Hz, lengths of 90 s to 4 min with more short ones.
fn give_rates_and_lengths(planned: &mut [Planned], random: &mut Random) {
    const RATES: [usize; 15] = [250, 256, 250, 256, 400, 250, 256, 512, 250, 256, 250, 256, 400, 250, 256];
    let mut rates: Vec<usize> = RATES.into_iter().cycle().take(planned.len()).collect();
    random.shuffle(&mut rates);
    let mut lengths: Vec<usize> = (0..planned.len())
        .map(|i| {
            let share = (i as f64 + 0.5) / planned.len() as f64;
            90 + libm::floor(150.0 * libm::pow(share, 2.33)) as usize
        })
        .collect();
    random.shuffle(&mut lengths);
    for (one, (rate, length)) in planned.iter_mut().zip(rates.into_iter().zip(lengths)) {
        one.rate = rate;
        // Fast amplifiers get short recordings: this bounds the bytes of the corpus for every seed.
        one.seconds = if rate > 256 { length.min(150) } else { length };
    }
}

/// Gives a split its defects (in its first half, so that every sizeable profile has them), its recordings without
/// Fz and Pz, and its seizures.
fn give_roles(planned: &mut [Planned], folder: &str, members: &[usize], specials: bool, random: &mut Random) {
    let count = members.len();
    let at = |percent: usize| members[count * percent / 100];
    if specials {
        match folder {
            "train" => {
                planned[at(15)].defect = Some(Defect::Truncated);
                planned[at(45)].spoil(Defect::NoCz);
                planned[at(30)].omit_midline();
            }
            "dev" => {
                planned[at(40)].defect = Some(Defect::NoAnnotation);
                planned[at(75)].omit_midline();
            }
            _ => planned[at(35)].defect = Some(Defect::Flat),
        }
    }
    let mut sound: Vec<usize> = members.iter().copied().filter(|i| planned[*i].defect.is_none()).collect();
    random.shuffle(&mut sound);
    for (turn, index) in sound.into_iter().take(((count + 1) / 3).max(1)).enumerate() {
        planned[index].give_seizures(turn, random);
    }
}

impl Planned {
    fn spoil(&mut self, defect: Defect) {
        self.defect = Some(defect);
        self.channels.retain(|channel| *channel != Channel::Eeg("CZ"));
    }

    /// Leaves out Fz and Pz, which can be interpolated, and keeps a channel that has no place on the scalp.
    fn omit_midline(&mut self) {
        self.channels.retain(|channel| ![Channel::Eeg("FZ"), Channel::Eeg("PZ")].contains(channel));
        if !self.channels.contains(&Channel::Ekg) {
            self.channels.push(Channel::Ekg);
        }
    }

    /// The first of every three recordings with seizures has one of more than a minute, so that a one-minute
    /// window fits inside; the others have short ones.
    fn give_seizures(&mut self, turn: usize, random: &mut Random) {
        let generalised = random.chance(0.35);
        let code = if generalised {
            random.pick(&["gnsz", "gnsz", "tcsz"])
        } else {
            random.pick(&["fnsz", "fnsz", "cpsz", "spsz"])
        };
        let focus = (!generalised).then(|| random.pick(&["T3", "T4", "F7", "F8", "C3", "P4"]));
        let seizure = |start: f64, length: f64| {
            let start = (start * TICKS as f64) as Ticks;
            Seizure { start, end: start + (length * TICKS as f64) as Ticks, code, focus }
        };
        if turn.is_multiple_of(3) {
            self.rate = self.rate.min(256);
            self.seconds = self.seconds.max(180 + random.below(60));
            let (start, length) = (random.between(25.0, 60.0), random.between(80.0, 105.0));
            self.seizures.push(seizure(start, length));
            return;
        }
        let (start, length) = (random.between(12.0, 30.0), random.between(9.0, 35.0));
        self.seizures.push(seizure(start, length));
        if self.seconds >= 120 && random.chance(0.5) {
            let (start, length) = (random.between(80.0, 90.0), random.between(6.0, 25.0));
            self.seizures.push(seizure(start, length));
        }
    }
}

impl Seizure {
    /// How strong the seizure is at a place, 0 to 1.
    pub(super) fn weight(&self, at: (f64, f64)) -> f64 {
        match self.focus {
            Some(focus) => spread(at, position(focus), 0.55),
            // Generalised spike-and-wave is largest in front.
            None => 0.75 + 0.25 * at.1,
        }
    }
}

impl Channel {
    /// The label in the file.
    pub(super) fn label(self, reference: &str) -> String {
        match self {
            Self::Eeg(name) => format!("EEG {name}-{reference}"),
            Self::Ekg => format!("EEG EKG1-{reference}"),
            Self::Photic => "PHOTIC-REF".to_owned(),
            Self::Derived(name) => name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn bytes(one: &Planned) -> usize {
        let fast = one.channels.iter().filter(|channel| !matches!(channel, Channel::Derived(_))).count();
        256 * (one.channels.len() + 1) + 2 * fast * one.rate * one.seconds
    }

    #[test]
    fn every_seed_gives_a_corpus_of_the_promised_make_up() {
        for seed in 0..200 {
            let planned = plan(DemoSpec { recordings: 60, seed });
            assert!(planned.iter().map(bytes).sum::<usize>() < 119_000_000, "seed {seed}");
            for (folder, seizures) in [("train", 13), ("dev", 4), ("eval", 3)] {
                let with = |one: &&Planned| one.folder == folder && !one.seizures.is_empty();
                assert_eq!(planned.iter().filter(with).count(), seizures, "seed {seed}, {folder}");
                let long = |one: &Planned| one.seizures.iter().any(|it| it.end - it.start > 75 * TICKS);
                assert!(planned.iter().any(|one| one.folder == folder && long(one)), "seed {seed}, {folder}");
            }
            let without_fz = |one: &&Planned| !one.channels.contains(&Channel::Eeg("FZ"));
            assert_eq!(planned.iter().filter(without_fz).count(), 2, "seed {seed}");
        }
    }

    #[test]
    fn corpora_of_every_size_hold_together() {
        for recordings in 1..80 {
            let planned = plan(DemoSpec { recordings, seed: 7 });
            assert_eq!(planned.len(), recordings);
            let mut folders: BTreeMap<&str, &str> = BTreeMap::new();
            for one in &planned {
                let name = format!("{} of {recordings}", one.stem());
                assert_eq!(*folders.entry(&one.subject).or_insert(one.folder), one.folder, "{name}");
                assert!((90..=240).contains(&one.seconds), "{name}: {} s", one.seconds);
                let ends = one
                    .seizures
                    .iter()
                    .flat_map(|it| [it.start, it.end])
                    .chain([one.seconds as Ticks * TICKS]);
                assert!(ends.is_sorted_by(|a, b| a < b), "{name}: {:?}", one.seizures);
            }
            let defects = planned.iter().filter(|one| one.defect.is_some()).count();
            assert_eq!(defects, if recordings < ROOM_FOR_SPECIALS { 0 } else { 4 }, "{recordings}");
            let mut paths: Vec<String> = planned.iter().map(|one| one.parent() + "/" + &one.stem()).collect();
            assert!(
                paths.chunk_by(|a, b| a.split('/').next() == b.split('/').next()).all(<[String]>::is_sorted)
            );
            paths.sort();
            paths.dedup();
            assert_eq!(paths.len(), recordings);
        }
    }
}
