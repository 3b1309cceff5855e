//! How many Ps, and which core each M belongs to.
//!
//! - The number of Ps is the number of cores this process may use: its affinity mask, cut to the
//!   smallest CPU quota (rounded up) of the cgroups that hold it, as Go does since 1.25.
//! - Pinning pays only where the process owns its cores: it is on by default only without a quota
//!   and when every allowed core gets a P; with one core there is nothing to pin. When others turn out
//!   to want the cores too, it is off for a while (`cores.rs`).
//! - A thread inherits the mask of the thread that made it, so a new M first takes the process's
//!   whole mask back.

use std::path::Path;

use core_affinity::CoreId;

/// Whether Ms are pinned to the core of their P.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pinning {
    /// Pin while the process owns its cores: no CPU quota, one P per allowed core, and nobody else for
    /// whom they have to wait. (That is looked at all the time; once it was so, nobody is pinned for ten
    /// seconds.)
    #[default]
    Auto,
    /// Never pin.
    Off,
    /// Pin whatever the quota says and whoever else wants the cores, as long as each P has one of its own.
    On,
}

/// What this process may use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cpus {
    pub(crate) cores: Vec<CoreId>,
    /// CPUs' worth of time per period, if a cgroup limits it.
    pub(crate) quota: Option<f64>,
}

impl Cpus {
    pub(crate) fn detect() -> Self {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        Self {
            cores,
            quota: quota(Path::new("/sys/fs/cgroup"), Path::new("/proc/self/cgroup")),
        }
    }

    /// The number of Ps for these cores and this quota.
    pub(crate) fn procs(&self) -> usize {
        let cores = match self.cores.len() {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        match self.quota {
            Some(quota) => cores.min(quota.ceil() as usize).max(1),
            None => cores,
        }
    }

    /// The core of each P, or none if Ms are not to be pinned.
    pub(crate) fn plan(&self, pinning: Pinning, procs: usize) -> Vec<CoreId> {
        let owns = self
            .quota
            .is_none_or(|quota| quota >= self.cores.len() as f64);
        let pin = match pinning {
            Pinning::Off => false,
            Pinning::Auto => owns && procs == self.cores.len() && procs > 1,
            Pinning::On => procs <= self.cores.len(),
        };
        if pin {
            self.cores[..procs].to_vec()
        } else {
            Vec::new()
        }
    }
}

/// The smallest CPU limit of all cgroups from ours up to the root, in CPUs.
fn quota(root: &Path, membership: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(membership).unwrap_or_default();
    let mut least: Option<f64> = None;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next()?, parts.next()?);
        let v2 = controllers.is_empty();
        if !v2 && !controllers.split(',').any(|name| name == "cpu") {
            continue;
        }
        let base = if v2 {
            root.to_path_buf()
        } else {
            root.join("cpu")
        };
        let mut at = base.join(path.trim_start_matches('/'));
        loop {
            let limit = if v2 { limit_v2(&at) } else { limit_v1(&at) };
            least = match (least, limit) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            if at == base || !at.pop() {
                break;
            }
        }
    }
    least
}

fn limit_v2(dir: &Path) -> Option<f64> {
    parse_cpu_max(&std::fs::read_to_string(dir.join("cpu.max")).ok()?)
}

/// `cpu.max` holds "max 100000" or "150000 100000": quota and period in microseconds.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next()?.parse().ok()?;
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn limit_v1(dir: &Path) -> Option<f64> {
    let read = |name| -> Option<f64> {
        std::fs::read_to_string(dir.join(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let (quota, period) = (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// Binds the calling thread to one core; a core that went away is reported once and ignored.
pub(crate) fn pin_to(core: CoreId) {
    if !core_affinity::set_for_current(core) {
        static TOLD: std::sync::Once = std::sync::Once::new();
        TOLD.call_once(|| {
            tracing::warn!(
                core = core.id,
                "could not pin a machine to its core; it stays unpinned"
            );
        });
    }
}

/// Gives the calling thread all cores of the process back.
pub(crate) fn unpin(cores: &[CoreId]) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: `cpu_set_t` is plain memory for which all zeroes is valid; CPU_SET is bounded by
        // the check; the call gets the set's true size and reads it only.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            for core in cores
                .iter()
                .filter(|core| core.id < libc::CPU_SETSIZE as usize)
            {
                libc::CPU_SET(core.id, &mut set);
            }
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = cores;
}

/// The OS's number of the calling thread; 0 where there is none.
pub(crate) fn thread_id() -> usize {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: no arguments, no memory.
        unsafe { libc::gettid() as usize }
    }
    #[cfg(not(target_os = "linux"))]
    0
}

/// Whether a thread of this process sleeps in the kernel (true) or wants to run (false).
pub(crate) fn is_blocked(tid: usize) -> bool {
    // "tid (name) S ...": the name may hold spaces and brackets, so look behind the last one.
    std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('R'))
    })
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;

    #[test]
    fn cpu_max_is_read_as_quota_over_period_and_max_is_no_limit() {
        assert_eq!(parse_cpu_max("max 100000\n"), None);
        assert_eq!(parse_cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(parse_cpu_max(""), None);
        assert_eq!(parse_cpu_max("0 100000"), None);
    }

    #[test]
    fn the_smallest_limit_of_all_ancestors_counts() {
        let dir = std::env::temp_dir().join(format!("cgroup-{}", std::process::id()));
        let leaf = dir.join("a/b");
        std::fs::create_dir_all(&leaf).unwrap();
        std::fs::write(leaf.join("cpu.max"), "max 100000").unwrap();
        std::fs::write(dir.join("a/cpu.max"), "120000 100000").unwrap();
        std::fs::write(dir.join("membership"), "0::/a/b\n").unwrap();
        assert_eq!(quota(&dir, &dir.join("membership")), Some(1.2));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_quota_below_the_cores_limits_ps_and_turns_pinning_off() {
        let cores: Vec<_> = (0..4).map(|id| CoreId { id }).collect();
        let free = Cpus {
            cores: cores.clone(),
            quota: None,
        };
        assert_eq!((free.procs(), free.plan(Pinning::Auto, 4).len()), (4, 4));
        assert_eq!(free.plan(Pinning::Auto, 3).len(), 0);
        assert_eq!(free.plan(Pinning::On, 3).len(), 3);
        let tight = Cpus {
            cores,
            quota: Some(1.5),
        };
        assert_eq!((tight.procs(), tight.plan(Pinning::Auto, 2).len()), (2, 0));
    }
}
