//! How much memory a build may use: as people write it, and what is there where nobody says.
//!
//! What is there is the least of what the system, each control group around the process (a job of a batch system, a
//! container) and the limit of its address space leave. Nothing of it decides a byte of a result.

/// Of the memory that is available when the build begins, this share is used; the rest is for others and for the page cache.
const SHARE: (u64, u64) = (4, 5);
/// Where the system does not say what is available.
const UNKNOWN: u64 = 4 << 30;
/// Where control groups lie, of the second hierarchy and of the first.
const GROUPS: &str = "/sys/fs/cgroup";
const GROUPS_V1: &str = "/sys/fs/cgroup/memory";

/// Reads `4G`, `512M`, `1.5GiB`, `800000k` or bytes; a unit is a power of 1024.
pub fn parse(text: &str) -> Result<u64, String> {
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

/// Most of the memory that is available to this process now, in bytes.
#[must_use]
pub fn available() -> u64 {
    // What cannot be read says nothing: systems differ in what they show.
    let least = least(&|path| fs_err::read_to_string(path).ok());
    least.unwrap_or(UNKNOWN) / SHARE.1 * SHARE.0
}

fn least(read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let system = read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:"));
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let groups = groups.lines().flat_map(places).filter_map(|place| left(&place, read));
    system.into_iter().chain(groups).chain(address_space(read)).min()
}

/// `MemAvailable:   1024 kB` in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// The directories of a group and of those around it; a line is `hierarchy:controllers:path` (cgroups(7)).
fn places(line: &str) -> Vec<String> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { return Vec::new() };
    let root = match controllers {
        "" => GROUPS,
        _ if controllers.split(',').any(|name| name == "memory") => GROUPS_V1,
        _ => return Vec::new(),
    };
    let path = path.trim_end_matches('/');
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    ends.map(|end| format!("{root}{}", &path[..end])).collect()
}

/// What a group leaves. Pages of files count as used and are given up when somebody needs them.
fn left(place: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |name: &str| read(&format!("{place}/{name}"))?.trim().parse::<u64>().ok();
    let most = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes")).unwrap_or(0);
    let stat = read(&format!("{place}/memory.stat")).unwrap_or_default();
    let row = |name: &str| {
        let value = |line: &str| line.strip_prefix(name)?.trim().parse::<u64>().ok();
        stat.lines().find_map(value)
    };
    let files = |kind: &str| row(&format!("total_{kind} ")).or_else(|| row(&format!("{kind} "))).unwrap_or(0);
    Some(most.saturating_sub(used.saturating_sub(files("inactive_file") + files("active_file"))))
}

/// What `ulimit -v` leaves.
fn address_space(read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let limits = read("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let most: u64 = line.split_whitespace().next()?.parse().ok()?;
    let used = kilobytes(&read("/proc/self/status")?, "VmSize:").unwrap_or(0);
    Some(most.saturating_sub(used))
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

    type File = (&'static str, &'static str);

    #[test]
    fn the_least_of_what_is_left_is_available() {
        const SYSTEM: File = ("/proc/meminfo", "MemTotal: 9 kB\nMemAvailable:   1024 kB\n");
        const NEW: File = ("/proc/self/cgroup", "0::/job/step\n");
        const OLD: File = ("/proc/self/cgroup", "5:cpu,memory:/job\n3:cpuset:/job\n");
        const JOB: &str = "/sys/fs/cgroup/job/memory.";
        let table: [(&[File], Option<u64>); 8] = [
            (&[], None),
            (&[SYSTEM], Some(1 << 20)),
            (&[SYSTEM, NEW], Some(1 << 20)),
            // The group around the own one is the narrower, and the pages of files that it read are no loss.
            (&[SYSTEM, NEW, ("max", "5000\n"), ("current", "4000\n")], Some(1000)),
            (
                &[
                    SYSTEM,
                    NEW,
                    ("max", "5000"),
                    ("current", "4000"),
                    ("stat", "anon 1\ninactive_file 3000\nactive_file 500\n"),
                ],
                Some(4500),
            ),
            (&[SYSTEM, NEW, ("max", "max\n"), ("current", "4000\n")], Some(1 << 20)),
            (
                &[
                    SYSTEM,
                    OLD,
                    ("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9000"),
                    ("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "8000"),
                    ("/sys/fs/cgroup/memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 2000\n"),
                ],
                Some(3000),
            ),
            (
                &[
                    SYSTEM,
                    (
                        "/proc/self/limits",
                        "Limit   Soft Limit  Hard Limit  Units\nMax address space  500000 unlimited bytes\n",
                    ),
                    ("/proc/self/status", "VmSize:\t    100 kB\n"),
                ],
                Some(500_000 - 102_400),
            ),
        ];
        for (files, expected) in table {
            let read = |path: &str| {
                let is_it = |name: &str| name == path || path.strip_prefix(JOB) == Some(name);
                files.iter().find(|(name, _)| is_it(name)).map(|(_, text)| (*text).to_owned())
            };
            assert_eq!(least(&read), expected, "{files:?}");
        }
        assert!(available() > 0);
    }
}
