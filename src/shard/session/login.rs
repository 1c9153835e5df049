//! What is understood of a text client before it has named a user and given the password (`-Y`).

use super::{Session, Step, Stop};
use crate::protocol::reply::text;
use crate::protocol::{AuthStep, authenticate};
use crate::shard::core::Core;

impl Session {
    /// The next command of a client that has not logged in.
    pub(super) fn log_in(&mut self, core: &mut Core, rest: &[u8]) -> Step {
        let (user, password, used) = match authenticate(rest) {
            AuthStep::Incomplete => return Step::stop(Stop::NeedInput),
            AuthStep::Close => return Step::stop(Stop::Close),
            AuthStep::Answer { text, used } => return self.reply(core, text, used),
            AuthStep::Credentials { user, password, used } => (user, password, used),
        };
        let right = core.settings.users.as_ref().is_some_and(|check| check(user, password));
        let step = self.reply(core, if right { text::STORED } else { text::AUTH_FAILURE }, used);
        if step.stop.is_none() {
            self.standing.logged_in = right;
            core.keyspace.counters.auth_cmds += 1;
            core.keyspace.counters.auth_errors += u64::from(!right);
        }
        step
    }
}
