//! Times of the elementwise kernels on one thread: `cargo bench -p gptoss-kernels --bench
//! elementwise`.
//!
//! For each operation at the sizes of gpt-oss-20b and each instruction set: the time of a call in
//! nanoseconds, the shortest of several runs, and its bytes read and written per second. Inputs
//! stay in the caches, as they do in a forward pass. Every result is compared with plain code.

use std::hint::black_box;
use std::time::Instant;

use gptoss_kernels::int8::{ActivationBlock, BLOCK, BlockLayout, quantize};
use gptoss_kernels::{
    Isa, add, add_scaled, argmax, exp_weights, rms_norm, rotate, softmax, swiglu, top_k,
};

const HIDDEN: usize = 2880;
const VOCABULARY: usize = 201_088;
const HEAD: usize = 64;
const HEADS: usize = 64;
const EXPERTS: usize = 32;

/// Writes what it computes, the same from every instruction set.
type Run = Box<dyn Fn(Isa, &mut [f32])>;

/// An operation on its inputs.
struct Operation {
    name: &'static str,
    bytes: usize,
    run: Run,
    out: usize,
}

fn main() {
    println!("{:>22} {:>9} {:>10} {:>8}", "operation", "isa", "ns", "GB/s");
    for operation in vectors().into_iter().chain(vocabulary()).chain(eight_bits()) {
        let mut expected = vec![0.0; operation.out];
        (operation.run)(Isa::PORTABLE, &mut expected);
        for isa in Isa::available() {
            let mut out = vec![0.0; operation.out];
            (operation.run)(isa, &mut out);
            let same = out.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{} differs on {}", operation.name, isa.name());
            let ns = nanoseconds(|| (operation.run)(isa, black_box(&mut out)));
            println!(
                "{:>22} {:>9} {ns:>10.1} {:>8.1}",
                operation.name,
                isa.name(),
                operation.bytes as f64 / ns,
            );
        }
    }
}

/// The shortest mean time of a call over runs of about a fifth of a millisecond: what other
/// programs on the machine do makes a run longer, never shorter.
fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    call();
    let calls = (200_000 / (start.elapsed().as_nanos() + 1)).clamp(1, 10_000) as u32;
    let run = || {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    std::iter::repeat_with(run).take(60).fold(f64::INFINITY, f64::min)
}

/// Numbers between −8 and 8.
fn numbers(len: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 1_048_576.0 - 8.0
    };
    (0..len).map(|_| next()).collect()
}

fn operation(
    name: &'static str,
    floats: usize,
    out: usize,
    run: impl Fn(Isa, &mut [f32]) + 'static,
) -> Operation {
    Operation { name, bytes: 4 * floats, run: Box::new(run), out }
}

/// What happens to the vector of a token in a layer.
fn vectors() -> Vec<Operation> {
    let (x, scale) = (numbers(HIDDEN), numbers(HIDDEN));
    let (added, scaled, gates) = (x.clone(), x.clone(), numbers(2 * HIDDEN));
    let (cos, sin) = (numbers(HEAD / 2), numbers(HEAD / 2));
    let heads = numbers(HEADS * HEAD);
    let router = numbers(EXPERTS);
    let few = numbers(4);
    vec![
        operation("rms_norm 2880", 3 * HIDDEN, HIDDEN, move |isa, out| {
            rms_norm(isa, &x, &scale, 1e-5, out);
        }),
        operation("add 2880", 3 * HIDDEN, HIDDEN, move |isa, out| add(isa, out, &added)),
        operation("add_scaled 2880", 3 * HIDDEN, HIDDEN, move |isa, out| {
            add_scaled(isa, out, 0.25, &scaled);
        }),
        operation("swiglu 5760", 3 * HIDDEN, HIDDEN, move |isa, out| swiglu(isa, &gates, 7.0, out)),
        operation("rotate 64x64", 3 * HEADS * HEAD, HEADS * HEAD, move |isa, out| {
            out.copy_from_slice(&heads);
            rotate(isa, out, &cos, &sin);
        }),
        operation("top_k 4 of 32", EXPERTS, 4, move |_, out| {
            let mut chosen = [0; 4];
            top_k(&router, &mut chosen);
            out.iter_mut().zip(chosen).for_each(|(out, chosen)| *out = chosen as f32);
        }),
        operation("softmax 4", 8, 4, move |isa, out| {
            out.copy_from_slice(&few);
            softmax(isa, out);
        }),
    ]
}

/// What happens to the logits of a token.
fn vocabulary() -> Vec<Operation> {
    let (logits, likely) = (numbers(VOCABULARY), numbers(VOCABULARY));
    vec![
        operation("argmax 201088", VOCABULARY, 1, move |isa, out| {
            out[0] = argmax(isa, &likely) as f32;
        }),
        operation("exp_weights 201088", 2 * VOCABULARY, VOCABULARY, move |isa, out| {
            exp_weights(isa, &logits, 8.0, 0.7, out);
        }),
    ]
}

/// Activations to eight bits: codes, scales and offsets as one row of numbers.
fn eight_bits() -> Vec<Operation> {
    const BLOCKS: usize = HIDDEN / BLOCK;
    let layouts = [
        ("quantize mxfp4", BlockLayout::Mxfp4),
        ("quantize mxfp4 gguf", BlockLayout::Mxfp4Gguf),
        ("quantize q8_0", BlockLayout::Q8_0),
    ];
    layouts
        .into_iter()
        .map(|(name, layout)| {
            let x = numbers(HIDDEN);
            operation(name, HIDDEN + HIDDEN / 4, 2 * BLOCKS + 1, move |isa, out| {
                let mut blocks = [ActivationBlock::default(); BLOCKS];
                quantize(isa, layout, &x, &mut blocks);
                for (out, block) in out.iter_mut().zip(&blocks) {
                    *out = block.scale + block.start as f32;
                }
            })
        })
        .collect()
}
