//! Notes that follow from more than a recording's bytes: from its name, and from what the dataset file says.
//!
//! They stand in the manifest and not in `entry.json`, since a file must not change with its source's name; every build
//! renews them, also for recordings that it keeps.

use crate::model::failure::Note;
use crate::model::manifest::Entry;
use crate::model::quality::Quality;
use crate::model::recipe::Step;
use crate::model::settings::Settings;

/// The codes of these notes.
const CODES: [&str; 2] = ["misnamed", "mains-mismatch"];

/// Returns the notes on a recording of that name and quality.
#[must_use]
pub(super) fn remarks(settings: &Settings, name: &str, quality: &Quality) -> Vec<Note> {
    let format = quality.format.as_deref();
    format.and_then(|format| misnamed(name, format)).into_iter().chain(mains(settings, quality)).collect()
}

/// Returns the notes of an entry with these renewed, for a recording of that name; nothing where they stay as they are.
#[must_use]
pub(super) fn renewed(settings: &Settings, name: &str, entry: &Entry) -> Option<Vec<Note>> {
    let fresh = remarks(settings, name, entry.quality.as_ref()?);
    let is_one = |note: &&Note| CODES.contains(&note.code.as_str());
    if entry.notes.iter().filter(is_one).eq(&fresh) {
        return None;
    }
    Some(entry.notes.iter().filter(|note| !is_one(note)).cloned().chain(fresh).collect())
}

/// The content decides what a recording is; a name that says otherwise is noted.
#[must_use]
pub(super) fn misnamed(name: &str, format: &str) -> Option<Note> {
    let (_, extension) = name.rsplit_once('.')?;
    let other = if format.starts_with("BDF") { "edf" } else { "bdf" };
    let text = format!("the name ends in `.{extension}`, the content is {format}");
    extension.eq_ignore_ascii_case(other).then(|| Note::new("misnamed", text))
}

/// Mains that show at another frequency than the dataset file says, or, where it says nothing, than the notch takes away.
fn mains(settings: &Settings, quality: &Quality) -> Option<Note> {
    let (found, ratio) = (quality.mains_hz?, quality.mains_ratio?);
    let notch = || {
        settings.recipe.signal.steps.iter().find_map(|step| match step {
            Step::Notch { freq_hz, .. } => Some((*freq_hz, "the notch is at")),
            _ => None,
        })
    };
    let stated = settings.dataset.mains_hz.map(|hertz| (hertz, "the dataset file says"));
    let (expected, who) = stated.or_else(notch)?;
    let text =
        format!("mains of {found} Hz show ({ratio:.1} times the power beside them), {who} {expected} Hz");
    (found as f64 != expected).then(|| Note::new("mains-mismatch", text))
}
