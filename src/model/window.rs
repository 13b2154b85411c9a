//! Windows: views of a signal, counted and classed from events without reading a sample.
//!
//! Window *i* is `signal[:, i·S : i·S+L]`; the tail that fills no window is dropped. Length and stride
//! enter no fingerprint.

use crate::model::units::Rate;
use serde::{Deserialize, Serialize};

/// Length and stride in samples, both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windowing {
    length: u64,
    stride: u64,
}

/// A half-open stretch of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// First sample.
    pub start: u64,
    /// One behind the last sample.
    pub end: u64,
}

/// Windows of a recording or of many, by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowCounts {
    /// Windows without a seizure sample.
    pub none: u64,
    /// Windows with some.
    pub partial: u64,
    /// Windows of which at least 99 % are seizure.
    pub full: u64,
}

/// The class of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowClass {
    /// No seizure sample.
    None,
    /// Some.
    Partial,
    /// 100·seizure ≥ 99·length.
    Full,
}

impl WindowCounts {
    /// All windows.
    #[must_use]
    pub fn total(self) -> u64 {
        self.none + self.partial + self.full
    }

    /// Windows with at least one seizure sample.
    #[must_use]
    pub fn seizure(self) -> u64 {
        self.partial + self.full
    }

    /// Adds the counts of another recording.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            none: self.none + other.none,
            partial: self.partial + other.partial,
            full: self.full + other.full,
        }
    }
}

impl Windowing {
    /// Returns a windowing in samples, or nothing where length or stride is 0.
    #[must_use]
    pub fn new(length: u64, stride: u64) -> Option<Self> {
        (length > 0 && stride > 0).then_some(Self { length, stride })
    }

    /// Length in samples.
    #[must_use]
    pub fn length(self) -> u64 {
        self.length
    }

    /// Stride in samples.
    #[must_use]
    pub fn stride(self) -> u64 {
        self.stride
    }

    /// Returns the number of windows in `samples` samples: 0 where N < L, else (N − L) div S + 1.
    #[must_use]
    pub fn count(self, samples: u64) -> u64 {
        samples.checked_sub(self.length).map_or(0, |rest| rest / self.stride + 1)
    }

    /// Returns the class of a window with that many seizure samples.
    #[must_use]
    pub fn class(self, seizure: u64) -> WindowClass {
        if seizure == 0 {
            WindowClass::None
        } else if 100 * u128::from(seizure) >= 99 * u128::from(self.length) {
            WindowClass::Full
        } else {
            WindowClass::Partial
        }
    }

    /// Returns the windows of one recording by class; windows that touch a gap are left out. Spans may
    /// overlap and be unsorted.
    #[must_use]
    pub fn classify(self, samples: u64, seizures: &[Span], gaps: &[Span]) -> WindowCounts {
        let (seizures, gaps) = (merge(seizures), merge(gaps));
        let windows = self.count(samples);
        let closed = self.ranges(&gaps, windows);
        let mut counts = WindowCounts { none: windows - covered(&closed), ..WindowCounts::default() };
        for range in self.ranges(&seizures, windows) {
            for window in (range.start..range.end).filter(|window| !holds(&closed, *window)) {
                match self.class_at(window * self.stride, &seizures) {
                    WindowClass::None => continue,
                    WindowClass::Partial => counts.partial += 1,
                    WindowClass::Full => counts.full += 1,
                }
                counts.none -= 1;
            }
        }
        counts
    }

    /// Returns where the windows of a recording begin; those that touch one of the `gaps` are left out.
    #[must_use]
    pub fn starts(self, samples: u64, gaps: &[Span]) -> Vec<u64> {
        let all = (0..self.count(samples)).map(|window| window * self.stride);
        let is_inside = |gap: &Span, start: u64| gap.start < start + self.length && start < gap.end;
        // A gap without samples is none, wherever it lies.
        let touches = |start: u64| gaps.iter().any(|gap| gap.start < gap.end && is_inside(gap, start));
        all.filter(|start| !touches(*start)).collect()
    }

    /// Returns the class of the window that begins at `start`; `seizures` are sorted and disjoint, as of `merge`.
    #[must_use]
    pub fn class_at(self, start: u64, seizures: &[Span]) -> WindowClass {
        self.class(self.seizure_at(start, seizures))
    }

    /// Returns the seizure samples of the window that begins at `start`; `seizures` are as of `merge`.
    #[must_use]
    pub fn seizure_at(self, start: u64, seizures: &[Span]) -> u64 {
        self.overlap(start, seizures)
    }

    /// Returns the windows, as ranges of their numbers, that touch one of the spans; these are sorted and disjoint.
    fn ranges(self, spans: &[Span], windows: u64) -> Vec<Span> {
        let touching = |span: &Span| {
            let start = span.start.saturating_sub(self.length - 1).div_ceil(self.stride);
            let end = span.end.div_ceil(self.stride).min(windows);
            Span { start: start.min(end), end }
        };
        merge(&spans.iter().map(touching).collect::<Vec<_>>())
    }

    fn overlap(self, start: u64, merged: &[Span]) -> u64 {
        let end = start + self.length;
        let from = merged.partition_point(|span| span.end <= start);
        let inside = merged[from..].iter().take_while(|span| span.start < end);
        inside.map(|span| span.end.min(end) - span.start.max(start)).sum()
    }
}

/// Returns the union of spans as sorted, disjoint, non-empty spans.
#[must_use]
pub fn merge(spans: &[Span]) -> Vec<Span> {
    let mut sorted: Vec<Span> = spans.iter().copied().filter(|span| span.start < span.end).collect();
    sorted.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match merged.last_mut().filter(|last| span.start <= last.end) {
            Some(last) => last.end = last.end.max(span.end),
            None => merged.push(span),
        }
    }
    merged
}

/// Returns how many samples lie in spans that are disjoint.
#[must_use]
pub fn covered(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.end - span.start).sum()
}

/// Returns how many samples lie in both of two lists of sorted, disjoint spans.
#[must_use]
pub fn shared(a: &[Span], b: &[Span]) -> u64 {
    let common = |a: &Span, b: &Span| a.end.min(b.end).saturating_sub(a.start.max(b.start));
    a.iter().map(|a| b.iter().map(|b| common(a, b)).sum::<u64>()).sum()
}

/// True where one of the sorted, disjoint spans holds `at`.
fn holds(spans: &[Span], at: u64) -> bool {
    let next = spans.partition_point(|span| span.end <= at);
    spans.get(next).is_some_and(|span| span.start <= at)
}

/// Returns how many samples a length of `seconds` has at `rate`, where that is a whole number of at least 1.
#[must_use]
pub fn whole_samples(seconds: crate::model::units::Seconds, rate: Rate) -> Option<u64> {
    let (numerator, denominator) = seconds.as_fraction();
    let numerator = numerator.checked_mul(i128::from(rate.numerator()))?;
    let denominator = denominator.checked_mul(i128::from(rate.denominator()))?;
    (numerator > 0 && numerator % denominator == 0)
        .then(|| u64::try_from(numerator / denominator).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_that_touch_a_gap_are_left_out() {
        let windowing = Windowing::new(4, 2).unwrap();
        for (gaps, starts) in [
            (vec![], vec![0, 2, 4, 6]),
            (vec![(4, 5)], vec![0, 6]),
            (vec![(0, 1), (9, 10)], vec![2, 4]),
            (vec![(10, 11)], vec![0, 2, 4, 6]),
            // An empty gap closes no window.
            (vec![(3, 3)], vec![0, 2, 4, 6]),
        ] {
            let gaps: Vec<Span> = gaps.into_iter().map(|(start, end)| Span { start, end }).collect();
            assert_eq!(windowing.starts(11, &gaps), starts, "{gaps:?}");
        }
    }

    #[test]
    fn window_counts_of_the_origin() {
        let windowing = Windowing::new(15_360, 2_560).unwrap();
        for (samples, count) in [(0, 0), (15_359, 0), (15_360, 1), (17_919, 1), (17_920, 2)] {
            assert_eq!(windowing.count(samples), count, "{samples}");
        }
    }

    fn by_hand(windowing: Windowing, samples: u64, seizures: &[Span], gaps: &[Span]) -> WindowCounts {
        let mask = |spans: &[Span]| -> Vec<bool> {
            (0..samples).map(|i| spans.iter().any(|s| s.start <= i && i < s.end)).collect()
        };
        let (labels, closed) = (mask(seizures), mask(gaps));
        let mut counts = WindowCounts::default();
        for window in 0..windowing.count(samples) {
            let start = (window * windowing.stride()) as usize;
            let window = start..start + windowing.length() as usize;
            if closed[window.clone()].iter().any(|closed| *closed) {
                continue;
            }
            let ill = labels[window].iter().filter(|l| **l).count();
            match windowing.class(ill as u64) {
                WindowClass::None => counts.none += 1,
                WindowClass::Partial => counts.partial += 1,
                WindowClass::Full => counts.full += 1,
            }
        }
        counts
    }

    proptest! {
        #[test]
        fn classes_from_events_equal_classes_from_labels(
            samples in 0_u64..400, length in 1_u64..150, stride in 1_u64..60,
            spans in proptest::collection::vec((0_u64..400, 0_u64..200), 0..6),
            gaps in proptest::collection::vec((0_u64..400, 0_u64..60), 0..4),
        ) {
            let cut = |spans: Vec<(u64, u64)>| -> Vec<Span> {
                let cut = |(start, n): (u64, u64)| Span { start: start.min(samples), end: (start + n).min(samples) };
                spans.into_iter().map(cut).collect()
            };
            let (spans, gaps) = (cut(spans), cut(gaps));
            let windowing = Windowing::new(length, stride).unwrap();
            let counts = windowing.classify(samples, &spans, &gaps);
            prop_assert_eq!(counts, by_hand(windowing, samples, &spans, &gaps));
            let seconds = (0..samples).filter(|i| [&spans, &gaps].iter().all(|s| holds(&merge(s), *i))).count() as u64;
            prop_assert_eq!(shared(&merge(&spans), &merge(&gaps)), seconds);
            let mut from_samples = WindowCounts::default();
            for start in windowing.starts(samples, &gaps) {
                match windowing.class(windowing.seizure_at(start, &merge(&spans))) {
                    WindowClass::None => from_samples.none += 1,
                    WindowClass::Partial => from_samples.partial += 1,
                    WindowClass::Full => from_samples.full += 1,
                }
            }
            prop_assert_eq!(from_samples, counts);
        }
    }
}
