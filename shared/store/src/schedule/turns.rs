//! The turns of running jobs. A visit of the scheduler reads a bounded number of jobs, in a circle through their partition.
//! The place where a visit ends is stored, and the next visit begins there, so every job is reached however many there are.

use domain::job::Job;

use super::{Rows, Schedule, job_item};
use crate::item::{Item, Key};
use crate::keys;
use crate::table::Table;
use crate::table::query::{Query, Range};
use crate::unavailable::PortResult;

/// The jobs that share one turn: the running replays of one tenant, or one erasure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Turn {
    /// The jobs; the one that waits longest comes first.
    pub jobs: Vec<Job>,
    /// The place after these jobs.
    pub place: Place,
}

/// A place in the circle of running jobs.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place(String);

impl<T: Table> Schedule<T> {
    /// Returns the turns of at most `most` running jobs, beginning at the stored place. If there are no other jobs, and
    /// no more turns than `at_once`, their order is the order of the keys, and the place is not read.
    pub async fn turns(&self, most: usize, at_once: usize) -> PortResult<Vec<Turn>> {
        // 1. Read from the beginning: the usual few jobs are read by one query.
        let first = self.running(Range::All, most).await?;
        let is_all = !first.has_more;
        let turns = whole_turns(&first);
        if is_all && turns.len() <= at_once {
            return Ok(turns);
        }
        let Some(place) = self.place().await? else { return Ok(turns) };

        // 2. Read from the place to the end, and then from the beginning to the place.
        let (before, mut circle): (Vec<_>, Vec<_>) = turns.into_iter().partition(|turn| turn.place <= place);
        let mut reaches_end = is_all;
        if !is_all {
            let rest = self.running(Range::After(place.0), most).await?;
            reaches_end = !rest.has_more;
            circle = whole_turns(&rest);
        }
        if reaches_end {
            circle.extend(before);
        }
        Ok(first_jobs(circle, most))
    }

    /// Stores the place where the next visit begins.
    pub async fn save_place(&self, place: &Place) -> PortResult<()> {
        let row = Item::from([("after", place.0.as_str().into())]);
        self.items.put(row.at(Key::new(keys::TURN, keys::ONLY))).await
    }

    async fn place(&self) -> PortResult<Option<Place>> {
        let Some(row) = self.items.get(Key::new(keys::TURN, keys::ONLY)).await? else { return Ok(None) };
        Ok(Some(Place(row.text("after")?.to_owned())))
    }

    async fn running(&self, range: Range, most: usize) -> PortResult<Rows<Job>> {
        self.rows(Query::consistent(keys::JOBS).range(range), most, job_item::read).await
    }
}

/// Returns the turns of these jobs. If there are more jobs, the last turn may have some of them, so it is left to the
/// next visit, unless it is the only one.
fn whole_turns(rows: &Rows<Job>) -> Vec<Turn> {
    let places = rows.rows.chunk_by(|one, other| place_after(one) == place_after(other));
    let mut turns: Vec<Turn> = places.map(turn_of).collect();
    if rows.has_more && turns.len() > 1 {
        turns.pop();
    }
    turns
}

fn turn_of(jobs: &[Job]) -> Turn {
    let place = place_after(&jobs[0]);
    let mut jobs = jobs.to_vec();
    jobs.sort_by(|one, other| (one.waits_since(), &one.id).cmp(&(other.waits_since(), &other.id)));
    Turn { jobs, place }
}

fn place_after(job: &Job) -> Place {
    Place(keys::after_turn(&job.tenant, &job.id))
}

/// Returns the first turns, with at most `most` jobs together, and one turn at least.
fn first_jobs(turns: Vec<Turn>, most: usize) -> Vec<Turn> {
    let mut count = 0;
    let within = |turn: &Turn| {
        let is_first = count == 0;
        count += turn.jobs.len();
        is_first || count <= most
    };
    turns.into_iter().take_while(within).collect()
}
