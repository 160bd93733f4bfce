//! P: files that are two things at once, or nothing.

use domain::failure::FailureCode::{Damaged, NoVideoStream, NotAVideo, Truncated, UnsupportedCodec};

use super::{
    Food, Menu,
    Verdict::{Accepted, Boring, Refused},
    boxes::boxed,
};

const PAGE: &[u8] = b"<!doctype html><script>alert(1)</script>";

/// First bytes of what is no film.
const OTHERS: [(&str, &[u8]); 17] = [
    ("nothing", b""),
    ("one byte", b"x"),
    ("a page", PAGE),
    ("zip", b"PK\x03\x04\x14\0\0\0\x08\0"),
    ("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    ("program", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"),
    ("script", b"#!/bin/sh\nid\n"),
    ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
    ("png", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"),
    ("jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
    ("gif", b"GIF89a\x01\0\x01\0\0\0\0;"),
    ("webp", b"RIFF\x24\0\0\0WEBPVP8 "),
    ("wave", b"RIFF\x24\0\0\0WAVEfmt "),
    ("heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
    ("avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif"),
    ("asf", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c"),
    ("zeroes", &[0; 4_096]),
];

pub(super) fn cases() -> Menu {
    let mut menu = Menu::default();
    for (name, bytes) in OTHERS {
        menu.add(format!("P {name}"), Refused(&[NotAVideo]), move |_| Some(bytes.to_vec()));
    }
    for (name, head) in [("jpeg", OTHERS[9].1), ("page", PAGE), ("zip", OTHERS[3].1)] {
        menu.add(format!("P {name}, then a film"), Refused(&[NotAVideo]), move |kitchen| Some([head, &kitchen.seed("last.mp4")?].concat()));
        menu.add(format!("P a film, then {name}"), Accepted, move |kitchen| Some([&kitchen.seed("first.mp4")?, head].concat()));
        menu.add(format!("P a film with {name} in a free box"), Accepted, move |kitchen| {
            Some([kitchen.seed("last.mp4")?, boxed(b"free", head)].concat())
        });
    }
    const NO_FILM: super::Verdict = Refused(&[NotAVideo, Truncated, Damaged, NoVideoStream, UnsupportedCodec]);
    menu.add("P a type and nothing else", NO_FILM, |_| Some(boxed(b"ftyp", b"isom\0\0\x02\0isommp41")));
    menu.add("P an empty index", NO_FILM, |_| Some([boxed(b"ftyp", b"isom\0\0\x02\0isommp41"), boxed(b"moov", b"")].concat()));
    menu.add("P a box that says it is shorter than its head", Boring, |kitchen| {
        let mut film = kitchen.seed("last.mp4")?;
        film[3] = 4;
        Some(film)
    });
    menu.add_food("P 10 GB of hole", Refused(&[NotAVideo]), |_| Some(Food { bytes: Vec::new(), length: Some(10 << 30) }));
    menu.add_food("P a film and 10 GB of hole", Boring, |kitchen| Some(Food { bytes: kitchen.seed("first.mp4")?, length: Some(10 << 30) }));
    menu
}
