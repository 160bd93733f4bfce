//! The packager as a whole, on films that are written here: what comes out is read by another parser and held against what went in.

mod entries;
mod film;
mod hostile;
mod reading;

use bytes::Bytes;
use mp4_atom::{Any, Codec, Decode as _, DecodeMaybe as _, Moof, Moov};
use proptest::prelude::*;

use self::film::{Film, Piece, frame};
use super::{Arrived, Limits, Media, Opening, Package, Refusal, Segment, Stopgap, boxes::Children};

/// Opens a file that is in memory; also says how often it was read.
fn open_counting(file: &[u8]) -> Result<(Package, u32), Refusal> {
    let mut opening = Opening::new(file.len() as u64, Limits::default());
    for reads in 1.. {
        let wanted = opening.wants();
        let bytes = Bytes::copy_from_slice(&file[wanted.start as usize..wanted.end as usize]);
        if let Some(package) = opening.take(&bytes)? {
            return Ok((package, reads));
        }
    }
    unreachable!("reads are limited")
}

fn open(file: &[u8]) -> Result<Package, Refusal> {
    open_counting(file).map(|(package, _)| package)
}

fn refused(film: &Film) -> Option<Refusal> {
    open(&film.write()).err()
}

/// The bytes of a segment, read over gaps.
fn bytes(file: &[u8], segment: &Segment) -> Vec<u8> {
    let gap = 40;
    let answers: Vec<Bytes> =
        segment.reads(gap).iter().map(|read| Bytes::copy_from_slice(&file[read.start as usize..read.end as usize])).collect();
    let body = segment.body(gap, &answers).expect("whole reads").concat();
    assert_eq!(body.len() as u64, segment.length);
    body
}

/// A sample as it comes out, with the times that a player gives it: decoded and shown.
#[derive(Debug, Clone, PartialEq)]
struct Played {
    decoded_at: i64,
    shown_at: i64,
    piece: Piece,
}

/// All samples of a stream, as another parser reads them.
fn played(file: &[u8], package: &Package, media: Media) -> Vec<Played> {
    let init = Moov::decode(&mut &init_moov(package, media)[..]).expect("a movie box");
    let start = init.trak[0].edts.as_ref().and_then(|edits| edits.elst.as_ref()).map_or(0, |list| list.entries[0].media_time.unwrap_or(0));
    (0..package.segments(media))
        .flat_map(|number| {
            let segment = package.segment(media, number).expect("good tables").expect("a segment");
            samples(&bytes(file, &segment), start as i64)
        })
        .collect()
}

fn init_moov(package: &Package, media: Media) -> Vec<u8> {
    let init = package.init(media).expect("an init segment");
    let at = init.windows(4).position(|window| window == b"moov").expect("a movie box");
    init[at - 4..].to_vec()
}

fn samples(segment: &[u8], media_start: i64) -> Vec<Played> {
    let mut rest = segment;
    let mut moof: Option<(usize, Moof)> = None;
    while !rest.is_empty() {
        let at = segment.len() - rest.len();
        match Any::decode_maybe(&mut rest).expect("a box").expect("a whole box") {
            Any::Moof(found) => moof = Some((at, found)),
            Any::Styp(_) | Any::Mdat(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let (at, moof) = moof.expect("a fragment");
    let traf = &moof.traf[0];
    let run = &traf.trun[0];
    let mut offset = at + run.data_offset.expect("an offset") as usize;
    let mut time = traf.tfdt.as_ref().expect("a time").base_media_decode_time as i64;
    let mut out = Vec::new();
    for sample in &run.samples {
        let size = sample.size.expect("a size") as usize;
        let duration = sample.duration.or(traf.tfhd.default_sample_duration).expect("a duration");
        let flags = sample.flags.or(traf.tfhd.default_sample_flags).expect("flags");
        let composition = sample.cts.unwrap_or(0);
        let piece = Piece {
            bytes: segment[offset..offset + size].to_vec(),
            duration,
            composition: composition as i32,
            sync: flags & 0x1_0000 == 0,
        };
        out.push(Played { decoded_at: time, shown_at: time + i64::from(composition as i32) - media_start, piece });
        offset += size;
        time += i64::from(duration);
    }
    assert_eq!(offset, segment.len(), "nothing is left behind the last sample");
    out
}

/// What a film's pieces are, played from `shift` on.
fn expected(pieces: &[Piece], shift: i64) -> Vec<(i64, Vec<u8>, bool)> {
    let mut time = 0;
    let shown = pieces.iter().map(|piece| {
        let shown = time + i64::from(piece.composition) + shift;
        time += i64::from(piece.duration);
        (shown, piece.bytes.clone(), piece.sync)
    });
    shown.collect()
}

fn shown(played: &[Played]) -> Vec<(i64, Vec<u8>, bool)> {
    played.iter().map(|sample| (sample.shown_at, sample.piece.bytes.clone(), sample.piece.sync)).collect()
}

#[test]
fn what_goes_in_comes_out() {
    for (moov_first, long_offsets) in [(false, false), (true, false), (false, true)] {
        let film = Film { moov_first, long_offsets, ..Film::new(12) };
        let file = film.write();
        let (package, reads) = open_counting(&file).expect("an ordinary film");
        assert!(reads <= 4, "{reads}");
        assert_eq!(shown(&played(&file, &package, Media::Video)), expected(&film.frames, -40));
        assert_eq!(shown(&played(&file, &package, Media::Audio)), expected(&film.packets, -1_024));
        // Groups of two seconds: one, then pairs.
        let lengths: Vec<_> = package.renditions()[0].playlist.segments.iter().map(|segment| segment.duration_us).collect();
        assert_eq!(lengths, [2_000_000, 4_000_000, 4_000_000, 2_000_000]);
        assert_eq!(package.segments(Media::Audio), 4);
    }
}

/// What was published names segments by their number, for as long as its video: whoever changes this test breaks every video whose top rendition is
/// its source. Another way to cut needs generations of another kind.
#[test]
fn what_was_published_is_cut_like_this_for_ever() {
    let mut film = Film::new(24);
    let keys = [0, 10, 23, 33, 118, 128, 248, 255, 498];
    film.frames = (0..600).map(|number| frame(number, 40, 0, keys.contains(&number))).collect();
    film.video_edits = vec![(0, 0)];
    let package = open(&film.write()).expect("an ordinary film");
    let cut = |number: usize| {
        let segments = &package.renditions()[number].playlist.segments;
        segments.iter().map(|segment| (segment.duration_us / 1_000, segment.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(cut(0), [(920, 642), (3_800, 2_322), (5_200, 3_118), (280, 251), (9_720, 4_751), (4_080, 2_077)]);
    assert_eq!(cut(1), [(938, 533), (3_797, 1_727), (5_184, 2_316), (298, 256), (9_706, 4_223), (4_053, 1_838)]);
}

#[test]
fn fragments_make_the_same_segments() {
    let film = Film::new(9);
    let (whole, pieces) = (film.write(), film.write_fragments());
    let (one, other) = (open(&whole).expect("whole"), open(&pieces).expect("in fragments"));
    for media in [Media::Video, Media::Audio] {
        assert_eq!(played(&whole, &one, media), played(&pieces, &other, media));
        assert_eq!(one.init(media), other.init(media));
    }
    assert_eq!(one.renditions(), other.renditions());
}

#[test]
fn playlists_say_what_is_there() {
    let film = Film::new(10);
    let file = film.write();
    let package = open(&file).expect("an ordinary film");
    let renditions = package.renditions();
    assert_eq!(renditions.iter().map(|rendition| rendition.name.as_str()).collect::<Vec<_>>(), ["240p", "audio"]);
    assert_eq!(renditions[0].codec, "avc1.64000d");
    for (rendition, media) in renditions.iter().zip([Media::Video, Media::Audio]) {
        for (number, announced) in rendition.playlist.segments.iter().enumerate() {
            let segment = package.segment(media, number).expect("good tables").expect("a segment");
            assert_eq!((announced.bytes, &announced.file), (segment.length, &super::segment_file(number)));
            assert_eq!(bytes(&file, &segment).len() as u64, announced.bytes);
        }
    }
    assert_eq!(renditions[0].playlist.duration_us(), 10_000_000);
    assert_eq!(package.stopgaps(), []);
    assert_eq!(package.language(), "eng");
    assert_eq!(super::segment_number("00012.m4s"), Some(12));
    assert_eq!(["12.m4s", "+0012.m4s", "init.mp4", "00012.mp4"].map(super::segment_number), [None; 4]);
}

#[test]
fn a_turned_picture_keeps_its_matrix_and_turns_its_size() {
    let mut film = Film { matrix: [0, 1 << 16, 0, -(1 << 16), 0, 0, 240 << 16, 0, 1 << 30], language: 0, ..Film::new(4) };
    film.packets.clear();
    let package = open(&film.write()).expect("a turned film");
    let domain::playlist::Track::Video { width, height, .. } = package.renditions()[0].track else { panic!("no picture") };
    assert_eq!((width, height), (240, 320));
    assert_eq!(package.stopgaps(), [Stopgap::Turned]);
    let moov = Moov::decode(&mut &init_moov(&package, Media::Video)[..]).expect("a movie box");
    assert_eq!((moov.trak[0].tkhd.matrix.b, moov.trak[0].mdia.mdhd.language.as_str()), (1 << 16, "und"));
    assert!(matches!(moov.trak[0].mdia.minf.stbl.stsd.codecs.as_slice(), [Codec::Avc1(_)]));
    film.matrix[1] = -(1 << 16);
    assert_eq!(refused(&film), Some(Refusal::Transformed), "mirrored");
}

#[test]
fn a_late_picture_is_held_from_the_beginning() {
    let film = Film { video_edits: vec![(1_500, -1), (0, 40)], ..Film::new(6) };
    let file = film.write();
    let package = open(&file).expect("a film whose picture begins late");
    let frames = played(&file, &package, Media::Video);
    assert_eq!((frames[0].decoded_at, frames[0].shown_at, frames[0].piece.duration), (0, 0, 1_540));
    assert_eq!(shown(&frames[1..]), expected(&film.frames, 1_460)[1..]);
    assert_eq!(package.renditions()[0].playlist.duration_us(), 7_500_000);
    let late = Film { video_edits: vec![(11_000, -1), (0, 40)], ..film };
    assert_eq!(refused(&late), Some(Refusal::StartsLate));
}

#[test]
fn late_sound_is_led_by_silence() {
    let film = Film { audio_edits: vec![(1_300, -1), (0, 0)], ..Film::new(6) };
    let file = film.write();
    let package = open(&file).expect("a film whose sound begins late");
    let packets = played(&file, &package, Media::Audio);
    // 60 packets of silence, the first of which is longer.
    let (silence, sound) = packets.split_at(60);
    assert_eq!(shown(sound), expected(&film.packets, 62_400));
    assert!(silence.iter().all(|packet| packet.piece.bytes == silence[0].piece.bytes));
    assert_eq!(silence.iter().map(|packet| packet.piece.duration).collect::<Vec<_>>()[..2], [1_024 + 960, 1_024]);
    assert_eq!((silence[0].decoded_at, silence[59].decoded_at + 1_024), (0, 62_400));
}

#[test]
fn sound_that_outlasts_its_picture_is_for_the_encoder() {
    let film = |more: usize| Film { packets: Film::new(6 + more).packets, ..Film::new(6) };
    let file = film(3).write();
    let package = open(&file).expect("players have loaded that much");
    let lengths: Vec<_> = package.renditions().iter().map(|rendition| rendition.playlist.duration_us() / 1_000_000).collect();
    assert_eq!(lengths, [6, 8], "to the end of the last packet, without the priming");
    assert_eq!(package.check_ends(), Ok(()));
    let package = open(&film(5).write()).expect("it may have been published");
    assert_eq!(package.check_ends(), Err(Refusal::SoundOutlasts));
}

#[test]
fn groups_that_were_cut_off_are_not_sent() {
    // The end lies behind a frame that those before it need, and in front of the next such pair.
    let film = Film { video_edits: vec![(4_110, 4_040)], audio_edits: vec![(4_110, 193_024)], ..Film::new(12) };
    let file = film.write();
    let package = open(&file).expect("a film cut at a key frame");
    // From the third group on, to the end of the edit and one tick of the movie.
    let frames = &expected(&film.frames, -4_040)[100..];
    let sent: Vec<_> = frames.iter().filter(|(shown, _, _)| *shown < 4_111).cloned().collect();
    assert_eq!(shown(&played(&file, &package, Media::Video)), sent);
    let packets = played(&file, &package, Media::Audio);
    assert!(packets.iter().filter(|packet| packet.shown_at + 1_024 <= 0).count() == 1, "one packet to warm up, hidden");
    assert!(packets[0].decoded_at == 0 && packets[0].shown_at < 0);
}

#[test]
fn a_cut_inside_a_group_is_refused() {
    for (start, duration) in [(3_040, 5_000), (4_080, 5_000), (4_041, 0)] {
        let film = Film { video_edits: vec![(duration, start)], ..Film::new(12) };
        assert_eq!(refused(&film), Some(Refusal::TrimInsideGroup), "{start}");
    }
    // The last frame in the order of decoding is not behind the end, one that it needs is.
    let film = Film { video_edits: vec![(1_000 - 80, 40)], ..Film::new(4) };
    assert_eq!(refused(&film), Some(Refusal::TrimInsideGroup));
}

#[test]
fn groups_have_to_be_closed_short_and_begin_with_an_idr_picture() {
    let mut open_group = Film::new(6);
    // Stored behind the third key frame, shown before it.
    open_group.frames[101].composition = -80;
    assert_eq!(refused(&open_group), Some(Refusal::OpenGroup));
    let mut far = Film::new(14);
    far.frames.iter_mut().skip(1).for_each(|frame| frame.sync = false);
    assert_eq!(refused(&far), Some(Refusal::KeyFramesTooFar));
    let mut lying = Film::new(4);
    lying.frames[0].bytes[4] = 0x41;
    assert_eq!(refused(&lying), Some(Refusal::NotIdr));
    let mut still = Film::new(4);
    still.frames[3].duration = 0;
    assert_eq!(refused(&still), Some(Refusal::FrameTimes));
    let mut holes = Film::new(4);
    holes.packets[3].duration = 30_000;
    assert_eq!(refused(&holes), Some(Refusal::SoundTimes));
}

#[test]
fn an_upload_grows_as_it_arrives() {
    let film = Film { moov_first: true, ..Film::new(12) };
    let file = film.write();
    let package = open(&file).expect("an ordinary film");
    let ends: Vec<u64> = (0..4)
        .map(|number| package.segment(Media::Video, number).expect("good tables").expect("a segment"))
        .map(|segment| segment.ranges.iter().map(|range| range.end).max().expect("a range"))
        .collect();
    let mut known = 0;
    for (number, end) in ends.iter().enumerate() {
        let before: Arrived = std::iter::once(0..end - 1).collect();
        assert_eq!(package.arrived(Media::Video, known, &before), number);
        let whole: Arrived = [end - 9..*end, 0..end - 9].into_iter().collect();
        known = package.arrived(Media::Video, known, &whole);
        assert_eq!(known, number + 1);
    }
    // A later part alone brings nothing.
    let tail: Arrived = std::iter::once(ends[1]..file.len() as u64).collect();
    assert_eq!(package.arrived(Media::Video, 0, &tail), 0);
}

/// Groups of closed pictures: their lengths, and for each frame its size, duration and how far it is moved in its group.
fn films() -> impl Strategy<Value = Film> {
    let group = (1_usize..30, 20_u32..60, any::<bool>());
    (proptest::collection::vec(group, 1..20), 1_usize..40, any::<bool>(), 0_u32..3).prop_map(|(groups, per_chunk, moov_first, odd)| {
        let mut film = Film { per_chunk, moov_first, ..Film::new(1) };
        film.frames.clear();
        for (length, duration, reordered) in groups {
            for place in 0..length {
                // Pairs in the other order, and one tick now and then, so that no run is long.
                let paired = reordered && place > 0 && place + usize::from(place % 2 == 1) < length;
                let composition = if !paired {
                    duration
                } else if place % 2 == 1 {
                    2 * duration
                } else {
                    0
                };
                let longer = if place + 1 == length { odd } else { 0 };
                film.frames.push(frame(film.frames.len(), duration + longer, composition as i32, place == 0));
            }
        }
        let first = film.frames[0].composition;
        film.video_edits = vec![(0, first)];
        film
    })
}

proptest! {
    #[test]
    fn any_closed_groups_come_out_as_they_went_in(film in films()) {
        // Where groups with different offsets meet, a frame may be shown as late as the next key frame: that is an open group.
        for file in [film.write(), film.write_fragments()] {
            match open(&file) {
                Ok(package) => {
                    prop_assert_eq!(shown(&played(&file, &package, Media::Video)), expected(&film.frames, -i64::from(film.frames[0].composition)));
                    let audio = film.packets.len();
                    prop_assert_eq!(played(&file, &package, Media::Audio).len(), audio);
                }
                Err(refusal) => prop_assert!(matches!(refusal, Refusal::OpenGroup | Refusal::KeyFramesTooFar), "{}", refusal),
            }
        }
    }
}

#[test]
fn the_boxes_of_a_package_are_boxes() {
    let package = open(&Film::new(4).write()).expect("an ordinary film");
    for media in [Media::Video, Media::Audio] {
        let kinds: Vec<_> = Children(package.init(media).expect("an init segment")).map(|child| child.expect("whole").0).collect();
        assert_eq!(kinds, [*b"ftyp", *b"moov"]);
    }
    assert!(package.init(Media::Audio).is_some() && package.segment(Media::Audio, 99).expect("no fault").is_none());
}
