//! x
use eegcache::ops::{config, load::Request};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn smoke() {
    let cwd = Path::new(env!("CARGO_MANIFEST_DIR"));
    let env = BTreeMap::new();
    let report = config::show(&env, cwd, &Request::default()).map_err(|e| panic!("{e}")).unwrap();
    println!("{}", eegcache::cli::config::show_text(&report, true));
    for set in [
        ["configs", "configs", "configs", "configs/local_train.yaml", "configs/production.yaml"],
        [
            "tests/fixtures/origin",
            "tests/fixtures/origin",
            "tests/fixtures/origin",
            "tests/fixtures/origin/local.yaml",
            "tests/fixtures/origin/production.yaml",
        ],
    ] {
        let files: Vec<_> = set
            .iter()
            .zip(["smoke_test.yaml", "tusz_train_wsl2.yaml", "tusz_train_a100.yaml", "", ""])
            .map(|(d, f)| if f.is_empty() { d.into() } else { Path::new(d).join(f) })
            .collect();
        let report = config::check(&env, cwd, &files).unwrap();
        println!("{}", eegcache::cli::config::check_text(&report));
    }
}
