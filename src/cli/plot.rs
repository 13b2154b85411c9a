//! A page as clinicians read it, drawn as SVG: channels stacked, one scale for all, negative up, seizures shaded.
//!
//! Two panels, as recorded and after the recipe, share the scale, so that they can be compared by eye.

use super::table::plain;
use crate::error::{Error, Result};
use crate::model::settings::Settings;
use crate::ops::inspect::{Inspection, Mark, Page, Panel, Trace};
use std::fmt::Write as _;
use std::path::Path;

/// Places in the drawing, in pixels.
const WIDTH: f64 = 1400.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 90.0;
const HEAD: f64 = 70.0;
const PANEL_HEAD: f64 = 46.0;
const FOOT: f64 = 40.0;
/// Height of a channel: fewer channels get more.
const ROW: (f64, f64) = (18.0, 60.0);
const PANEL: f64 = 560.0;
/// Height of a row of texts above a panel, how many there are at most, and the usual width of a letter.
const TEXT_ROW: f64 = 13.0;
const TEXT_ROWS: usize = 5;
const LETTER: f64 = 6.0;
/// Points drawn for a pixel before samples are replaced by their extremes.
const POINTS_PER_PIXEL: f64 = 4.0;

/// Reads `--at`.
pub(crate) fn start(text: &str) -> Result<f64> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    seconds.ok_or_else(|| {
        Error::usage(
            format!("`--at {}` is no time", plain(text)),
            "write seconds from the beginning, such as 62.5",
        )
    })
}

/// Draws the page into `path`.
pub(crate) fn write(
    settings: &Settings,
    path: &Path,
    report: &Inspection,
    page: Option<&Page>,
) -> Result<()> {
    let Some(page) = page else {
        super::line("no page was drawn: the recording cannot be processed");
        return Ok(());
    };
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("svg")) {
        let message = format!("`{}` does not end in `.svg`", path.display());
        return Err(Error::usage(message, "the drawing is SVG; give it a name that says so"));
    }
    let directory = path.parent().and_then(|parent| parent.canonicalize().ok());
    for root in [&settings.dataset.root, &settings.cache_root] {
        let root = root.canonicalize().ok();
        if directory.iter().zip(&root).any(|(directory, root)| directory.starts_with(root)) {
            let message = format!("`{}` lies below the dataset or the cache", path.display());
            return Err(Error::usage(message, "draw into another directory"));
        }
    }
    fs_err::write(path, draw(report, page)).map_err(|source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// Returns the drawing.
pub(crate) fn draw(report: &Inspection, page: &Page) -> String {
    let rows = page.panels.iter().map(|panel| panel.traces.len()).max().unwrap_or(1).max(1);
    let row = (PANEL / rows as f64).clamp(ROW.0, ROW.1);
    let sensitivity = sensitivity(&page.panels);
    let text_rows = text_rows(page);
    let head = PANEL_HEAD + TEXT_ROW * text_rows.iter().max().copied().unwrap_or(0) as f64;
    let heights = page.panels.each_ref().map(|panel| head + row * (panel.traces.len() as f64 + 2.0));
    let height = HEAD + heights.iter().sum::<f64>() + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    title(&mut svg, report, page, sensitivity);
    let mut top = HEAD;
    for (panel, height) in page.panels.iter().zip(heights) {
        let frame =
            Frame { top: top + head, head, row, start_s: page.start_s, seconds: page.seconds, sensitivity };
        frame.panel(&mut svg, panel, page.marks.iter().zip(&text_rows));
        top += height;
    }
    svg.push_str("</svg>\n");
    svg
}

fn title(svg: &mut String, report: &Inspection, page: &Page, sensitivity: f64) {
    let file = report.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let facts: Vec<String> = [report.format.clone(), report.start.clone()].into_iter().flatten().collect();
    let (from, to) = (page.start_s, page.start_s + page.seconds);
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"28\" font-size=\"18\" font-weight=\"bold\">{}</text>\n\
         <text x=\"{LEFT}\" y=\"50\" fill=\"#444444\">{} · {from} s to {to} s of {:.0} s · {sensitivity} µV a channel's \
         height, negative up</text>",
        escaped(&file),
        escaped(&facts.join(" · ")),
        report.duration_s.unwrap_or(0.0),
    );
}

/// µV a channel's height: the middle channel's usual swing, rounded up to 1, 2 or 5 times a power of ten.
fn sensitivity(panels: &[Panel; 2]) -> f64 {
    let mut swings: Vec<f64> = panels.iter().flat_map(|panel| &panel.traces).map(swing).collect();
    swings.retain(|swing| *swing > 0.0);
    swings.sort_by(f64::total_cmp);
    let usual = swings.get(swings.len() / 2).copied().unwrap_or(100.0);
    let power = 10_f64.powf(usual.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= usual).unwrap_or(usual)
}

/// The range that holds nine samples in ten.
fn swing(trace: &Trace) -> f64 {
    let mut sorted = trace.microvolts.clone();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get((share * sorted.len() as f64) as usize).copied().unwrap_or(0.0);
    at(0.95) - at(0.05)
}

/// The row above the panel in which the text of each mark stands, so that no two lie on each other.
fn text_rows(page: &Page) -> Vec<usize> {
    let mut order: Vec<usize> = (0..page.marks.len()).collect();
    order.sort_by(|a, b| page.marks[*a].start_s.total_cmp(&page.marks[*b].start_s));
    let mut ends: Vec<f64> = Vec::new();
    let mut rows = vec![0; page.marks.len()];
    for index in order {
        let mark = &page.marks[index];
        let begin = across((mark.start_s - page.start_s) / page.seconds);
        let end = begin + LETTER * (mark.text.chars().count() + 1) as f64;
        let free = ends.iter().position(|end| *end <= begin).unwrap_or(ends.len()).min(TEXT_ROWS - 1);
        match ends.get_mut(free) {
            Some(last) => *last = last.max(end),
            None => ends.push(end),
        }
        rows[index] = free;
    }
    rows
}

/// The place of a share of the page's time.
fn across(share: f64) -> f64 {
    LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

/// One panel's place and scales.
struct Frame {
    top: f64,
    head: f64,
    row: f64,
    start_s: f64,
    seconds: f64,
    sensitivity: f64,
}

impl Frame {
    fn x(&self, seconds: f64) -> f64 {
        across(seconds / self.seconds)
    }

    fn panel<'a>(&self, svg: &mut String, panel: &Panel, marks: impl Iterator<Item = (&'a Mark, &'a usize)>) {
        let height = self.row * (panel.traces.len() as f64 + 1.0);
        let width = WIDTH - LEFT - RIGHT;
        let id = format!("clip{:.0}", self.top);
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.1}\" font-size=\"14\" font-weight=\"bold\">{}</text>\n\
             <clipPath id=\"{id}\"><rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{width}\" height=\"{height:.1}\"/></clipPath>",
            self.top - self.head + PANEL_HEAD - 24.0,
            escaped(&panel.title),
            self.top,
        );
        self.grid(svg, height);
        for (mark, text_row) in marks {
            self.mark(svg, mark, *text_row, height);
        }
        let _ = writeln!(svg, "<g clip-path=\"url(#{id})\" fill=\"none\" stroke-width=\"0.9\">");
        for (index, trace) in panel.traces.iter().enumerate() {
            let colour = if trace.is_interpolated { "#b06000" } else { "#10306b" };
            let _ =
                writeln!(svg, "<path stroke=\"{colour}\" d=\"{}\"/>", self.path(trace, self.middle(index)));
        }
        svg.push_str("</g>\n");
        for (index, trace) in panel.traces.iter().enumerate() {
            Self::label(svg, trace, self.middle(index));
        }
        self.scale_bar(svg, height);
    }

    fn middle(&self, index: usize) -> f64 {
        self.top + self.row * (index as f64 + 1.0)
    }

    fn grid(&self, svg: &mut String, height: f64) {
        let bottom = self.top + height;
        for second in 0..=self.seconds as u32 {
            let x = self.x(f64::from(second));
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#dddddd\"/>\n\
                 <text x=\"{x:.1}\" y=\"{:.1}\" fill=\"#666666\" font-size=\"10\" text-anchor=\"middle\">{} s</text>",
                self.top,
                bottom + 12.0,
                self.start_s + f64::from(second),
            );
        }
    }

    fn mark(&self, svg: &mut String, mark: &Mark, text_row: usize, height: f64) {
        let x = self.x(mark.start_s - self.start_s);
        let end = self.x(mark.end_s.unwrap_or(mark.start_s) - self.start_s);
        let (fill, ink) = if mark.is_seizure { ("#f4b6b6", "#a01818") } else { ("#e4e9f4", "#45557a") };
        // An instant is a line.
        let fill = if mark.end_s.is_none() { ink } else { fill };
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{fill}\" fill-opacity=\"0.55\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{ink}\" font-size=\"11\">{}</text>",
            self.top,
            (end - x).max(1.0),
            x + 2.0,
            self.top - 5.0 - TEXT_ROW * text_row as f64,
            escaped(&mark.text),
        );
    }

    fn label(svg: &mut String, trace: &Trace, middle: f64) {
        let (ink, style) =
            if trace.is_interpolated { ("#b06000", " font-style=\"italic\"") } else { ("#111111", "") };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{ink}\"{style} text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            middle + 4.0,
            escaped(&trace.name),
        );
        if trace.is_interpolated {
            let x = WIDTH - RIGHT + 6.0;
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{ink}\" font-size=\"10\">interpolated</text>",
                middle + 4.0
            );
        }
    }

    /// A bar as high as a channel.
    fn scale_bar(&self, svg: &mut String, height: f64) {
        let (x, bottom) = (WIDTH - RIGHT + 14.0, self.top + height);
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" y1=\"{bottom:.1}\" x2=\"{x}\" y2=\"{:.1}\" stroke=\"#111111\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\">{} µV</text>",
            bottom - self.row,
            x + 6.0,
            bottom - self.row / 2.0 + 4.0,
            self.sensitivity,
        );
    }

    /// The line through a channel's samples; where they are denser than pixels, through the extremes of each half pixel.
    fn path(&self, trace: &Trace, middle: f64) -> String {
        let mut path = String::new();
        let pixels = WIDTH - LEFT - RIGHT;
        let per_bin =
            (trace.rate_hz * self.seconds / (pixels * POINTS_PER_PIXEL / 2.0)).ceil().max(1.0) as usize;
        let mut point = |index: usize, microvolts: f64| {
            let x = self.x(trace.offset_s + index as f64 / trace.rate_hz);
            // Negative is up, as on paper.
            let y = middle + microvolts / self.sensitivity * self.row;
            let letter = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{x:.1} {y:.1}");
        };
        for (bin, values) in trace.microvolts.chunks(per_bin).enumerate() {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            point(bin * per_bin, low);
            if values.len() > 1 {
                point(bin * per_bin, high);
            }
        }
        path
    }
}

/// Text of unknown origin inside of XML.
fn escaped(text: &str) -> String {
    plain(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
