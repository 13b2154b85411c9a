//! Buffer: memory that one group of channels after another overwrites, filled once and not for everyone who comes.

use std::ops::{Deref, DerefMut};

/// Where a line of the caches begins, whatever the allocator does: a register of 512 bits that lies across two lines takes twice
/// as long to load.
const LINE: usize = 64;

/// A slice of the length that was asked for last, in memory of the largest one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffer<T> {
    memory: Vec<T>,
    /// The first item that begins a line, where one does.
    start: usize,
    length: usize,
}

impl<T: Copy + Default> Buffer<T> {
    /// Makes it so long for somebody who overwrites it: what it holds is anything.
    pub(crate) fn fit(&mut self, length: usize) {
        if self.memory.capacity() < self.start + length {
            self.empty(length);
        }
        if self.memory.len() < self.start + length {
            self.memory.resize(self.start + length, T::default());
        }
        self.length = length;
    }

    /// Makes it empty, with room for so many.
    pub(crate) fn empty(&mut self, room: usize) {
        if self.memory.capacity() < self.start + room {
            // First the old memory goes, then the new one comes.
            *self = Self { memory: Vec::new(), start: 0, length: 0 };
            self.memory.reserve_exact(room + LINE / size_of::<T>());
            let line = self.memory.as_ptr().align_offset(LINE);
            self.start = if line < LINE / size_of::<T>() { line } else { 0 };
            self.memory.resize(self.start, T::default());
        }
        self.length = 0;
    }

    /// Makes it longer by a block, and returns that for somebody who overwrites it. Only what was never filled is filled, and is still in
    /// the first-level cache then.
    pub(crate) fn grow(&mut self, block: usize) -> &mut [T] {
        let begin = self.start + self.length;
        self.length += block;
        if self.memory.len() < begin + block {
            self.memory.resize(begin + block, T::default());
        }
        &mut self.memory[begin..begin + block]
    }

    /// Leaves out what lies behind.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl<T> From<Vec<T>> for Buffer<T> {
    fn from(memory: Vec<T>) -> Self {
        Self { length: memory.len(), start: 0, memory }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::lane::Quad;

    #[test]
    fn it_begins_with_a_line_and_holds_what_was_put_there() {
        // Odd sizes of other things between the buffers move them about.
        let mut others = Vec::new();
        for size in (8..400).step_by(7) {
            others.push(vec![0_u8; size]);
            let mut buffer = Buffer::<Quad>::default();
            buffer.empty(size);
            assert_eq!(buffer.as_ptr() as usize % LINE, 0);
            let quad = |i: usize| Quad([i as f64; 4]);
            (0..size).for_each(|i| buffer.grow(1)[0] = quad(i));
            assert!(buffer.iter().enumerate().all(|(i, found)| *found == quad(i)) && buffer.len() == size);
            let before = buffer.as_ptr();
            buffer.fit(size / 2);
            buffer.grow(3).fill(quad(7));
            assert!(buffer.len() == size / 2 + 3 && buffer[size / 2] == quad(7));
            buffer.fit(size);
            assert_eq!(buffer.as_ptr(), before, "room for {size} was there");
            buffer.fit(10 * size);
            assert_eq!((buffer.len(), buffer.as_ptr() as usize % LINE), (10 * size, 0));
        }
    }
}
