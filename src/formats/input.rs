//! A forward-only reader that knows its position, for errors that say where.

use crate::model::{Failure, FailureClass};
use std::io::{ErrorKind, Read};

/// The reader and the offset of its next byte in the file.
pub(super) struct Input<'a, R> {
    reader: &'a mut R,
    offset: u64,
}

impl<'a, R: Read> Input<'a, R> {
    pub(super) fn new(reader: &'a mut R, offset: u64) -> Self {
        Self { reader, offset }
    }

    /// Fills `buffer`. An early end means that the file shrank: its size had confirmed these bytes before.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => return Err(self.ended()),
                Ok(count) => {
                    filled += count;
                    self.offset = self.offset.saturating_add(count as u64);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refused(&error)),
            }
        }
        Ok(())
    }

    fn ended(&self) -> Failure {
        let message = format!("the file ended at byte {} although its size promised more", self.offset);
        Failure::new(FailureClass::ChangedWhileReading, message)
    }

    fn refused(&self, error: &std::io::Error) -> Failure {
        Failure::new(FailureClass::IoError, format!("cannot read at byte {}: {error}", self.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Trickle(Vec<u8>, usize);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(2) {
                return Err(ErrorKind::Interrupted.into());
            }
            if self.0.is_empty() {
                return Err(std::io::Error::other("medium error"));
            }
            buffer[0] = self.0.remove(0);
            Ok(1)
        }
    }

    #[test]
    fn short_and_interrupted_reads_are_invisible_and_errors_say_where() {
        let mut reader = Trickle(vec![1, 2, 3, 4, 5], 0);
        let mut input = Input::new(&mut reader, 100);
        let mut buffer = [0; 4];
        input.fill(&mut buffer).unwrap();
        assert_eq!(buffer, [1, 2, 3, 4]);
        let failure = input.fill(&mut buffer).unwrap_err();
        assert_eq!(failure.class, FailureClass::IoError);
        assert!(
            failure.message.contains("byte 105") && failure.message.contains("medium error"),
            "{failure}"
        );
    }

    #[test]
    fn an_early_end_is_a_file_that_changed() {
        let failure = Input::new(&mut &b"ab"[..], 0).fill(&mut [0; 3]).unwrap_err();
        assert_eq!(failure.class, FailureClass::ChangedWhileReading);
    }
}
