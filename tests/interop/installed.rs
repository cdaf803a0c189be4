//! The foreign clients, each installed once ([`crate::installing`]).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::installing::{apt_install, installed, run};

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
