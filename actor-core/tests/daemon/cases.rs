//! The tests.

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::process::{LIMIT, Manager, Process, said};

macro_rules! cases {
    ($($(#[$attr:meta])* fn $name:ident() $body:block)*) => {
        pub(crate) const ALL: &[(&str, fn())] = &[$($(#[$attr])* (stringify!($name), $name),)*];
        $($(#[$attr])* fn $name() $body)*
    };
}

fn started(program: &str) -> Process {
    let mut process = Process::start(program);
    process.wait_for("daemon started");
    process
}

cases! {
    fn sigterm_stops_the_tree_in_reverse_order_and_exits_0() {
        let process = started("three");
        process.signal(Signal::TERM);
        let lines = process.ends_with(0);
        assert!(said(&lines).ends_with(&["c stopped", "b stopped", "a stopped"]), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("log INFO SIGTERM: stopping;")));
        assert_eq!(lines.last().unwrap(), "log INFO daemon ended: stopped code=0");
    }

    fn sigint_does_the_same() {
        let process = started("three");
        process.signal(Signal::INT);
        assert!(said(&process.ends_with(0)).ends_with(&["c stopped", "b stopped", "a stopped"]));
    }

    fn a_second_signal_kills_the_tree_and_the_code_names_it() {
        for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            let mut process = started("deaf");
            process.signal(Signal::TERM);
            process.wait_for("SIGTERM: stopping");
            process.signal(second);
            let lines = process.ends_with(code);
            assert!(lines.iter().any(|line| line.contains("killing the tree")));
        }
    }

    fn a_third_signal_ends_a_process_in_which_no_goroutine_runs_any_more() {
        let mut process = started("freezes");
        process.signal(Signal::HUP);
        process.wait_for("frozen");
        process.wait_for("frozen");
        // All of one number: which of two that are pending is taken first is the kernel's choice. And
        // those of one number that are not taken yet are one, so the third may need several.
        process.keep_sending(Signal::TERM);
        let lines = process.ends_with(143);
        assert!(!lines.iter().any(|line| line.contains("daemon ended")), "{lines:#?}");
    }

    fn a_stop_past_its_deadline_kills_what_is_left_and_exits_124() {
        let process = started("deaf 50 ms");
        process.signal(Signal::TERM);
        let lines = process.ends_with(124);
        // The deaf child held up the stop of the one before it, which was killed as well.
        assert!(!said(&lines).contains(&"a stopped"));
        let last = lines.last().unwrap();
        assert!(last.contains("daemon ended: the stop took longer than 50ms"), "{last}");
    }

    fn a_thread_that_does_not_stop_can_not_keep_the_process() {
        let mut process = started("wedged");
        process.wait_for("wedged up");
        process.signal(Signal::TERM);
        process.wait_for("SIGTERM: stopping");
        process.signal(Signal::TERM);
        let lines = process.ends_with(143);
        assert!(lines.last().unwrap().contains("ends without it"), "{lines:#?}");
    }

    fn a_tree_that_gives_up_exits_70_and_the_log_says_why() {
        let lines = Process::start("gives up").ends_with(70);
        let last = lines.last().unwrap();
        assert!(last.starts_with("log ERROR daemon ended: gave up: child \"failing\""), "{last}");
        assert!(last.contains("no disk"), "{last}");
        assert!(said(&lines).contains(&"a stopped"));
    }

    fn a_failed_start_exits_69_after_stopping_what_had_started() {
        let lines = Process::start("can't start").ends_with(69);
        assert_eq!(said(&lines), ["a up", "a stopped"]);
        assert!(lines.last().unwrap().contains("no network"), "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("daemon started")));
    }

    fn a_program_without_a_log_still_says_why_it_ended() {
        let lines = Process::start("can't start, without a log").ends_with(69);
        let why = "could not start \"app\": child \"broken\" could not start: init failed: no network";
        assert!(lines.iter().any(|line| line == why), "{lines:#?}");
    }

    fn a_misconfigured_tree_starts_nothing_and_exits_78() {
        let lines = Process::start("misconfigured").ends_with(78);
        assert_eq!(said(&lines), [""; 0]);
        assert!(lines.last().unwrap().contains("same id"), "{lines:#?}");
    }

    fn sigterm_during_the_start_ends_an_init_that_hangs() {
        let mut process = Process::start("hangs at the start");
        process.wait_for("hanging inits");
        process.signal(Signal::TERM);
        let lines = process.ends_with(0);
        assert_eq!(*said(&lines).last().unwrap(), "a stopped");
    }

    fn a_tree_that_ends_by_itself_in_order_exits_0() {
        let lines = Process::start("finishes").ends_with(0);
        assert!(said(&lines).contains(&"a stopped"));
        assert_eq!(lines.last().unwrap(), "log INFO daemon ended: finished code=0");
    }

    fn a_tree_that_somebody_kills_exits_1() {
        let lines = Process::start("is killed").ends_with(1);
        assert!(lines.last().unwrap().contains("the tree ended: killed"), "{lines:#?}");
    }

    fn sighup_runs_every_hook_whatever_becomes_of_the_others() {
        let mut process = started("reloads");
        for _ in 0..2 {
            process.signal(Signal::HUP);
            process.wait_for("failed: not there");
            process.wait_for("panicked: odd");
            process.wait_for("log INFO reloaded failures=2");
        }
        process.signal(Signal::TERM);
        let lines = process.ends_with(0);
        assert_eq!(lines.iter().filter(|line| *line == "reload").count(), 2);
    }

    fn sighup_without_hooks_does_not_end_the_process() {
        let mut process = started("three");
        process.signal(Signal::HUP);
        process.wait_for("nothing to reload");
        process.signal(Signal::TERM);
        process.ends_with(0);
    }

    fn sighups_during_a_reload_make_one_more() {
        let mut process = started("reloads slowly");
        process.signal(Signal::HUP);
        process.wait_for("reload 1");
        process.signal(Signal::HUP);
        process.signal(Signal::HUP);
        // Signals are taken in the order of their numbers: when this one was, the others were.
        process.signal(Signal::QUIT);
        process.wait_for("app: supervisor");
        process.say("go on");
        process.wait_for("reload 2");
        process.wait_for("log INFO reloaded");
        process.signal(Signal::TERM);
        let lines = process.ends_with(0);
        assert_eq!(lines.iter().filter(|line| line.starts_with("reload ")).count(), 2);
    }

    fn sigterm_is_obeyed_while_a_hook_runs() {
        let mut process = started("wedges its supervisor");
        process.signal(Signal::HUP);
        process.wait_for("wedged");
        process.signal(Signal::TERM);
        process.wait_for("SIGTERM: stopping");
        process.signal(Signal::TERM);
        process.ends_with(143);
    }

    fn sigquit_prints_the_tree_and_the_daemon_goes_on() {
        let mut process = started("three");
        for _ in 0..2 {
            process.signal(Signal::QUIT);
            process.wait_for("app: supervisor, one_for_one");
            process.wait_for("├─ a: goroutine, running");
            process.wait_for("│  └─ b: goroutine, running");
            process.wait_for("└─ c: goroutine, running");
        }
        process.signal(Signal::TERM);
        process.ends_with(0);
    }

    fn the_service_manager_is_told_of_each_state() {
        let manager = Manager::new("states");
        let process = Process::start_with("reloads", &[("NOTIFY_SOCKET", manager.path())]);
        assert_eq!(manager.told(), "READY=1\n");
        process.signal(Signal::HUP);
        let reloading = manager.told();
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert_eq!(manager.told(), "READY=1\n");
        process.signal(Signal::TERM);
        assert_eq!(manager.told(), "STOPPING=1\n");
        process.ends_with(0);
        assert_eq!(manager.told_so_far(), [""; 0]);
    }

    fn a_daemon_that_can_not_start_is_never_ready() {
        let manager = Manager::new("unready");
        Process::start_with("can't start", &[("NOTIFY_SOCKET", manager.path())]).ends_with(69);
        assert_eq!(manager.told_so_far(), ["STOPPING=1\n"]);
    }

    fn the_watchdog_is_fed_only_while_the_tree_answers() {
        let manager = Manager::new("watchdog");
        let environment = [("NOTIFY_SOCKET", manager.path()), ("WATCHDOG_USEC", "200000")];
        let mut process = Process::start_with("wedges its supervisor", &environment);
        assert_eq!(manager.told(), "READY=1\n");
        for _ in 0..3 {
            assert_eq!(manager.told(), "WATCHDOG=1\n");
        }
        process.signal(Signal::HUP);
        process.wait_for("wedged");
        process.forget();
        // By its first question that nobody answers, all signs of life are sent.
        process.wait_for("the tree does not answer");
        manager.told_so_far();
        process.wait_for("the tree does not answer");
        process.wait_for("the tree does not answer");
        assert_eq!(manager.told_so_far(), [""; 0]);
        // The stop has a deadline of its own, and needs no watchdog.
        process.signal(Signal::TERM);
        assert_eq!(manager.told(), "STOPPING=1\n");
        assert_eq!(manager.told(), "WATCHDOG=1\n");
        process.signal(Signal::TERM);
        process.ends_with(143);
    }

    fn a_daemon_that_waits_for_a_signal_is_no_deadlock_and_what_comes_after_it_may_be() {
        let mut process = started("sleeps, then locks itself out");
        process.wait_for("a up");
        // The detector looks first after 20 ms.
        process.is_silent_for(Duration::from_millis(300));
        process.signal(Signal::TERM);
        process.wait_for("run returned");
        process.wait_for("all goroutines are asleep - deadlock!");
    }

    fn after_the_end_of_the_daemon_signals_have_their_old_meaning() {
        let mut process = started("stays after its daemon");
        process.signal(Signal::TERM);
        process.wait_for("run returned: stopped");
        process.signal(Signal::TERM);
        let (status, lines) = process.end();
        assert_eq!(status.signal(), Some(15), "{status} {lines:#?}");
    }

    fn a_second_daemon_in_the_process_panics_and_the_first_goes_on() {
        let mut process = Process::start("twice");
        process.wait_for("second panicked: true");
        process.signal(Signal::TERM);
        process.ends_with(0);
    }

    fn a_daemon_that_is_dropped_kills_its_tree() {
        let lines = Process::start("is dropped").ends_with(0);
        assert!(!said(&lines).contains(&"a stopped"), "{lines:#?}");
        assert!(said(&lines).contains(&"tree: killed"), "{lines:#?}");
    }

    #[cfg(target_os = "linux")]
    fn orphans_are_reaped_and_the_programs_own_children_are_left_to_it() {
        let mut process = started("reaps");
        process.wait_for("own child: Ok(Some(7))");
        let orphan = process.wait_for("orphan ");
        let pid = orphan.strip_prefix("orphan ").unwrap();
        let begun = Instant::now();
        while Path::new("/proc").join(pid).exists() {
            assert!(begun.elapsed() < LIMIT, "{pid} is not reaped");
            thread::yield_now();
        }
        process.signal(Signal::TERM);
        process.ends_with(0);
    }
}
