//! Sequence parameter sets of H.264 (ITU-T H.264, 7.3.2.1.1): what the samples are, whatever the container says of them.

use super::{
    bits::Bits,
    refusal::{Refusal, Result},
};

/// What a sequence parameter set says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ParameterSet {
    /// `profile_idc`, the constraint flags, and `level_idc`: what RFC 6381 makes the codec string of.
    pub(super) profile: [u8; 3],
    /// Width in samples, after cropping.
    pub(super) width: u32,
    /// Height in samples, after cropping.
    pub(super) height: u32,
    /// Whether every picture is a frame; otherwise some may be fields.
    pub(super) frames_only: bool,
}

/// Profiles whose parameter sets say more on the format of samples.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Most macroblocks of a picture: level 5.2 (ITU-T H.264, table A-1).
const MOST_MACROBLOCKS: u64 = 36_864;

impl ParameterSet {
    /// Reads a NAL unit.
    pub(super) fn read(unit: &[u8]) -> Result<Self> {
        let (header, payload) = unit.split_first().ok_or(Refusal::ParameterSets)?;
        if header & 0x1f != 7 {
            return Err(Refusal::ParameterSets);
        }
        let payload = without_emulation_prevention(payload);
        let mut bits = Bits::of(&payload);
        let profile = [bits.read(8)? as u8, bits.read(8)? as u8, bits.read(8)? as u8];
        bits.unsigned()?;
        if HIGH_PROFILES.contains(&profile[0]) {
            sample_format(&mut bits)?;
        }
        bits.unsigned()?;
        picture_order(&mut bits)?;
        bits.unsigned()?;
        bits.read(1)?;
        size(&mut bits, profile)
    }
}

/// `chroma_format_idc` to the scaling lists: 8-bit 4:2:0 or a refusal.
fn sample_format(bits: &mut Bits<'_>) -> Result<()> {
    let chroma_format = bits.unsigned()?;
    if chroma_format != 1 || bits.unsigned()? != 0 || bits.unsigned()? != 0 {
        return Err(Refusal::SampleFormat);
    }
    bits.read(1)?;
    if bits.read(1)? == 1 {
        for list in 0..8 {
            if bits.read(1)? == 1 {
                scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(())
}

fn scaling_list(bits: &mut Bits<'_>, entries: u32) -> Result<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..entries {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

fn picture_order(bits: &mut Bits<'_>) -> Result<()> {
    match bits.unsigned()? {
        0 => {
            bits.unsigned()?;
        }
        1 => {
            bits.read(1)?;
            bits.signed()?;
            bits.signed()?;
            for _ in 0..bits.unsigned()?.min(256) {
                bits.signed()?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The size in macroblocks and what is cropped of it; 4:2:0 crops by two samples.
fn size(bits: &mut Bits<'_>, profile: [u8; 3]) -> Result<ParameterSet> {
    let (columns, rows) = (u64::from(bits.unsigned()?) + 1, u64::from(bits.unsigned()?) + 1);
    let frames_only = bits.read(1)? == 1;
    let fields = if frames_only { 1 } else { 2 };
    if columns.saturating_mul(rows).saturating_mul(fields) > MOST_MACROBLOCKS {
        return Err(Refusal::PictureTooLarge);
    }
    if !frames_only {
        bits.read(1)?;
    }
    bits.read(1)?;
    let mut cropped = [0_u64; 4];
    if bits.read(1)? == 1 {
        for side in &mut cropped {
            *side = u64::from(bits.unsigned()?);
        }
    }
    let [left, right, top, bottom] = cropped;
    let shown = |whole: u64, cut: u64| whole.checked_sub(cut).filter(|shown| *shown > 0).ok_or(Refusal::ParameterSets);
    let width = shown(columns * 16, (left + right) * 2)?;
    let height = shown(rows * 16 * fields, (top + bottom) * 2 * fields)?;
    // At most 16 × 36,864.
    Ok(ParameterSet { profile, width: width as u32, height: height as u32, frames_only })
}

/// The payload without the bytes that keep start codes out of it (ITU-T H.264, 7.4.1).
fn without_emulation_prevention(payload: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(payload.len());
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 320×240, High, level 1.3, by x264.
    const HIGH: [u8; 24] = [
        0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0xfa, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x42,
        0x99, 0x60,
    ];

    #[test]
    fn a_parameter_set_is_read() {
        let expected = ParameterSet { profile: [100, 0, 13], width: 320, height: 240, frames_only: true };
        assert_eq!(ParameterSet::read(&HIGH), Ok(expected));
    }

    #[test]
    fn what_is_not_four_two_zero_is_refused() {
        // chroma_format_idc 0 and 2 in the place of 1: bits 1 and 011 for 010.
        let mut monochrome = HIGH.to_vec();
        monochrome[4] = 0b1100_0000;
        assert_eq!(ParameterSet::read(&monochrome), Err(Refusal::SampleFormat));
        assert_eq!(ParameterSet::read(&[0x68, 1, 2]), Err(Refusal::ParameterSets));
        assert_eq!(ParameterSet::read(&[]), Err(Refusal::ParameterSets));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(mut bytes: Vec<u8>, high: bool) {
            if let Some(first) = bytes.first_mut() { *first = 0x67 }
            if high && bytes.len() > 1 { bytes[1] = 100 }
            if let Ok(set) = ParameterSet::read(&bytes) {
                prop_assert!(set.width > 0 && set.height > 0);
            }
        }
    }
}
