//! The operations whose cost is measured: what one request takes in the parser, the store, the mesh and the writing of
//! replies, each apart from sockets and from the others. `benches/time.rs` measures them in nanoseconds, `main.rs` in
//! instructions; `docs/micro.md` tells of both and has the figures.
//!
//! Nothing here is random: keys, their order and the seeds of the hash are fixed, so an operation executes the same
//! instructions in each run. Only the library's public interface is used.

mod mesh;
mod parse;
mod reply;
mod store;

/// Something to measure.
pub struct Operation {
    /// The part of the server, and what it does.
    pub name: &'static str,
    /// Requests, or keys of one, that a call handles: results are given for one of them.
    pub requests: u32,
    /// Makes what a call needs, and the call.
    pub make: fn() -> Box<dyn FnMut()>,
}

/// All operations, in the order of a request's way through the server.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    parse::OPERATIONS.iter().chain(store::OPERATIONS).chain(mesh::OPERATIONS).chain(reply::OPERATIONS)
}

/// Keys of one multi-key get.
const MULTI_KEYS: usize = 50;
/// Bytes of a value.
const VALUE_BYTES: usize = 100;
/// A key of usual length.
const KEY: &[u8] = b"key-000000012345";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = operations().map(|operation| operation.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
