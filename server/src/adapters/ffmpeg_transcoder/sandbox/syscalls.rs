//! The system calls that a program which turns one file into others needs. Whatever is not on the list looks as if the kernel did not
//! have it, which libraries are prepared for: no socket, no new process, no look at another process, no change of rights or mounts.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Is, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// On every architecture.
const ALLOWED: &[c_long] = &[
    // Files that Landlock and the mounts let it have.
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_copy_file_range,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_unlinkat,
    // C libraries rename by this one where the first of all names for it does not exist.
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_umask,
    libc::SYS_flock,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_msync,
    libc::SYS_membarrier,
    libc::SYS_mlock,
    libc::SYS_munlock,
    // Its own threads, signals and clocks.
    libc::SYS_futex,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_get_priority_max,
    libc::SYS_getpriority,
    libc::SYS_getcpu,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigpending,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getitimer,
    libc::SYS_setitimer,
    libc::SYS_times,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    // What it is and what it has.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // To become the program; Landlock and the mounts leave nothing else to become.
    libc::SYS_execve,
];

/// Older names for some of the above.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_getrlimit,
    libc::SYS_getpgrp,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// Naming threads and memory. Not among them: what the parent's death means.
const PRCTL: [libc::c_int; 3] = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA];

/// What may be asked of an open file. Not among them: who gets its signals, which may be any process of this user and any signal.
const FCNTL: [libc::c_int; 12] = [
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_SETLK,
    libc::F_GETPIPE_SZ,
    libc::F_SETPIPE_SZ,
];
/// Whether it is a terminal, how much can be read, and whether it waits or stays open.
const IOCTL: [u64; 5] = [libc::TCGETS, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX, libc::FIONCLEX];

/// The list as a program for the kernel. `process` is who it will apply to: signals may go there and nowhere else.
pub(super) fn filter(process: u32) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let argument = |number, is, value: u64| SeccompRule::new(vec![SeccompCondition::new(number, Length::Dword, is, value)?]);
    let threads = libc::CLONE_THREAD as u64;
    // A thread, never a process. The newer call hides its flags in memory where no filter sees them, and libraries fall back to this one.
    rules.insert(libc::SYS_clone, vec![argument(0, Is::MaskedEq(threads), threads)?]);
    rules.insert(libc::SYS_tgkill, vec![argument(0, Is::Eq, u64::from(process))?]);
    rules.insert(libc::SYS_kill, vec![argument(0, Is::Eq, u64::from(process))?]);
    // Limits may be read and lowered by whom they hold for.
    rules.insert(libc::SYS_prlimit64, vec![argument(0, Is::Eq, 0)?]);
    // Its own threads may move to other processors, those of other processes may not be moved.
    rules.insert(libc::SYS_sched_setaffinity, vec![argument(0, Is::Eq, 0)?]);
    let one_of = |number, values: &[u64]| values.iter().map(|value| argument(number, Is::Eq, *value)).collect::<Result<Vec<_>, _>>();
    rules.insert(libc::SYS_prctl, one_of(0, &PRCTL.map(|option| u64::from(option.unsigned_abs())))?);
    rules.insert(libc::SYS_fcntl, one_of(1, &FCNTL.map(|command| u64::from(command.unsigned_abs())))?);
    rules.insert(libc::SYS_ioctl, one_of(1, &IOCTL)?);
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(rules, missing, SeccompAction::Allow, architecture()?)?.try_into()
}

fn architecture() -> Result<TargetArch, seccompiler::BackendError> {
    std::env::consts::ARCH.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_outside_is_not_on_the_list() {
        let outside = [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_clone3,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_pidfd_open,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_execveat,
            libc::SYS_memfd_create,
            libc::SYS_fchmodat,
            libc::SYS_fchownat,
            libc::SYS_truncate,
            libc::SYS_linkat,
            libc::SYS_symlinkat,
            libc::SYS_setsid,
            libc::SYS_mkdirat,
            libc::SYS_mknodat,
            libc::SYS_utimensat,
            libc::SYS_fsetxattr,
            libc::SYS_quotactl,
            libc::SYS_inotify_init1,
            libc::SYS_keyctl,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
        ];
        for call in outside {
            assert!(!ALLOWED.contains(&call) && !ALLOWED_HERE.contains(&call), "{call}");
        }
        let owners = [libc::F_SETOWN, 10, 15];
        assert!(owners.iter().all(|command| !FCNTL.contains(command)), "F_SETOWN, F_SETSIG, F_SETOWN_EX");
        assert!(filter(1).is_ok_and(|program| !program.is_empty()));
    }
}
