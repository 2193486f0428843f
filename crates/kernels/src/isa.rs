//! Which instructions kernels may use.

/// Proof that the running CPU has a set of instructions: the field is private, so a value comes
/// only from [`Isa::detect`], [`Isa::available`] or [`Isa::named`], and kernels may rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

/// Levels, slowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Plain Rust.
    Portable,
    /// AVX2, FMA and F16C: x86 since 2013.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ, VL and VNNI: x86 servers since 2019.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// Plain Rust, which every machine has.
    pub const PORTABLE: Isa = Isa(Level::Portable);

    /// The best that this CPU has.
    pub fn detect() -> Isa {
        Isa::available().next_back().unwrap_or(Isa::PORTABLE)
    }

    /// All that this CPU has, slowest first; tests and benches loop over it.
    pub fn available() -> impl DoubleEndedIterator<Item = Isa> {
        [
            Some(Isa::PORTABLE),
            #[cfg(target_arch = "x86_64")]
            has_avx2().then_some(Isa(Level::Avx2)),
            #[cfg(target_arch = "x86_64")]
            has_avx512().then_some(Isa(Level::Avx512)),
        ]
        .into_iter()
        .flatten()
    }

    /// The level `portable`, `avx2` or `avx512`, if this CPU has it.
    pub fn named(name: &str) -> Option<Isa> {
        Isa::available().find(|isa| isa.name() == name)
    }

    /// The name that [`Isa::named`] knows.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    pub(crate) const fn level(self) -> Level {
        self.0
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_by_name() {
        assert_eq!(Isa::named("portable"), Some(Isa::PORTABLE));
        assert_eq!(Isa::named("sse9"), None);
        for isa in Isa::available() {
            assert_eq!(Isa::named(isa.name()), Some(isa));
        }
        assert_eq!(Isa::available().next(), Some(Isa::PORTABLE));
        assert_eq!(Isa::available().last(), Some(Isa::detect()));
    }
}
