//! The recorded figures: read, written, and held against new ones.
//!
//! What a scene executes depends on the code and on four things beside it: compiler, C library (its allocator and
//! its copying), architecture and valgrind (which processor it plays). So figures are recorded for a [`Toolchain`]. On
//! the same one they may rise by [`LIMIT_SAME_PERCENT`]. On another the nearest record is taken and the limit is wider
//! ([`Likeness`]): never a comparison that fails by chance, and never none at all.

use std::fmt::{self, Write as _};

/// How much dearer a scene may become where its figure was recorded.
const LIMIT_SAME_PERCENT: f64 = 5.0;
/// The same with another compiler, C library or valgrind.
const LIMIT_VERSIONS_PERCENT: f64 = 20.0;
/// The same on another kind of processor, whose instructions do more or less each.
const LIMIT_ARCHITECTURE_PERCENT: f64 = 60.0;

const HEADER: &str = "\
# Instructions a unit (message, delivery, call, connection, route, record) of each scene in tests/bench/scenes, with the
# toolchain that they were counted with. Compared by `cargo bench --bench instructions`, written by the same with
# `-- --record`.
";

/// What figures depend on beside the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Toolchain {
    pub(super) architecture: String,
    /// As `rustc --version` says it.
    pub(super) compiler: String,
    pub(super) c_library: String,
    pub(super) valgrind: String,
}

/// How like two toolchains are, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    OtherArchitecture,
    OtherVersions,
    Same,
}

/// Instructions a unit of a scene.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) scene: String,
    pub(super) count: f64,
}

/// Everything that is recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures(Vec<(Toolchain, Vec<Figure>)>);

/// The record that new figures are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Baseline<'a> {
    likeness: Likeness,
    toolchain: &'a Toolchain,
    figures: &'a [Figure],
}

/// What a comparison has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) table: String,
    /// Figures that are above the limit.
    pub(super) slower: usize,
    pub(super) failures: Vec<String>,
    pub(super) hints: Vec<String>,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { architecture, compiler, c_library, valgrind } = self;
        write!(f, "{architecture}, {compiler}, {c_library}, {valgrind}")
    }
}

impl Toolchain {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(", ").map(str::to_owned);
        let mut next = || parts.next();
        let (architecture, compiler, c_library, valgrind) = (next()?, next()?, next()?, next()?);
        Some(Self { architecture, compiler, c_library, valgrind })
    }

    fn likeness(&self, other: &Self) -> Likeness {
        if self == other {
            Likeness::Same
        } else if self.architecture == other.architecture {
            Likeness::OtherVersions
        } else {
            Likeness::OtherArchitecture
        }
    }
}

impl Likeness {
    fn limit_percent(self) -> f64 {
        match self {
            Self::Same => LIMIT_SAME_PERCENT,
            Self::OtherVersions => LIMIT_VERSIONS_PERCENT,
            Self::OtherArchitecture => LIMIT_ARCHITECTURE_PERCENT,
        }
    }
}

impl Figures {
    /// Reads a file of figures: sections named by a toolchain, in them a scene and its figure a line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut found = Self::default();
        for (at, line) in text.lines().enumerate() {
            let wrong = || format!("figures, line {}: '{line}' is not understood", at + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                found.0.push((Toolchain::parse(name).ok_or_else(wrong)?, Vec::new()));
                continue;
            }
            let (_, section) = found.0.last_mut().ok_or_else(wrong)?;
            let mut words = line.split_whitespace();
            let (scene, count) = words.next().zip(words.next()).ok_or_else(wrong)?;
            let count: f64 = count.parse().map_err(|_| wrong())?;
            if words.next().is_some() || !count.is_finite() || count <= 0.0 {
                return Err(wrong());
            }
            section.push(Figure { scene: scene.to_owned(), count });
        }
        Ok(found)
    }

    /// What is to be compared with: of those most like `toolchain` the one that was recorded last.
    pub(super) fn nearest(&self, toolchain: &Toolchain) -> Option<Baseline<'_>> {
        let baselines = self.0.iter().map(|(recorded, figures)| Baseline {
            likeness: recorded.likeness(toolchain),
            toolchain: recorded,
            figures,
        });
        baselines.max_by_key(|baseline| baseline.likeness)
    }

    /// Puts figures in, in place of those of the same toolchain and scene; other toolchains' are left.
    pub(super) fn record(&mut self, toolchain: &Toolchain, figures: &[Figure]) {
        let known = self.0.iter().position(|(recorded, _)| recorded == toolchain);
        let mut section = known.map_or_else(Vec::new, |at| self.0.remove(at).1);
        for figure in figures {
            match section.iter_mut().find(|known| known.scene == figure.scene) {
                Some(known) => known.count = figure.count,
                None => section.push(figure.clone()),
            }
        }
        self.0.push((toolchain.clone(), section));
    }

    /// Drops scenes that are not there any more.
    pub(super) fn forget_all_but(&mut self, scenes: &[&str]) {
        for (_, figures) in &mut self.0 {
            figures.retain(|figure| scenes.contains(&figure.scene.as_str()));
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADER)?;
        for (toolchain, figures) in &self.0 {
            writeln!(f, "\n[{toolchain}]")?;
            for Figure { scene, count } in figures {
                writeln!(f, "{scene:<16} {count:>10.1}")?;
            }
        }
        Ok(())
    }
}

impl Baseline<'_> {
    /// Says what is compared with what, and how much it may rise; loudly when that is not the usual.
    pub(super) fn announce(&self, here: &Toolchain) -> String {
        let limit = self.likeness.limit_percent();
        let recorded = self.toolchain;
        match self.likeness {
            Likeness::Same => {
                format!("instructions with {here}, recorded with the same: may rise by {limit}%")
            }
            Likeness::OtherVersions | Likeness::OtherArchitecture => format!(
                "WARNING: no figures are recorded for this toolchain, so the limit is {limit}% and not \
                 {LIMIT_SAME_PERCENT}%.\n  here:     {here}\n  compared: {recorded}\n  Record it on a commit that \
                 is known to be good: cargo bench --bench instructions -- --record"
            ),
        }
    }

    /// Compares figures with the recorded ones; when they are all there are, none may be missing.
    pub(super) fn compare(&self, now: &[Figure], is_whole: bool) -> Verdict {
        let limit = self.likeness.limit_percent();
        let mut verdict = Verdict::default();
        let Verdict { table, slower, failures, hints } = &mut verdict;
        let recorded =
            |scene: &str| self.figures.iter().find(|figure| figure.scene == scene).map(|f| f.count);
        for Figure { scene, count } in now {
            let Some(old) = recorded(scene) else {
                *slower += 1;
                failures.push(format!("{scene}: {count:.1} instructions, and none are recorded"));
                continue;
            };
            let percent = (count - old) / old * 100.0;
            let written = writeln!(table, "{scene:<16} {old:>10.1} {count:>10.1} {percent:>+8.2}%");
            written.expect("a text takes all");
            if percent > limit {
                *slower += 1;
                failures.push(format!(
                    "{scene}: {old:.1} instructions were recorded, now {count:.1}: {percent:+.2}%, allowed {limit}%"
                ));
            } else if percent < -limit {
                hints.push(format!(
                    "{scene} has become cheaper ({percent:+.2}%): record it, so that it stays so"
                ));
            }
        }
        if is_whole {
            let is_gone = |figure: &&Figure| now.iter().all(|one| one.scene != figure.scene);
            let gone = self.figures.iter().filter(is_gone);
            failures.extend(gone.map(|figure| {
                format!(
                    "{}: {:.1} instructions are recorded, but it was not run",
                    figure.scene, figure.count
                )
            }));
        }
        verdict
    }
}
