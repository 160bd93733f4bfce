//! The name under which a process holds leases. It says enough for another process on the same machine to see at once that its holder is gone;
//! on another machine only its silence tells.

use std::{fmt, fs, path::Path, sync::OnceLock};

use rustix::process::{Pid, test_kill_process};

/// A process: its machine since that was started, its id there, and when it was started, since ids are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    machine: u64,
    pid: i32,
    started: u64,
}

/// The name of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessName(String);

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name of one's own choosing.
impl From<&str> for ProcessName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl ProcessName {
    /// This process's, with something random in it, so that no two ever have the same.
    pub fn own() -> Self {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let started = started(pid).unwrap_or_default();
        Self(format!("{:016x}-{pid}-{started}-{:08x}", machine(), rand::random::<u32>()))
    }

    /// Whether the process of this name ran on this machine and does no more. What cannot be known is a no.
    pub fn is_dead(name: &str) -> bool {
        let Some(place) = Place::parse(name) else { return false };
        place.machine == machine() && place.machine != 0 && !place.is_alive()
    }
}

impl Place {
    fn parse(name: &str) -> Option<Self> {
        let mut pieces = name.split('-');
        let machine = u64::from_str_radix(pieces.next()?, 16).ok()?;
        let (pid, started) = (pieces.next()?.parse().ok()?, pieces.next()?.parse().ok()?);
        Some(Self { machine, pid, started })
    }

    fn is_alive(self) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return true };
        match test_kill_process(pid) {
            Err(rustix::io::Errno::SRCH) => false,
            // There is one of this id; it may be another one, and may be hidden from us.
            _ => started(self.pid).is_none_or(|started| started == self.started || self.started == 0),
        }
    }
}

/// This machine since it was started and, in a container, this container: ids of processes mean nothing elsewhere. 0 where that cannot be known.
fn machine() -> u64 {
    static MACHINE: OnceLock<u64> = OnceLock::new();
    *MACHINE.get_or_init(|| {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let ids = fs::read_link("/proc/self/ns/pid");
        match (boot, ids) {
            (Ok(boot), Ok(ids)) => {
                let text = format!("{} {}", boot.trim(), ids.display());
                // FNV-1a: it has to be the same in each version of this program.
                text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
            }
            _ => 0,
        }
    })
}

/// When a process was started, in ticks since the machine was.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name, in parentheses, may hold anything. What follows it begins with the third field; the start is the 22nd.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lives_is_not_taken_for_dead() {
        assert!(!ProcessName::is_dead(&ProcessName::own().to_string()));
        for unknown in ["", "worker 1", "4711-00ff00ff", "zz-1-1-0", &format!("{:016x}-{}-1-0", 1, i32::MAX)] {
            assert!(!ProcessName::is_dead(unknown), "{unknown}");
        }
    }

    #[test]
    fn who_is_gone_is_and_so_is_whose_id_another_has() {
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let pid = i32::try_from(child.id()).expect("an id");
        child.wait().expect("it ends");
        assert!(ProcessName::is_dead(&format!("{:016x}-{pid}-1-0", machine())));
        let own = std::process::id();
        let other = started(i32::try_from(own).expect("an id")).expect("a moment") + 1;
        assert!(ProcessName::is_dead(&format!("{:016x}-{own}-{other}-0", machine())));
    }
}
