//! The reader of a safetensors file, on any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gptoss_checkpoint::fuzz::safetensors_header(data);
});
