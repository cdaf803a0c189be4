//! Wall times of the scenes: `cargo bench --bench wall`, or of some of them: `cargo bench --bench wall -- fanout`.
//!
//! Times are for looking at, on a quiet machine; what must not get worse is guarded by `instructions`.

#[allow(dead_code, reason = "how many rounds are counted is the guard's business")]
mod scenes;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    for scene in scenes::ALL {
        let mut group = criterion.benchmark_group(scene.name);
        group.throughput(Throughput::Elements(scene.units));
        let id = BenchmarkId::from_parameter(format!("{} {}", scene.units, scene.unit));
        group.bench_function(id, |bencher| {
            let mut round = (scene.build)();
            bencher.iter(&mut round);
        });
        group.finish();
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
