//! `tokenbind dev`: both services in one process, with sample data. Development only.

mod args;
mod banner;
mod ready;
mod samples;
mod seeded;
mod stack;
mod store;
mod story;

pub(crate) use args::DevArgs;
pub(crate) use stack::run;
