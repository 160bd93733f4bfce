//! Writes small films for the tests: every table as the standard has it, in one piece or in fragments.

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) duration: u32,
    pub(super) composition: i32,
    pub(super) sync: bool,
}

/// A film. Picture and sound have 1,000 and 48,000 ticks a second, as has the movie 1,000.
#[derive(Debug, Clone)]
pub(super) struct Film {
    pub(super) frames: Vec<Piece>,
    pub(super) packets: Vec<Piece>,
    /// Duration, start in the media (-1: a pause).
    pub(super) video_edits: Vec<(u32, i32)>,
    pub(super) audio_edits: Vec<(u32, i32)>,
    /// Samples of a chunk, or of a fragment's run.
    pub(super) per_chunk: usize,
    pub(super) language: u16,
    pub(super) matrix: [i32; 9],
    pub(super) moov_first: bool,
    pub(super) long_offsets: bool,
}

pub(super) const UPRIGHT: [i32; 9] = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30];

/// A picture of 320×240 in High profile.
const SPS: [u8; 24] = [
    0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0xfa, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x42,
    0x99, 0x60,
];

/// A frame of a NAL unit that is an IDR slice where `sync`, and says which frame it is.
pub(super) fn frame(number: usize, duration: u32, composition: i32, sync: bool) -> Piece {
    let mut unit = vec![if sync { 0x65 } else { 0x41 }];
    unit.extend((number as u32).to_be_bytes());
    unit.extend(vec![0xab; number % 13]);
    let mut bytes = (unit.len() as u32).to_be_bytes().to_vec();
    bytes.extend(unit);
    Piece { bytes, duration, composition, sync }
}

fn packet(number: usize) -> Piece {
    Piece { bytes: (number as u64).to_be_bytes()[8 - (3 + number % 5)..].to_vec(), duration: 1_024, composition: 0, sync: true }
}

impl Film {
    /// A film of `seconds`, of 25 frames a second in groups of two seconds, with a B-frame between two others.
    pub(super) fn new(seconds: usize) -> Self {
        let frames = (0..seconds * 25).map(|number| {
            let place = number % 50;
            // Decoded: key frame, then pairs of a later and an earlier one.
            let composition = match place {
                0 => 40,
                _ if place == 49 => 40,
                _ if place % 2 == 1 => 80,
                _ => 0,
            };
            frame(number, 40, composition, place == 0)
        });
        Self {
            frames: frames.collect(),
            packets: (0..(seconds * 48_000).div_ceil(1_024)).map(packet).collect(),
            video_edits: vec![(0, 40)],
            audio_edits: vec![(0, 1_024)],
            per_chunk: 7,
            language: 0x15c7,
            matrix: UPRIGHT,
            moov_first: false,
            long_offsets: false,
        }
    }

    /// The file, its movie box with all tables.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = boxed(b"ftyp", b"isom\0\0\0\0isommp41");
        let media = self.media(self.per_chunk);
        let moov_length = if self.moov_first { self.moov(&media, 0).len() } else { 0 };
        let start = (out.len() + moov_length + 8) as u64;
        let (moov, mdat) = (self.moov(&media, start), boxed(b"mdat", &media.bytes));
        out.extend(if self.moov_first { [moov, mdat].concat() } else { [mdat, moov].concat() });
        out
    }

    /// The file, in fragments of `per_chunk` frames.
    pub(super) fn write_fragments(&self) -> Vec<u8> {
        let trex = |track: u32| full(b"trex", 0, &words(&[track, 1, 0, 0, 0]));
        let empty = Media { bytes: Vec::new(), video: Vec::new(), audio: Vec::new() };
        let none = Self { frames: Vec::new(), packets: Vec::new(), ..self.clone() };
        let moov = none.moov_with(&empty, 0, &boxed(b"mvex", &[trex(1), trex(2)].concat()));
        let mut out = [boxed(b"ftyp", b"iso6\0\0\0\0iso6mp41"), moov].concat();
        let mut times = [0_u64; 2];
        let packets_each = (self.packets.len() * self.per_chunk).div_ceil(self.frames.len().max(1)).max(1);
        let rounds = self.frames.len().div_ceil(self.per_chunk).max(self.packets.len().div_ceil(packets_each));
        for round in 0..rounds {
            let runs = [part(&self.frames, round, self.per_chunk), part(&self.packets, round, packets_each)];
            let length = moof(runs, times, [0, 0]).len() as u32;
            let sizes = runs.map(|run| run.iter().map(|piece| piece.bytes.len() as u32).sum::<u32>());
            out.extend(moof(runs, times, [length + 8, length + 8 + sizes[0]]));
            out.extend(boxed(b"mdat", &runs.concat().iter().flat_map(|piece| piece.bytes.clone()).collect::<Vec<_>>()));
            for (time, run) in times.iter_mut().zip(runs) {
                *time += run.iter().map(|piece| u64::from(piece.duration)).sum::<u64>();
            }
        }
        out
    }

    fn media(&self, per_chunk: usize) -> Media {
        let mut media = Media { bytes: Vec::new(), video: Vec::new(), audio: Vec::new() };
        let rounds = self.frames.len().max(self.packets.len()).div_ceil(per_chunk);
        for round in 0..rounds {
            for (pieces, chunks) in [(&self.frames, &mut media.video), (&self.packets, &mut media.audio)] {
                let run = part(pieces, round, per_chunk);
                if !run.is_empty() {
                    chunks.push((media.bytes.len() as u64, run.len() as u32));
                    media.bytes.extend(run.iter().flat_map(|piece| piece.bytes.iter()));
                }
            }
        }
        media
    }

    fn moov(&self, media: &Media, start: u64) -> Vec<u8> {
        self.moov_with(media, start, &[])
    }

    fn moov_with(&self, media: &Media, start: u64, extends: &[u8]) -> Vec<u8> {
        let mut mvhd = words(&[0, 0, 1_000, 0, 1 << 16]);
        mvhd.extend([1, 0]);
        mvhd.extend([0; 10]);
        mvhd.extend(UPRIGHT.iter().flat_map(|word| word.to_be_bytes()));
        mvhd.extend([0; 24]);
        mvhd.extend(words(&[3]));
        let mut content = full(b"mvhd", 0, &mvhd);
        content.extend(self.track(true, &self.frames, &media.video, start));
        if !self.packets.is_empty() || !extends.is_empty() {
            content.extend(self.track(false, &self.packets, &media.audio, start));
        }
        content.extend(extends);
        boxed(b"moov", &content)
    }

    fn track(&self, video: bool, pieces: &[Piece], chunks: &[(u64, u32)], start: u64) -> Vec<u8> {
        let mut tkhd = words(&[0, 0, if video { 1 } else { 2 }, 0, 0, 0, 0, 0, 0]);
        tkhd.extend(if video { self.matrix } else { UPRIGHT }.iter().flat_map(|word| word.to_be_bytes()));
        tkhd.extend(words(&[320 << 16, 240 << 16]));
        let edits = if video { &self.video_edits } else { &self.audio_edits };
        let list: Vec<u8> = edits.iter().flat_map(|(duration, at)| words(&[*duration, at.cast_unsigned(), 1 << 16])).collect();
        let elst = full(b"elst", 0, &[words(&[edits.len() as u32]), list].concat());
        let clock = if video { 1_000 } else { 48_000 };
        let mdhd = full(b"mdhd", 0, &[words(&[0, 0, clock, 0]), self.language.to_be_bytes().to_vec(), vec![0, 0]].concat());
        let handler = if video { b"vide" } else { b"soun" };
        let hdlr = full(b"hdlr", 0, &[&[0; 4], &handler[..], &[0; 13]].concat());
        let dref = full(b"dref", 0, &[words(&[1]), full(b"url ", 1, &[])].concat());
        let entry = if video { picture_entry() } else { sound_entry() };
        let stsd = full(b"stsd", 0, &[words(&[1]), entry].concat());
        let stbl = boxed(b"stbl", &[stsd, tables(pieces, chunks, start, self.long_offsets)].concat());
        let minf = boxed(b"minf", &[boxed(b"dinf", &dref), stbl].concat());
        let mdia = boxed(b"mdia", &[mdhd, hdlr, minf].concat());
        let flagged = full(b"tkhd", 3, &tkhd);
        boxed(b"trak", &[flagged, boxed(b"edts", &elst), mdia].concat())
    }
}

/// The samples' bytes, and first byte and number of samples of each chunk.
struct Media {
    bytes: Vec<u8>,
    video: Vec<(u64, u32)>,
    audio: Vec<(u64, u32)>,
}

fn part(pieces: &[Piece], round: usize, each: usize) -> &[Piece] {
    let start = (round * each).min(pieces.len());
    &pieces[start..(start + each).min(pieces.len())]
}

fn tables(pieces: &[Piece], chunks: &[(u64, u32)], start: u64, long_offsets: bool) -> Vec<u8> {
    let counted = |words_of: fn(&Piece) -> u32| -> Vec<u8> { pieces.iter().flat_map(|piece| words(&[1, words_of(piece)])).collect() };
    let count = pieces.len() as u32;
    let table = |kind: &[u8; 4], head: &[u32], body: Vec<u8>| full(kind, 0, &[words(head), body].concat());
    let syncs: Vec<u32> = (1..).zip(pieces).filter(|(_, piece)| piece.sync).map(|(number, _)| number).collect();
    let runs: Vec<u8> = (1..).zip(chunks).flat_map(|(number, (_, samples))| words(&[number, *samples, 1])).collect();
    let offsets = chunks.iter().map(|(at, _)| start + at);
    [
        table(b"stts", &[count], counted(|piece| piece.duration)),
        table(b"ctts", &[count], counted(|piece| piece.composition.cast_unsigned())),
        table(b"stss", &[syncs.len() as u32], words(&syncs)),
        table(b"stsc", &[chunks.len() as u32], runs),
        table(b"stsz", &[0, count], pieces.iter().flat_map(|piece| words(&[piece.bytes.len() as u32])).collect()),
        if long_offsets {
            table(b"co64", &[chunks.len() as u32], offsets.flat_map(u64::to_be_bytes).collect())
        } else {
            table(b"stco", &[chunks.len() as u32], offsets.flat_map(|offset| (offset as u32).to_be_bytes()).collect())
        },
    ]
    .concat()
}

fn moof(runs: [&[Piece]; 2], times: [u64; 2], offsets: [u32; 2]) -> Vec<u8> {
    let traf = |index: usize| {
        let tfhd = full(b"tfhd", 0x02_0000, &words(&[index as u32 + 1]));
        let tfdt = full(b"tfdt", 1 << 24, &times[index].to_be_bytes());
        let sample = |piece: &Piece| {
            let flags = if piece.sync { 0x0200_0000 } else { 0x0101_0000 };
            words(&[piece.duration, piece.bytes.len() as u32, flags, piece.composition.cast_unsigned()])
        };
        let samples: Vec<u8> = runs[index].iter().flat_map(sample).collect();
        let trun = full(b"trun", 1 << 24 | 0xf01, &[words(&[runs[index].len() as u32, offsets[index]]), samples].concat());
        boxed(b"traf", &[tfhd, tfdt, trun].concat())
    };
    boxed(b"moof", &[full(b"mfhd", 0, &words(&[1])), traf(0), traf(1)].concat())
}

pub(super) fn picture_entry() -> Vec<u8> {
    let mut content = vec![0; 78];
    content[7] = 1;
    content[24..28].copy_from_slice(&[1, 64, 0, 240]);
    let mut avcc = vec![1, 100, 0, 13, 0xff, 0xe1, 0, SPS.len() as u8];
    avcc.extend(SPS);
    avcc.extend([1, 0, 4, 0x68, 0xeb, 0xe3, 0xcb]);
    content.extend(boxed(b"avcC", &avcc));
    boxed(b"avc1", &content)
}

fn sound_entry() -> Vec<u8> {
    let mut content = vec![0; 28];
    (content[7], content[17], content[19]) = (1, 2, 16);
    content[24..26].copy_from_slice(&48_000_u16.to_be_bytes());
    let mut esds = vec![3, 22, 0, 1, 0, 4, 17, 0x40, 0x15];
    esds.extend([0; 11]);
    esds.extend([5, 2, 0x11, 0x90]);
    content.extend(full(b"esds", 0, &esds));
    boxed(b"mp4a", &content)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A box of a kind with its content.
pub(super) fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), &kind[..], content].concat()
}

/// A box with version and flags in front.
fn full(kind: &[u8; 4], version_and_flags: u32, content: &[u8]) -> Vec<u8> {
    boxed(kind, &[&version_and_flags.to_be_bytes(), content].concat())
}
