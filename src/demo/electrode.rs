//! The electrodes of the 10-20 system on a flat head, the orders in which amplifiers list them, and the pairs of
//! the longitudinal montage that annotators look at.

/// An electrode: its name, x to the right and y to the nose, 1 being the rim of the 10-20 system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Electrode {
    /// Its name in capitals.
    pub name: &'static str,
    /// Where it sits.
    pub at: (f64, f64),
}

const fn electrode(name: &'static str, x: f64, y: f64) -> Electrode {
    Electrode { name, at: (x, y) }
}

/// The 19 electrodes and both ears.
pub(super) const ELECTRODES: [Electrode; 21] = [
    electrode("FP1", -0.31, 0.95),
    electrode("FP2", 0.31, 0.95),
    electrode("F3", -0.42, 0.52),
    electrode("F4", 0.42, 0.52),
    electrode("C3", -0.5, 0.0),
    electrode("C4", 0.5, 0.0),
    electrode("P3", -0.42, -0.52),
    electrode("P4", 0.42, -0.52),
    electrode("O1", -0.31, -0.95),
    electrode("O2", 0.31, -0.95),
    electrode("F7", -0.81, 0.59),
    electrode("F8", 0.81, 0.59),
    electrode("T3", -1.0, 0.0),
    electrode("T4", 1.0, 0.0),
    electrode("T5", -0.81, -0.59),
    electrode("T6", 0.81, -0.59),
    electrode("FZ", 0.0, 0.5),
    electrode("CZ", 0.0, 0.0),
    electrode("PZ", 0.0, -0.5),
    electrode("A1", -1.2, -0.15),
    electrode("A2", 1.2, -0.15),
];

/// The orders in which the 19 electrodes come, by make of the amplifier.
pub(super) const VENDOR_ORDERS: [[&str; 19]; 3] = [
    [
        "FP1", "FP2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T3", "T4", "T5", "T6",
        "FZ", "CZ", "PZ",
    ],
    [
        "FP1", "F3", "C3", "P3", "O1", "F7", "T3", "T5", "FZ", "CZ", "PZ", "FP2", "F4", "C4", "P4", "O2",
        "F8", "T4", "T6",
    ],
    [
        "C3", "C4", "CZ", "F3", "F4", "F7", "F8", "FP1", "FP2", "FZ", "O1", "O2", "P3", "P4", "PZ", "T3",
        "T4", "T5", "T6",
    ],
];

/// The pairs of the longitudinal ("double banana") montage; those with an ear need one.
pub(super) const PAIRS: [(&str, &str); 22] = [
    ("FP1", "F7"),
    ("F7", "T3"),
    ("T3", "T5"),
    ("T5", "O1"),
    ("FP2", "F8"),
    ("F8", "T4"),
    ("T4", "T6"),
    ("T6", "O2"),
    ("A1", "T3"),
    ("T3", "C3"),
    ("C3", "CZ"),
    ("CZ", "C4"),
    ("C4", "T4"),
    ("T4", "A2"),
    ("FP1", "F3"),
    ("F3", "C3"),
    ("C3", "P3"),
    ("P3", "O1"),
    ("FP2", "F4"),
    ("F4", "C4"),
    ("C4", "P4"),
    ("P4", "O2"),
];

/// Returns where an electrode of that name sits; the vertex for other names.
pub(super) fn position(name: &str) -> (f64, f64) {
    ELECTRODES.iter().find(|electrode| electrode.name == name).map_or((0.0, 0.0), |electrode| electrode.at)
}

/// Returns exp(−d² / 2w²) for the distance d of two places: how much of a source at one reaches the other.
pub(super) fn spread(a: (f64, f64), b: (f64, f64), width: f64) -> f64 {
    let (x, y) = (a.0 - b.0, a.1 - b.1);
    libm::exp(-(x * x + y * y) / (2.0 * width * width))
}
