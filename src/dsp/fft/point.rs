//! Point: what transforms compute with, a complex number for every lane.

use crate::dsp::lane::Lane;

/// A complex number in lanes: real part, imaginary part. An array, so that two reals in a row are one of it.
pub(crate) type Complex<L> = [L; 2];

/// A complex number of every channel at one place, and the operations of which transforms are made.
pub(crate) trait Point: Copy + Default {
    /// As functions compiled for AVX2 hold it; same layout.
    type Wide: Point;
    /// As functions compiled for AVX-512 hold it; same layout.
    type Widest: Point;
    /// A factor that many points meet.
    type Turn: Copy;

    /// Prepares the factor [re, im].
    fn turn(factor: [f64; 2]) -> Self::Turn;

    /// Returns a + b.
    #[must_use]
    fn add(self, other: Self) -> Self;

    /// Returns a − b.
    #[must_use]
    fn sub(self, other: Self) -> Self;

    /// Returns a − i·b and a + i·b.
    fn cross(self, other: Self) -> [Self; 2];

    /// Returns the product with a factor.
    #[must_use]
    fn times(self, factor: Self::Turn) -> Self;

    /// Returns the product with a real number.
    #[must_use]
    fn scaled(self, factor: f64) -> Self;

    /// Returns the point with real and imaginary part exchanged.
    #[must_use]
    fn exchanged(self) -> Self;
}

impl<L: Lane> Point for Complex<L> {
    type Wide = Complex<L::Wide>;
    type Widest = L::Widest;
    type Turn = [f64; 2];

    #[inline(always)]
    fn turn(factor: [f64; 2]) -> [f64; 2] {
        factor
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        [self[0] + other[0], self[1] + other[1]]
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        [self[0] - other[0], self[1] - other[1]]
    }

    #[inline(always)]
    fn cross(self, other: Self) -> [Self; 2] {
        [[self[0] + other[1], self[1] - other[0]], [self[0] - other[1], self[1] + other[0]]]
    }

    #[inline(always)]
    fn times(self, factor: [f64; 2]) -> Self {
        [self[0] * factor[0] - self[1] * factor[1], self[0] * factor[1] + self[1] * factor[0]]
    }

    #[inline(always)]
    fn scaled(self, factor: f64) -> Self {
        [self[0] * factor, self[1] * factor]
    }

    #[inline(always)]
    fn exchanged(self) -> Self {
        [self[1], self[0]]
    }
}
