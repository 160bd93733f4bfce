//! What fills the time before the first sample of a stream that begins late. Players do not agree on an empty beginning: hls.js takes the
//! picture's first fragment as the beginning of the film, and Chromium's own player moves late sound to where its playlist begins. So both
//! streams begin with the film.

use super::refusal::{Refusal, Result};

/// What fills the time before the first sample, in the track's ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Lead {
    /// Nothing: it begins with the film, or is not worth it.
    #[default]
    None,
    /// The first frame, which begins with the film and lasts for so much longer.
    Hold(u32),
    /// Packets of silence.
    Silence(Silence),
}

/// Packets of silence, all the same but for their length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silence {
    /// The bytes of one.
    pub(super) packet: &'static [u8],
    /// How many.
    pub(super) count: u32,
    /// How long each lasts.
    pub(super) duration: u32,
    /// How much longer the first one does, so that the first packet of the source begins when it should.
    pub(super) rest: u32,
}

/// A gap that nobody hears, in milliseconds: two or three packets, as cameras leave between their first frame and their first packet.
const SHORT_MS: i64 = 50;

impl Lead {
    /// The picture's, which begins `late` ticks after the film. How late was bounded before.
    pub(super) fn of_picture(late: i64) -> Result<Self> {
        match u32::try_from(late) {
            Ok(0) => Ok(Self::None),
            Ok(late) => Ok(Self::Hold(late)),
            Err(_) => Err(Refusal::StartsLate),
        }
    }

    /// The sound's, of packets that last for `duration` ticks; `packet` is a silent one, where one is known.
    pub(super) fn of_sound(late: i64, timescale: u32, duration: u32, packet: Option<&'static [u8]>) -> Result<Self> {
        let Ok(late @ 1..) = u32::try_from(late) else { return Ok(Self::None) };
        match (packet, late.checked_div(duration)) {
            // As many as eleven seconds have at 96 kHz.
            (Some(packet), Some(count @ 1..=1_100)) => Ok(Self::Silence(Silence { packet, count, duration, rest: late % duration })),
            _ if i64::from(late) * 1_000 <= i64::from(timescale) * SHORT_MS => Ok(Self::None),
            _ => Err(Refusal::StartsLate),
        }
    }

    /// How much sooner than its first sample the stream begins.
    pub(super) fn ticks(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Hold(ticks) => i64::from(ticks),
            Self::Silence(silence) => i64::from(silence.count) * i64::from(silence.duration) + i64::from(silence.rest),
        }
    }

    /// How much longer the first sample lasts.
    pub(super) fn hold(self) -> u32 {
        if let Self::Hold(ticks) = self { ticks } else { 0 }
    }

    /// The packets in front of the first sample.
    pub(super) fn silence(self) -> Option<Silence> {
        if let Self::Silence(silence) = self { Some(silence) } else { None }
    }
}

impl Silence {
    /// Bytes of all of them.
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.count) * self.packet.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_sound_is_led_by_as_much_silence() {
        let lead = |late, packet| Lead::of_sound(late, 48_000, 1_024, packet);
        for late in [1_024, 1_025, 2_047, 48_000, 480_000] {
            let filled = lead(late, Some(&[1, 2, 3])).expect("silence is known");
            assert_eq!(filled.ticks(), late);
            assert_eq!(
                filled.silence().map(|silence| (silence.count, silence.bytes())),
                Some((late as u32 / 1_024, late as u64 / 1_024 * 3))
            );
        }
        assert!(matches!(lead(1_023, Some(&[1])), Ok(Lead::None)), "shorter than a packet");
        assert!(matches!(lead(-2_112, Some(&[1])), Ok(Lead::None)), "priming");
        assert!(matches!(lead(2_400, None), Ok(Lead::None)), "nobody hears it");
        assert!(matches!(lead(2_401, None), Err(Refusal::StartsLate)));
        assert!(Lead::of_sound(90_000, 90_000, 0, Some(&[1])).is_err());
    }
}
