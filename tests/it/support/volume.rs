//! A small file system of a test's own, in memory, that is gone with it: it can be filled and made read-only.
//!
//! It is mounted in a namespace that a shell holds, so that no other process sees it and nothing stays mounted
//! whatever becomes of the test. Start at [`Volume::new`].

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// A mounted file system, and who holds it.
pub(crate) struct Volume {
    directory: TempDir,
    holder: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Volume {
    /// Mounts one of this size; `None`, and a loud line, where this process may not.
    ///
    /// That it may not is a matter of the machine's rules, so no setting forbids skipping.
    pub(crate) fn new(size: &str) -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (orders, answers) = (holder.stdin.take()?, BufReader::new(holder.stdout.take()?));
        let mut volume = Self { directory, holder, orders, answers };
        let mount = format!("mount -t tmpfs -o size={size} tmpfs '{}'", volume.path().display());
        if volume.order(&mount) {
            return Some(volume);
        }
        // Straight to the descriptor: the test harness keeps what a passing test prints to itself.
        let _ = writeln!(io::stderr(), "!!! SKIPPED: no file system can be mounted here !!!");
        None
    }

    /// Where it is, for those that have entered it.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The same command, run where the volume is.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        entered.args(["--preserve-credentials", "--user", "--mount", "--target", &holder]);
        entered.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entered.env(name, value),
                None => entered.env_remove(name),
            };
        }
        entered
    }

    /// Mounts it anew with an option: `ro` or `rw`.
    pub(crate) fn remount(&mut self, option: &str) {
        let path = self.path().display().to_string();
        assert!(self.order(&format!("mount -o remount,{option} '{path}'")));
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&mut self) {
        let path = self.path().display().to_string();
        assert!(!self.order(&format!("dd if=/dev/zero of='{path}/filler' bs=4096")));
    }

    /// Has the holder do something; answers whether it could.
    fn order(&mut self, order: &str) -> bool {
        let asked = writeln!(self.orders, "{order} && echo done || echo failed");
        let mut answer = String::new();
        asked.is_ok() && self.answers.read_line(&mut answer).is_ok() && answer == "done\n"
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
