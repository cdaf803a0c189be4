//! The benchmarks themselves: every scene runs and does what it is to do, and the guard of instruction counts fails when
//! it should.

#[path = "../bench/instructions/figures.rs"]
mod figures;
#[allow(dead_code, reason = "units and rounds are for the benchmarks")]
#[path = "../bench/scenes/mod.rs"]
mod scenes;

use std::collections::HashSet;
use std::fs;

use figures::{Figure, Figures, Toolchain};

/// Each checks what comes out of it, in every round.
#[test]
fn every_scene_does_what_it_is_to_do() {
    for scene in scenes::ALL {
        let mut round = (scene.build)();
        for _ in 0..3 {
            round();
        }
    }
}

#[test]
fn every_scene_has_a_name_of_its_own_and_a_recorded_figure() {
    let recorded = fs::read_to_string("tests/bench/figures.txt").unwrap();
    Figures::parse(&recorded).unwrap();
    let mut names = HashSet::new();
    for scene in scenes::ALL {
        assert!(names.insert(scene.name), "{} is there twice", scene.name);
        let begins = format!("\n{} ", scene.name);
        assert!(recorded.contains(&begins), "{} is not recorded", scene.name);
    }
}

fn toolchain(architecture: &str, compiler: &str) -> Toolchain {
    Toolchain {
        architecture: architecture.into(),
        compiler: compiler.into(),
        c_library: "glibc 2.36".into(),
        valgrind: "valgrind-3.19.0".into(),
    }
}

fn figure(scene: &str, count: f64) -> Figure {
    Figure { scene: scene.into(), count }
}

#[test]
fn what_is_written_is_read_back() {
    let mut figures = Figures::default();
    figures.record(&toolchain("x86_64", "rustc 1"), &[figure("a", 100.0), figure("b", 0.5)]);
    figures.record(&toolchain("x86_64", "rustc 2"), &[figure("a", 90.0)]);
    assert_eq!(Figures::parse(&figures.to_string()), Ok(figures));
}

#[test]
fn a_file_that_is_not_understood_names_the_line() {
    for text in ["a 1", "[x]", "[a, b, c, d]\na", "[a, b, c, d]\na 1 2", "[a, b, c, d]\na -1"] {
        let error = Figures::parse(text).unwrap_err();
        assert!(error.starts_with("figures, line "), "{text}: {error}");
    }
}

#[test]
fn recording_replaces_its_own_toolchain_only() {
    let (one, other) = (toolchain("x86_64", "rustc 1"), toolchain("x86_64", "rustc 2"));
    let mut figures = Figures::default();
    figures.record(&one, &[figure("a", 1.0), figure("b", 1.0)]);
    figures.record(&other, &[figure("a", 2.0)]);
    figures.record(&one, &[figure("a", 3.0), figure("c", 3.0)]);
    let recorded = [figure("a", 3.0), figure("b", 1.0), figure("c", 3.0)];
    let mut expected = Figures::default();
    expected.record(&other, &[figure("a", 2.0)]);
    expected.record(&one, &recorded);
    assert_eq!(figures, expected);
}

#[test]
fn a_scene_that_is_gone_is_forgotten() {
    let here = toolchain("x86_64", "rustc 1");
    let (mut figures, mut expected) = (Figures::default(), Figures::default());
    figures.record(&here, &[figure("a", 1.0), figure("gone", 1.0)]);
    expected.record(&here, &[figure("a", 1.0)]);
    figures.forget_all_but(&["a", "new"]);
    assert_eq!(figures, expected);
}

#[test]
fn the_limit_is_the_wider_the_less_alike_the_toolchains_are() {
    let mut figures = Figures::default();
    let recorded = toolchain("x86_64", "rustc 1");
    figures.record(&recorded, &[figure("a", 100.0)]);
    #[rustfmt::skip]
    let cases = [
        // here                          now    fails  warns
        (recorded.clone(),               105.0, false, false),
        (recorded.clone(),               105.1, true,  false),
        (recorded,                        50.0, false, false),
        (toolchain("x86_64", "rustc 2"), 119.0, false, true),
        (toolchain("x86_64", "rustc 2"), 121.0, true,  true),
        (toolchain("arm", "rustc 1"),    159.0, false, true),
        (toolchain("arm", "rustc 1"),    161.0, true,  true),
    ];
    for (here, count, fails, warns) in cases {
        let baseline = figures.nearest(&here).unwrap();
        let verdict = baseline.compare(&[figure("a", count)], true);
        assert_eq!(!verdict.failures.is_empty(), fails, "{here}: {count}: {verdict:?}");
        assert_eq!(baseline.announce(&here).starts_with("WARNING"), warns, "{here}");
    }
}

#[test]
fn the_nearest_record_is_taken() {
    let mut figures = Figures::default();
    for (architecture, compiler) in
        [("x86_64", "rustc 1"), ("x86_64", "rustc 2"), ("arm", "rustc 3")]
    {
        figures.record(&toolchain(architecture, compiler), &[]);
    }
    #[rustfmt::skip]
    let cases = [
        (("x86_64", "rustc 1"), ("x86_64", "rustc 1")),
        (("x86_64", "rustc 3"), ("x86_64", "rustc 2")), // the later one of two
        (("arm", "rustc 1"),    ("arm", "rustc 3")),
        (("riscv", "rustc 1"),  ("arm", "rustc 3")),
    ];
    for ((architecture, compiler), expected) in cases {
        let here = toolchain(architecture, compiler);
        let said = figures.nearest(&here).unwrap().announce(&here);
        let expected = toolchain(expected.0, expected.1);
        let names_it = said.contains(&format!("compared: {expected}\n"));
        assert!(names_it || (here == expected && said.contains("the same")), "{here}: {said}");
    }
}

#[test]
fn a_failure_names_scene_old_new_and_percent() {
    let here = toolchain("x86_64", "rustc 1");
    let mut figures = Figures::default();
    figures.record(&here, &[figure("a", 200.0), figure("b", 100.0), figure("gone", 1.0)]);
    let baseline = figures.nearest(&here).unwrap();
    let now = [figure("a", 220.0), figure("b", 90.0), figure("new", 7.0)];
    let verdict = baseline.compare(&now, true);
    assert_eq!(
        verdict.failures,
        [
            "a: 200.0 instructions were recorded, now 220.0: +10.00%, allowed 5%",
            "new: 7.0 instructions, and none are recorded",
            "gone: 1.0 instructions are recorded, but it was not run",
        ]
    );
    assert_eq!(verdict.slower, 2);
    assert_eq!(verdict.hints, ["b has become cheaper (-10.00%): record it, so that it stays so"]);
    assert_eq!(baseline.compare(&now[1..2], false).failures, Vec::<String>::new());
}
