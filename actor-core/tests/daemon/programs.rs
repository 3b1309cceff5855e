//! The daemons under test. Each prints what its children do, and its log with "log" before it.

use std::{
    fmt::{self, Write as _},
    future::pending,
    io::BufRead,
    process::{Command, ExitCode},
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    thread,
    time::Duration,
};

use actor_core::{
    DeadlockPolicy, Runtime, chan,
    prelude::*,
    supervise::{AutoShutdown, SupervisorRef},
};

pub(crate) fn main(program: &str) -> ExitCode {
    let (program, logs) = match program.strip_suffix(", without a log") {
        Some(program) => (program, false),
        None => (program, true),
    };
    if logs {
        tracing::subscriber::set_global_default(Printing).unwrap();
    }
    let runtime = Runtime::builder().procs(2);
    let policy = if program.contains("locks itself out") {
        DeadlockPolicy::Auto // to which every thread that it doesn't know matters
    } else {
        DeadlockPolicy::Panic
    };
    let runtime = if program == "freezes" {
        runtime.machines_max(2)
    } else {
        runtime
    };
    let runtime = runtime.on_deadlock(policy).build().unwrap();
    let program = program.to_owned();
    runtime.run(async move { run(&program).await })
}

async fn run(program: &str) -> ExitCode {
    let app = Supervisor::one_for_one("app");
    match program {
        "three" => {
            let inner = Supervisor::one_for_one("inner").child(polite("b"));
            let app = app.child(polite("a")).child(inner).child(polite("c"));
            Daemon::new(app).run().await
        }
        "deaf" => Daemon::new(app.child(deaf("deaf"))).run().await,
        "deaf 50 ms" => {
            let app = app.child(polite("a")).child(deaf("deaf"));
            let daemon = Daemon::new(app).stop_within(Duration::from_millis(50));
            daemon.run().await
        }
        "wedged" => {
            let wedged = ChildSpec::thread("wedged", |_| {
                println!("wedged up");
                loop {
                    thread::park();
                }
            });
            Daemon::new(app.child(wedged.stop_within(Duration::MAX)))
                .run()
                .await
        }
        "gives up" => {
            let failing = ChildSpec::go("failing", || async { Err::<(), _>("no disk") });
            let app = app.intensity(2, Duration::from_secs(60));
            Daemon::new(app.child(polite("a")).child(failing))
                .run()
                .await
        }
        "can't start" => {
            let app = app
                .child(polite("a"))
                .child(Child::<Broken>::new("broken", || ()));
            Daemon::new(app).run().await
        }
        "misconfigured" => {
            let inner = Supervisor::one_for_one("inner");
            let inner = inner.child(polite("a")).child(polite("a"));
            Daemon::new(app.child(polite("first")).child(inner))
                .run()
                .await
        }
        "hangs at the start" => {
            let hanging = Child::<Hanging>::new("hanging", || ());
            Daemon::new(app.child(polite("a")).child(hanging))
                .run()
                .await
        }
        "finishes" => {
            let job = ChildSpec::go("job", || async {}).restart(Restart::Transient);
            let app = app.auto_shutdown(AutoShutdown::AnySignificant);
            Daemon::new(app.child(polite("a")).child(job.significant()))
                .run()
                .await
        }
        "is killed" => {
            let daemon = Daemon::new(app.child(polite("a")));
            let root = daemon.root();
            let (exit, _) = (go(daemon.run()), settle(&root).await);
            drop(root.kill());
            exit.await.unwrap()
        }
        "reloads" => {
            Daemon::new(app)
                .on_reload(|| async { Err::<(), _>("not there") })
                .on_reload(|| async { odd() })
                .on_reload(|| async { println!("reload") })
                .run()
                .await
        }
        "freezes" => Daemon::new(app).on_reload(freeze).run().await,
        "reloads slowly" => Daemon::new(app).on_reload(reload_slowly).run().await,
        "wedges its supervisor" => {
            let daemon = Daemon::new(app.child(deaf("deaf")));
            let root = daemon.root();
            daemon.on_reload(move || wedge(root.clone())).run().await
        }
        "sleeps, then locks itself out" => {
            Daemon::new(app.child(polite("a"))).run_to_end().await;
            println!("run returned");
            let (_sender, receiver) = chan::rendezvous::<u8>();
            receiver.recv().await;
            ExitCode::SUCCESS
        }
        "stays after its daemon" => {
            let exit = Daemon::new(app).run_to_end().await;
            println!("run returned: {exit}");
            loop {
                thread::park();
            }
        }
        "twice" => {
            let first = Daemon::new(app);
            let root = first.root();
            let (first, _) = (go(first.run()), settle(&root).await);
            let second = go(Daemon::new(Supervisor::one_for_one("other")).run()).await;
            println!("second panicked: {}", second.unwrap_err().is_panic());
            first.await.unwrap()
        }
        "is dropped" => {
            let daemon = Daemon::new(app.child(polite("a")));
            let root = daemon.root();
            let running = go(daemon.run());
            settle(&root).await;
            running.abort();
            println!("tree: {}", root.wait().await);
            ExitCode::SUCCESS
        }
        #[cfg(target_os = "linux")]
        "reaps" => {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
            let children = ChildSpec::once("children", async { blocking(start_processes) });
            let daemon = Daemon::new(app.child(children));
            daemon.reap_orphans(Duration::from_secs(2)).run().await
        }
        other => panic!("there is no program {other:?}"),
    }
}

/// Waits until the tree answers.
async fn settle(root: &SupervisorRef) {
    root.count_children().await.unwrap();
}

/// Makes the supervisor wait for a child that doesn't stop; meanwhile it answers nobody.
async fn wedge(root: SupervisorRef) {
    let terminated = go({
        let root = root.clone();
        async move { root.terminate_child("deaf").await }
    });
    let moment = Duration::from_millis(200);
    while timeout(moment, root.count_children()).await.is_ok() {}
    println!("wedged");
    let _ = terminated.await;
}

/// Takes every thread that runs goroutines, for good.
async fn freeze() {
    let stand_still = || {
        println!("frozen");
        loop {
            thread::park();
        }
    };
    drop(go(async move { stand_still() }));
    stand_still()
}

/// Stops as soon as it is asked.
fn polite(id: &'static str) -> ChildSpec {
    ChildSpec::go_until(id, move |stop| async move {
        println!("{id} up");
        stop.requested().await;
        println!("{id} stopped");
    })
}

/// Never stops when it is asked, but can be killed.
fn deaf(id: &'static str) -> ChildSpec {
    ChildSpec::go_until(id, |_| pending::<()>()).stop_within(Duration::MAX)
}

fn odd() {
    panic!("odd");
}

struct Broken;

#[actor]
impl Broken {
    #[init]
    fn new() -> Result<Self, String> {
        Err("no network".to_owned())
    }
}

struct Hanging;

#[actor]
impl Hanging {
    #[init]
    async fn new() -> Self {
        println!("hanging inits");
        pending().await
    }
}

/// The first time it takes until a line comes on stdin.
async fn reload_slowly() {
    static RELOADS: AtomicU32 = AtomicU32::new(0);
    let reload = RELOADS.fetch_add(1, SeqCst) + 1;
    println!("reload {reload}");
    if reload == 1 {
        let read = || std::io::stdin().lock().read_line(&mut String::new());
        blocking(read).unwrap();
    }
}

/// A child of its own, whose status it wants, and one that becomes an orphan.
#[cfg(target_os = "linux")]
fn start_processes() {
    let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
    let stat = format!("/proc/{}/stat", child.id());
    while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
        thread::yield_now();
    }
    // Late, but in time: a daemon that doesn't wait for its grace has taken the status by now.
    thread::sleep(Duration::from_millis(100));
    println!("own child: {:?}", child.wait().map(|status| status.code()));
    // Ends at once; what it leaves ends later, without a parent.
    let parent = "sleep 0.01 >/dev/null 2>&1 & echo $!";
    let parent = Command::new("sh").args(["-c", parent]).output().unwrap();
    println!(
        "orphan {}",
        String::from_utf8(parent.stdout).unwrap().trim()
    );
}

/// A `tracing` subscriber that prints events of `INFO` and above.
struct Printing;

struct Words(String);

impl tracing::field::Visit for Words {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

impl tracing::Subscriber for Printing {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        println!("log {}{}", event.metadata().level(), words.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
