//! The table of ratios: programs in pairs, each pair measured in turn, the median of the ratios.

use crate::cost::{Cost, median, run};
use crate::place::Place;
use std::process::Command;

type Commands<'a> = &'a dyn Fn() -> Vec<Command>;

/// Rows of the table, measured one after the other.
pub(crate) struct Table {
    runs: usize,
    rows: Vec<String>,
}

impl Table {
    pub(crate) fn new(runs: usize) -> Self {
        let head =
            format!("{:<56} {:>9} {:>9} {:>7} {:>7}", "ours / theirs", "ours", "theirs", "ratio", "aim");
        Self { runs, rows: vec![head] }
    }

    /// Runs both in turn; commands are made anew each time, which empties their directories.
    pub(crate) fn pair(
        &mut self,
        name: &str,
        limit: f64,
        figure: fn(&Cost) -> f64,
        ours: Commands<'_>,
        theirs: Commands<'_>,
    ) {
        self.pair_of(name, limit, (ours, figure), (theirs, figure));
    }

    /// One pair alone, where the other side takes a minute.
    pub(crate) fn pair_once(
        &mut self,
        name: &str,
        limit: f64,
        figure: fn(&Cost) -> f64,
        ours: Commands<'_>,
        theirs: Commands<'_>,
    ) {
        let runs = std::mem::replace(&mut self.runs, 1);
        self.pair(name, limit, figure, ours, theirs);
        self.runs = runs;
    }

    /// As `pair`, with a figure for each side.
    pub(crate) fn pair_of(
        &mut self,
        name: &str,
        limit: f64,
        (ours, our): (Commands<'_>, impl Fn(&Cost) -> f64),
        (theirs, their): (Commands<'_>, impl Fn(&Cost) -> f64),
    ) {
        eprintln!("measuring: {name}");
        let pairs: Vec<[f64; 2]> =
            (0..self.runs).map(|_| [our(&run(ours())), their(&run(theirs()))]).collect();
        let column = |which: usize| median(pairs.iter().map(|pair| pair[which]).collect());
        let ratio = median(pairs.iter().map(|pair| pair[0] / pair[1]).collect());
        self.row(name, limit, column(0), column(1), ratio);
    }

    /// One run beside a number.
    pub(crate) fn beside_number(
        &mut self,
        name: &str,
        limit: f64,
        figure: fn(&Cost) -> f64,
        ours: Commands<'_>,
        theirs: f64,
    ) {
        eprintln!("measuring: {name}");
        let ours = figure(&run(ours()));
        self.row(name, limit, ours, theirs, ours / theirs);
    }

    pub(crate) fn row(&mut self, name: &str, limit: f64, ours: f64, theirs: f64, ratio: f64) {
        let verdict = if ratio <= limit { "" } else { "  above" };
        self.rows.push(format!("{name:<56} {ours:>9.2} {theirs:>9.2} {ratio:>7.3} {limit:>7.3}{verdict}"));
    }

    pub(crate) fn skip(&mut self, what: &str, place: &Place) {
        self.rows.push(format!("skipped: {what} in `{}`", place.python));
    }

    pub(crate) fn print(&self) {
        println!("\nCPU seconds where nothing else is said, medians; the ratio is the median over the pairs");
        self.rows.iter().for_each(|row| println!("{row}"));
    }
}
