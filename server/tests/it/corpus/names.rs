//! N: names and texts inside files, which are nobody's orders. None may come out at the other end.

use super::{
    Menu,
    Verdict::{Accepted, Boring},
};

/// Stands in every text, and in no output.
pub(crate) const MARK: &str = "zq7canary";

/// What people call things who want something; `@` is the mark.
const TEXTS: [&str; 15] = [
    "../../@",
    "/etc/@",
    "-y@",
    "img%03d@.png",
    "file:@",
    "concat:@|b",
    "<script>alert('@')</script>",
    "\"><img src=x onerror=@>",
    "#EXTM3U\n#EXTINF:4,\n@.ts\n#EXT-X-ENDLIST",
    "a\r\nSet-Cookie: @=1",
    "\u{202e}4pm.@",
    "@; rm -rf $HOME `id` $(id) && |",
    "%s%n%x@%p",
    "{{@}} ${@} #{@}",
    "'; DROP TABLE videos; -- @",
];

pub(super) fn cases() -> Menu {
    let mut menu = Menu::default();
    for (number, text) in TEXTS.into_iter().enumerate() {
        for (seed, container) in [("last.mp4", "mp4"), ("clip.mkv", "mkv"), ("clip.flv", "flv")] {
            menu.add(format!("N title {number} in {container}"), Accepted, move |kitchen| {
                let film = kitchen.put(&format!("plain.{container}"), &kitchen.seed(seed)?);
                let text = text.replace('@', MARK);
                let tags = ["title", "comment", "artist"].map(|name| format!("{name}={text}"));
                let mut words = vec!["-i", film.to_str()?, "-c", "copy"];
                tags.iter().for_each(|tag| words.extend(["-metadata", tag]));
                words.extend(["-metadata:s:v", tags[0].as_str(), "-metadata:s:v", "handler_name=zq7canary"]);
                kitchen.ffmpeg_words(&words, &format!("named.{container}"))
            });
        }
        menu.add(format!("N attachment {number}"), Boring, move |kitchen| {
            let film = kitchen.put("plain.mkv", &kitchen.seed("clip.mkv")?);
            let attached = kitchen.put("attached", MARK.as_bytes());
            let name = format!("filename={}", text.replace('@', MARK));
            let words = ["-i", film.to_str()?, "-c", "copy", "-attach", attached.to_str()?];
            let tags = ["-metadata:s:t", name.as_str(), "-metadata:s:t", "mimetype=application/x-truetype-font"];
            kitchen.ffmpeg_words(&[&words[..], &tags].concat(), "attached.mkv")
        });
    }
    menu.add("N 60,000 letters", Accepted, |kitchen| {
        let film = kitchen.put("plain.mp4", &kitchen.seed("last.mp4")?);
        let title = format!("title={}", MARK.repeat(7_000));
        kitchen.ffmpeg_words(&["-i", film.to_str()?, "-c", "copy", "-metadata", &title], "long.mp4")
    });
    menu
}
