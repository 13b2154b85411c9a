//! Start-up transients: which share of a channel's filtered variance lies in its first seconds.
//!
//! A causal filter that begins at zero turns a DC offset into a transient that can outweigh the whole recording
//! (`EEG_FACTS` section 1). The share of every channel is recorded, one above the limit is noted.

use crate::dsp::group::Group;
use crate::dsp::lane::Lane;
use crate::dsp::scale::{Moments, rough_moments, squares};
use crate::dsp::step::is_filter;
use crate::model::Note;
use crate::model::recipe::Step;
use std::collections::BTreeMap;

/// The first seconds.
const EARLY_S: u64 = 5;
/// A share below this one is never a transient.
const LEAST_SHARE: f64 = 0.5;
/// So many times the share that a steady signal would have is one.
const TIMES_EVEN: f64 = 3.0;

/// Observes channels after the last filter of a recipe.
#[derive(Debug)]
pub(crate) struct Early {
    last_filter: Option<usize>,
    /// A z-score follows at once: it needs the same moments, to the last bit.
    is_shared: bool,
    found: Vec<Found>,
}

#[derive(Debug)]
struct Found {
    row: usize,
    name: String,
    share: f64,
    limit: f64,
}

impl Early {
    /// Prepares the observation of a recipe's steps.
    pub(crate) fn new(steps: &[Step]) -> Self {
        let last_filter = steps.iter().rposition(is_filter);
        let next = last_filter.and_then(|last| steps.get(last + 1));
        Self { last_filter, is_shared: matches!(next, Some(Step::Zscore { .. })), found: Vec::new() }
    }

    /// Looks at a group after the step of that index.
    pub(crate) fn observe<L: Lane>(&mut self, index: usize, group: &mut Group<L>) {
        if self.last_filter != Some(index) {
            return;
        }
        let rate = group.track.rate;
        let mut worst: Vec<Option<(f64, f64)>> = vec![None; group.members.len()];
        let mut moments = None;
        // Every stretch of a recording with gaps begins with a transient of its own.
        for samples in group.track.apart() {
            let early = (EARLY_S * rate.numerator() / rate.denominator()).min(samples.len() as u64) as usize;
            let Moments { mean, squares: all } =
                if self.is_shared { Moments::of(samples, group.track.mean) } else { rough_moments(samples) };
            let first = squares(&samples[..early], mean);
            let limit = LEAST_SHARE.max(TIMES_EVEN * EARLY_S as f64 / rate.duration_s(samples.len() as u64));
            for (lane, worst) in worst.iter_mut().enumerate() {
                let share = if all.get(lane) > 0.0 { first.get(lane) / all.get(lane) } else { 0.0 };
                if worst.is_none_or(|(other, other_limit)| share - limit > other - other_limit) {
                    *worst = Some((share, limit));
                }
            }
            moments = Some(Moments { mean, squares: all });
        }
        // A normalisation asks for those of all stretches together, which these are where there is one.
        group.track.moments = moments.filter(|_| self.is_shared && group.track.stretches.is_empty());
        for (member, (share, limit)) in group.members.iter().zip(worst.into_iter().flatten()) {
            self.found.push(Found { row: member.row, name: member.name.clone(), share, limit });
        }
    }

    /// Returns the share of every channel that was filtered, and a `dc-transient` note that names those above the limit.
    pub(crate) fn finish(mut self) -> (BTreeMap<String, f64>, Option<Note>) {
        self.found.sort_by_key(|found| found.row);
        let above: Vec<&Found> = self.found.iter().filter(|found| found.share > found.limit).collect();
        let list: Vec<String> =
            above.iter().map(|found| format!("{} {:.3}", found.name, found.share)).collect();
        let note = above.first().map(|first| {
            let text = format!(
                "the first {EARLY_S} s hold more than {:.2} of the filtered variance: {}; `init: first_sample` avoids it",
                first.limit,
                list.join(", ")
            );
            Note::new("dc-transient", text)
        });
        // Three digits, as they are shown.
        let shares = self.found.into_iter().map(|found| (found.name, (found.share * 1e3).round() / 1e3));
        (shares.collect(), note)
    }
}
