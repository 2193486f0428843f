//! What the machine can do at most, measured in a second or so.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use gptoss_kernels::Isa;
use gptoss_kernels::limits::{bf16_dot, f32_fma, has_bf16_dot, int8_dot, read, read_streams};
use gptoss_threads::Pool;
use serde_json::{Value, json};

use super::system::System;

/// Repetitions of each measurement: many short ones, so that in some of them no other program
/// takes a core away.
const SAMPLES: usize = 60;
/// What one task of a sample takes at least; a sample has [`TASKS`] of them for each thread.
const TASK: Duration = Duration::from_micros(500);
const TASKS: usize = 2;
/// Bytes of one task that reads.
const PIECE: usize = 4 << 20;
/// The buffer is at least this large, and this many times as large as all last-level caches.
const BUFFER_MIN: u64 = 128 << 20;
const BUFFER_CACHES: u64 = 4;
/// Its largest part of the free memory.
const BUFFER_SHARE: u64 = 8;

/// A rate a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// The highest that was seen: what others took away is no limit of the machine.
    pub best: f64,
    /// The middle one, which shows how much others took away.
    pub median: f64,
}

/// Rates of some threads together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Bytes read from memory.
    pub read: Rate,
    /// Multiplications and additions of bytes.
    pub int8: Rate,
    /// Multiplications and additions of f32.
    pub f32: Rate,
    /// Those of bfloat16, where the processor has an instruction for them.
    pub bf16: Option<Rate>,
}

/// What the machine can do at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// With these instructions.
    pub isa: Isa,
    /// On one thread.
    pub one: Rates,
    /// Threads of `all`.
    pub threads: usize,
    /// On all of them.
    pub all: Rates,
}

impl Limits {
    /// Measures the machine.
    pub fn measure(threads: NonZeroUsize, isa: Isa, system: &System) -> Limits {
        let pool = Pool::new(threads);
        let mut buffer = vec![0; buffer_pieces(system) * PIECE];
        // Memory that was never written to is one page of zeros; who writes first has it near.
        pool.chunks_mut(&mut buffer, PIECE, &|index, piece| piece.fill(index as u8 | 1));
        let all = rates(&pool, isa, &buffer);
        let one = match pool.threads() {
            1 => all,
            _ => rates(&Pool::new(NonZeroUsize::MIN), isa, &buffer),
        };
        Limits { isa, one, threads: pool.threads(), all }
    }

    /// Everything, by name.
    pub fn json(&self) -> Value {
        let rate = |rate: Rate| json!({ "best": rate.best, "median": rate.median });
        let rates = |threads: usize, rates: &Rates| {
            json!({
                "threads": threads,
                "read_bytes_per_second": rate(rates.read),
                "int8_operations_per_second": rate(rates.int8),
                "f32_operations_per_second": rate(rates.f32),
                "bf16_operations_per_second": rates.bf16.map(rate),
            })
        };
        json!({
            "isa": self.isa.name(),
            "one_thread": rates(1, &self.one),
            "all_threads": rates(self.threads, &self.all),
        })
    }
}

/// Pieces of the buffer that is read: more than fits into caches, less than would make the system
/// page others out.
fn buffer_pieces(system: &System) -> usize {
    let wanted = BUFFER_MIN.max(system.cache_bytes.unwrap_or(0).saturating_mul(BUFFER_CACHES));
    let most = system.memory_free_bytes().map_or(wanted, |free| free / BUFFER_SHARE);
    (wanted.min(most) as usize / PIECE).max(1)
}

fn rates(pool: &Pool, isa: Isa, buffer: &[u8]) -> Rates {
    let _active = pool.active();
    let linear = reading(pool, buffer, &|piece| read(isa, piece));
    let streams = reading(pool, buffer, &read_streams);
    Rates {
        read: if linear.best > streams.best { linear } else { streams },
        int8: arithmetic(pool, &|rounds| {
            let work = int8_dot(isa, rounds);
            black_box(work.checksum);
            work.operations
        }),
        f32: arithmetic(pool, &|rounds| {
            let work = f32_fma(isa, rounds);
            black_box(work.checksum);
            work.operations
        }),
        bf16: has_bf16_dot().then(|| {
            arithmetic(pool, &|rounds| {
                let work = bf16_dot(rounds);
                black_box(work).map_or(0, |work| work.operations)
            })
        }),
    }
}

/// Bytes a second; samples go on where the last one ended, so that caches never have them.
fn reading(pool: &Pool, buffer: &[u8], read: &(dyn Fn(&[u8]) -> u64 + Sync)) -> Rate {
    let pieces = buffer.len() / PIECE;
    let count = (pool.threads() * TASKS).min(pieces);
    let mut first = 0;
    rate(|| {
        let task = |i: usize| {
            let at = (first + i) % pieces * PIECE;
            black_box(read(black_box(&buffer[at..at + PIECE])));
        };
        let start = Instant::now();
        pool.run(count, &task);
        first += count;
        (count * PIECE) as f64 / start.elapsed().as_secs_f64()
    })
}

/// Operations a second of `work`, which does a number of rounds and gives the operations in them.
fn arithmetic(pool: &Pool, work: &(dyn Fn(u64) -> u64 + Sync)) -> Rate {
    let mut rounds = 1 << 10;
    // The faster of two runs, since a run that was interrupted would make tasks too short.
    let seconds = |rounds| {
        let once = || {
            let start = Instant::now();
            work(rounds);
            start.elapsed()
        };
        once().min(once())
    };
    while seconds(rounds) < TASK && rounds < 1 << 40 {
        rounds *= 2;
    }
    let operations = work(1) * rounds;
    let count = pool.threads() * TASKS;
    rate(|| {
        let start = Instant::now();
        pool.run(count, &|_| {
            work(black_box(rounds));
        });
        (count as u64 * operations) as f64 / start.elapsed().as_secs_f64()
    })
}

/// Takes samples; the first one warms up.
fn rate(mut sample: impl FnMut() -> f64) -> Rate {
    sample();
    let mut rates: Vec<f64> = (0..SAMPLES).map(|_| sample()).collect();
    rates.sort_by(f64::total_cmp);
    Rate { best: rates[SAMPLES - 1], median: rates[SAMPLES / 2] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_larger_than_caches_and_smaller_than_memory() {
        let system = |cache, free| System {
            cache_bytes: cache,
            memory_available_bytes: free,
            ..System::default()
        };
        let mib = |system: &System| (buffer_pieces(system) * PIECE) >> 20;
        assert_eq!(mib(&system(None, None)), 128);
        assert_eq!(mib(&system(Some(100 << 20), None)), 400);
        assert_eq!(mib(&system(Some(100 << 20), Some(800 << 20))), 100);
        assert_eq!(mib(&system(None, Some(0))), 4);
    }
}
