//! `labels` and `windows`.

use crate::config::annotations::Annotations;
use crate::config::check::{Cursor, Noted};
use crate::config::sections::Sections;
use crate::config::spelling::one_of_two;
use crate::model::recipe::{AnnotationFormat, Fix, LabelRecipe, SignalRecipe, Unlabelled};
use crate::model::settings::WindowSpec;
use crate::model::units::{Rate, Seconds};
use crate::model::window::whole_samples;
use std::collections::{BTreeMap, BTreeSet};

/// What a label recipe needs besides its own section.
pub(crate) struct Context<'a> {
    /// The dataset's annotations.
    pub(crate) annotations: Option<&'a Annotations>,
    /// The dataset's corrections.
    pub(crate) fixes: Option<BTreeMap<String, Vec<Fix>>>,
    /// The signal recipe, whose rate and gaps are the time base of the labels.
    pub(crate) signal: Option<&'a SignalRecipe>,
}

/// Returns the label recipe.
pub(crate) fn recipe(at: &Cursor<'_>, context: Context<'_>) -> Option<LabelRecipe> {
    at.keys(&["seizure", "background", "unlabelled", "expected_share"]);
    let texts = context.annotations.is_some_and(|a| a.format == AnnotationFormat::EdfAnnotations);
    let (seizure, background) =
        (codes(&at.at("seizure"), true, texts), codes(&at.at("background"), false, texts));
    if let (Some(seizure), Some(background)) = (&seizure, &background) {
        check_disjoint(at, seizure, background);
    }
    let unlabelled = if at.at("unlabelled").is_given() {
        at.at("unlabelled").choice(Unlabelled::ALL, Unlabelled::as_str)
    } else {
        Some(Unlabelled::Error)
    };
    let annotations = context.annotations;
    if let (Some(AnnotationFormat::None), Some(Unlabelled::Error)) =
        (annotations.map(|a| a.format), unlabelled)
    {
        at.at("unlabelled").fail::<()>(
            "`labels.unlabelled: error` refuses every recording of a dataset without annotations",
            "write `labels: {unlabelled: keep}`, or describe the annotation files in `dataset.annotations`",
        );
    }
    Some(LabelRecipe {
        format: annotations?.format,
        cross_check: annotations?.unusual_cross_check(),
        no_row_means: annotations?.no_row_means,
        names: annotations?.names.clone(),
        seizure: seizure?,
        background: background?,
        unlabelled: unlabelled?,
        fixes: context.fixes?,
        rate_hz: context.signal?.output_rate(),
        gaps: context.signal?.gaps,
    })
}

/// Codes; where they are the texts of a recording (`texts`) they may hold blanks.
fn codes(at: &Cursor<'_>, required: bool, texts: bool) -> Option<BTreeSet<String>> {
    let hint = "write for instance `labels: {seizure: [seiz], background: [bckg]}`";
    if !at.is_given() {
        return if required { at.required(hint).then(BTreeSet::new) } else { Some(BTreeSet::new()) };
    }
    let items = at.texts()?;
    if items.is_empty() && required {
        return at.fail(format!("`{}` is an empty list, so nothing would be a seizure", at.key), hint);
    }
    let mut codes = BTreeSet::new();
    for (code, item) in items {
        if !texts && code.contains(|c: char| c.is_whitespace() || c == ',') {
            return item.fail(
                format!("`{}` is `{code}`, which is no single code", item.key),
                "write a list: `[seiz, gnsz]`",
            );
        }
        if code.strip_suffix('*').unwrap_or(&code).contains('*') {
            return item.fail(
                format!("`{}` is `{code}`, with a `*` that is not at its end", item.key),
                "`sz*` stands for all codes that begin with `sz`",
            );
        }
        if !codes.insert(code.clone()) {
            return item.fail(format!("`{}` lists `{code}` twice", at.key), "delete one of the two");
        }
    }
    Some(codes)
}

fn check_disjoint(at: &Cursor<'_>, seizure: &BTreeSet<String>, background: &BTreeSet<String>) {
    let (s, b) = (at.at("seizure"), at.at("background"));
    for code in seizure.intersection(background) {
        let message =
            format!("the code `{code}` is in `{}` ({}) and in `{}` ({})", s.key, s.place(), b.key, b.place());
        b.fail::<()>(message, "a code is a seizure or it is not: delete it from one of the lists");
    }
}

/// `labels.expected_share.windows`.
pub(crate) fn expected_share(at: &Cursor<'_>) -> Result<Option<(f64, f64)>, Noted> {
    at.at("expected_share").optional(|share| {
        share.keys(&["windows"]).then_some(())?;
        let windows = share.at("windows");
        let hint = "write `windows: [0.05, 0.12]` for 5 to 12 %";
        windows.required(hint).then_some(())?;
        let bounds: Option<Vec<f64>> = windows.items()?.iter().map(Cursor::number).collect();
        match bounds?.as_slice() {
            [low, high] if 0.0 <= *low && low <= high && *high <= 1.0 => Some((*low, *high)),
            _ => windows.wrong("a lowest and a highest share, from 0 to 1", hint),
        }
    })
}

/// `windows`, with the origin's `data.window_size` and `data.stride`.
pub(crate) fn windows(sections: &Sections<'_>, rate: Option<Rate>) -> Option<WindowSpec> {
    let at = &sections.windows;
    at.keys(&["length_s", "stride_s"]);
    let length = duration(&at.at("length_s"), &sections.data.at("window_size"), rate);
    let stride = duration(&at.at("stride_s"), &sections.data.at("stride"), rate);
    Some(WindowSpec { length_s: length?, stride_s: stride? })
}

fn duration(ours: &Cursor<'_>, theirs: &Cursor<'_>, rate: Option<Rate>) -> Option<Seconds> {
    let (at, seconds) = one_of_two(ours, theirs, seconds, ToString::to_string, "")?;
    let Some(rate) = rate.filter(|rate| whole_samples(seconds, *rate).is_none()) else {
        return Some(seconds);
    };
    let exact = (seconds.as_f64() * rate.as_f64() * 1e6).round() / 1e6;
    let near = nearest(exact.round().max(1.0) as i64, rate);
    at.fail(
        format!(
            "`{}` is {seconds} s, which is {exact} samples at {rate} Hz and not a whole number from 1",
            at.key
        ),
        format!("write for instance {near}, or another rate"),
    )
}

/// About so many samples: where they last no decimal, seconds that any number of samples in them makes whole.
fn nearest(samples: i64, rate: Rate) -> Seconds {
    let near = Seconds::of_sample(samples, rate);
    if whole_samples(near, rate).is_some() {
        return near;
    }
    let period = rate.denominator() as i64;
    Seconds::whole(((near.as_f64() / period as f64).round() as i64).max(1) * period)
}

fn seconds(at: &Cursor<'_>) -> Option<Seconds> {
    at.required("write a number of seconds").then_some(())?;
    at.positive()?;
    Seconds::parse(&at.decimal()?).or_else(|| at.wrong("a number of seconds with at most 18 digits", ""))
}
