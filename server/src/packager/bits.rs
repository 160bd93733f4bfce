//! Bits, as parameter sets and the configuration of AAC are written in.

use super::refusal::{Refusal, Result};

const END: Refusal = Refusal::Damaged("a configuration ends too early");

/// Bits from the most significant one on, and the Exp-Golomb codes made of them (ITU-T H.264, 9.1).
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits read.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 32.
    pub(super) fn read(&mut self, count: usize) -> Result<u32> {
        let mut value = 0_u32;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(END)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    pub(super) fn unsigned(&mut self) -> Result<u32> {
        let mut zeros = 0;
        while self.read(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return Err(END);
            }
        }
        Ok(((1_u64 << zeros) - 1) as u32 + self.read(zeros)?)
    }

    pub(super) fn signed(&mut self) -> Result<i64> {
        let code = i64::from(self.unsigned()?);
        Ok(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_read() {
        // 1, 010, 011, 00100, 00101
        let mut bits = Bits::of(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.unsigned().expect("enough bits")).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut signed = Bits::of(&[0b0100_1100, 0b1000_0101]);
        let codes: Vec<_> = (0..4).map(|_| signed.signed().expect("enough bits")).collect();
        assert_eq!(codes, [1, -1, 2, -2]);
    }
}
