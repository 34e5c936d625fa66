//! Numbers of several rounds, and what they say together.

use std::time::Duration;

use crate::clock::micros;

/// One figure, measured once a round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Vec<f64>);

/// What many calls of one round took.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Series {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
        let lower = sorted.get(middle.saturating_sub(1)).copied().unwrap_or(f64::NAN);
        if sorted.len().is_multiple_of(2) { f64::midpoint(lower, upper) } else { upper }
    }

    pub(crate) fn lowest(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn highest(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    /// The ratio of each round: both were measured under the same circumstances.
    pub(crate) fn over(&self, yardstick: &Self) -> Self {
        Self(self.0.iter().zip(&yardstick.0).map(|(figure, by)| figure / by).collect())
    }

    /// How much more it is in each round.
    pub(crate) fn difference(figure: &Self, less: &Self) -> Self {
        Self(figure.0.iter().zip(&less.0).map(|(figure, less)| figure - less).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<Took: IntoIterator<Item = Duration>>(took: Took) -> Self {
        Self(took.into_iter().collect())
    }
}

impl Latencies {
    pub(crate) fn with_capacity(calls: usize) -> Self {
        Self(Vec::with_capacity(calls))
    }

    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// How many calls.
    pub(crate) fn count(&self) -> f64 {
        f64::from(u32::try_from(self.0.len()).unwrap_or(u32::MAX))
    }

    /// Median and 99th percentile, in microseconds.
    pub(crate) fn quantiles(mut self) -> (f64, f64) {
        self.0.sort_unstable();
        let at = |percent: usize| self.0.get(self.0.len() * percent / 100).copied().map_or(f64::NAN, micros);
        (at(50), at(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let figure = Series(vec![2.0, 30.0, 8.0]);
        let yardstick = Series(vec![1.0, 10.0, 2.0]);
        assert_eq!(figure.over(&yardstick).sorted(), [2.0, 3.0, 4.0]);
    }

    #[test]
    fn the_median_of_an_even_number_of_rounds_lies_between() {
        let median = Series(vec![4.0, 1.0, 2.0, 3.0]).median();
        assert!((median - 2.5).abs() < f64::EPSILON, "{median}");
    }
}
