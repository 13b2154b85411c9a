//! `manifest.json`: one JSON object, one entry a line, sealed by a checksum on its first line.
//!
//! The first line is `{"checksum":"<64 hex digits>",`; the checksum is the SHA-256 of every byte that
//! follows it, so no bit can change unnoticed and no second encoding exists. Lists are sorted.

pub(super) mod entries;

use super::layout::{FileName, Part};
use crate::model::id::{Digest, ProfileName, VersionName};
use crate::model::manifest::{Entry, MANIFEST_SCHEMA, Manifest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

const SEAL_START: &[u8] = b"{\"checksum\":\"";
const SEAL_END: &[u8] = b"\",\n";
/// Bytes of the first line.
const SEAL_BYTES: usize = SEAL_START.len() + 64 + SEAL_END.len();

/// Returns the manifest as text.
pub(super) fn encode(manifest: &Manifest) -> serde_json::Result<Vec<u8>> {
    let body = encode_body(manifest)?;
    let seal = Digest::of(&body).to_string();
    Ok([SEAL_START, seal.as_bytes(), SEAL_END, &body].concat())
}

/// Every field by name, so that a field added to the model cannot be forgotten here.
fn encode_body(manifest: &Manifest) -> serde_json::Result<Vec<u8>> {
    let Manifest {
        schema,
        profile,
        version,
        identity,
        recipe,
        builder,
        revisions,
        licence,
        subset,
        durable,
        membership,
        totals,
        entries,
        quarantine,
        history,
    } = manifest;
    let mut body = Body::default();
    body.field("schema", schema)?;
    body.field("profile", profile)?;
    body.field("version", version)?;
    body.field("identity", identity)?;
    body.field("recipe", recipe)?;
    body.field("builder", builder)?;
    body.field("revisions", revisions)?;
    body.field("licence", licence)?;
    body.field("subset", subset)?;
    body.field("durable", durable)?;
    body.list("membership", membership.iter(), |member| (&member.name, member.split))?;
    body.field("totals", totals)?;
    body.list("entries", entries.iter().map(Arc::as_ref), |entry| &entry.id)?;
    body.list("quarantine", quarantine.iter(), |quarantined| &quarantined.name)?;
    body.field("history", history)?;
    body.0.extend(b"}\n");
    Ok(body.0)
}

/// The text behind the checksum, field by field.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn name(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.extend(b",\n");
        }
        self.0.extend(format!("\"{name}\":").as_bytes());
    }

    fn field(&mut self, name: &str, value: &impl Serialize) -> serde_json::Result<()> {
        self.name(name);
        serde_json::to_writer(&mut self.0, value)
    }

    /// Writes a sorted list with one element a line, which is easy to search and to compare.
    fn list<'a, T: Serialize + 'a, K: Ord>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = &'a T>,
        key: impl Fn(&'a T) -> K,
    ) -> serde_json::Result<()> {
        let mut sorted: Vec<&T> = values.collect();
        sorted.sort_by_key(|value| key(value));
        self.name(name);
        self.0.push(b'[');
        for (index, value) in sorted.into_iter().enumerate() {
            self.0.extend(if index == 0 { &b"\n"[..] } else { b",\n" });
            serde_json::to_writer(&mut self.0, value)?;
        }
        self.0.extend(b"\n]");
        Ok(())
    }
}

/// Returns why a whole manifest is none of this program's: it was written by a later one.
pub(super) fn later(text: &[u8]) -> Option<String> {
    check_seal(text).ok()?;
    let schema = later_schema(text)?;
    Some(format!("it has schema {schema}, written by a later eegcache; known is {MANIFEST_SCHEMA}"))
}

/// Reads a manifest; `Err` holds why it cannot be used.
pub(super) fn decode(text: &[u8], profile: &ProfileName, version: &VersionName) -> Result<Manifest, String> {
    check_seal(text)?;
    let manifest = serde_json::from_slice(text).map_err(|error| format!("it is no manifest: {error}"))?;
    checked(manifest, profile, version)
}

/// Returns a manifest that is what a version's should be, else why it is not.
fn checked(manifest: Manifest, profile: &ProfileName, version: &VersionName) -> Result<Manifest, String> {
    if manifest.schema > MANIFEST_SCHEMA {
        return Err("it was written by a later eegcache".to_owned());
    }
    if manifest.profile != *profile || manifest.version != *version {
        return Err(format!("it belongs to `{}/{}`", manifest.profile, manifest.version));
    }
    manifest.entries.iter().try_for_each(|entry| check_names(entry))?;
    check_unique("entry", manifest.entries.iter().map(|entry| &entry.id))?;
    check_unique("member", manifest.membership.iter().map(|member| member.name.as_str()))?;
    check_unique("quarantined recording", manifest.quarantine.iter().map(|one| one.name.as_str()))?;
    Ok(manifest)
}

/// The schema of a text that is no manifest of ours, where it is one of a later program.
fn later_schema(text: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u64,
    }
    let schema = serde_json::from_slice::<Schema>(text).ok()?.schema;
    (schema > MANIFEST_SCHEMA).then_some(schema)
}

/// True where a file begins with a seal, whether or not it holds.
pub(super) fn is_sealed(file: &File) -> std::io::Result<bool> {
    let mut head = Vec::with_capacity(SEAL_START.len());
    file.take(SEAL_START.len() as u64).read_to_end(&mut head)?;
    Ok(head == SEAL_START)
}

fn check_seal(text: &[u8]) -> Result<(), String> {
    let (head, body) = text.split_at_checked(SEAL_BYTES).ok_or("it is cut short")?;
    match seal(head) {
        None => Err("its first line is no checksum".to_owned()),
        Some(seal) if seal == Digest::of(body) => Ok(()),
        Some(_) => Err("its checksum does not match".to_owned()),
    }
}

/// The checksum on the first line.
fn seal(line: &[u8]) -> Option<Digest> {
    let seal = line.strip_prefix(SEAL_START).and_then(|rest| rest.strip_suffix(SEAL_END))?;
    std::str::from_utf8(seal).ok().and_then(Digest::from_hex)
}

/// The files of an entry lie where its id and split say, and nowhere else.
pub(super) fn check_names(entry: &Entry) -> Result<(), String> {
    for (file, part) in entry.files.iter().zip([Part::Signal, Part::Labels]) {
        if !FileName::is(&file.name, entry.split, &entry.id, part) {
            let right = FileName::new(entry.split, entry.id.clone(), part);
            return Err(format!(
                "entry `{}` names the file {:?} where `{right}` is meant",
                entry.id, file.name
            ));
        }
    }
    Ok(())
}

/// Names as we write them are sorted, so one look at each pair tells; others are collected.
fn check_unique<'a, T: Ord + ToString + ?Sized + 'a>(
    what: &str,
    names: impl Iterator<Item = &'a T> + Clone,
) -> Result<(), String> {
    if names.clone().zip(names.clone().skip(1)).all(|(one, next)| one < next) {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(name) => Err(format!("it has the {what} {:?} twice", name.to_string())),
    }
}
