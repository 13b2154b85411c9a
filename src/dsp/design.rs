//! Filter design: Butterworth and notch filters as second-order sections.
//!
//! The way of `scipy.signal` 1.17 (`butter(…, output="sos")`, `iirnotch`), operation by operation where it decides digits:
//! analog prototype, frequency transform, bilinear transform at fs = 2, pairing of `zpk2sos(pairing="nearest")`.
//! Conjugate pairs are kept as one root with a positive imaginary part, so nothing has to be paired by tolerance.

use crate::dsp::roots::root;
use std::f64::consts::PI;

/// One section: (b0 + b1·z⁻¹ + b2·z⁻²) / (1 + a1·z⁻¹ + a2·z⁻²).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Section {
    /// b0, b1, b2.
    pub(crate) b: [f64; 3],
    /// a1, a2.
    pub(crate) a: [f64; 2],
}

/// What a Butterworth filter lets pass; edges in Hz.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Band {
    /// Below the edge.
    Low(f64),
    /// Above the edge.
    High(f64),
    /// Between the edges.
    Pass(f64, f64),
}

/// A real root, or with `im > 0` a pair of conjugate ones.
#[derive(Debug, Clone, Copy)]
struct Root {
    re: f64,
    im: f64,
}

/// Twice the rate of the bilinear transform, as `SciPy` sets it.
const FS2: f64 = 4.0;

/// Designs `butter(order, band, fs=rate_hz, output="sos")`; edges lie within 0 and half the rate.
pub(crate) fn butterworth(order: u64, band: Band, rate_hz: f64) -> Vec<Section> {
    let warp = |hertz: f64| 4.0 * libm::tan(PI * (hertz / (rate_hz / 2.0)) / 2.0);
    let prototype = prototype_poles(order);
    let (analog, zeros, scale): (Vec<Root>, Vec<f64>, f64) = match band {
        Band::Low(edge) => {
            let edge = warp(edge);
            let poles = prototype.iter().map(|p| Root { re: edge * p.re, im: edge * p.im }).collect();
            (poles, vec![-1.0; order as usize], edge)
        }
        Band::High(edge) => {
            let poles = prototype.iter().map(|p| invert(warp(edge), *p)).collect();
            (poles, vec![1.0; order as usize], FS2)
        }
        Band::Pass(low, high) => {
            let (low, high) = (warp(low), warp(high));
            let (width, centre) = (high - low, libm::sqrt(low * high));
            let poles = prototype.iter().flat_map(|p| band_poles(*p, width, centre)).collect();
            let zeros = [vec![1.0; order as usize], vec![-1.0; order as usize]].concat();
            (poles, zeros, width * FS2)
        }
    };
    let gain = analog.iter().fold(power(scale, order), |gain, pole| gain / factor_at_rate(*pole));
    sections(zeros, analog.into_iter().map(bilinear).collect(), gain)
}

/// Designs `iirnotch(freq_hz, q, fs=rate_hz)`.
pub(crate) fn notch(freq_hz: f64, q: f64, rate_hz: f64) -> Section {
    let centre = 2.0 * freq_hz / rate_hz;
    let width = centre / q * PI;
    let cos = libm::cos(centre * PI);
    let gain = 1.0 / (1.0 + libm::tan(width / 2.0));
    Section { b: [gain, gain * (-2.0 * cos), gain], a: [-2.0 * gain * cos, 2.0 * gain - 1.0] }
}

fn power(base: f64, exponent: u64) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * base)
}

/// −e^(iπm/2N) for m = −N+1, −N+3, …: the half with im ≥ 0.
fn prototype_poles(order: u64) -> Vec<Root> {
    (0..order.div_ceil(2))
        .map(|k| {
            let [cos, sin] = root(order - 1 - 2 * k, 4 * order);
            Root { re: -cos, im: sin }
        })
        .collect()
}

/// edge / pole, as its conjugate with im ≥ 0.
fn invert(edge: f64, pole: Root) -> Root {
    let norm = pole.re * pole.re + pole.im * pole.im;
    Root { re: edge * pole.re / norm, im: edge * pole.im / norm }
}

/// p ± √(p² − centre²) with p scaled to half the width.
fn band_poles(pole: Root, width: f64, centre: f64) -> Vec<Root> {
    let (re, im) = (pole.re * width / 2.0, pole.im * width / 2.0);
    let square = Root { re: re * re - im * im - centre * centre, im: 2.0 * re * im };
    if im > 0.0 {
        let side = square_root(square);
        let (plus, minus) = ((re + side.re, im + side.im), (re - side.re, im - side.im));
        return [plus, minus].map(|(re, im)| Root { re, im: im.abs() }).to_vec();
    }
    let side = libm::sqrt(square.re.abs());
    if square.re < 0.0 {
        return vec![Root { re, im: side }];
    }
    [re + side, re - side].map(|re| Root { re, im: 0.0 }).to_vec()
}

fn square_root(z: Root) -> Root {
    let half = libm::sqrt(f64::midpoint(z.re.abs(), libm::hypot(z.re, z.im)));
    if z.re >= 0.0 {
        Root { re: half, im: z.im / (2.0 * half) }
    } else {
        Root { re: z.im.abs() / (2.0 * half), im: half.copysign(z.im) }
    }
}

/// The factor of a root in ∏(4 − p): |4 − p|² for a pair, 4 − p for a real one.
fn factor_at_rate(pole: Root) -> f64 {
    let re = FS2 - pole.re;
    if pole.im > 0.0 { re * re + pole.im * pole.im } else { re }
}

/// (4 + p) / (4 − p).
fn bilinear(pole: Root) -> Root {
    let (a, b, c, d) = (FS2 + pole.re, pole.im, FS2 - pole.re, -pole.im);
    if pole.im == 0.0 {
        return Root { re: a / c, im: 0.0 };
    }
    let norm = c * c + d * d;
    Root { re: (a * c + b * d) / norm, im: (b * c - a * d) / norm }
}

/// Pairs poles and real zeros as `zpk2sos` does: from the pole nearest to the unit circle, each with the nearest zeros,
/// the first pair in the last section; the gain goes to the first section.
fn sections(mut zeros: Vec<f64>, mut poles: Vec<Root>, gain: f64) -> Vec<Section> {
    if zeros.len() % 2 == 1 {
        zeros.push(0.0);
        poles.push(Root { re: 0.0, im: 0.0 });
    }
    let mut cascade = Vec::new();
    while let Some(pole) = take_best(&mut poles, |p| (1.0 - libm::hypot(p.re, p.im)).abs()) {
        let a = if pole.im > 0.0 {
            [-2.0 * pole.re, pole.re * pole.re + pole.im * pole.im]
        } else {
            let worth = |p: &Root| if p.im > 0.0 { f64::INFINITY } else { (1.0 - p.re.abs()).abs() };
            let other = take_best(&mut poles, worth).map_or(0.0, |p| p.re);
            [-pole.re - other, pole.re * other]
        };
        let mut nearest = || take_best(&mut zeros, |z| libm::hypot(z - pole.re, pole.im)).unwrap_or(0.0);
        let (first, second) = (nearest(), nearest());
        cascade.push(Section { b: [1.0, -first - second, first * second], a });
    }
    cascade.reverse();
    if let Some(section) = cascade.first_mut() {
        section.b = section.b.map(|b| b * gain);
    }
    cascade
}

/// Removes and returns the first item with the least worth.
fn take_best<T>(items: &mut Vec<T>, worth: impl Fn(&T) -> f64) -> Option<T> {
    let best = (0..items.len()).min_by(|a, b| worth(&items[*a]).total_cmp(&worth(&items[*b])))?;
    Some(items.remove(best))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiplies the sections out to (b, a).
    fn polynomials(cascade: &[Section]) -> (Vec<f64>, Vec<f64>) {
        let multiply = |p: &[f64], q: &[f64]| {
            let mut product = vec![0.0; p.len() + q.len() - 1];
            for (i, a) in p.iter().enumerate() {
                for (j, b) in q.iter().enumerate() {
                    product[i + j] += a * b;
                }
            }
            product
        };
        cascade.iter().fold((vec![1.0], vec![1.0]), |(b, a), section| {
            (multiply(&b, &section.b), multiply(&a, &[1.0, section.a[0], section.a[1]]))
        })
    }

    fn check(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-12, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn the_origins_filters_have_their_coefficients() {
        // EEG_FACTS section 1, steps 6 and 7.
        let (b, a) = polynomials(&butterworth(3, Band::Pass(0.5, 120.0), 256.0));
        let b0 = 0.811_392_572_788_057_3;
        let b2 = 2.434_177_718_364_171_7;
        check(&b, &[b0, 0.0, -b2, 0.0, b2, 0.0, -b0]);
        let a_expected = [
            1.0,
            -0.367_657_239_898_842_14,
            -2.519_350_883_399_294_4,
            0.584_870_033_326_487_6,
            2.202_566_062_710_108_2,
            -0.242_058_913_721_988_07,
            -0.658_357_040_393_398_4,
        ];
        check(&a, &a_expected);
        let notch = notch(60.0, 30.0, 256.0);
        check(&notch.b, &[0.976_039_573_350_462_7, -0.191_337_215_656_593_84, 0.976_039_573_350_462_7]);
        check(&notch.a, &[-0.191_337_215_656_593_84, 0.952_079_146_700_925_3]);
    }

    #[test]
    fn gains_are_one_where_the_filter_lets_pass() {
        let gain = |cascade: &[Section], turn: f64| {
            let at = |p: [f64; 3]| {
                let (re, im) = p.iter().enumerate().fold((0.0, 0.0), |(re, im), (k, c)| {
                    let angle = std::f64::consts::TAU * turn * k as f64;
                    (re + c * angle.cos(), im - c * angle.sin())
                });
                re.hypot(im)
            };
            cascade
                .iter()
                .map(|section| at(section.b) / at([1.0, section.a[0], section.a[1]]))
                .product::<f64>()
        };
        for order in 1..=8 {
            assert!((gain(&butterworth(order, Band::Low(40.0), 256.0), 0.0) - 1.0).abs() < 1e-9, "{order}");
            assert!((gain(&butterworth(order, Band::High(1.0), 256.0), 0.5) - 1.0).abs() < 1e-9, "{order}");
            let narrow = butterworth(order, Band::Pass(8.0, 12.0), 256.0);
            assert!((gain(&narrow, 8.0 / 256.0) - 0.5_f64.sqrt()).abs() < 1e-4, "{order}");
            assert_eq!(narrow.len() as u64, order);
        }
    }
}
