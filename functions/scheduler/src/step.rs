//! The result of one step of a job.

use domain::job::Work;

/// The work of a job after a step, and when the next step follows.
pub(crate) enum StepResult {
    /// The next step can follow in this run of the scheduler.
    Continue(Work),
    /// The next step follows in a later run of the scheduler.
    NextRun(Work),
    /// The job is done.
    Done(Work),
}
