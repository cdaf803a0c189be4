//! Runs a scene under callgrind, and says what the figures depend on beside the code.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use super::Failure;
use super::figures::Toolchain;

/// The argument that makes this program run one scene; its name follows.
pub(super) const RUN: &str = "--run-scene";

/// Variables a scene's process gets: where programs and temporary folders are. All else would only move the stack.
const VARIABLES: [&str; 2] = ["PATH", "TMPDIR"];

/// Counts the instructions of a scene's rounds.
///
/// The profile stays in the target directory for `callgrind_annotate`.
pub(super) fn count(scene: &str) -> Result<u64, Failure> {
    let this = env::current_exe()?;
    let profile = profile(scene)?;
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg("--toggle-collect=*measured_rounds*")
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(this)
        .args([RUN, scene])
        .env_clear()
        .envs(VARIABLES.iter().filter_map(|name| Some((name, env::var_os(name)?))))
        .stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("cannot run valgrind: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the scene {scene} failed:\n{said}").into());
    }
    let text = fs::read_to_string(&profile)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.ok_or_else(|| format!("{}: has no totals", profile.display()))?;
    match total.trim().parse()? {
        0 => Err(format!("nothing was counted in {scene}: is this program stripped?").into()),
        total => Ok(total),
    }
}

/// Where the profile of a scene goes: `target/callgrind/SCENE.out`.
fn profile(scene: &str) -> Result<PathBuf, Failure> {
    // This program is in `target/release/deps`.
    let this = env::current_exe()?;
    let target = this.ancestors().nth(3).ok_or("cargo puts programs three folders deep")?;
    let folder = target.join("callgrind");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{scene}.out")))
}

/// What is in use here.
pub(super) fn toolchain() -> Result<Toolchain, Failure> {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Ok(Toolchain {
        architecture: env::consts::ARCH.to_owned(),
        compiler: said_by(Command::new(compiler).arg("--version"))?,
        c_library: said_by(Command::new("getconf").arg("GNU_LIBC_VERSION"))?,
        valgrind: said_by(Command::new("valgrind").arg("--version"))?,
    })
}

/// The first line a program says.
fn said_by(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {name}: {error}"))?;
    let said = String::from_utf8(output.stdout)?;
    let line = said.lines().next().ok_or_else(|| format!("{name} does not say its version"))?;
    Ok(line.trim().to_owned())
}
