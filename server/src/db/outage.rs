//! Which of a database's errors say that it does not answer just now: it is stopped, starts, is busy, or has no connection to spare. What was
//! asked is no worse for it, and asking again later helps. All others are faults of ours.

use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// <https://www.sqlite.org/rescode.html>: another one writes, here or in another process; the file cannot be opened, or is on a full disk.
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_IOERR: u32 = 10;
const SQLITE_FULL: u32 = 13;
const SQLITE_CANTOPEN: u32 = 14;

/// Classes of SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>): connections, rollbacks that a new try mends, lack of
/// resources, and what its operator or its own faults do to a server.
const CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];
/// A lock that was waited for too long.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// A transaction that said nothing for too long: its process was paused.
const IDLE_IN_TRANSACTION: &str = "25P03";

/// Whether the database does not answer just now.
pub fn is_outage(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(sqlx)) | DbErr::Exec(RuntimeErr::SqlxError(sqlx)) | DbErr::Query(RuntimeErr::SqlxError(sqlx)) => {
            does_not_answer(sqlx)
        }
        _ => false,
    }
}

/// Whether SQLite said that another one writes.
pub(super) fn is_busy(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(sqlx)) = error else { return false };
    let code = sqlx.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

fn does_not_answer(error: &SqlxError) -> bool {
    match error {
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed
        | SqlxError::BeginFailed => true,
        SqlxError::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
        _ => false,
    }
}

/// Whether a database's own code says so: five letters and digits of PostgreSQL, or a number of SQLite, whose lowest byte is the plain code.
fn is_passing(code: &str) -> bool {
    if code.len() == 5 && code.is_ascii() {
        return CLASSES.contains(&&code[..2]) || [LOCK_NOT_AVAILABLE, IDLE_IN_TRANSACTION].contains(&code);
    }
    let plain = code.parse::<u32>().map(|code| code & 0xff);
    plain.is_ok_and(|code| [SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN].contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_is_wrong() {
        for passing in ["57P01", "57P03", "08006", "53300", "40P01", "57014", "55P03", "5", "261", "517", "6", "13"] {
            assert!(is_passing(passing), "{passing}");
        }
        for wrong in ["23505", "42P01", "22021", "1", "19", "2067", ""] {
            assert!(!is_passing(wrong), "{wrong}");
        }
    }
}
