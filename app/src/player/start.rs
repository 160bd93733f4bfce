//! How a page wants the video to begin: the parameters of watch and embed links.

use super::clock;

/// How to begin. Unknown parameters are ignored; a flag is on when present, unless it says `0` or `false`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StartOptions {
    /// Play as soon as it can; without sound where the browser insists.
    pub autoplay: bool,
    /// Begin without sound.
    pub muted: bool,
    /// Begin again at the end.
    pub looping: bool,
    /// Second to begin at.
    pub at: f64,
}

impl StartOptions {
    /// Reads a query such as `?autoplay=1&muted=1&t=1m30s`, with or without its question mark.
    pub fn from_query(query: &str) -> Self {
        let mut options = Self::default();
        for pair in query.trim_start_matches('?').split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let on = !matches!(value, "0" | "false");
            match name {
                "autoplay" => options.autoplay = on,
                "muted" | "mute" => options.muted = on,
                "loop" => options.looping = on,
                "t" | "start" | "startTime" => options.at = clock::parse(value).map_or(options.at, f64::from),
                _ => {}
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_on_when_present_and_off_when_they_say_so() {
        let options = StartOptions::from_query("?autoplay&muted=1&loop=0&colour=red&t=1m30s");
        assert_eq!(options, StartOptions { autoplay: true, muted: true, looping: false, at: 90.0 });
        assert_eq!(StartOptions::from_query("autoplay=0&start=x"), StartOptions::default());
        assert_eq!(StartOptions::from_query(""), StartOptions::default());
    }
}
