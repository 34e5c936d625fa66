//! What an integrator does with the README and `docs/PLUGINS.md` alone: a project is made, changed, built,
//! checked and tested, by the program that a release ships, in each language.

mod administration;
mod badge;
mod javascript;
mod project;
mod python;
mod rust;
#[expect(clippy::indexing_slicing, reason = "what is missing in JSON is null, and fails the test")]
mod walk;
