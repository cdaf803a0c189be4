//! A broker for the lessons alone: on a free port of this machine, with a directory that is gone afterwards.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::error::Error;
use crate::engine::{self, Host, HostOptions, Target, TargetOptions};

/// A broker that the lessons may stop and start.
#[derive(Debug)]
pub struct OwnBroker {
    /// `None` while it is stopped.
    host: Option<Host>,
    directory: PathBuf,
}

impl OwnBroker {
    /// Starts a broker with nothing in it. `unique` tells its directory from every other.
    pub async fn start(unique: &str) -> Result<Self, Error> {
        let directory = std::env::temp_dir().join(format!("mq-tutorial-{unique}"));
        // Ours alone, and never one that another user has put there.
        let made = DirBuilder::new().mode(0o700).create(&directory);
        made.map_err(|source| Error::Directory { path: directory.clone(), source })?;
        let mut broker = Self { host: None, directory };
        match broker.host().await {
            Ok(host) => broker.host = Some(host),
            Err(error) => {
                broker.end().await;
                return Err(error.into());
            }
        }
        Ok(broker)
    }

    async fn host(&self) -> Result<Host, engine::Error> {
        let any_port = "127.0.0.1:0".parse().expect("an address of ours");
        let directory = Some(self.directory.clone());
        Host::start(HostOptions { listen: vec![any_port], directory, ..HostOptions::default() })
            .await
    }

    /// Returns the address of the broker; it changes with a restart.
    pub fn target(&self) -> Result<Target, engine::Error> {
        let url = self.host.iter().flat_map(Host::urls).next();
        Target::resolve(TargetOptions { url, ..TargetOptions::default() }, |_| None)
    }

    /// Stops the broker and starts it again on what it has kept.
    pub(super) async fn restart(&mut self) -> Result<(), engine::Error> {
        if let Some(host) = self.host.take() {
            host.stop().await;
        }
        self.host = Some(self.host().await?);
        Ok(())
    }

    /// Ends the broker, and its directory.
    pub async fn end(self) {
        if let Some(host) = self.host {
            host.stop().await;
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, "{} is not removed", self.directory.display());
        }
    }
}
