//! Files beyond 4 GiB, as sparse files: what `zipfile` and `numpy` make of them, and what our reader does.

use super::{Archive, ENTRY, SIGNAL_MEMBERS};
use crate::container::npy::{Element, Header};
use crate::container::zip::{Container, Frame};
use crate::model::id::Digest;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

const GIB: u64 = 1 << 30;

/// The CRC-32 of `bytes` zeros, by doubling.
fn crc_of_zeros(mut bytes: u64) -> crc32fast::Hasher {
    let mut power = crc32fast::Hasher::new();
    power.update(&[0]);
    let mut crc = crc32fast::Hasher::new();
    while bytes > 0 {
        if bytes & 1 == 1 {
            crc.combine(&power);
        }
        let same = power.clone();
        power.combine(&same);
        bytes >>= 1;
    }
    crc
}

fn entry(samples: u64) -> Vec<u8> {
    let digest = Digest::of(b"x");
    format!(
        r#"{{"schema":1,"kind":"signal","id":"a","fingerprint":"{digest}","source_sha256":"{digest}","arrays":{{}},"samples":{samples},"rate_hz":256,"input_rate_hz":256,"offset_s":"0","gaps":[],"interpolated":[],"reference":null,"notes":[]}}"#
    )
    .into_bytes()
}

/// Writes a signal file whose signal is `samples` zeros, without storing them.
fn write_sparse(file: &File, samples: u64) -> Container {
    let headers = [
        Header::new(Element::Float32, &[1, samples]),
        Header::new(Element::Text(2), &[1]),
        Header::new(Element::Float64, &[]),
        Header::new(Element::Float64, &[1, 2]),
    ];
    let mut frames = Vec::new();
    let mut contents = Vec::new();
    for (name, header) in SIGNAL_MEMBERS.into_iter().zip(&headers) {
        let content = header.encode();
        let zeros = header.data_bytes().unwrap();
        let mut crc = crc32fast::Hasher::new();
        crc.update(&content);
        crc.combine(&crc_of_zeros(zeros));
        frames.push(Frame { name, size: content.len() as u64 + zeros, crc: crc.finalize() });
        contents.push(content);
    }
    let entry = entry(samples);
    frames.push(Frame { name: ENTRY, size: entry.len() as u64, crc: crc32fast::hash(&entry) });
    contents.push(entry);
    let container = Container::plan(&frames).unwrap();
    for ((header, content), offset) in container.headers.iter().zip(&contents).zip(&container.offsets) {
        file.write_all_at(header, offset - header.len() as u64).unwrap();
        file.write_all_at(content, *offset).unwrap();
    }
    file.write_all_at(&container.tail, container.bytes - container.tail.len() as u64).unwrap();
    container
}

const SCRIPT: &str = r#"
import sys, zipfile, numpy
path, samples = sys.argv[1], int(sys.argv[2])
with zipfile.ZipFile(path) as archive:
    assert archive.getinfo("signal.npy").file_size == samples * 4 + 128, archive.infolist()
    assert all(info.header_offset + info.file_size < archive.start_dir for info in archive.infolist())
    with archive.open("signal.npy") as member:
        assert numpy.lib.format.read_magic(member) == (1, 0)
        assert numpy.lib.format.read_array_header_1_0(member)[0] == (1, samples)
with numpy.load(path) as arrays:
    assert arrays["scale"].tolist() == [[0.0, 0.0]] and arrays["rate_hz"] == 0 and arrays["channels"].tolist() == [""]
    assert arrays["entry.json"].startswith(b"{")
"#;

#[test]
fn zip64_appears_where_a_number_needs_it_and_is_understood() {
    // The size of `signal.npy` at, just below and far above the limit, and far below it.
    let limit = (0xFFFF_FFFF_u64 - 128) / 4;
    for (samples, has_zip64) in [(GIB / 4, false), (limit, true), (limit + 1, true), (5 * GIB / 4, true)] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let container = write_sparse(file.as_file(), samples);
        let has_record = container.tail.windows(4).any(|bytes| bytes == 0x0606_4B50_u32.to_le_bytes());
        assert_eq!(has_record, has_zip64, "{samples}");
        for (offset, name) in container.offsets.iter().zip(SIGNAL_MEMBERS) {
            assert!(offset % 64 == 0 || name == ENTRY, "{name} at {offset}");
        }
        let archive = Archive::read(file.as_file()).unwrap();
        assert_eq!(archive.members[0].bytes, samples * 4 + 128);
        check_with_numpy(&mut file, samples);
    }
}

fn check_with_numpy(file: &mut tempfile::NamedTempFile, samples: u64) {
    let python = std::env::var_os("EEGCACHE_PYTHON").unwrap_or_else(|| "python3".into());
    let run = |code: &str| {
        Command::new(&python).args(["-c", code]).arg(file.path()).arg(samples.to_string()).output()
    };
    if !run("import numpy").is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: {} has no numpy", python.display());
        return;
    }
    let out = run(SCRIPT).unwrap();
    assert!(out.status.success(), "{samples}: {}", String::from_utf8_lossy(&out.stderr));
}
