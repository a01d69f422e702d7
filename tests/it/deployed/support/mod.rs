//! What the stories of the deployed template stand on: the running stack, its processes, and the ways to them.

pub(crate) mod stack;

pub(crate) mod sqs;

pub(crate) mod runtime;

pub(crate) mod proxy;

pub(crate) mod front_door;

pub(crate) mod instances;

pub(crate) mod search;

pub(crate) mod busy;

pub(crate) mod desk;

pub(crate) mod versions;
