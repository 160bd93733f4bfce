//! The picture's sample entry (ISO/IEC 14496-15, 5.4.2): whether every browser decodes what it announces, and the same once more for our
//! init segment, with what players need and nothing else of the source's.

use mp4_atom::{Avc1, Avcc, Codec, Colr, Fiel, Pasp, Visual};

use super::{
    boxes::{Children, Fields, leaf},
    parameter_set::ParameterSet,
    refusal::{Refusal, Result},
};

/// Profiles that browsers decode, all 8-bit 4:2:0 or less: Baseline, Main and High.
const PROFILES: [u8; 3] = [66, 77, 100];

/// A picture that browsers decode.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// Sample entry of our init segment.
    pub(super) entry: Codec,
    /// RFC 6381 codec string.
    pub(super) codec: String,
    /// Bytes of the length in front of each NAL unit: 1, 2 or 4.
    pub(super) length_size: u8,
    /// Width in square samples, before any turning.
    pub(super) width: u32,
    /// Height in square samples, before any turning.
    pub(super) height: u32,
    /// Whether samples are square.
    pub(super) square: bool,
    /// Whether some pictures may be fields.
    pub(super) interlaced: bool,
}

impl Picture {
    /// Reads the sample entry `kind` with `content`.
    pub(super) fn read(kind: [u8; 4], content: &[u8]) -> Result<Self> {
        // `avc3` has its parameter sets among the samples, where no init segment would announce them.
        if kind != *b"avc1" {
            return Err(Refusal::NotH264);
        }
        let mut fields = Fields(content);
        // SampleEntry, then what VisualSampleEntry has in front of its width.
        fields.take(8 + 16)?;
        let (width, height) = (fields.u16()?, fields.u16()?);
        fields.take(50)?;
        let children = Children(fields.0);
        let avcc: Avcc = leaf(children.find(b"avcC")?.ok_or(Refusal::ParameterSets)?)?;
        let set = parameter_set(&avcc)?;
        let pasp = children.find(b"pasp")?.map(leaf::<Pasp>).transpose()?.filter(|pasp| pasp.h_spacing > 0 && pasp.v_spacing > 0);
        if let Some(aperture) = children.find(b"clap")? {
            whole(aperture, width, height)?;
        }
        let square = pasp.as_ref().is_none_or(|pasp| pasp.h_spacing == pasp.v_spacing);
        let stretched = pasp.as_ref().map_or(u64::from(set.width), |pasp| {
            (u64::from(set.width) * u64::from(pasp.h_spacing) + u64::from(pasp.v_spacing) / 2) / u64::from(pasp.v_spacing)
        });
        let [profile, constraints, level] = set.profile;
        let (length_size, codec) = (avcc.length_size, format!("avc1.{profile:02x}{constraints:02x}{level:02x}"));
        let visual = Visual { data_reference_index: 1, width, height, ..Visual::default() };
        // Colours and fields as the source has them. An ICC profile is not for video, and may be long.
        let colr = children.find(b"colr")?.and_then(|colr| leaf::<Colr>(colr).ok());
        let colr = colr.filter(|colr| matches!(colr, Colr::Nclx { .. } | Colr::Nclc { .. }));
        let fiel = children.find(b"fiel")?.and_then(|fiel| leaf::<Fiel>(fiel).ok());
        let entry = Codec::Avc1(Avc1 { visual, avcc, colr, pasp, fiel, ..Avc1::default() });
        let width = u32::try_from(stretched.max(1)).map_err(|_| Refusal::PictureTooLarge)?;
        Ok(Self { entry, codec, length_size, width, height: set.height, square, interlaced: !set.frames_only })
    }

    /// Whether a sample, or its beginning, is an IDR picture: the first NAL unit of a slice says so (ISO/IEC 14496-15, 5.3.3; ITU-T H.264,
    /// table 7-1). What does not begin one within the bytes given is none.
    pub(super) fn is_idr(&self, mut sample: &[u8]) -> bool {
        let width = usize::from(self.length_size);
        while let Some((length, rest)) = sample.split_at_checked(width) {
            let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
            let unit = rest.get(..length.min(1)).and_then(<[u8]>::first).map(|header| header & 0x1f);
            match unit {
                Some(5) => return true,
                Some(1..=4) => return false,
                // Parameter sets, delimiters, supplemental information, nothing.
                _ => sample = rest.get(length..).unwrap_or_default(),
            }
        }
        false
    }
}

/// The one parameter set, in agreement with `avcC`: samples are decoded by the one, players choose by the other.
fn parameter_set(avcc: &Avcc) -> Result<ParameterSet> {
    let announced = avcc.avc_profile_indication;
    if !PROFILES.contains(&announced) {
        return Err(Refusal::Profile(announced));
    }
    if avcc.ext.as_ref().is_some_and(|ext| (ext.chroma_format, ext.bit_depth_luma, ext.bit_depth_chroma) != (1, 8, 8)) {
        return Err(Refusal::SampleFormat);
    }
    let [unit] = avcc.sequence_parameter_sets.as_slice() else { return Err(Refusal::ParameterSets) };
    let set = ParameterSet::read(unit)?;
    let lengths_are_legal = matches!(avcc.length_size, 1 | 2 | 4);
    if set.profile[0] != announced || avcc.picture_parameter_sets.is_empty() || !lengths_are_legal {
        return Err(Refusal::ParameterSets);
    }
    Ok(set)
}

/// Refuses a clean aperture (ISO/IEC 14496-12, 12.1.4) that is not the whole picture.
fn whole(aperture: &[u8], width: u16, height: u16) -> Result<()> {
    let mut fields = Fields(aperture);
    for side in [width, height] {
        let (numerator, denominator) = (fields.u32()?, fields.u32()?);
        if u64::from(numerator) != u64::from(denominator) * u64::from(side) {
            return Err(Refusal::Cropped);
        }
    }
    Ok(())
}
