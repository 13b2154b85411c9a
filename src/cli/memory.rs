//! `--memory`: how much a build may use, as people write it, and how much it uses where nobody says.

/// Of the memory that is available when the build begins, this share is used; the rest is for others and for the page cache.
const SHARE: (u64, u64) = (4, 5);
/// Where the system does not say what is available.
const UNKNOWN: u64 = 4 << 30;

/// Reads `4G`, `512M`, `1.5GiB`, `800000k` or bytes; a unit is a power of 1024.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let shift = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err("a number of bytes with K, M, G or T behind it, for instance `4G`".to_owned()),
    };
    match digits.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok((number * (1_u64 << shift) as f64) as u64),
        _ => Err("a number of bytes with K, M, G or T behind it, for instance `4G`".to_owned()),
    }
}

/// Most of the memory that is available now, to this process's control group too.
pub(crate) fn available() -> u64 {
    let system = fs_err::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo(&text));
    let group =
        |name: &str| fs_err::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok();
    let group: Option<u64> =
        group("memory.max").map(|most: u64| most.saturating_sub(group("memory.current").unwrap_or(0)));
    let least = system.into_iter().chain(group).min().unwrap_or(UNKNOWN);
    least / SHARE.1 * SHARE.0
}

fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("4G", Some(4 << 30)),
            ("4GiB", Some(4 << 30)),
            ("1.5g", Some(3 << 29)),
            ("512MB", Some(512 << 20)),
            ("800000k", Some(800_000 << 10)),
            ("123", Some(123)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("G", None),
            ("-1G", None),
            ("4X", None),
            ("0", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn available_memory_is_found() {
        assert_eq!(meminfo("MemTotal: 9 kB\nMemAvailable:   1024 kB\n"), Some(1 << 20));
        assert!(available() > 0);
    }
}
