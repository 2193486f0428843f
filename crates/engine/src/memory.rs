//! How much memory there is for a cache.

use std::fs;

use crate::error::EngineError;

/// Bytes that the system can give this process without swapping, if it tells: on Linux what
/// `/proc/meminfo` calls available, or what the limit of the control group leaves.
pub fn available_bytes() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo(&text));
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max").map(|max| {
        let used = number("/sys/fs/cgroup/memory.current").unwrap_or(0);
        // Cached files count as used, and go when memory is wanted.
        let files = fs::read_to_string("/sys/fs/cgroup/memory.stat")
            .ok()
            .and_then(|text| field(&text, "file"))
            .unwrap_or(0);
        max.saturating_sub(used.saturating_sub(files))
    });
    [system, group].into_iter().flatten().min()
}

/// Checks that `bytes` can be had.
///
/// # Errors
/// What `refused` makes.
pub(crate) fn check_memory(
    bytes: u64,
    refused: impl Fn() -> EngineError,
) -> Result<(), EngineError> {
    if available_bytes().is_some_and(|available| bytes > available) {
        return Err(refused());
    }
    // Whether addresses for all of it can be had; the memory itself comes when it is used.
    let mut probe = Vec::<u8>::new();
    let probed = usize::try_from(bytes).map_err(|_| refused())?;
    probe.try_reserve_exact(probed).map_err(|_| refused())
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn meminfo(text: &str) -> Option<u64> {
    field(text, "MemAvailable:").map(|kibibytes| kibibytes.saturating_mul(1024))
}

/// The number after `name` at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut words = text.lines().map(str::split_whitespace);
    words.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_meminfo_is_found() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   12345 kB\nBuffers: 1 kB\n";
        assert_eq!(meminfo(text), Some(12_345 * 1024));
        assert_eq!(meminfo("MemTotal: 1 kB\n"), None);
        assert_eq!(field("anon 5\nfile 17\nfile_mapped 3\n", "file"), Some(17));
    }
}
