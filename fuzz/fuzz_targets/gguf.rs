//! The reader of a GGUF file, on any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gptoss_checkpoint::fuzz::gguf(data);
});
