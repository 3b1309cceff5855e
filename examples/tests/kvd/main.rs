//! kvd as its clients and its operator see it: the real binary, driven over its socket by a real
//! client library, by redis-cli and redis-benchmark where they are installed, and by hand-made
//! bytes; killed, stopped, and started again on what it left.
#![forbid(unsafe_code)]

mod commands;
mod daemon;
mod faults;
mod limits;
mod load;
mod logfile;
mod pubsub;
mod startup;
mod stopping;
mod tools;
