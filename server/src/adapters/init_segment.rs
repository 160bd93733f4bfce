//! Reads fMP4 boxes of what an engine made, for what playlists have to say about it. Every transcoder's init segments go through here.

use mp4_atom::{Atom, Codec, Decode, Header, Moov};

/// Why an init segment says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("no moov box")]
    NoMoov,
    #[error("neither H.264 nor AAC")]
    ForeignCodec,
}

/// The RFC 6381 codec string of an init segment's one track.
pub(super) fn codec(init: &[u8]) -> Result<String, Unreadable> {
    let moov: Moov = find(init).ok_or(Unreadable::NoMoov)?;
    let codecs = moov.trak.first().map(|track| track.mdia.minf.stbl.stsd.codecs.as_slice()).unwrap_or_default();
    match codecs.first() {
        Some(Codec::Avc1(entry)) => {
            let avcc = &entry.avcc;
            let (profile, constraints, level) = (avcc.avc_profile_indication, avcc.profile_compatibility, avcc.avc_level_indication);
            Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
        }
        Some(Codec::Mp4a(entry)) => {
            let config = &entry.esds.es_desc.dec_config;
            let object_type = config.dec_specific.as_ref().map_or(2, |specific| specific.profile);
            Ok(format!("mp4a.{:02x}.{object_type}", config.object_type_indication))
        }
        _ => Err(Unreadable::ForeignCodec),
    }
}

/// The first box of a kind at top level.
pub(super) fn find<A: Atom>(mut bytes: &[u8]) -> Option<A> {
    while !bytes.is_empty() {
        let header = Header::decode(&mut bytes).ok()?;
        let (mut body, rest) = bytes.split_at_checked(header.size.unwrap_or(bytes.len()))?;
        if header.kind == A::KIND {
            return A::decode_body(&mut body).ok();
        }
        bytes = rest;
    }
    None
}
