//! B: small files that ask for a lot of work, memory or disk.

use domain::failure::FailureCode::{Damaged, LimitExceeded, NotAVideo, PictureTooLarge, TooLong, Truncated, UnsupportedCodec};

use super::{
    Food, Menu,
    Verdict::{self, Boring, Refused},
    boxes::{append, boxed, overwrite, places, whole},
};

/// Sizes that a header claims: width, height, and whether nobody may try.
const SIZES: [(u16, u16, bool); 6] =
    [(16_000, 16_000, true), (65_500, 65_500, true), (65_000, 1_000, true), (40_000, 900, true), (65_500, 1, false), (1, 65_500, false)];
/// Lengths, counts and times that no film has.
const ODD: [u32; 5] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

pub(super) fn cases() -> Menu {
    let mut menu = Menu::default();
    pictures(&mut menu);
    numbers(&mut menu);
    masses(&mut menu);
    times(&mut menu);
    menu
}

fn pictures(menu: &mut Menu) {
    const TOO_LARGE: Verdict = Refused(&[PictureTooLarge, Damaged, LimitExceeded, UnsupportedCodec, Truncated]);
    for (width, height, refused) in SIZES {
        let verdict = if refused { TOO_LARGE } else { Boring };
        let size = move || [height.to_be_bytes(), width.to_be_bytes()].concat();
        menu.add(format!("B jpeg {width}x{height}"), verdict, move |kitchen| {
            let mut film = kitchen.clip("-c:v mjpeg -pix_fmt yuvj420p -an", "a.avi")?;
            let found: Vec<usize> = (0..film.len() - 10).filter(|at| film[*at..].starts_with(&[0xff, 0xc0, 0, 17, 8])).collect();
            for at in found {
                film[at + 5..at + 9].copy_from_slice(&size());
            }
            Some(film)
        });
        menu.add(format!("B png {width}x{height}"), verdict, move |kitchen| {
            let film = kitchen.clip("-c:v png -an", "a.mov")?;
            let film = overwrite(film, b"IHDR", 0, width.into())?;
            overwrite(film, b"IHDR", 4, height.into())
        });
        menu.add(format!("B raw {width}x{height}"), Boring, move |kitchen| {
            let mut film = kitchen.clip("-c:v rawvideo -an", "a.avi")?;
            let at = *places(&film, b"strf").first()?;
            film[at + 12..at + 16].copy_from_slice(&u32::from(width).to_le_bytes());
            film[at + 16..at + 20].copy_from_slice(&u32::from(height).to_le_bytes());
            Some(film)
        });
    }
}

fn numbers(menu: &mut Menu) {
    let fields: [(&str, &[u8; 4], usize); 10] = [
        ("length of the film", b"mvhd", 16),
        ("time scale of the film", b"mvhd", 12),
        ("length of a track", b"tkhd", 20),
        ("length of the samples", b"mdhd", 16),
        ("time scale of the samples", b"mdhd", 12),
        ("number of times", b"stts", 4),
        ("time between samples", b"stts", 12),
        ("number of sizes", b"stsz", 8),
        ("length of an edit", b"elst", 8),
        ("start of an edit", b"elst", 12),
    ];
    for (name, kind, behind) in fields {
        for value in ODD {
            let id = format!("B {name} is {value:#x}");
            menu.add(id, Boring, move |kitchen| overwrite(kitchen.seed("last.mp4")?, kind, behind, value));
        }
    }
}

fn masses(menu: &mut Menu) {
    for count in [200, 1_000, 4_000_u32] {
        menu.add(format!("B {count} tracks"), Boring, move |kitchen| {
            let film = kitchen.seed("last.mp4")?;
            let track = whole(&film, b"trak")?.to_vec();
            append(&film, b"moov", &[], &track.repeat(count as usize))
        });
    }
    for count in [2_000, 20_000_usize] {
        menu.add(format!("B {count} fragments"), Boring, move |kitchen| {
            let film = kitchen.seed("fragments.mp4")?;
            let piece = whole(&film, b"moof")?.to_vec();
            Some([&film[..], &piece.repeat(count)].concat())
        });
    }
    for depth in [100, 5_000, 50_000_usize] {
        menu.add(format!("B boxes {depth} deep"), Boring, move |kitchen| {
            let film = kitchen.seed("last.mp4")?;
            let mut nested = Vec::with_capacity(depth * 8);
            for level in (1..=depth).rev() {
                nested.extend(u32::try_from(level * 8).ok()?.to_be_bytes());
                nested.extend(b"udta");
            }
            append(&film, b"moov", &[], &nested)
        });
    }
    menu.add("B 40 MB of metadata", Boring, |kitchen| {
        let film = kitchen.seed("last.mp4")?;
        append(&film, b"moov", &[], &boxed(b"udta", &boxed(b"\xa9nam", &vec![b'x'; 40 << 20])))
    });
    menu.add("B an index of 2^32 entries", Boring, |kitchen| overwrite(kitchen.seed("last.mp4")?, b"stco", 4, u32::MAX));
    menu.add("B 64 channels", Boring, |kitchen| {
        let sound = "-f lavfi -i testsrc2=s=96x64:r=10:d=1 -f lavfi -i aevalsrc=0:c=64c:d=1 -c:v mpeg4 -c:a pcm_s16le";
        kitchen.ffmpeg(sound, "a.mov").or_else(|| kitchen.ffmpeg(&sound.replace(":c=64c", ""), "a.mov"))
    });
    menu.add_food("B 3 TB that are not there", Refused(&[Damaged, Truncated, LimitExceeded, NotAVideo]), |kitchen| {
        let mut film = kitchen.seed("last.mp4")?;
        // The box of samples claims the hole; the index would come behind it.
        let at = *places(&film, b"mdat").first()?;
        film.truncate(at + 64);
        film[at - 4..at].copy_from_slice(&0_u32.to_be_bytes());
        Some(Food { bytes: film, length: Some(3 << 30) })
    });
}

fn times(menu: &mut Menu) {
    menu.add("B a frame a second for 24 hours", Refused(&[TooLong, LimitExceeded]), |kitchen| {
        kitchen.ffmpeg("-f lavfi -i color=s=16x16:r=1/60:d=86400 -c:v mpeg4 -an", "a.mkv")
    });
    menu.add("B three frames in 30 hours", Refused(&[TooLong, LimitExceeded, Truncated, Damaged]), |kitchen| {
        let sparse = "-f lavfi -i color=s=16x16:r=1:d=4 -vf settb=1/1000,setpts=N*30000/TB -vsync vfr -enc_time_base 1:1000";
        kitchen.ffmpeg(&format!("{sparse} -c:v mjpeg -pix_fmt yuvj420p -an"), "a.mkv")
    });
    for rate in [240, 1_000, 5_000_u32] {
        menu.add(format!("B {rate} frames a second"), Boring, move |kitchen| {
            kitchen
                .ffmpeg(&format!("-f lavfi -i testsrc2=s=32x32:r={rate}:d=1 -c:v mpeg4 -an"), "a.avi")
                .or_else(|| kitchen.seed("clip.avi"))
        });
    }
    for (name, seed) in [("flv", "clip.flv"), ("transport stream", "clip.ts"), ("matroska", "clip.mkv"), ("ogg", "clip.ogv")] {
        menu.add(format!("B {name} twice, so that time goes back"), Boring, move |kitchen| Some(kitchen.seed(seed)?.repeat(2)));
    }
    for (name, at) in [("rate", 20_usize), ("scale", 16), ("frames", 28), ("length", 24)] {
        for value in [0, u32::MAX] {
            menu.add(format!("B avi {name} is {value:#x}"), Boring, move |kitchen| {
                let mut film = kitchen.seed("clip.avi")?;
                let header = *places(&film, b"strh").first()? + 8;
                film[header + at..header + at + 4].copy_from_slice(&value.to_le_bytes());
                Some(film)
            });
        }
    }
}
