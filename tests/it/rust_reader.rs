//! Finished files through a reader that is not ours: `ndarray-npy`, as a Rust program would read them.

use crate::project::{Project, forge_text};
use eegcache::ops::open::open_directory;
use ndarray::{Array0, Array1, Array2, Axis};
use ndarray_npy::NpzReader;

#[test]
fn a_directory_with_a_patient_on_both_sides_is_not_opened() {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    let directory = project.path("cache/full/mini_v1");
    assert!(!open_directory(&directory).unwrap().entries.is_empty());
    let manifest = project.manifest("cache/full/mini_v1");
    let entries = manifest["entries"].as_array().unwrap();
    let subject = |split: &str| {
        let entry = entries.iter().find(|entry| entry["split"] == split).unwrap();
        format!("\"subject\":{}", entry["subject"])
    };
    forge_text(&directory, &subject("val"), &subject("train"));
    let error = open_directory(&directory).unwrap_err();
    assert!(matches!(&error, eegcache::error::Error::Gate { .. }), "{error}");
    assert!(error.to_string().contains("is in two splits"), "{error}");
}

#[test]
fn another_reader_opens_signal_scale_and_labels() {
    let project = Project::mini();
    project.run(&["build", "--profile", "smoke"]).expect(0);
    let manifest = project.manifest("cache/smoke/mini_v1");
    for entry in manifest["entries"].as_array().unwrap() {
        let open = |name: &serde_json::Value| {
            let path = project.path(&format!("cache/smoke/mini_v1/{}", name["name"].as_str().unwrap()));
            NpzReader::new(fs_err::File::open(path).unwrap()).unwrap()
        };
        let samples = entry["samples"].as_u64().unwrap() as usize;
        let mut npz = open(&entry["files"]["signal"]);
        assert_eq!(npz.names().unwrap(), ["signal", "channels", "rate_hz", "scale", "entry.json"]);
        let signal: Array2<f32> = npz.by_name("signal").unwrap();
        let rate: Array0<f64> = npz.by_name("rate_hz").unwrap();
        let scale: Array2<f64> = npz.by_name("scale").unwrap();
        assert_eq!((signal.dim(), rate.into_scalar(), scale.dim()), ((19, samples), 256.0, (19, 2)));
        for row in signal.axis_iter(Axis(0)) {
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / samples as f64;
            assert!(mean.abs() < 0.05 && row.iter().all(|x| x.abs() <= 10.0), "z-scored and clipped: {mean}");
        }
        let labels: Array1<u8> = open(&entry["files"]["labels"]).by_name("labels").unwrap();
        let mut expected = Array1::<u8>::zeros(samples);
        for event in entry["events"].as_array().unwrap() {
            let at = |field: &str| event[field].as_u64().unwrap() as usize;
            expected.slice_mut(ndarray::s![at("start")..at("end")]).fill(1);
        }
        assert_eq!(labels, expected, "{}", entry["id"]);
    }
}
