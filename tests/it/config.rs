//! Configuration from files to `Settings`.

use eegcache::ops::load::{Request, load};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn smoke() {
    let cwd = Path::new(env!("CARGO_MANIFEST_DIR"));
    let resolved = load(&BTreeMap::new(), cwd, &Request::default()).map_err(|e| panic!("{e}")).unwrap();
    println!("{:#?}", resolved.settings);
    for value in resolved.values {
        println!("{}: {}  # {}", value.key, value.shown, value.origin);
    }
}
