//! What waits for the writer: bounded, and fair between tenants.
//!
//! Each tenant has a lane, first in first out; the writer takes one job of each lane in turn. So a
//! tenant that floods its lane delays itself. A full queue refuses at once: what would wait longer
//! than its caller is better refused than kept.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// A queue of jobs in lanes.
#[derive(Debug)]
pub(crate) struct Queue<L, J> {
    lanes: Mutex<Lanes<L, J>>,
    arrived: Notify,
    capacity: usize,
    capacity_of_lane: usize,
}

/// Why a job was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue, or its lane, is full.
    Full,
    /// The queue is closed.
    Closed,
}

#[derive(Debug)]
struct Lanes<L, J> {
    jobs: HashMap<L, VecDeque<J>>,
    /// Lanes that have jobs, in the order of their turns.
    turns: VecDeque<L>,
    length: usize,
    closed: bool,
}

impl<L: Clone + Eq + Hash, J> Queue<L, J> {
    /// An empty queue.
    pub(crate) fn new(capacity: usize, capacity_of_lane: usize) -> Self {
        let lanes = Lanes { jobs: HashMap::new(), turns: VecDeque::new(), length: 0, closed: false };
        Self { lanes: Mutex::new(lanes), arrived: Notify::new(), capacity, capacity_of_lane }
    }

    /// Takes a job in.
    pub(crate) fn push(&self, lane: &L, job: J) -> Result<(), Refused> {
        let mut lanes = self.lock();
        if lanes.closed {
            return Err(Refused::Closed);
        }
        let waiting = lanes.jobs.get(lane).map_or(0, VecDeque::len);
        if lanes.length >= self.capacity || waiting >= self.capacity_of_lane {
            return Err(Refused::Full);
        }
        lanes.push(lane, job);
        drop(lanes);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next jobs, at most so many, lanes in turn; waits for one. None when the queue is closed and empty.
    pub(crate) async fn take(&self, most: usize) -> Option<Vec<J>> {
        loop {
            {
                let mut lanes = self.lock();
                if lanes.length > 0 {
                    return Some(lanes.take(most));
                }
                if lanes.closed {
                    return None;
                }
            }
            // A notice that comes between the look and this wait is kept by `Notify`.
            self.arrived.notified().await;
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().length
    }

    /// Takes no more jobs in; those inside are still given out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// A panic inside the lock is none of the queue's: its state is whole between calls.
    fn lock(&self) -> MutexGuard<'_, Lanes<L, J>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Clone + Eq + Hash, J> Lanes<L, J> {
    fn push(&mut self, lane: &L, job: J) {
        self.length += 1;
        if let Some(jobs) = self.jobs.get_mut(lane) {
            jobs.push_back(job);
            return;
        }
        self.jobs.insert(lane.clone(), VecDeque::from([job]));
        self.turns.push_back(lane.clone());
    }

    fn take(&mut self, most: usize) -> Vec<J> {
        let mut taken = Vec::with_capacity(most.min(self.length));
        while taken.len() < most {
            let Some(lane) = self.turns.pop_front() else { break };
            let Some(jobs) = self.jobs.get_mut(&lane) else { continue };
            taken.extend(jobs.pop_front());
            if jobs.is_empty() {
                self.jobs.remove(&lane);
            } else {
                self.turns.push_back(lane);
            }
        }
        self.length -= taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lanes_take_turns_and_keep_their_order() {
        let queue = Queue::new(100, 100);
        for job in ["a1", "a2", "a3"] {
            queue.push(&'a', job).unwrap();
        }
        queue.push(&'b', "b1").unwrap();

        assert_eq!(queue.take(3).await.unwrap(), ["a1", "b1", "a2"]);
        queue.push(&'c', "c1").unwrap();
        assert_eq!(queue.take(9).await.unwrap(), ["a3", "c1"]);
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn a_full_lane_leaves_room_for_others() {
        let queue = Queue::new(3, 2);
        queue.push(&'a', 1).unwrap();
        queue.push(&'a', 2).unwrap();

        assert_eq!(queue.push(&'a', 3), Err(Refused::Full));
        queue.push(&'b', 4).unwrap();
        assert_eq!(queue.push(&'b', 5), Err(Refused::Full));
    }

    #[tokio::test]
    async fn a_closed_queue_is_emptied_first() {
        let queue = Queue::new(3, 3);
        queue.push(&'a', 1).unwrap();
        queue.close();

        assert_eq!(queue.push(&'a', 2), Err(Refused::Closed));
        assert_eq!(queue.take(9).await, Some(vec![1]));
        assert_eq!(queue.take(9).await, None);
    }
}
