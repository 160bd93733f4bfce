//! R: files that want another file, another user's upload or a host to be read in their place.

use super::{
    Menu,
    Verdict::{Boring, Refused},
    boxes::{append, boxed},
    kitchen::Kitchen,
};
use domain::failure::FailureCode::NotAVideo;

const TARGETS: [&str; 6] = ["file", "upload", "http", "relative", "data", "socket"];

/// What a reference names.
fn target(kitchen: &Kitchen, kind: &str) -> String {
    let canaries = &kitchen.canaries;
    match kind {
        "file" => format!("file://{}", canaries.file.display()),
        "upload" => canaries.upload.display().to_string(),
        "http" => format!("http://{}/canary.ts", canaries.http),
        "relative" => "../".repeat(12) + canaries.file.to_string_lossy().trim_start_matches('/'),
        "data" => "data:video/mp2t;base64,R0AAEA==".to_owned(),
        _ => "unix:/run/millrace.sock".to_owned(),
    }
}

/// Texts that some program takes for a playlist; `@` is what they refer to.
const TEXTS: [(&str, &str); 13] = [
    ("hls-segment", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n@\n#EXT-X-ENDLIST\n"),
    ("hls-key", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"@\"\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n"),
    ("hls-map", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"@\"\n#EXTINF:4,\na.m4s\n#EXT-X-ENDLIST\n"),
    ("hls-multivariant", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n@\n"),
    ("dash", "<?xml version=\"1.0\"?><MPD><Period><BaseURL>@</BaseURL></Period></MPD>"),
    ("ffconcat", "ffconcat version 1.0\nfile '@'\n"),
    ("sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=@\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
    ("imf", "<?xml version=\"1.0\"?><CompositionPlaylist><Id>@</Id></CompositionPlaylist>"),
    ("assetmap", "<?xml version=\"1.0\"?><AssetMap><Path>@</Path></AssetMap>"),
    ("pls", "[playlist]\nFile1=@\nNumberOfEntries=1\n"),
    ("asx", "<asx version=\"3.0\"><entry><ref href=\"@\"/></entry></asx>"),
    ("svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"@\"/></svg>"),
    ("rtsp-redirect", "RTSPtext\r\n@\r\n"),
];

/// First bytes by which a container is known, in front of a playlist.
const HEADS: [(&str, &[u8]); 5] = [
    ("ftyp", b"\0\0\0\x10ftypisom\0\0\x02\0"),
    ("flv", b"FLV\x01\x05\0\0\0\x09\0\0\0\0"),
    ("ogg", b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1e"),
    ("ebml", b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska\x42\x87\x81\x04\x42\x85\x81\x02"),
    ("riff", b"RIFF\xff\xff\0\0AVI LIST\x04\0\0\0hdrl"),
];

pub(super) fn cases() -> Menu {
    let mut menu = Menu::default();
    for kind in TARGETS {
        for (name, text) in TEXTS {
            menu.add(format!("R {name} → {kind}"), Refused(&[NotAVideo]), move |kitchen| {
                Some(text.replace('@', &target(kitchen, kind)).into_bytes())
            });
        }
        for (name, head) in HEADS {
            menu.add(format!("R {name} in front of a playlist → {kind}"), Boring, move |kitchen| {
                Some([head, TEXTS[0].1.replace('@', &target(kitchen, kind)).as_bytes()].concat())
            });
        }
        menu.add(format!("R transport stream in front of a playlist → {kind}"), Boring, move |kitchen| {
            let stream = kitchen.seed("clip.ts")?;
            Some([&stream[..188 * 8], TEXTS[0].1.replace('@', &target(kitchen, kind)).as_bytes()].concat())
        });
        menu.add(format!("R data reference → {kind}"), Boring, move |kitchen| data_reference(kitchen, b"url ", kind));
        menu.add(format!("R alias → {kind}"), Boring, move |kitchen| data_reference(kitchen, b"alis", kind));
        menu.add(format!("R reference movie → {kind}"), Boring, move |kitchen| {
            let name = target(kitchen, kind).into_bytes();
            let length = u32::try_from(name.len()).ok()?.to_be_bytes();
            let reference = boxed(b"rdrf", &[&b"\0\0\0\0url "[..], &length, &name].concat());
            append(&kitchen.seed("last.mp4")?, b"moov", &[], &boxed(b"rmra", &boxed(b"rmda", &reference)))
        });
        menu.add(format!("R subtitle chunk with a playlist → {kind}"), Boring, move |kitchen| {
            let list = TEXTS[0].1.replace('@', &target(kitchen, kind));
            let length = u32::try_from(list.len()).ok()?.to_le_bytes();
            let chunk = [&b"GAB2\0\x02\0\0\0\0\0\0\0\x04\0"[..], &length, list.as_bytes()].concat();
            let mut film = kitchen.seed("clip.avi")?;
            film.extend([&b"02tx"[..], &u32::try_from(chunk.len()).ok()?.to_le_bytes(), &chunk].concat());
            Some(film)
        });
    }
    menu
}

/// A film whose samples are said to lie in another file.
fn data_reference(kitchen: &Kitchen, kind: &[u8; 4], to: &str) -> Option<Vec<u8>> {
    let film = kitchen.seed("last.mp4")?;
    let at = *super::boxes::places(&film, b"dref").first()?;
    let old = u32::from_be_bytes(film.get(at - 4..at)?.try_into().ok()?) as usize;
    let name = [b"\0\0\0\0", target(kitchen, to).as_bytes(), b"\0"].concat();
    let more = boxed(kind, &name);
    // The one entry there is stays, and stops being the film itself.
    let mut spoiled = append(&film, b"dref", &[b"moov", b"trak", b"mdia", b"minf", b"dinf"], &more)?;
    spoiled[at + 11] = 2;
    if let Some(flags) = spoiled.get_mut(at + old - 5) {
        *flags = 0;
    }
    Some(spoiled)
}
