//! What Linux's control groups allow this process: containers set them.
//!
//! Source: `cgroups(7)`, and the kernel's Documentation/admin-guide/cgroup-v2.rst and
//! cgroup-v1/memory.rst. A limit of a group above holds, too.

use std::path::{Path, PathBuf};

/// The tightest limits on the way from the process's groups up to the root.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ControlGroup {
    /// Bytes that the group may hold.
    pub memory_limit: Option<u64>,
    /// Bytes that it may still take, files that are only cached not counted.
    pub memory_free: Option<u64>,
    /// Cores that it may keep busy.
    pub cpus: Option<f64>,
}

impl ControlGroup {
    /// The limits under `root`, which is `/` except in tests. What is not there limits nothing.
    pub fn read(root: &Path) -> ControlGroup {
        let mut found = ControlGroup::default();
        let Some(text) = text_of(&root.join("proc/self/cgroup")) else { return found };
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            let (_, Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let has = |name: &str| controllers.split(',').any(|c| c == name);
            if controllers.is_empty() {
                for folder in folders(&root.join("sys/fs/cgroup"), path) {
                    found.memory(&folder, ["memory.max", "memory.current", "file"]);
                    found.quota(text_of(&folder.join("cpu.max")));
                }
            }
            if has("memory") {
                for folder in folders(&root.join("sys/fs/cgroup/memory"), path) {
                    let names = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"];
                    found.memory(&folder, names);
                }
            }
            if has("cpu") {
                for folder in folders(&root.join("sys/fs/cgroup/cpu"), path) {
                    let quota = text_of(&folder.join("cpu.cfs_quota_us"));
                    let period = text_of(&folder.join("cpu.cfs_period_us"));
                    found.quota(quota.zip(period).map(|(q, p)| format!("{} {}", q.trim(), p)));
                }
            }
        }
        found
    }

    /// Takes over the memory limit of a group if it is tighter.
    fn memory(&mut self, folder: &Path, [limit, used, cached]: [&str; 3]) {
        // Version 1 writes a number near 2⁶³ for no limit, version 2 a word.
        let bounded = number_of(&folder.join(limit)).filter(|limit| *limit < 1 << 60);
        let Some(limit) = bounded else { return };
        let used = number_of(&folder.join(used)).unwrap_or(0);
        let statistics = text_of(&folder.join("memory.stat")).unwrap_or_default();
        let cached = statistics.lines().find_map(|line| {
            line.strip_prefix(cached)?.strip_prefix(' ')?.trim().parse::<u64>().ok()
        });
        let free = limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0)));
        self.memory_limit = Some(self.memory_limit.map_or(limit, |known| known.min(limit)));
        self.memory_free = Some(self.memory_free.map_or(free, |known| known.min(free)));
    }

    /// Takes over a quota, microseconds a period, if it is tighter. `max` and −1 are no limit.
    fn quota(&mut self, text: Option<String>) {
        let text = text.unwrap_or_default();
        let mut numbers = text.split_whitespace().map(str::parse::<f64>);
        let (Some(Ok(quota)), Some(Ok(period))) = (numbers.next(), numbers.next()) else { return };
        if quota > 0.0 && period > 0.0 {
            let cpus = quota / period;
            self.cpus = Some(self.cpus.map_or(cpus, |known| known.min(cpus)));
        }
    }
}

/// The group's folder and all above it. In a container the path is often that outside of it, and
/// only the top is there.
fn folders(top: &Path, path: &str) -> Vec<PathBuf> {
    let group = top.join(path.trim_start_matches('/'));
    let inside = |folder: &&Path| folder.starts_with(top);
    group.ancestors().take_while(inside).map(Path::to_path_buf).collect()
}

fn text_of(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

fn number_of(file: &Path) -> Option<u64> {
    text_of(file)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_group_counts() {
        let root = root(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "1000\n"),
            ("sys/fs/cgroup/a/memory.current", "700\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 300\nfile 400\nfile_mapped 9\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/cpu.max", "max 100000\n"),
        ]);
        let expected =
            ControlGroup { memory_limit: Some(1000), memory_free: Some(700), cpus: Some(1.5) };
        assert_eq!(ControlGroup::read(root.path()), expected);
    }

    #[test]
    fn version_1_is_read_too() {
        let root = root(&[
            ("proc/self/cgroup", "4:memory:/x/y\n1:cpu,cpuacct:/\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "5000\n"),
            ("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "2000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        let expected =
            ControlGroup { memory_limit: Some(5000), memory_free: Some(3000), cpus: None };
        assert_eq!(ControlGroup::read(root.path()), expected);
        let nothing = tempfile::tempdir().unwrap();
        assert_eq!(ControlGroup::read(nothing.path()), ControlGroup::default());
    }
}
