//! Text for people: aligned tables, sizes, shares, and text of unknown origin made harmless.

use std::fmt::Write as _;

/// Which way a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of cells under a header; columns that are empty in every row are left out.
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    pub(crate) fn render(&self) -> String {
        let used: Vec<usize> =
            (0..self.columns.len()).filter(|c| self.rows.iter().any(|row| !row[*c].is_empty())).collect();
        let width = |c: &usize| {
            let cells = self.rows.iter().map(|row| visible(&row[*c]));
            cells.chain([self.columns[*c].0.chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = used.iter().map(width).collect();
        let header: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut text = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut line = String::new();
            for (column, width) in used.iter().zip(&widths) {
                let pad = " ".repeat(width.saturating_sub(visible(&row[*column])));
                let _ = match self.columns[*column].1 {
                    Align::Left => write!(line, "{}{pad}  ", row[*column]),
                    Align::Right => write!(line, "{pad}{}  ", row[*column]),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Characters that take a place on the screen: colour sequences do not.
fn visible(cell: &str) -> usize {
    let mut count = 0;
    let mut inside = false;
    for c in cell.chars() {
        match (inside, c) {
            (false, '\u{1b}') => inside = true,
            (true, 'm') => inside = false,
            (false, _) => count += 1,
            (true, _) => {}
        }
    }
    count
}

/// Text of unknown origin on one line, without control characters: `\u{1b}` is written out.
pub(crate) fn plain(text: &str) -> String {
    escaped(text, char::is_control)
}

/// The same for text that may have several lines.
pub(crate) fn lines(text: &str) -> String {
    escaped(text, |c| c.is_control() && c != '\n')
}

fn escaped(text: &str, is_hostile: impl Fn(char) -> bool) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        let bidi = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if is_hostile(c) || bidi {
            let _ = write!(result, "{}", c.escape_unicode());
        } else {
            result.push(c);
        }
    }
    result
}

/// `94.2 GB`, powers of ten as disks are sold.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.*} {unit}", usize::from(value < 99.95)) }
}

/// `8.1 %`, or `-` where there is nothing to take a share of.
pub(crate) fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// `4 s`, `3 min`, `2.5 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 0.95 {
        format!("{seconds:.2} s")
    } else if seconds < 100.0 {
        format!("{seconds:.0} s")
    } else if seconds < 6000.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

/// `1 recording`, `2 recordings`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_empty_ones_go() {
        let mut table = Table::new(&[("NAME", Align::Left), ("NOTHING", Align::Left), ("N", Align::Right)]);
        table.row(vec!["a".into(), String::new(), "10".into()]);
        table.row(vec!["\u{1b}[32mlonger\u{1b}[0m".into(), String::new(), "7".into()]);
        assert_eq!(table.render(), "NAME     N\na       10\n\u{1b}[32mlonger\u{1b}[0m   7\n");
    }

    #[test]
    fn hostile_text_is_written_out() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}\n"), "a\\u{1b}[2Jb\\u{202e}\\u{a}");
        assert_eq!(lines("a\nb\r"), "a\nb\\u{d}");
    }

    #[test]
    fn sizes_are_short() {
        for (n, text) in
            [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (94_200_000_000, "94.2 GB"), (999_600, "1.0 MB")]
        {
            assert_eq!(bytes(n), text);
        }
    }
}
