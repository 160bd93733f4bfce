//! From the service's playlists to renditions, and what is refused of them.

use domain::playlist::Track;

use super::{
    super::{collect::collect, playlists},
    *,
};
use crate::ports::transcoder::POSTER_FILE;

const MULTIVARIANT: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"und\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"index_audio.m3u8\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=500000,AVERAGE-BANDWIDTH=400000,CODECS=\"avc1.64000d,mp4a.40.2\",RESOLUTION=320x180,FRAME-RATE=25.000,AUDIO=\"audio\"\n\
    index_180p.m3u8\n";
const PICTURE: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PLAYLIST-TYPE:VOD\n\
    #EXT-X-MAP:URI=\"index_180pinit.cmfv\"\n#EXTINF:4.000000,\nindex_180p_000000001.cmfv\n#EXTINF:4.000000,\nindex_180p_000000002.cmfv\n#EXT-X-ENDLIST\n";
const SOUND: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:8\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PLAYLIST-TYPE:VOD\n\
    #EXT-X-MAP:URI=\"index_audioinit.cmfa\"\n#EXTINF:8.021333,\nindex_audio_000000001.cmfa\n#EXT-X-ENDLIST\n";

/// What a job leaves.
pub(super) const OUTPUT: [(&str, &[u8]); 10] = [
    ("index.m3u8", MULTIVARIANT.as_bytes()),
    ("index_180p.m3u8", PICTURE.as_bytes()),
    ("index_180pinit.cmfv", include_bytes!("../fixtures/video_init.cmfv")),
    ("index_180p_000000001.cmfv", b"one"),
    ("index_180p_000000002.cmfv", b"four"),
    ("index_audio.m3u8", SOUND.as_bytes()),
    ("index_audioinit.cmfa", include_bytes!("../fixtures/audio_init.cmfa")),
    ("index_audio_000000001.cmfa", b"sound"),
    ("capture.0000000.jpg", b"the first frame"),
    ("capture.0000001.jpg", b"a good picture"),
];

async fn collected(change: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) -> Result<(Vec<domain::playlist::Rendition>, Vec<u8>), String> {
    let bench = Bench::new().await;
    let request = request(facts(320, 180));
    for (file, bytes) in OUTPUT {
        if let Some(bytes) = change(file, bytes) {
            bench.put(request.generation, file, &bytes).await;
        }
    }
    let made = collect(bench.store.as_ref(), &request).await.map_err(|error| error.to_string())?;
    let key = StorageKey::published(request.generation, POSTER_FILE).expect("a name");
    let poster = match bench.store.get(&key, None).await {
        Ok(read) => read.body.map(|piece| piece.expect("readable").to_vec()).collect::<Vec<_>>().await.concat(),
        Err(_) => Vec::new(),
    };
    assert_eq!(made.poster, !poster.is_empty());
    Ok((made.renditions, poster))
}

fn same(_: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

#[tokio::test]
async fn names_sizes_and_codecs_come_from_what_is_there() {
    let (renditions, poster) = collected(same).await.expect("readable");
    assert_eq!(poster, b"a good picture");
    let [picture, sound] = renditions.as_slice() else { panic!("{renditions:?}") };
    assert_eq!((picture.name.as_str(), picture.flat, picture.copied), ("180p", true, false));
    assert_eq!(picture.track, Track::Video { width: 320, height: 180, frame_rate: FrameRate { numerator: 25, denominator: 1 } });
    assert!(picture.codec.starts_with("avc1."), "{}", picture.codec);
    assert_eq!(picture.playlist.init, "index_180pinit.cmfv");
    let segments: Vec<_> = picture.playlist.segments.iter().map(|each| (each.file.as_str(), each.duration_us, each.bytes)).collect();
    assert_eq!(segments, [("index_180p_000000001.cmfv", 4_000_000, 3), ("index_180p_000000002.cmfv", 4_000_000, 4)]);
    assert_eq!((sound.name.as_str(), sound.codec.as_str(), &sound.track), ("audio", "mp4a.40.2", &Track::Audio { channels: 2 }));
    assert_eq!(sound.playlist.segments[0].duration_us, 8_021_333);
}

#[tokio::test]
async fn a_video_without_a_picture_to_choose_has_no_poster() {
    let (renditions, poster) = collected(|file, bytes| (!file.ends_with(".jpg")).then(|| bytes.to_vec())).await.expect("readable");
    assert_eq!((renditions.len(), poster.len()), (2, 0));
}

#[tokio::test]
async fn what_is_missing_or_not_understood_is_said() {
    let gone = |missing: &'static str| move |file: &str, bytes: &[u8]| (file != missing).then(|| bytes.to_vec());
    for missing in ["index.m3u8", "index_180p.m3u8", "index_180pinit.cmfv", "index_180p_000000002.cmfv", "index_audio.m3u8"] {
        let said = collected(gone(missing)).await.expect_err(missing);
        assert!(said.contains(&format!("{missing} is missing")), "{said}");
    }
    for (file, from, to, mention) in [
        ("index.m3u8", "RESOLUTION=320x180", "RESOLUTION=640x360", "not one 320x180"),
        ("index.m3u8", ",RESOLUTION=320x180", "", "without RESOLUTION"),
        ("index.m3u8", "#EXT-X-MEDIA:", "#EXT-X-NOTHING:", "0 sounds"),
        ("index.m3u8", ",URI=\"index_audio.m3u8\"", "", "sound without a playlist"),
        ("index_180p.m3u8", "#EXT-X-ENDLIST", "", "no end"),
        (
            "index_180p.m3u8",
            "#EXTINF:4.000000,\nindex_180p_000000001",
            "#EXTINF:4.000000,\n#EXT-X-BYTERANGE:10@0\nindex_180p_000000001",
            "byte ranges",
        ),
        ("index_180p.m3u8", "index_180p_000000001.cmfv", "../other/1.cmfv", "a segment called ../other/1.cmfv"),
        ("index_180p.m3u8", "#EXT-X-MAP:URI=\"index_180pinit.cmfv\"\n", "", "no init segment"),
        ("index_180p.m3u8", "#EXT-X-MAP", "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-MAP", "encrypted"),
    ] {
        let change = |name: &str, bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            Some(if name == file { text.replacen(from, to, 1).into_bytes() } else { bytes.to_vec() })
        };
        let said = collected(change).await.expect_err(mention);
        assert!(said.contains(mention) && said.contains(file), "{mention}: {said}");
    }
}

#[test]
fn a_picture_may_stand_there_once_for_each_group_of_sounds_but_none_too_many() {
    let (facts, text) = (facts(320, 180), MULTIVARIANT.to_owned());
    let read = |text: &str| playlists::multivariant("index.m3u8", text.as_bytes(), &facts, &ladder::encode_all(&facts));
    let twice = format!("{text}#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1.64000d\",RESOLUTION=320x180,AUDIO=\"b\"\nindex_180p.m3u8\n");
    assert_eq!(read(&twice).expect("readable").len(), 2);
    let foreign = format!("{text}#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1.64000d\",RESOLUTION=160x90\nindex_90p.m3u8\n");
    assert!(read(&foreign).expect_err("one too many").to_string().contains("2 pictures for 1 rungs"));
}
