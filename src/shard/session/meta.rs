//! The meta protocol's part of a session: a parsed command to the request its key's owner runs.

use super::{Session, Step};
use crate::protocol::{MetaCommand, MetaVerb, decode_key};
use crate::shard::core::Core;
use crate::shard::request::{Form, KeyRequest, Op};

impl Session {
    /// Runs a meta command whose line takes `used` bytes of `rest`.
    pub(super) fn meta(
        &mut self,
        core: &mut Core,
        command: &MetaCommand<'_>,
        used: usize,
        rest: &[u8],
    ) -> Step {
        if !command.flags.base64_key() {
            return self.meta_with_key(core, command, command.key, used, rest);
        }
        let mut buffer = std::mem::take(&mut core.key_buffer);
        let step = match decode_key(command.key, &mut buffer) {
            Some(key) => self.meta_with_key(core, command, key, used, rest),
            // Not reached: the parser has decoded it before.
            None => Step::on(used),
        };
        core.key_buffer = buffer;
        step
    }

    fn meta_with_key(
        &mut self,
        core: &mut Core,
        command: &MetaCommand<'_>,
        key: &[u8],
        used: usize,
        rest: &[u8],
    ) -> Step {
        let op = match command.verb {
            MetaVerb::Get => Op::MetaGet,
            MetaVerb::Set => Op::MetaSet,
            MetaVerb::Delete => Op::MetaDelete,
            MetaVerb::Arith => Op::MetaArith,
            MetaVerb::Debug => Op::MetaDebug,
        };
        let (flags, form) = (&command.flags, Form::Meta(&command.flags));
        let mut request = KeyRequest {
            op,
            form,
            key: core.key(key),
            value: &[],
            value_len: 0,
            flags: 0,
            expires_s: 0,
            number: 0,
        };
        if op != Op::MetaSet {
            return self.keyed(core, &request, used);
        }
        let keys = &core.keyspace;
        request.flags = flags.client_flags();
        request.expires_s = flags.touch().map_or(0, |exptime| keys.expires_s(exptime));
        request.number = flags.vivify().map_or(0, |exptime| keys.expires_s(exptime).into());
        self.store(core, &request, command.len as usize, used, rest)
    }
}
