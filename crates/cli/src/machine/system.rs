//! What the system says about the machine. Linux says most; elsewhere much is not known.

use std::collections::BTreeSet;
use std::path::Path;

use super::control_group::ControlGroup;

/// Facts, `None` where the system does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct System {
    /// The processor's name.
    pub processor: Option<String>,
    /// Logical processors that are switched on.
    pub processors: Option<usize>,
    /// Physical cores among them.
    pub cores: Option<usize>,
    /// Logical processors that this process may run on.
    pub affinity: Option<usize>,
    /// Bytes of all last-level caches.
    pub cache_bytes: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Bytes that programs can have without paging others out.
    pub memory_available_bytes: Option<u64>,
    /// Bytes of swap.
    pub swap_bytes: Option<u64>,
    /// Bytes of swap in use.
    pub swap_used_bytes: Option<u64>,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// How the clock is governed, such as `performance`.
    pub governor: Option<String>,
    /// What the container allows.
    pub group: ControlGroup,
}

impl System {
    /// The facts under `root`, which is `/` except in tests.
    pub fn read(root: &Path) -> System {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let cpuinfo = text("proc/cpuinfo").unwrap_or_default();
        let meminfo = text("proc/meminfo").unwrap_or_default();
        let kib = |name: &str| -> Option<u64> {
            let value = value_of(&meminfo, name)?;
            Some(value.split_whitespace().next()?.parse::<u64>().ok()? << 10)
        };
        let status = text("proc/self/status").unwrap_or_default();
        let swap = (kib("SwapTotal"), kib("SwapFree"));
        let pages = text("sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        System {
            processor: value_of(&cpuinfo, "model name").map(str::to_owned),
            processors: text("sys/devices/system/cpu/online").map(|list| list_len(&list)),
            cores: distinct(root, "topology/core_cpus_list")
                .or_else(|| distinct(root, "topology/thread_siblings_list"))
                .map(|cores| cores.len()),
            affinity: value_of(&status, "Cpus_allowed_list").map(list_len),
            cache_bytes: last_caches(root),
            memory_bytes: kib("MemTotal"),
            memory_available_bytes: kib("MemAvailable"),
            swap_bytes: swap.0,
            swap_used_bytes: swap.0.zip(swap.1).map(|(total, free)| total.saturating_sub(free)),
            huge_pages: pages
                .split_once('[')
                .and_then(|(_, rest)| Some(rest.split_once(']')?.0.to_owned())),
            governor: text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
                .map(|name| name.trim().to_owned()),
            group: ControlGroup::read(root),
        }
    }

    /// Bytes that this process can have: what is available, and what its container still allows.
    pub fn memory_free_bytes(&self) -> Option<u64> {
        match (self.memory_available_bytes, self.group.memory_free) {
            (Some(available), Some(allowed)) => Some(available.min(allowed)),
            (available, allowed) => available.or(allowed),
        }
    }
}

/// Instructions of this processor that matter here, by the names of their makers.
pub fn instructions() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("AVX", is_x86_feature_detected!("avx")),
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("FMA", is_x86_feature_detected!("fma")),
        ("F16C", is_x86_feature_detected!("f16c")),
        ("AVX-VNNI", is_x86_feature_detected!("avxvnni")),
        ("AVX512F", is_x86_feature_detected!("avx512f")),
        ("AVX512BW", is_x86_feature_detected!("avx512bw")),
        ("AVX512DQ", is_x86_feature_detected!("avx512dq")),
        ("AVX512VL", is_x86_feature_detected!("avx512vl")),
        ("AVX512-VNNI", is_x86_feature_detected!("avx512vnni")),
        ("AVX512-VBMI", is_x86_feature_detected!("avx512vbmi")),
        ("AVX512-BF16", is_x86_feature_detected!("avx512bf16")),
        ("AVX512-FP16", is_x86_feature_detected!("avx512fp16")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let found: [(&str, bool); 0] = [];
    found.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

/// The first value of `name : value`, as in `/proc`.
fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

/// How many numbers a list such as `0-3,8` has.
fn list_len(list: &str) -> usize {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<usize>(), last.trim().parse::<usize>());
        match (first, last) {
            (Ok(first), Ok(last)) if first <= last => last - first + 1,
            _ => 0,
        }
    };
    list.trim().split(',').map(range).sum()
}

/// The distinct texts of a file that every processor has, `None` if none has it.
fn distinct(root: &Path, file: &str) -> Option<BTreeSet<String>> {
    let found: BTreeSet<String> = processors(root)
        .iter()
        .filter_map(|cpu| Some(std::fs::read_to_string(cpu.join(file)).ok()?.trim().to_owned()))
        .collect();
    (!found.is_empty()).then_some(found)
}

fn processors(root: &Path) -> Vec<std::path::PathBuf> {
    let is_processor = |name: &str| {
        name.strip_prefix("cpu")
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let entries = std::fs::read_dir(root.join("sys/devices/system/cpu"));
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    paths
        .filter(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(is_processor))
        .collect()
}

/// The size of a third-level cache times their number, or that of the second level.
fn last_caches(root: &Path) -> Option<u64> {
    for level in [3, 2] {
        let folder = format!("cache/index{level}");
        let first = root.join("sys/devices/system/cpu/cpu0").join(&folder).join("size");
        let Ok(size) = std::fs::read_to_string(first) else { continue };
        let (number, unit) = size.trim().split_at(size.trim().len().saturating_sub(1));
        let scale = match unit {
            "K" => 10,
            "M" => 20,
            _ => continue,
        };
        let caches = distinct(root, &format!("{folder}/shared_cpu_list"))?;
        return number
            .parse::<u64>()
            .ok()?
            .checked_mul(caches.len() as u64)?
            .checked_mul(1 << scale);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_linux_are_read() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/cpuinfo", "processor : 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name: no\n");
        write(
            "proc/meminfo",
            "MemTotal: 4096 kB\nMemAvailable: 1024 kB\nSwapTotal: 8 kB\nSwapFree: 2 kB\n",
        );
        write("proc/self/status", "Name: x\nCpus_allowed_list:\t0-2,5\n");
        write("sys/devices/system/cpu/online", "0-3\n");
        for cpu in 0..4 {
            let folder = format!("sys/devices/system/cpu/cpu{cpu}");
            let siblings = if cpu < 2 { "0-1" } else { "2-3" };
            write(&format!("{folder}/topology/thread_siblings_list"), siblings);
            write(&format!("{folder}/cache/index3/size"), "512K\n");
            write(&format!("{folder}/cache/index3/shared_cpu_list"), "0-3\n");
        }
        write("sys/devices/system/cpu/cpuidle/size", "1");
        write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
        let system = System::read(root.path());
        let expected = System {
            processor: Some("Some CPU @ 2 GHz".into()),
            processors: Some(4),
            cores: Some(2),
            affinity: Some(4),
            cache_bytes: Some(512 << 10),
            memory_bytes: Some(4 << 20),
            memory_available_bytes: Some(1 << 20),
            swap_bytes: Some(8 << 10),
            swap_used_bytes: Some(6 << 10),
            huge_pages: Some("madvise".into()),
            governor: None,
            group: ControlGroup::default(),
        };
        assert_eq!(system, expected);
        assert_eq!(system.memory_free_bytes(), Some(1 << 20));
    }

    #[test]
    fn what_is_not_there_is_not_known() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(System::read(root.path()), System::default());
        assert_eq!(list_len("7-3,x"), 0);
    }
}
