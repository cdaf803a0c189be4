//! The foreign clients, installed once under `target/interop` and reused by every later run.
//!
//! Each gets a folder named after what is in it and a stamp file that is written last, so that a
//! half-made folder is made anew; a file lock keeps two test processes apart.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::rabbitmq::{apt_install, unavailable};

/// A set of Python packages in an environment of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Environment {
    /// The last pika with the interface that the seed's programs use on a Python of today.
    OldPika,
    /// The current pika.
    Pika,
    /// The task queue, on `amqp` and `kombu`.
    Celery,
}

impl Environment {
    fn requirement(self) -> &'static str {
        match self {
            Self::OldPika => "pika==0.10.0",
            Self::Pika => "pika==1.4.4",
            Self::Celery => "celery==5.7.0",
        }
    }

    /// The environment's interpreter, or `None` where it cannot be made.
    pub(crate) fn interpreter(self) -> Option<&'static Path> {
        static MADE: [OnceLock<Option<PathBuf>>; 3] = [const { OnceLock::new() }; 3];
        MADE[self as usize].get_or_init(|| self.make()).as_deref()
    }

    fn make(self) -> Option<PathBuf> {
        let requirement = self.requirement();
        let folder = installed(requirement, |folder| {
            if run(Command::new("python3").args(["-m", "venv"]).arg(folder)).is_err() {
                apt_install(&["python3", "python3-venv"]);
                run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
            }
            let pip = folder.join("bin/pip");
            run(Command::new(pip).args(["install", "--quiet", requirement]))
        })?;
        Some(folder.join("bin/python"))
    }
}

/// The folder whose `node_modules` holds amqplib, or `None` where it cannot be made.
pub(crate) fn amqplib() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(|| {
        installed("amqplib@2.3.1", |folder| {
            if run(Command::new("npm").arg("--version")).is_err() {
                apt_install(&["nodejs", "npm"]);
            }
            run(Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--no-save", "amqplib@2.3.1"])
                .arg("--prefix")
                .arg(folder))
        })
    })
    .as_deref()
}

/// Makes `target/interop/<name>` with `install` unless that was done before.
fn installed(name: &str, install: impl FnOnce(&Path) -> Result<(), String>) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent");
    let home = target.join("interop");
    let folder = home.join(name.replace(['=', '@'], "-"));
    fs::create_dir_all(&home).expect("the target folder is writable");
    let lock = File::create(home.join("lock")).expect("the target folder is writable");
    lock.lock().expect("a file can be locked");
    let stamp = folder.join("installed");
    if stamp.exists() {
        return Some(folder);
    }
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder is writable");
    match install(&folder) {
        Ok(()) => {
            fs::write(stamp, name).expect("the target folder is writable");
            Some(folder)
        }
        Err(why) => {
            unavailable(name, &why);
            None
        }
    }
}

/// Runs an installer to its end; the error is the last thing it said.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Err(last.trim().to_owned())
}
