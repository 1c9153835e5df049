//! A miss ratio over the course of a run, in a bounded number of points however long the run is.

/// Most points that are kept. When there are more, each two neighbours become one and points are twice as far apart.
const POINTS_MAX: usize = 256;
/// Gets in a point at first.
const GETS_PER_POINT_FIRST: u64 = 1_000;

/// Misses of consecutive stretches of `gets_per_point` gets; the last stretch is not full yet.
pub struct Series {
    gets_per_point: u64,
    misses: Vec<u64>,
    gets_in_last: u64,
    misses_in_last: u64,
}

impl Series {
    /// An empty course.
    pub fn new() -> Series {
        Series {
            gets_per_point: GETS_PER_POINT_FIRST,
            misses: Vec::new(),
            gets_in_last: 0,
            misses_in_last: 0,
        }
    }

    /// Notes the next get.
    pub fn note(&mut self, missed: bool) {
        self.gets_in_last += 1;
        self.misses_in_last += u64::from(missed);
        if self.gets_in_last < self.gets_per_point {
            return;
        }
        self.misses.push(self.misses_in_last);
        (self.gets_in_last, self.misses_in_last) = (0, 0);
        if self.misses.len() == POINTS_MAX {
            self.misses = self.misses.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.gets_per_point *= 2;
        }
    }

    /// Gets at the end of each full stretch, and its miss ratio.
    pub fn points(&self) -> Vec<(u64, f64)> {
        let point = |(i, misses): (usize, &u64)| {
            ((i as u64 + 1) * self.gets_per_point, *misses as f64 / self.gets_per_point as f64)
        };
        self.misses.iter().enumerate().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_ratios_of_their_stretch() {
        let mut series = Series::new();
        (0..1_000).for_each(|i| series.note(i % 4 == 0));
        (0..1_500).for_each(|_| series.note(true));
        assert_eq!(series.points(), [(1_000, 0.25), (2_000, 1.0)]);
    }

    #[test]
    fn a_long_run_keeps_its_shape_in_few_points() {
        let mut series = Series::new();
        let gets = 10 * POINTS_MAX as u64 * GETS_PER_POINT_FIRST;
        (0..gets).for_each(|i| series.note(i < gets / 2));
        let points = series.points();
        assert!((POINTS_MAX / 2..POINTS_MAX).contains(&points.len()), "{}", points.len());
        let mean = points.iter().map(|(_, ratio)| ratio).sum::<f64>() / points.len() as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert_eq!((points[0].1, points[points.len() - 1].1), (1.0, 0.0));
    }
}
