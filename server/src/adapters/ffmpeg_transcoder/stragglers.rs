//! Programs that go on working in a folder whose owner is gone. The kernel ends what we start when we die; but bubblewrap asks it to only once
//! it has begun, so that a death in that very moment leaves a program behind that nobody waits for. It is found by the folder it works in.

use std::{
    collections::HashSet,
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};

/// Looks at whether those that were ended are gone, and the time between two.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// A folder, whatever it is called from inside a sandbox: its device and number.
type Place = (u64, u64);

/// Ends the programs of this user that work in `folder` or below it, and waits until they are gone. Nobody's shell is among them: a program that
/// we started has no terminal.
pub(super) fn end_those_in(folder: &Path) -> io::Result<()> {
    let mut places = HashSet::new();
    collect(folder, &mut places)?;
    for _ in 0..LOOKS {
        let found = working_in(&places)?;
        if found.is_empty() {
            return Ok(());
        }
        for (pid, program) in found {
            tracing::warn!(pid = pid.as_raw_nonzero().get(), folder = %folder.display(), "ending a program whose owner is gone");
            // One that has ended meanwhile is as good.
            let _ = pidfd_send_signal(&program, Signal::KILL);
        }
        std::thread::sleep(PAUSE);
    }
    Err(io::Error::other(format!("a program in {} cannot be ended", folder.display())))
}

fn collect(folder: &Path, places: &mut HashSet<Place>) -> io::Result<()> {
    let own = fs::symlink_metadata(folder)?;
    places.insert((own.dev(), own.ino()));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), places)?;
        }
    }
    Ok(())
}

/// Programs that work in one of these folders, each with a handle that stays its own when its number is given to another.
fn working_in(places: &HashSet<Place>) -> io::Result<Vec<(Pid, OwnedFd)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        // Looked at after the handle was taken: what is seen is then that of the handle's process.
        if let Some(pid) = pid
            && let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
            && is_one_of_us(&entry.path())
            && fs::metadata(entry.path().join("cwd")).is_ok_and(|at| places.contains(&(at.dev(), at.ino())))
        {
            found.push((pid, handle));
        }
    }
    Ok(found)
}

/// Whether a process is this user's, and without a terminal.
fn is_one_of_us(process: &Path) -> bool {
    let owned = fs::metadata(process).is_ok_and(|about| about.uid() == geteuid().as_raw());
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything. What follows it begins with the third field; the terminal is the seventh.
    let terminal = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(4));
    owned && terminal == Some("0")
}
