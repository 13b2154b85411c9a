//! The bytes of a recording: European Data Format (Kemp et al. 1992), records of one second, 16 bits.

use crate::demo::plan::{Channel, Defect, Planned};
use crate::demo::random::Random;
use crate::demo::signal::Scene;

/// Physical limits ±5000 µV over digital limits ±32767.
const DIGITAL_LIMIT: f64 = 32_767.0;
const STEPS_PER_UV: f64 = DIGITAL_LIMIT / 5000.0;
/// What the dead electrode of the flat recording gives.
const DEAD: i16 = -412;

/// Returns the whole file.
pub(super) fn encode(planned: &Planned, seed: u64) -> Vec<u8> {
    let random = &mut Random::new(seed, 1 + planned.number);
    let scene = Scene::new(planned, random);
    let mut bytes = encode_header(planned);
    let head = bytes.len();
    let record: usize = planned.channels.iter().map(|channel| samples_per_record(planned, *channel)).sum();
    bytes.resize(head + 2 * record * planned.seconds, 0);
    let mut offset = head;
    for channel in &planned.channels {
        let count = samples_per_record(planned, *channel);
        let samples = digital(planned, *channel, &scene, random);
        let records = bytes[offset..].chunks_mut(2 * record);
        for (target, values) in records.zip(samples.chunks_exact(count)) {
            for (pair, value) in target.chunks_exact_mut(2).zip(values) {
                pair.copy_from_slice(&value.to_le_bytes());
            }
        }
        offset += 2 * count;
    }
    if planned.defect == Some(Defect::Truncated) {
        // The copy stopped within a record, at about two thirds.
        bytes.truncate(head + 2 * record * (planned.seconds * 2 / 3) + record + 77);
    }
    bytes
}

fn samples_per_record(planned: &Planned, channel: Channel) -> usize {
    if matches!(channel, Channel::Derived(_)) { 1 } else { planned.rate }
}

fn digital(planned: &Planned, channel: Channel, scene: &Scene, random: &mut Random) -> Vec<i16> {
    let microvolts = match channel {
        Channel::Eeg("T5") if planned.defect == Some(Defect::Flat) => {
            return vec![DEAD; planned.rate * planned.seconds];
        }
        Channel::Eeg(name) => scene.scalp(name, random),
        Channel::Ekg => scene.heart(random),
        Channel::Photic => scene.idle(random),
        Channel::Derived(_) => return (0..planned.seconds).map(|_| random.below(100) as i16 - 50).collect(),
    };
    let step = |uv: f64| (uv * STEPS_PER_UV).round_ties_even().clamp(-DIGITAL_LIMIT, DIGITAL_LIMIT) as i16;
    microvolts.into_iter().map(step).collect()
}

fn encode_header(planned: &Planned) -> Vec<u8> {
    let signals = planned.channels.len();
    let year = planned.year() % 100;
    let mut header = Header(Vec::with_capacity(256 * (signals + 1)));
    header.field(8, "0");
    header.field(80, &format!("{} X X synthetic", planned.subject));
    header.field(80, &format!("Startdate 01-JAN-{} X X eegcache-demo", planned.year()));
    header.field(8, &format!("01.01.{year:02}"));
    header.field(8, &format!("{:02}.{:02}.00", 9 + planned.session.1, planned.number % 60));
    header.field(8, &(256 * (signals + 1)).to_string());
    header.field(44, "");
    header.field(8, &planned.seconds.to_string());
    header.field(8, "1");
    header.field(4, &signals.to_string());
    header.for_each(planned, 16, |channel| channel.label(planned.reference));
    header.for_each(planned, 80, |_| "synthetic".to_owned());
    header.for_each(planned, 8, |channel| if has_unit(channel) { "uV" } else { "" }.to_owned());
    header.for_each(planned, 8, |_| "-5000".to_owned());
    header.for_each(planned, 8, |_| "5000".to_owned());
    header.for_each(planned, 8, |_| "-32767".to_owned());
    header.for_each(planned, 8, |_| "32767".to_owned());
    header.for_each(planned, 80, |_| "HP:0.000 Hz LP:0.0 Hz N:0.0".to_owned());
    header.for_each(planned, 8, |channel| samples_per_record(planned, channel).to_string());
    header.for_each(planned, 32, |_| String::new());
    header.0
}

fn has_unit(channel: Channel) -> bool {
    !matches!(channel, Channel::Derived(_))
}

/// Collects fields of fixed width, padded with spaces.
struct Header(Vec<u8>);

impl Header {
    fn field(&mut self, width: usize, text: &str) {
        debug_assert!(text.len() <= width, "`{text}` does not fit into {width} bytes");
        let end = self.0.len() + width;
        self.0.extend_from_slice(text.as_bytes());
        self.0.resize(end, b' ');
    }

    fn for_each(&mut self, planned: &Planned, width: usize, text: impl Fn(Channel) -> String) {
        for channel in &planned.channels {
            self.field(width, &text(*channel));
        }
    }
}
