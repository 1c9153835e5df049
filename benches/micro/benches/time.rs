//! Nanoseconds: `cargo bench -p ringcached-micro`, with a part of a name behind it for only those operations. A time is that
//! of a call; `thrpt` counts its requests.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringcached_micro::operations;

fn time(criterion: &mut Criterion) {
    for operation in operations() {
        let mut group = criterion.benchmark_group("micro");
        group.throughput(Throughput::Elements(operation.requests.into()));
        group.bench_function(operation.name, |bencher| bencher.iter((operation.make)()));
        group.finish();
    }
}

criterion_group!(benches, time);
criterion_main!(benches);
