//! What to do about a fault: one ladder of remedies, each tried a few times and then given up in words.
//! Playing on for a while makes the ladder whole again.

use super::phase::Trouble;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server said no to a playlist or segment: the grant ran out, or the objects were replaced.
    Refused,
    /// The network or the server failed, and hls.js's own retries too.
    Network,
    /// The browser could not take or decode what it was given.
    Media,
    /// Nothing that one of these can mend.
    Fatal,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Load on after these milliseconds, or at once when the network comes back.
    LoadOn {
        after_ms: u32,
    },
    /// Let hls.js set the decoder up anew.
    Recover,
    /// Ask the page for a fresh playback and load that.
    Renew,
    GiveUp(Trouble),
}

/// Seconds of playing after which a fault is history.
const HEALTHY: f64 = 10.0;
/// Tries at a network that is there: with the growing waits about a minute.
const NETWORK_TRIES: u32 = 6;
/// A second one covers a generation that is replaced just then.
const RENEWALS: u32 = 2;

/// Counts what was tried since playback was last healthy.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    retries: u32,
    renewals: u32,
    recovered: bool,
    faulted_at: Option<f64>,
}

impl Recovery {
    /// The remedy for a fault at `position`. Offline is no reason to give up: it waits for as long as it takes.
    pub(super) fn remedy(&mut self, fault: Fault, position: f64, online: bool) -> Remedy {
        self.faulted_at = Some(position);
        match fault {
            Fault::Refused if self.renewals < RENEWALS => {
                self.renewals += 1;
                Remedy::Renew
            }
            Fault::Refused => Remedy::GiveUp(Trouble::Expired),
            Fault::Network if !online => Remedy::LoadOn { after_ms: 30_000 },
            Fault::Network if self.retries < NETWORK_TRIES => {
                self.retries += 1;
                Remedy::LoadOn { after_ms: (500 << self.retries).min(30_000) }
            }
            Fault::Network => Remedy::GiveUp(Trouble::Unreachable),
            Fault::Media if !self.recovered => {
                self.recovered = true;
                Remedy::Recover
            }
            Fault::Media | Fault::Fatal => Remedy::GiveUp(Trouble::Undecodable),
        }
    }

    /// The playhead is at `position`, moving.
    pub(super) fn played(&mut self, position: f64) {
        match self.faulted_at {
            // A seek back is no progress: count from there.
            Some(from) if position < from => self.faulted_at = Some(position),
            Some(from) if position >= from + HEALTHY => *self = Self::default(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_renews_twice_and_then_has_expired() {
        let mut recovery = Recovery::default();
        assert_eq!(recovery.remedy(Fault::Refused, 5.0, true), Remedy::Renew);
        assert_eq!(recovery.remedy(Fault::Refused, 5.0, true), Remedy::Renew);
        assert_eq!(recovery.remedy(Fault::Refused, 5.0, true), Remedy::GiveUp(Trouble::Expired));
    }

    #[test]
    fn the_network_gets_longer_waits_and_offline_all_the_time_it_needs() {
        let mut recovery = Recovery::default();
        for _ in 0..100 {
            assert_eq!(recovery.remedy(Fault::Network, 0.0, false), Remedy::LoadOn { after_ms: 30_000 });
        }
        let waits: Vec<Remedy> = (0..7).map(|_| recovery.remedy(Fault::Network, 0.0, true)).collect();
        let ms = |after_ms| Remedy::LoadOn { after_ms };
        let expected = [1000, 2000, 4000, 8000, 16_000, 30_000].map(ms);
        assert_eq!(waits[..6], expected);
        assert_eq!(waits[6], Remedy::GiveUp(Trouble::Unreachable));
    }

    #[test]
    fn the_decoder_is_set_up_anew_once_and_again_after_a_healthy_while() {
        let mut recovery = Recovery::default();
        assert_eq!(recovery.remedy(Fault::Media, 20.0, true), Remedy::Recover);
        recovery.played(25.0);
        assert_eq!(recovery.remedy(Fault::Media, 25.0, true), Remedy::GiveUp(Trouble::Undecodable));
        recovery.played(2.0);
        recovery.played(11.0);
        assert_eq!(recovery.remedy(Fault::Media, 11.0, true), Remedy::GiveUp(Trouble::Undecodable));
        recovery.played(21.5);
        assert_eq!(recovery.remedy(Fault::Media, 22.0, true), Remedy::Recover);
    }
}
