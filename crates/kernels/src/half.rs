//! The two 16-bit float formats: widened to f32 without loss, and f32 rounded to binary16.

/// The value of a bfloat16: the upper half of an f32.
pub const fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// The value of an IEEE 754 binary16.
///
/// A subnormal is its integer fraction times 2⁻²⁴, which is exact in f32. A NaN keeps its sign and
/// fraction and becomes quiet, as with the CPU's own conversion.
#[inline]
pub const fn f16_to_f32(bits: u16) -> f32 {
    let sign = ((bits as u32) & 0x8000) << 16;
    let exponent = ((bits as u32) >> 10) & 0x1F;
    let fraction = (bits as u32) & 0x3FF;
    match exponent {
        0 => {
            let magnitude = fraction as f32 * (1.0 / 16_777_216.0);
            f32::from_bits(magnitude.to_bits() | sign)
        }
        31 if fraction == 0 => f32::from_bits(sign | 0x7F80_0000),
        31 => f32::from_bits(sign | 0x7FC0_0000 | (fraction << 13)),
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (fraction << 13)),
    }
}

/// The IEEE 754 binary16 nearest to `x`, ties to even, as F16C's `vcvtps2ph` rounds.
///
/// From 65520 on it is infinite; NaN stays NaN and keeps its sign and the upper bits of its
/// fraction. Error: at most half a unit in the last of 11 bits, below 2⁻¹⁴ at most 2⁻²⁵.
#[inline]
pub const fn f32_to_f16(x: f32) -> u16 {
    /// 2⁻¹⁴, the smallest normal binary16, and 2¹⁶, above all of them.
    const NORMAL: u32 = 0x3880_0000;
    const ABOVE: u32 = 0x4780_0000;
    const INFINITE: u32 = 0x7F80_0000;
    let magnitude = x.to_bits() & 0x7FFF_FFFF;
    let sign = (x.to_bits() >> 16) & 0x8000;
    let half = if magnitude < NORMAL {
        // The last bit of ½ is 2⁻²⁴, the unit of subnormals, so this addition rounds to it.
        (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits()
    } else if magnitude < ABOVE {
        // Half a unit less one, and one more if the last bit that stays is odd; a carry runs
        // into the exponent, and from the largest exponent into infinity.
        let odd = (magnitude >> 13) & 1;
        (magnitude - (112 << 23) + 0xFFF + odd) >> 13
    } else if magnitude <= INFINITE {
        0x7C00
    } else {
        0x7E00 | (magnitude >> 13) & 0x3FF
    };
    (sign | half) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of binary16, in f64.
    fn exact(bits: u16) -> f64 {
        let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
        let exponent = i32::from((bits >> 10) & 0x1F);
        let fraction = f64::from(bits & 0x3FF) / 1024.0;
        match exponent {
            0 => sign * fraction * 2f64.powi(-14),
            31 if fraction == 0.0 => sign * f64::INFINITY,
            31 => f64::NAN,
            _ => sign * (1.0 + fraction) * 2f64.powi(exponent - 15),
        }
    }

    #[test]
    fn every_f16_has_its_value() {
        for bits in 0..=u16::MAX {
            let (actual, expected) = (f64::from(f16_to_f32(bits)), exact(bits));
            assert!(
                actual.to_bits() == expected.to_bits() || (actual.is_nan() && expected.is_nan()),
                "{bits:#06x}: {actual} is not {expected}"
            );
        }
    }

    /// The nearest multiple of the unit in the last place, in f64, where nothing else rounds.
    fn nearest_f16(x: f32) -> f64 {
        let exponent = ((x.to_bits() >> 23) & 0xFF) as i32 - 127;
        let unit = 2f64.powi(exponent.max(-14) - 10);
        let nearest = (f64::from(x) / unit).round_ties_even() * unit;
        if nearest.abs() >= 65536.0 { f64::INFINITY.copysign(nearest) } else { nearest }
    }

    #[test]
    fn f32_is_rounded_to_the_nearest_f16() {
        let mut compared = 0;
        // Every 1021st f32, and the neighbours of every tie between two f16.
        let ties = (0..0x7C00).map(|bits| f16_to_f32(bits).to_bits() + 0x1000);
        let near = ties.flat_map(|tie| tie - 2..=tie + 2);
        for bits in (0..=u32::MAX).step_by(1021).chain(near) {
            let x = f32::from_bits(bits);
            let actual = f64::from(f16_to_f32(f32_to_f16(x)));
            if x.is_nan() {
                assert!(actual.is_nan(), "{bits:#010x}");
            } else {
                assert_eq!(actual.to_bits(), nearest_f16(x).to_bits(), "{bits:#010x}: {x:e}");
            }
            compared += 1;
        }
        assert!(compared > 4_000_000, "compared {compared}");
        for bits in 0..=u16::MAX {
            let back = f32_to_f16(f16_to_f32(bits));
            let quiet = if f16_to_f32(bits).is_nan() { bits | 0x200 } else { bits };
            assert_eq!(back, quiet, "{bits:#06x} there and back");
        }
    }

    #[test]
    fn bf16_is_the_upper_half() {
        assert_eq!(bf16_to_f32(0x3F80), 1.0);
        assert_eq!(bf16_to_f32(0xC049).to_bits(), 0xC049_0000);
    }
}
