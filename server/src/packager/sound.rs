//! The sound's sample entry (ISO/IEC 14496-14, 6.7.2) and the `AudioSpecificConfig` in it (ISO/IEC 14496-3, 1.6.2.1): whether browsers decode
//! it, and the same once more for our init segment.

use mp4_atom::{
    Audio, Codec, Esds, FixedPoint, Mp4a,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig},
};

use super::{
    bits::Bits,
    boxes::{Children, Fields},
    refusal::{Refusal, Result},
};

/// A configuration longer than this is nothing of AAC.
const LONGEST_CONFIG: usize = 64;

/// Sound that browsers decode.
#[derive(Debug, Clone)]
pub(super) struct Sound {
    /// Sample entry of our init segment.
    pub(super) entry: Codec,
    /// RFC 6381 codec string.
    pub(super) codec: String,
    /// Channels that come out.
    pub(super) channels: u32,
    /// Whether it is HE-AAC.
    pub(super) high_efficiency: bool,
    /// A silent packet, where one is known.
    pub(super) silence: Option<&'static [u8]>,
}

/// Packets of AAC-LC with no scale factor bands, which every decoder turns into zeros: one channel, and two with one window.
const SILENCE: [&[u8]; 2] = [&[0x00, 0xc8, 0x00, 0x80, 0x23, 0x80], &[0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80]];

impl Sound {
    /// How many packets a decoder needs in front of one for it to come out right: AAC adds each to the one before, and HE-AAC's upper half comes
    /// another one later. No more: they are hidden by an edit list, which Chromium's own HLS player does not read.
    pub(super) fn warm_up(&self) -> usize {
        if self.high_efficiency { 2 } else { 1 }
    }

    /// Reads the sample entry `kind` with `content`.
    pub(super) fn read(kind: [u8; 4], content: &[u8]) -> Result<Self> {
        if kind != *b"mp4a" {
            return Err(Refusal::NotAac);
        }
        let mut fields = Fields(content);
        fields.take(8)?;
        let version = fields.u16()?;
        fields.take(6)?;
        let (channel_count, sample_size) = (fields.u16()?, fields.u16()?);
        fields.take(4)?;
        let sample_rate = FixedPoint::new(fields.u16()?, fields.u16()?);
        // QuickTime's versions 1 and 2 say more before the boxes, none of which AAC needs.
        fields.take(match version {
            0 => 0,
            1 => 16,
            2 => 36,
            _ => return Err(Refusal::AacKind),
        })?;
        let children = Children(fields.0);
        let descriptors = match children.find(b"esds")? {
            Some(esds) => esds,
            // QuickTime wraps it.
            None => Children(children.find(b"wave")?.ok_or(Refusal::NotAac)?).need(b"esds")?,
        };
        let bytes = config(descriptors)?;
        let config = AudioConfig::read(bytes)?;
        let codec = format!("mp4a.40.{}", config.object_type);
        let audio = Audio { data_reference_index: 1, channel_count, sample_size, sample_rate };
        let entry = Codec::Mp4a(Mp4a { audio, esds: esds(bytes), btrt: None, taic: None });
        let high_efficiency = config.object_type != 2;
        let silence = SILENCE.get(config.channels as usize - 1).copied().filter(|_| !high_efficiency);
        Ok(Self { entry, codec, channels: config.channels, high_efficiency, silence })
    }
}

/// The `esds` of our init segment: the source's configuration, byte for byte.
fn esds(config: &[u8]) -> Esds {
    let dec_specific = Some(DecoderSpecific { profile: 0, freq_index: 0, chan_conf: 0, raw: config.to_vec() });
    // 0x40: MPEG-4 audio; 5: an audio stream.
    let dec_config = DecoderConfig { object_type_indication: 0x40, stream_type: 5, dec_specific, ..DecoderConfig::default() };
    Esds { es_desc: EsDescriptor { es_id: 1, dec_config, sl_config: SLConfig::default(), ..EsDescriptor::default() } }
}

/// The `AudioSpecificConfig` in the content of an `esds` (ISO/IEC 14496-1, 7.2.6.5): descriptor 5 in 4 in 3.
fn config(esds: &[u8]) -> Result<&[u8]> {
    let mut fields = Fields(esds);
    fields.version_and_flags()?;
    let mut stream = Fields(descriptor(fields, 3)?);
    stream.u16()?;
    let flags = stream.u8()?;
    // What the flags announce is of no use here: another stream, an address, a clock.
    if flags & 0xe0 != 0 {
        return Err(Refusal::AacKind);
    }
    let mut decoder = Fields(descriptor(stream, 4)?);
    if decoder.u8()? != 0x40 {
        return Err(Refusal::NotAac);
    }
    decoder.take(12)?;
    let config = descriptor(decoder, 5)?;
    if config.len() > LONGEST_CONFIG {
        return Err(Refusal::AacKind);
    }
    Ok(config)
}

/// The content of the first descriptor with a tag, among its brothers.
fn descriptor(mut fields: Fields<'_>, wanted: u8) -> Result<&[u8]> {
    loop {
        let tag = fields.u8()?;
        let mut length = 0_usize;
        // At most four groups of seven bits.
        for _ in 0..4 {
            let byte = fields.u8()?;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let content = fields.take(length)?;
        if tag == wanted {
            return Ok(content);
        }
    }
}

/// What an `AudioSpecificConfig` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AudioConfig {
    /// As in the codec string: 2 for LC, 5 for HE-AAC, 29 for its second version.
    object_type: u8,
    channels: u32,
}

impl AudioConfig {
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut bits = Bits::of(bytes);
        let object_type = bits.read(5)?;
        frequency(&mut bits)?;
        // 0 would be a list of channels in a place of its own.
        let channels = match bits.read(4)? {
            channels @ 1..=6 => channels,
            7 => 8,
            _ => return Err(Refusal::AacKind),
        };
        if matches!(object_type, 5 | 29) {
            frequency(&mut bits)?;
            if bits.read(5)? != 2 {
                return Err(Refusal::AacKind);
            }
        } else if object_type != 2 {
            return Err(Refusal::AacKind);
        }
        // GASpecificConfig: packets of 960 samples and scalable streams are for broadcasts. No extension, or there would be a third.
        if bits.read(3)? != 0 {
            return Err(Refusal::AacKind);
        }
        let object_type = if object_type == 2 { extension(&mut bits) } else { object_type };
        let channels = if object_type == 29 { 2 } else { channels };
        // 2, 5 or 29.
        Ok(Self { object_type: object_type as u8, channels })
    }
}

/// Sampling frequency by index, or written out.
fn frequency(bits: &mut Bits<'_>) -> Result<()> {
    match bits.read(4)? {
        0..=12 => {}
        15 => {
            bits.read(24)?;
        }
        _ => return Err(Refusal::AacKind),
    }
    Ok(())
}

/// The object type behind what an LC decoder reads: HE-AAC that announces itself so that older decoders do not see it (1.6.5.2).
fn extension(bits: &mut Bits<'_>) -> u32 {
    let mut found = || -> Result<u32> {
        if bits.read(11)? != 0x2b7 || bits.read(5)? != 5 || bits.read(1)? != 1 {
            return Ok(2);
        }
        frequency(bits)?;
        let parametric_stereo = bits.read(11) == Ok(0x548) && bits.read(1) == Ok(1);
        Ok(if parametric_stereo { 29 } else { 5 })
    };
    found().unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(config: &[u8], version: u16) -> Vec<u8> {
        let mut bytes = vec![0; 28];
        bytes[9] = version as u8;
        bytes[17] = 2;
        bytes.extend(vec![0; if version == 1 { 16 } else { 0 }]);
        let length = config.len() as u8;
        let mut esds = vec![0, 0, 0, 0, 3, 20 + length, 0, 1, 0, 4, 15 + length, 0x40, 0x15];
        esds.extend([0; 11]);
        esds.extend([5, length]);
        esds.extend(config);
        bytes.extend((8 + esds.len() as u32).to_be_bytes());
        bytes.extend(b"esds");
        bytes.extend(esds);
        bytes
    }

    fn read(config: &[u8]) -> Result<(String, u32)> {
        Sound::read(*b"mp4a", &entry(config, 0)).map(|sound| (sound.codec, sound.channels))
    }

    #[test]
    fn the_kinds_of_aac_are_told_apart() {
        assert_eq!(read(&[0x11, 0x90]), Ok(("mp4a.40.2".into(), 2)));
        // Announced at the end: SBR, and SBR with parametric stereo.
        assert_eq!(read(&[0x13, 0x10, 0x56, 0xe5, 0x98]), Ok(("mp4a.40.5".into(), 2)));
        assert_eq!(read(&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80]), Ok(("mp4a.40.29".into(), 2)));
        // Announced at the beginning.
        assert_eq!(read(&[0x2b, 0x11, 0x88, 0x00]), Ok(("mp4a.40.5".into(), 2)));
        assert_eq!(read(&[0x11, 0xb0]), Ok(("mp4a.40.2".into(), 6)));
        // Main, channels elsewhere, 960 samples a packet.
        for bad in [[0x09, 0x90], [0x11, 0x80], [0x11, 0x94]] {
            assert_eq!(read(&bad), Err(Refusal::AacKind));
        }
        assert!(Sound::read(*b"mp4a", &entry(&[0x11, 0x90], 1)).is_ok(), "QuickTime's version 1");
        assert_eq!(Sound::read(*b"alac", &[]).err(), Some(Refusal::NotAac));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes: Vec<u8>, config: Vec<u8>) {
            let _ = Sound::read(*b"mp4a", &bytes);
            let _ = AudioConfig::read(&config);
        }
    }
}
