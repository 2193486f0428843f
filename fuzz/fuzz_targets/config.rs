//! The reader of config.json, on any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gptoss_checkpoint::fuzz::config(data);
});
