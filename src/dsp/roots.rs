//! Roots of unity: cos and sin of whole fractions of a turn.
//!
//! The angle is brought into the first octant with integers, so no digit is lost by subtracting multiples of π,
//! and `libm` (pure Rust) evaluates the rest: the same bits on every processor.

use std::f64::consts::TAU;

/// Returns (cos, sin) of 2π·k/n.
pub(crate) fn root(k: u64, n: u64) -> [f64; 2] {
    let (k, n) = (u128::from(k % n), u128::from(n));
    // Eighths of a turn, counted from the nearest axis so that the angle stays within ±π/4.
    let quadrant = (8 * k + n) / (2 * n);
    let rest = (4 * k) as i128 - (quadrant * n) as i128;
    let angle = TAU * (rest as f64 / (4.0 * n as f64));
    let (cos, sin) = (libm::cos(angle), libm::sin(angle));
    match quadrant % 4 {
        0 => [cos, sin],
        1 => [-sin, cos],
        2 => [-cos, -sin],
        _ => [sin, -cos],
    }
}

/// All roots of one order in the memory of two square roots: e^(2πi·k/n) = coarse · fine.
#[derive(Debug)]
pub(crate) struct Roots {
    shift: u32,
    fine: Vec<[f64; 2]>,
    coarse: Vec<[f64; 2]>,
}

impl Roots {
    /// Prepares the roots of order `n`.
    pub(crate) fn new(n: u64) -> Self {
        let shift = (u64::BITS - n.leading_zeros()).div_ceil(2);
        let fine = (0..(1 << shift)).map(|k| root(k, n)).collect();
        let coarse = (0..=(n >> shift)).map(|k| root(k << shift, n)).collect();
        Self { shift, fine, coarse }
    }

    /// Returns (cos, sin) of 2π·k/n for k ≤ n.
    #[inline(always)]
    pub(crate) fn get(&self, k: u64) -> [f64; 2] {
        let [a, b] = self.coarse[(k >> self.shift) as usize];
        let [c, d] = self.fine[(k & ((1 << self.shift) - 1)) as usize];
        [a * c - b * d, a * d + b * c]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_and_diagonals_are_exact() {
        for (k, n, expected) in [
            (0, 7, [1.0, 0.0]),
            (1, 4, [0.0, 1.0]),
            (5, 10, [-1.0, 0.0]),
            (9, 12, [0.0, -1.0]),
            (16, 8, [1.0, 0.0]),
        ] {
            let found = root(k, n);
            assert!(found[0] == expected[0] && found[1] == expected[1], "{k}/{n}: {found:?}");
        }
        let [cos, sin] = root(1, 8);
        assert!((cos - std::f64::consts::FRAC_1_SQRT_2).abs() < 2e-16 && (cos - sin).abs() < 2e-16);
    }

    #[test]
    fn both_ways_agree_with_the_standard_library() {
        for n in [1_u64, 2, 3, 97, 1000, 4096, 1_000_003] {
            let roots = Roots::new(n);
            for k in (0..n).step_by((n / 301 + 1) as usize) {
                let (sin, cos) = (TAU * k as f64 / n as f64).sin_cos();
                for found in [root(k, n), root(k + 3 * n, n), roots.get(k)] {
                    let error = (found[0] - cos).abs().max((found[1] - sin).abs());
                    assert!(error < 2e-15, "{k}/{n}: {error:e}");
                }
            }
        }
    }
}
