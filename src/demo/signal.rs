//! Plausible EEG in microvolts: what everything on the head does together (`Scene`), and what reaches one electrode.
//!
//! Noise runs through recursive filters, oscillations through rotating phasors and tables, so no transcendental
//! function is called for a sample. Amplitudes are those of an awake adult: background of 15 to 20 µV rms, alpha
//! of about 20 µV at the back, blinks of about 100 µV in front, seizures of 60 to 200 µV.

use crate::demo::electrode::{position, spread};
use crate::demo::plan::{Planned, Seizure, TICKS};
use crate::demo::random::Random;
use std::f64::consts::TAU;

/// Sources of the background, all over the head.
const SOURCES: [(f64, f64); 7] =
    [(-0.5, 0.6), (0.5, 0.6), (-0.7, -0.1), (0.7, -0.1), (-0.4, -0.7), (0.4, -0.7), (0.0, 0.1)];
/// µV rms of a source of the background where it is largest, and of the noise of one electrode.
const SOURCE_UV: f64 = 11.0;
const LOCAL_UV: f64 = 4.5;

/// The tracks that all electrodes share, one value a sample.
pub(super) struct Scene {
    rate: f64,
    seconds: usize,
    sources: Vec<Track>,
    alpha: [Track; 2],
    blinks: Track,
    line: [Track; 2],
    seizures: Track,
    seizure: Option<Seizure>,
}

type Track = Vec<f64>;

impl Scene {
    /// Makes the shared tracks of a recording.
    pub(super) fn new(planned: &Planned, random: &mut Random) -> Self {
        let rate = planned.rate as f64;
        let count = planned.rate * planned.seconds;
        let sources = SOURCES.iter().map(|_| pink(rate, count, random)).collect();
        let frequency = random.between(9.3, 10.7);
        let both = resonance(rate, count, frequency, random);
        let alpha = [0, 1].map(|_| {
            let one = resonance(rate, count, frequency, random);
            one.iter().zip(&both).map(|(own, common)| 0.6 * own + 0.8 * common).collect()
        });
        let mut seizures = vec![0.0; count];
        for seizure in &planned.seizures {
            add_seizure(&mut seizures, seizure, rate, random);
        }
        Self {
            rate,
            seconds: planned.seconds,
            sources,
            alpha,
            blinks: blinks(rate, count, random),
            line: phasor(60.0, rate, count),
            seizures,
            seizure: planned.seizures.first().copied(),
        }
    }

    /// Returns what the electrode `name` records.
    pub(super) fn scalp(&self, name: &str, random: &mut Random) -> Track {
        let at = position(name);
        let mut track = self.own(at, random);
        for (source, place) in self.sources.iter().zip(SOURCES) {
            add(&mut track, SOURCE_UV * spread(at, place, 0.55), source);
        }
        for (alpha, place) in self.alpha.iter().zip([position("O1"), position("O2")]) {
            add(&mut track, 17.0 * spread(at, place, 0.45), alpha);
        }
        add(&mut track, spread(at, (0.0, 1.05), 0.45), &self.blinks);
        if let Some(seizure) = &self.seizure {
            add(&mut track, seizure.weight(at), &self.seizures);
        }
        self.add_line(&mut track, random.between(0.5, 4.0), random);
        track
    }

    /// Returns the electrocardiogram.
    pub(super) fn heart(&self, random: &mut Random) -> Track {
        // Waves P, Q, R, S and T: when (s), how wide (s), how high (µV).
        const WAVES: [(f64, f64, f64); 5] = [
            (0.12, 0.022, 90.0),
            (0.245, 0.009, -90.0),
            (0.27, 0.011, 850.0),
            (0.30, 0.012, -210.0),
            (0.5, 0.045, 220.0),
        ];
        let beat: Track = (0..(0.65 * self.rate) as usize)
            .map(|i| {
                WAVES.iter().map(|(when, width, high)| high * bell(i as f64 / self.rate, *when, *width)).sum()
            })
            .collect();
        let mut track = self.idle(random);
        let mut time = random.unit();
        let interval = random.between(0.72, 0.95);
        while time < self.seconds as f64 {
            add_at(&mut track, (time * self.rate) as usize, 1.0, &beat);
            time += interval + 0.02 * random.normal();
        }
        track
    }

    /// Returns what a channel records to which nothing is connected but the amplifier.
    pub(super) fn idle(&self, random: &mut Random) -> Track {
        let mut track: Track = (0..self.blinks.len()).map(|_| 1.2 * random.normal()).collect();
        self.add_line(&mut track, 3.0, random);
        track
    }

    /// Offset and drift of the electrode, its own noise, and the muscle below it.
    fn own(&self, at: (f64, f64), random: &mut Random) -> Track {
        let rate = self.rate as usize;
        let (drift, muscle) = (self.drift(random), self.muscle(at, random));
        let mut filter = Pink::new(self.rate);
        let mut before = 0.0;
        let mut track = Vec::with_capacity(self.seconds * rate);
        for (drift, muscle) in drift.windows(2).zip(muscle.windows(2)) {
            for i in 0..rate {
                let share = i as f64 / self.rate;
                let white = random.normal();
                let slow = drift[0] + share * (drift[1] - drift[0]);
                let tension = muscle[0] + share * (muscle[1] - muscle[0]);
                track.push(slow + LOCAL_UV * filter.next(white) + tension * (white - before));
                before = white;
            }
        }
        track
    }

    /// The electrode's offset and its wandering, at every full second.
    fn drift(&self, random: &mut Random) -> Track {
        let offset = 35.0 * random.normal();
        let mut wander = 0.0;
        let mut step = |_| {
            wander += 3.0 * random.normal() - 0.04 * wander;
            offset + wander
        };
        (0..=self.seconds).map(&mut step).collect()
    }

    /// The tension of the muscle below the electrode (µV), at every full second: mostly at the temples, in bursts.
    fn muscle(&self, at: (f64, f64), random: &mut Random) -> Track {
        let near = spread(at, position("T3"), 0.5)
            + spread(at, position("T4"), 0.5)
            + 0.5 * spread(at, (0.0, 1.0), 0.5);
        let mut left = 0;
        let mut strength = 0.0;
        let mut step = |_| {
            if left > 0 {
                left -= 1;
            } else if random.chance(0.05) {
                (left, strength) = (random.below(3), random.between(3.0, 9.0));
            } else {
                strength = 0.0;
            }
            0.4 + near * strength
        };
        (0..=self.seconds).map(&mut step).collect()
    }

    fn add_line(&self, track: &mut Track, amplitude: f64, random: &mut Random) {
        let phase = TAU * random.unit();
        add(track, amplitude * libm::cos(phase), &self.line[0]);
        add(track, amplitude * libm::sin(phase), &self.line[1]);
    }
}

/// Adds `weight` · `source` to `track`.
fn add(track: &mut Track, weight: f64, source: &[f64]) {
    for (value, more) in track.iter_mut().zip(source) {
        *value += weight * more;
    }
}

/// Adds `weight` · `shape` to `track` from sample `start` on; what lies behind the end is lost.
fn add_at(track: &mut Track, start: usize, weight: f64, shape: &[f64]) {
    for (value, more) in track.iter_mut().skip(start).zip(shape) {
        *value += weight * more;
    }
}

fn bell(x: f64, centre: f64, width: f64) -> f64 {
    let z = (x - centre) / width;
    libm::exp(-0.5 * z * z)
}

/// Noise with power of about 1/f between 0.4 Hz and 100 Hz: low-pass filters two octaves apart, of equal power.
struct Pink {
    poles: [f64; 4],
    gains: [f64; 4],
    state: [f64; 4],
}

impl Pink {
    fn new(rate: f64) -> Self {
        const CORNERS: [f64; 4] = [0.4, 1.6, 6.4, 25.6];
        let poles = CORNERS.map(|corner| libm::exp(-TAU * corner / rate));
        let mut gains = [0, 1, 2, 3].map(|i| (1.0 - poles[i]) / CORNERS[i].sqrt());
        // The sum of first-order filters of one white noise has the variance Σ gᵢ gⱼ / (1 − pᵢ pⱼ).
        let mut variance = 0.0;
        for i in 0..4 {
            for j in 0..4 {
                variance += gains[i] * gains[j] / (1.0 - poles[i] * poles[j]);
            }
        }
        gains = gains.map(|gain| gain / variance.sqrt());
        Self { poles, gains, state: [0.0; 4] }
    }

    fn next(&mut self, white: f64) -> f64 {
        let mut sum = 0.0;
        for i in 0..4 {
            self.state[i] = self.poles[i] * self.state[i] + self.gains[i] * white;
            sum += self.state[i];
        }
        sum
    }
}

/// Pink noise with deviation 1.
fn pink(rate: f64, count: usize, random: &mut Random) -> Track {
    let mut filter = Pink::new(rate);
    (0..count).map(|_| filter.next(random.normal())).collect()
}

/// A rhythm that waxes and wanes: white noise through a resonator 1.3 Hz wide, deviation 1.
fn resonance(rate: f64, count: usize, frequency: f64, random: &mut Random) -> Track {
    let radius = libm::exp(-TAU * 0.65 / rate);
    let (a, b) = (2.0 * radius * libm::cos(TAU * frequency / rate), radius * radius);
    // The variance of x[n] = a x[n−1] − b x[n−2] + e is (1 + b) / ((1 − b)((1 + b)² − a²)).
    let gain = ((1.0 - b) * ((1.0 + b) * (1.0 + b) - a * a) / (1.0 + b)).sqrt();
    let (mut last, mut before) = (0.0, 0.0);
    let mut next = |_| {
        (last, before) = (a * last - b * before + gain * random.normal(), last);
        last
    };
    (0..count).map(&mut next).collect()
}

/// Cosine and sine of a frequency, by rotation. Rounding changes the length by less than 1e-10 in an hour.
fn phasor(frequency: f64, rate: f64, count: usize) -> [Track; 2] {
    let (c, s) = (libm::cos(TAU * frequency / rate), libm::sin(TAU * frequency / rate));
    let mut tracks = [Vec::with_capacity(count), Vec::with_capacity(count)];
    let (mut x, mut y) = (1.0, 0.0);
    for _ in 0..count {
        tracks[0].push(x);
        tracks[1].push(y);
        (x, y) = (c * x - s * y, s * x + c * y);
    }
    tracks
}

/// A blink every few seconds: 0.35 s, about 120 µV at its source.
fn blinks(rate: f64, count: usize, random: &mut Random) -> Track {
    let length = (0.35 * rate) as usize;
    let shape: Track =
        (0..length).map(|i| 0.5 - 0.5 * libm::cos(TAU * (i as f64 + 0.5) / length as f64)).collect();
    let mut track = vec![0.0; count];
    let mut time = 1.0;
    loop {
        time += 0.5 + 5.0 * -libm::log(1.0 - random.unit());
        let start = (time * rate) as usize;
        if start >= count {
            return track;
        }
        add_at(&mut track, start, random.between(90.0, 150.0), &shape);
    }
}

/// One period of spike and slow wave (generalised) or of a sharp rhythm (focal), mean 0, 1024 steps.
fn period(generalised: bool) -> Track {
    let value = |i: usize| {
        let phase = i as f64 / 1024.0;
        if generalised {
            let hump = libm::sin(TAU / 2.0 * ((phase - 0.22) / 0.73).clamp(0.0, 1.0));
            -1.2 * bell(phase, 0.12, 0.028) - 0.85 * hump * hump
        } else {
            -libm::sin(TAU * phase) - 0.4 * libm::sin(2.0 * TAU * phase + 0.6)
        }
    };
    let table: Track = (0..1024).map(value).collect();
    let mean = table.iter().sum::<f64>() / 1024.0;
    table.into_iter().map(|value| value - mean).collect()
}

/// Adds a seizure: it swells in two seconds, slows down, and stops within one.
fn add_seizure(track: &mut Track, seizure: &Seizure, rate: f64, random: &mut Random) {
    let table = period(seizure.focus.is_none());
    let (fast, slow) = if seizure.focus.is_none() { (3.4, 2.7) } else { (5.5, 2.4) };
    let peak = random.between(110.0, 170.0);
    let seconds = |ticks: u64| ticks as f64 / TICKS as f64;
    let (start, end) = (seconds(seizure.start), seconds(seizure.end));
    let first = libm::ceil(start * rate) as usize;
    let mut phase = 0.0;
    let mut wobble = 1.0;
    for (i, value) in track.iter_mut().enumerate().skip(first) {
        let time = i as f64 / rate;
        if time >= end {
            break;
        }
        let part = (time - start) / (end - start);
        let swell = ((time - start) / 2.0).min(end - time).min(1.0);
        let envelope = swell * peak * (0.6 + 1.6 * part * (1.0 - part));
        *value += envelope * wobble * table[(phase * 1024.0) as usize];
        phase += (fast + (slow - fast) * part) / rate;
        if phase >= 1.0 {
            phase -= 1.0;
            wobble = 1.0 + 0.12 * random.normal();
        }
    }
}
