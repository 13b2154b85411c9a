//! Weights that make a missing electrode out of its neighbours: spherical splines.
//!
//! F. Perrin et al., "Spherical splines for scalp potential and current density mapping", Electroenceph. clin.
//! Neurophysiol. 72 (1989) 184–187, with the choices of MNE-Python's `interpolate_bads`: m = 4, 50 Legendre terms,
//! 10⁻⁵ on the diagonal, a constant term, all missing electrodes at once. The sphere's centre is a constant
//! (`dsp::electrodes`), so an electrode's weights depend on the others' names alone. MNE left alone (`origin="auto"`) fits a
//! sphere to the electrodes of each recording: the same for the 10-20 system, another one for few electrodes (5.7 % of the
//! largest value with nine) and for far-off ones. Given our centre (`origin=(-0.0009165, 0.0158084, 0.04538)`) and positions, it
//! agrees to 10⁻⁹ with any electrodes. MNE takes the pseudo-inverse of the bordered matrix; the regularisation keeps
//! that matrix far from singular, where pseudo-inverse and inverse are the same, so elimination is enough.

use std::f64::consts::PI;

const LEGENDRE_TERMS: usize = 50;
const REGULARISATION: f64 = 1e-5;

/// Returns for each target the weight of each source; all are unit vectors, no two sources at one place.
///
/// There is at least one source. Nothing comes back where the equations have no solution.
pub(crate) fn weights(sources: &[[f64; 3]], targets: &[[f64; 3]]) -> Option<Vec<Vec<f64>>> {
    let factors = factors();
    let spline = |a: &[f64; 3], b: &[f64; 3]| legendre_sum(a[0] * b[0] + a[1] * b[1] + a[2] * b[2], &factors);
    let n = sources.len();
    let mut matrix = vec![vec![1.0; n + 1]; n + 1];
    for (i, row) in matrix[..n].iter_mut().enumerate() {
        for (j, source) in sources.iter().enumerate() {
            row[j] = spline(&sources[i], source);
        }
        row[i] += REGULARISATION;
    }
    matrix[n][n] = 0.0;
    // The matrix is symmetric: weights = [g, 1]·M⁻¹ is the solution of M·w = [g, 1], without the constant.
    let sides = targets
        .iter()
        .map(|target| sources.iter().map(|source| spline(target, source)).chain([1.0]).collect())
        .collect();
    let mut solved = solve(matrix, sides)?;
    for row in &mut solved {
        row.truncate(n);
    }
    Some(solved)
}

/// (2n + 1) / (4π·n⁴·(n + 1)⁴), term 0 first.
fn factors() -> Vec<f64> {
    let term = |n: f64| {
        let product = n * (n + 1.0);
        (2.0 * n + 1.0) / (product * product * product * product * 4.0 * PI)
    };
    std::iter::once(0.0).chain((1..=LEGENDRE_TERMS).map(|n| term(n as f64))).collect()
}

/// Σ c\[n\]·P\[n\](x) by Clenshaw's recurrence; at least two terms.
fn legendre_sum(x: f64, factors: &[f64]) -> f64 {
    let last = factors.len() - 1;
    let (mut lower, mut upper) = (factors[last - 1], factors[last]);
    for n in (2..=last).rev() {
        let degree = n as f64;
        let next = factors[n - 2] - upper * ((degree - 1.0) / degree);
        upper = lower + upper * x * ((2.0 * degree - 1.0) / degree);
        lower = next;
    }
    lower + upper * x
}

/// Solves the equations for several right sides: Gaussian elimination, the largest pivot of each column first.
fn solve(mut matrix: Vec<Vec<f64>>, mut sides: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    for column in 0..n {
        let pivot =
            (column..n).max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))?;
        if matrix[pivot][column] == 0.0 {
            return None;
        }
        matrix.swap(column, pivot);
        for side in &mut sides {
            side.swap(column, pivot);
        }
        let (upper, lower) = matrix.split_at_mut(column + 1);
        let head = &upper[column];
        for (i, row) in lower.iter_mut().enumerate() {
            let factor = row[column] / head[column];
            row[column..].iter_mut().zip(&head[column..]).for_each(|(value, above)| *value -= factor * above);
            for side in &mut sides {
                side[column + 1 + i] -= factor * side[column];
            }
        }
    }
    for side in &mut sides {
        for row in (0..n).rev() {
            let known: f64 = (row + 1..n).map(|column| matrix[row][column] * side[column]).sum();
            side[row] = (side[row] - known) / matrix[row][row];
        }
    }
    Some(sides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::electrodes::direction;
    use crate::model::channel::ORDER_10_20;

    /// Checks some weights of `target`, interpolated together with all of `missing`, to four digits.
    fn check(extra: &[&str], missing: &[&str], target: usize, expected: &[(&str, f64)]) {
        let names: Vec<String> = ORDER_10_20.iter().chain(extra).map(|name| name.to_uppercase()).collect();
        let sources: Vec<&String> = names.iter().filter(|name| !missing.contains(&name.as_str())).collect();
        let place = |name: &str| direction(name).unwrap();
        let from: Vec<_> = sources.iter().map(|name| place(name)).collect();
        let to: Vec<_> = missing.iter().map(|name| place(name)).collect();
        let found = weights(&from, &to).unwrap();
        assert!((found[target].iter().sum::<f64>() - 1.0).abs() < 1e-9);
        for (name, weight) in expected {
            let at = sources.iter().position(|source| source == name).unwrap();
            assert!((found[target][at] - weight).abs() < 6e-5, "{name}: {} {weight}", found[target][at]);
        }
    }

    #[test]
    fn weights_are_those_that_were_measured_with_mne() {
        // EEG_FACTS section 1, "Interpolation".
        let fz = [
            ("F3", 0.6206),
            ("F4", 0.6082),
            ("CZ", 0.4324),
            ("F8", -0.2470),
            ("F7", -0.2431),
            ("C3", -0.1779),
            ("C4", -0.1624),
            ("PZ", -0.1369),
            ("FP1", 0.0664),
            ("FP2", 0.0662),
            ("T3", 0.0467),
            ("T4", 0.0461),
            ("O2", 0.0191),
            ("T6", 0.0189),
            ("T5", 0.0186),
            ("O1", 0.0165),
            ("P3", 0.0074),
        ];
        check(&[], &["FZ"], 0, &fz);
        let with_ears = [("F3", 0.6493), ("F4", 0.6376), ("CZ", 0.387), ("A1", 0.0456), ("A2", 0.0448)];
        check(&["A1", "A2"], &["FZ"], 0, &with_ears);
        check(&[], &["FZ", "PZ"], 0, &[("F3", 0.6307), ("F4", 0.6173), ("CZ", 0.3791)]);
        check(&[], &["FZ", "PZ"], 1, &[("P3", 0.6260), ("P4", 0.6085), ("CZ", 0.3896)]);
        check(&[], &["PZ"], 0, &[("P3", 0.6154), ("P4", 0.5973), ("CZ", 0.4406)]);
    }
}
