//! The line of every key and list item of a YAML text, and what the value parser would hide.
//!
//! Duplicate keys, further documents and custom tags are seen here; values are not looked at.

use saphyr_parser::{Event, Parser};
use std::collections::BTreeMap;

/// The way from the top to a value: keys, and indices of lists as decimal texts.
pub(crate) type KeyPath = Vec<String>;
/// The line of every key and list item, from 1.
pub(crate) type Lines = BTreeMap<KeyPath, usize>;

/// A key written twice in one map.
#[derive(Debug)]
pub(crate) struct Duplicate {
    /// The whole key with dots.
    pub(crate) key: String,
    /// The line where it was first written.
    pub(crate) first: usize,
    /// The line where it was written again.
    pub(crate) line: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Lines by path.
    pub(crate) lines: Lines,
    /// Keys written twice.
    pub(crate) duplicates: Vec<Duplicate>,
    /// The line of every document's beginning.
    pub(crate) documents: Vec<usize>,
    /// Custom tags with their lines.
    pub(crate) tags: Vec<(usize, String)>,
}

enum Frame {
    /// A map; `open` while a key waits for its value.
    Map { open: bool },
    /// A list; the index of the next item.
    List { next: usize },
    /// The inside of a key that is itself a map or a list.
    Key,
}

#[derive(Default)]
struct Walk {
    scan: Scan,
    frames: Vec<Frame>,
    path: KeyPath,
}

/// Walks over `text`; a syntax error ends the walk, since the value parser reports it.
pub(crate) fn scan(text: &str) -> Scan {
    let mut walk = Walk::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) => walk.scan.documents.push(line),
            Event::Scalar(text, _, _, tag) => {
                walk.tag(line, tag.as_deref());
                walk.scalar(&text, line);
            }
            Event::Alias(_) => walk.scalar("*", line),
            Event::MappingStart(_, tag) => {
                walk.tag(line, tag.as_deref());
                walk.begin(line, Frame::Map { open: false });
            }
            Event::SequenceStart(_, tag) => {
                walk.tag(line, tag.as_deref());
                walk.begin(line, Frame::List { next: 0 });
            }
            Event::MappingEnd | Event::SequenceEnd => walk.end(),
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
        }
    }
    walk.scan
}

impl Walk {
    fn tag(&mut self, line: usize, tag: Option<&saphyr_parser::Tag>) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.scan.tags.push((line, format!("{}{}", tag.handle, tag.suffix)));
        }
    }

    fn scalar(&mut self, text: &str, line: usize) {
        match self.frames.last_mut() {
            Some(Frame::Map { open }) if !*open => {
                *open = true;
                self.path.push(text.to_owned());
                self.note(line, text != "<<");
            }
            Some(Frame::List { .. }) => {
                self.item(line);
                self.close();
            }
            _ => self.close(),
        }
    }

    fn begin(&mut self, line: usize, frame: Frame) {
        match self.frames.last() {
            Some(Frame::Map { open: false } | Frame::Key) => self.frames.push(Frame::Key),
            Some(Frame::List { .. }) => {
                self.item(line);
                self.frames.push(frame);
            }
            _ => self.frames.push(frame),
        }
    }

    fn end(&mut self) {
        if let Some(Frame::Key) = self.frames.pop() {
            if let Some(Frame::Map { open }) = self.frames.last_mut() {
                *open = true;
                self.path.push("?".to_owned());
            }
        } else {
            self.close();
        }
    }

    fn item(&mut self, line: usize) {
        if let Some(Frame::List { next }) = self.frames.last_mut() {
            self.path.push(next.to_string());
            *next += 1;
            self.note(line, false);
        }
    }

    /// The value at the end of the path is complete.
    fn close(&mut self) {
        match self.frames.last_mut() {
            Some(Frame::Map { open }) => *open = false,
            Some(Frame::List { .. }) => {}
            Some(Frame::Key) | None => return,
        }
        self.path.pop();
    }

    fn note(&mut self, line: usize, unique: bool) {
        match self.scan.lines.get(&self.path) {
            Some(first) if unique => {
                let duplicate = Duplicate { key: self.path.join("."), first: *first, line };
                self.scan.duplicates.push(duplicate);
            }
            Some(_) => {}
            None => {
                self.scan.lines.insert(self.path.clone(), line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(scan: &Scan, path: &str) -> Option<usize> {
        scan.lines.get(&path.split('.').map(str::to_owned).collect::<Vec<_>>()).copied()
    }

    #[test]
    fn every_key_and_item_has_its_line() {
        let text = "# head\na:\n  b: 1\n  c:\n    - x\n    - {d: 2,\n       e: 3}\nf: [1,\n  2]\n? [k]\n: v\ng: &n {h: 1}\ni: *n\n";
        let scan = scan(text);
        for (path, expected) in [
            ("a", 2),
            ("a.b", 3),
            ("a.c", 4),
            ("a.c.0", 5),
            ("a.c.1", 6),
            ("a.c.1.d", 6),
            ("a.c.1.e", 7),
            ("f", 8),
            ("f.0", 8),
            ("f.1", 9),
            ("g.h", 12),
            ("i", 13),
        ] {
            assert_eq!(line(&scan, path), Some(expected), "{path}");
        }
        assert!(scan.duplicates.is_empty());
    }
}
