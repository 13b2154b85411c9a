//! Transforms of large prime length as a convolution with a chirp (L. Bluestein, 1970).
//!
//! `X[k] = w[k] · Σ_j (x[j] w[j]) · conj w[k − j]` with `w[k] = e^(−πi·k²/n)`. The convolution runs through transforms of
//! a length with small factors that is at least 2n − 1.

use super::{Complex, Fft, times};
use crate::dsp::lane::Lane;
use crate::dsp::roots::Roots;

#[derive(Debug)]
pub(super) struct Bluestein {
    chirp: Vec<[f64; 2]>,
    /// Transform of the conjugate chirp, divided by the inner length.
    spectrum: Vec<[f64; 2]>,
    inner: Fft,
}

/// Returns the smallest 2^a·3^b·5^c that is at least `least`.
fn smooth_length(least: usize) -> usize {
    let mut best = least.next_power_of_two();
    let mut fives = 1;
    while fives < best {
        let mut threes = fives;
        while threes < best {
            let mut candidate = threes;
            while candidate < least {
                candidate *= 2;
            }
            best = best.min(candidate);
            threes *= 3;
        }
        fives *= 5;
    }
    best
}

impl Bluestein {
    pub(super) fn new(len: usize) -> Self {
        let order = 2 * len as u64;
        let roots = Roots::new(order);
        let chirp: Vec<[f64; 2]> = (0..len as u64)
            .map(|k| {
                let square = u128::from(k) * u128::from(k) % u128::from(order);
                let [cos, sin] = roots.get(square as u64);
                [cos, -sin]
            })
            .collect();
        let inner = Fft::new(smooth_length(2 * len - 1));
        let mut kernel = vec![[0.0; 2]; inner.len()];
        for (k, w) in chirp.iter().enumerate() {
            let conjugate = [w[0] / inner.len() as f64, -w[1] / inner.len() as f64];
            kernel[k] = conjugate;
            kernel[(inner.len() - k) % inner.len()] = conjugate;
        }
        let (mut other, mut scratch) = (kernel.clone(), vec![[0.0; 2]; inner.scratch_len()]);
        let spectrum = inner.run(&mut kernel, &mut other, &mut scratch).0.to_vec();
        Self { chirp, spectrum, inner }
    }

    pub(super) fn scratch_len(&self) -> usize {
        2 * self.inner.len() + self.inner.scratch_len()
    }

    pub(super) fn run<L: Lane>(&self, data: &mut [Complex<L>], scratch: &mut [Complex<L>]) {
        let (first, rest) = scratch.split_at_mut(self.inner.len());
        let (second, rest) = rest.split_at_mut(self.inner.len());
        for ((to, point), w) in first.iter_mut().zip(data.iter()).zip(&self.chirp) {
            *to = times(*point, *w);
        }
        first[data.len()..].fill([L::default(); 2]);
        let (product, spare) = self.inner.run(first, second, rest);
        // Exchanged parts turn the next forward transform into the inverse one.
        for (point, w) in product.iter_mut().zip(&self.spectrum) {
            let [re, im] = times(*point, *w);
            *point = [im, re];
        }
        let (convolved, _) = self.inner.run(product, spare, rest);
        for ((to, [im, re]), w) in data.iter_mut().zip(convolved.iter()).zip(&self.chirp) {
            *to = times([*re, *im], *w);
        }
    }
}
