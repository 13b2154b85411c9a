//! Paths in configurations: taken from the project root, compared without touching the disk.

use crate::config::check::Cursor;
use std::path::{Component, Path, PathBuf};

/// Reads a path; relative ones are taken from the project root.
pub(crate) fn read(at: &Cursor<'_>, project_root: &Path) -> Option<PathBuf> {
    let text = at.text()?;
    if text.contains('\0') {
        return at.fail(format!("`{}` holds a NUL character", at.key), "delete it");
    }
    if text == "~" || text.starts_with("~/") {
        let mend = format!("write `${{HOME}}{}`", &text[1..]);
        return at.fail(format!("`{}` is `{text}`, but `~` is not expanded here", at.key), mend);
    }
    Some(project_root.join(text).components().collect())
}

/// Takes `.` and `..` out of a path by its text alone.
pub(crate) fn lexical(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

/// Shows a path as people write it: relative where it lies below the project root.
pub(crate) fn shown(path: &Path, project_root: &Path) -> String {
    let path = lexical(path);
    match path.strip_prefix(lexical(project_root)) {
        Ok(root) if root.as_os_str().is_empty() => ".".to_owned(),
        Ok(below) => below.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}
