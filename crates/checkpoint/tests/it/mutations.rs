//! Valid files with random damage: they open or give an error, and never panic.

use std::path::Path;

use gptoss_checkpoint::fuzz;
use proptest::prelude::*;

use crate::testdata;

/// Damage to a file: bytes overwritten at places counted from the start, and a new length.
#[derive(Clone, Debug)]
struct Damage {
    overwritten: Vec<(usize, u8)>,
    length: Option<usize>,
}

fn damage() -> impl Strategy<Value = Damage> {
    // Most structure of these files lies in their first 12 kB.
    let byte = (0..12_000usize, prop_oneof![Just(0), Just(255), any::<u8>()]);
    let length = prop::option::weighted(0.2, 0..20_000usize);
    (prop::collection::vec(byte, 0..8), length)
        .prop_map(|(overwritten, length)| Damage { overwritten, length })
}

fn damaged(file: &Path, damage: &Damage) -> Vec<u8> {
    let mut bytes = std::fs::read(file).unwrap();
    for (place, byte) in &damage.overwritten {
        if let Some(old) = bytes.get_mut(*place) {
            *old = *byte;
        }
    }
    bytes.truncate(damage.length.unwrap_or(bytes.len()));
    bytes
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn damaged_safetensors_never_panic(damage in damage()) {
        fuzz::safetensors_header(&damaged(&testdata("t64/mxfp4/model.safetensors"), &damage));
    }

    #[test]
    fn damaged_gguf_never_panics(damage in damage()) {
        fuzz::gguf(&damaged(&testdata("t64/model.gguf"), &damage));
    }

    #[test]
    fn damaged_configs_never_panic(damage in damage()) {
        let places = damage.overwritten.iter().map(|(place, byte)| (place % 1000, *byte));
        let damage = Damage { overwritten: places.collect(), length: None };
        fuzz::config(&damaged(&testdata("t64/mxfp4/config.json"), &damage));
        fuzz::config(&damaged(&testdata("t64/original/config.json"), &damage));
    }
}

/// Every field of a header, replaced by every number that breaks arithmetic.
#[test]
fn numbers_at_the_limits_never_panic() {
    let header = |n: &str, m: &str| {
        let text = format!(
            "{{\"a\":{{\"dtype\":\"F4\",\"shape\":[{n},{m}],\"data_offsets\":[{m},{n}]}},\
              \"b\":{{\"dtype\":\"F64\",\"shape\":[{m}],\"data_offsets\":[0,{m}]}}}}"
        );
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &[0; 8]].concat()
    };
    let limits = ["0", "1", "8", "4294967295", "9223372036854775807", "18446744073709551615"];
    let mut tried = 0;
    for n in limits {
        for m in limits {
            fuzz::safetensors_header(&header(n, m));
            tried += 1;
        }
    }
    assert_eq!(tried, 36);
}
