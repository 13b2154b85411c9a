//! Rows: a matrix whose rows grow from their first column to their last, in memory that nothing fills before.

use ndarray::Array2;
use std::mem::MaybeUninit;

/// Rows on their way to one length.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    memory: Array2<MaybeUninit<T>>,
    /// How many columns of each row hold a value.
    filled: Vec<usize>,
}

impl<T: Copy + Default> Rows<T> {
    /// Returns so many rows without a column, with room for so many columns.
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        Self { memory: Array2::uninit((rows, columns)), filled: vec![0; rows] }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.filled.len()
    }

    /// Adds values at the end of a row. Panics where there is no room for them.
    pub(crate) fn add(&mut self, row: usize, values: &[T]) {
        self.room(row, values.len())
            .iter_mut()
            .zip(values)
            .for_each(|(place, value)| *place = MaybeUninit::new(*value));
        self.filled[row] += values.len();
    }

    /// Fills a row with zeros up to a column.
    pub(crate) fn pad(&mut self, row: usize, column: usize) {
        let missing = column.saturating_sub(self.filled[row]);
        self.room(row, missing).fill(MaybeUninit::new(T::default()));
        self.filled[row] += missing;
    }

    fn room(&mut self, row: usize, length: usize) -> &mut [MaybeUninit<T>] {
        let (columns, begin) = (self.memory.ncols(), row * self.memory.ncols() + self.filled[row]);
        assert!(self.filled[row] + length <= columns, "row {row} has {columns} columns");
        &mut self.memory.as_slice_mut().unwrap_or_default()[begin..begin + length]
    }

    /// Returns the matrix; what is missing is zero.
    pub(crate) fn finish(mut self) -> Array2<T> {
        let columns = self.memory.ncols();
        (0..self.len()).for_each(|row| self.pad(row, columns));
        assert!(self.filled.iter().all(|filled| *filled == columns));
        #[expect(unsafe_code, reason = "the columns that hold a value are counted")]
        // SAFETY: every row holds values up to its last column, asserted above.
        unsafe {
            self.memory.assume_init()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_added_is_zero() {
        let mut rows = Rows::new(3, 4);
        rows.add(2, &[1, 2]);
        rows.add(2, &[3, 4]);
        rows.pad(0, 1);
        rows.add(0, &[5]);
        assert_eq!(rows.finish(), ndarray::array![[0, 5, 0, 0], [0; 4], [1, 2, 3, 4]]);
        assert_eq!(Rows::<f32>::new(2, 0).finish().dim(), (2, 0));
    }

    #[test]
    #[should_panic(expected = "row 0 has 2 columns")]
    fn a_row_holds_no_more_than_its_columns() {
        Rows::new(2, 2).add(0, &[1, 2, 3]);
    }
}
