//! What came of the requests: counts, and latencies in histograms of a fixed size.

use hdrhistogram::Histogram;

/// Longest latency that is told apart.
const LATENCY_MAX_NS: u64 = 120_000_000_000;
/// Latencies are told apart to a thousandth.
const DIGITS: u8 = 3;

/// Latencies in ns.
pub type Latencies = Histogram<u64>;

/// An empty histogram.
pub fn latencies() -> Latencies {
    // The bounds are fine: 1 is at least 1 and less than half of the other.
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, DIGITS).expect("bounds of a histogram")
}

/// What one thread, or all together, have counted.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Latency of each get, however many keys it had.
    pub gets: Latencies,
    /// Latency of each set.
    pub sets: Latencies,
    /// Latency of each request from when it was made, so without the wait for a full window. Open loop only.
    pub admitted: Latencies,
    /// How late requests left whose connection was free: the generator's own fault. Open loop only.
    pub lateness: Latencies,
    /// Keys found.
    pub hits: u64,
    /// Keys not found.
    pub misses: u64,
    /// Sets the server refused.
    pub refused: u64,
    /// Requests over UDP that got no whole answer in time.
    pub lost: u64,
    /// Requests that were due while the window of their connection was full. Open loop only.
    pub held: u64,
    /// Requests that were due and still waited for their window at the end. Open loop only.
    pub unsent: u64,
    /// Bytes of requests.
    pub sent_bytes: u64,
    /// Bytes of answers.
    pub received_bytes: u64,
    /// CPU time the thread took, user and kernel.
    pub cpu_s: f64,
    /// From the first request to the last answer.
    pub elapsed_s: f64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            gets: latencies(),
            sets: latencies(),
            admitted: latencies(),
            lateness: latencies(),
            hits: 0,
            misses: 0,
            refused: 0,
            lost: 0,
            held: 0,
            unsent: 0,
            sent_bytes: 0,
            received_bytes: 0,
            cpu_s: 0.0,
            elapsed_s: 0.0,
        }
    }
}

impl Tally {
    /// Adds what another thread has counted meanwhile.
    pub fn add(&mut self, other: &Tally) {
        // All histograms have the same bounds, so each addition succeeds.
        let _ = self.gets.add(&other.gets);
        let _ = self.sets.add(&other.sets);
        let _ = self.admitted.add(&other.admitted);
        let _ = self.lateness.add(&other.lateness);
        self.hits += other.hits;
        self.misses += other.misses;
        self.refused += other.refused;
        self.lost += other.lost;
        self.held += other.held;
        self.unsent += other.unsent;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.cpu_s += other.cpu_s;
        self.elapsed_s = self.elapsed_s.max(other.elapsed_s);
    }
}
