//! What tests need from outside: installed once under `target/interop`, used by every later run, and missed loudly.
//!
//! Each installation gets a folder named after what is in it and a stamp file that is written last, so that a
//! half-made folder is made anew; a file lock keeps two test processes apart. Start at [`installed`].

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// Set to `1` where a missing foreign program must fail the tests instead of skipping them.
pub(crate) const REQUIRE: &str = "MQ_REQUIRE_INTEROP";

/// Says in one loud line that a foreign program is missing, so that a skipped test is seen.
///
/// # Panics
///
/// Panics when `MQ_REQUIRE_INTEROP=1`.
pub(crate) fn unavailable(what: &str, why: &str) {
    let line = format!("!!! SKIPPED: {what} is not available here: {why} !!!");
    assert!(env::var(REQUIRE).as_deref() != Ok("1"), "{line} ({REQUIRE}=1 forbids skipping)");
    // Straight to the descriptor: the test harness keeps what a passing test prints to itself.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Installs Debian packages where this process may, without starting a service of theirs.
pub(crate) fn apt_install(packages: &[&str]) {
    const POLICY: &str = "/usr/sbin/policy-rc.d";
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root || !Path::new("/usr/bin/apt-get").exists() {
        return;
    }
    let has_policy = Path::new(POLICY).exists();
    if !has_policy {
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").expect("root writes anywhere");
        let _ = Command::new("chmod").args(["755", POLICY]).status();
    }
    let apt = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(["-qq", "-y", "-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
    };
    let _ = apt(&["update"]);
    let _ = apt(&[&["install", "--no-install-recommends"], packages].concat());
    if !has_policy {
        let _ = fs::remove_file(POLICY);
    }
}

/// Makes `target/interop/<name>` with `install` unless that was done before.
pub(crate) fn installed(
    name: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Option<PathBuf> {
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
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Err(last.trim().to_owned())
}
