//! Every script, in one place: each is one atomic step of the store.
//!
//! User data comes in as `KEYS` and `ARGV` alone. The keys that a script touches beyond `KEYS` (the records of a subject,
//! whose slots only the subject's list knows) share the hash tag of `KEYS[1]`. Times are the store's: Redis runs a script at
//! one frozen instant. Scripts that revoke are flagged `allow-oom`: revoking works when the store is full (R7). So is changing a
//! document that is there, because that is how users and applications are disabled and passwords and secrets replaced.

use redis::Script;

/// Offsets in an encoded `TokenRecord`, as Lua counts (from 1): its first three fields have a fixed length and always
/// stand first. The scripts below use them.
///
/// ```text
/// 1      tag of `revision`     2–9    its bytes, little-endian
/// 10     tag of `generation`   11–14  its bytes, little-endian
/// 15–16  tag and length of `digest`   17–48 its bytes
/// ```
const HEADER: &str = r"
local REVISION_TAG = '\9'
local function revision_of(record) return string.sub(record, 2, 9) end
local function generation_of(record) return struct.unpack('<I4', record, 11) end
local function digest_of(record) return string.sub(record, 17, 48) end
local function now_us() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end
local function text(number) return string.format('%.0f', number) end
local function generation_now() return text(math.floor(now_us() / 1000000)) end
local function raise(document)
  local raised = text(math.max(redis.call('HGET', document, 'g') + 1, tonumber(generation_now())))
  redis.call('HSET', document, 'g', raised)
  return raised
end
";

/// Puts a record in its slot, or answers the one that stays.
///
/// - `KEYS`: 1 the slot's record, 2 the subject's list.
/// - `ARGV`: 1 `replace` or `keep`; 2 the record without its revision; 3 its lifetime in ms; 4 its member of the list;
///   5 the revision (8 bytes, little-endian) that is not kept, or empty; 6 the least ms left of what is kept;
///   7 the most bindings, or 0; 8 `reject` or `evict`; 9 what the keys of the subject's records begin with.
/// - Answers `{'new', revision, superseded}`, `{'kept', record, ms left}`, `{'limit'}` or `{'behind'}`.
const ISSUE: &str = r"
local wanted_generation = struct.unpack('<I4', ARGV[2], 2)
local lifetime = tonumber(ARGV[3])
local old = redis.call('GET', KEYS[1])
local superseded = 0
if old then
  local generation = generation_of(old)
  if generation > wanted_generation then return {'behind'} end
  if generation == wanted_generation then
    if ARGV[1] == 'keep' and revision_of(old) ~= ARGV[5] then
      local left = redis.call('PTTL', KEYS[1])
      if left >= tonumber(ARGV[6]) then return {'kept', old, text(left)} end
    end
    superseded = 1
  end
end

local now = now_us()
local now_ms = math.floor(now / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now_ms))

local most = tonumber(ARGV[7])
local binding = string.sub(ARGV[4], 25, 32)
if most > 0 and binding ~= string.rep('\0', 8) then
  local application = string.sub(ARGV[4], 17, 24)
  local last_issued, members, count = {}, {}, 0
  for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    local other = string.sub(member, 25, 32)
    if string.sub(member, 17, 24) == application and other ~= binding and other ~= string.rep('\0', 8) then
      members[other] = members[other] or {}
      table.insert(members[other], member)
      local record = redis.call('GETRANGE', ARGV[9] .. string.sub(member, 1, 16), 0, 13)
      if record ~= '' and generation_of(record) == wanted_generation then
        if not last_issued[other] then last_issued[other], count = 0, count + 1 end
        last_issued[other] = math.max(last_issued[other], struct.unpack('<I8', record, 2))
        -- A refusal must not cost more the more slots the subject has.
        if count >= most and ARGV[8] == 'reject' then return {'limit'} end
      end
    end
  end
  while count >= most do
    local oldest
    for other, revision in pairs(last_issued) do
      if not oldest or revision < last_issued[oldest] then oldest = other end
    end
    for _, member in ipairs(members[oldest]) do
      redis.call('DEL', ARGV[9] .. string.sub(member, 1, 16))
      redis.call('ZREM', KEYS[2], member)
    end
    last_issued[oldest], count = nil, count - 1
  end
end

redis.call('SET', KEYS[1], REVISION_TAG .. struct.pack('<I8', now) .. ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], text(now_ms + lifetime), ARGV[4])
if redis.call('PTTL', KEYS[2]) < lifetime then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
return {'new', text(now), superseded}
";

/// Empties a slot that holds the token with a digest.
///
/// - `KEYS`: 1 the slot's record, 2 the subject's list.
/// - `ARGV`: 1 the digest; 2 the member of the list.
/// - Answers `{revision, how many}`.
const REVOKE_TOKEN: &str = r"
local record = redis.call('GET', KEYS[1])
if not record or digest_of(record) ~= ARGV[1] then return {text(now_us()), 0} end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return {text(now_us()), 1}
";

/// Empties the slots of a part of a subject's list.
///
/// - `KEYS`: 1 the subject's list.
/// - `ARGV`: 1 what the keys of its records begin with; 2 an application tag, or empty for all; 3 a binding tag, or empty
///   for all; 4 the lowest score to look at (`-inf`, or `(` and a score); 5 how many members to look at.
/// - Answers `{revision, how many, next}`, where `next` is the next `ARGV[4]`, or empty at the end.
///
/// The part ends with a whole score, never within one, so what is added or removed meanwhile shifts nothing.
const REVOKE_SUBJECT: &str = r"
local part = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[4], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[5])
local upto = ''
if #part == 2 * tonumber(ARGV[5]) then upto = part[#part] end
local members = {}
for i = 1, #part, 2 do
  if part[i + 1] ~= upto then table.insert(members, part[i]) end
end
if upto ~= '' then
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], upto, upto)) do table.insert(members, member) end
end
local count = 0
for _, member in ipairs(members) do
  if (ARGV[2] == '' or string.sub(member, 17, 24) == ARGV[2])
    and (ARGV[3] == '' or string.sub(member, 25, 32) == ARGV[3]) then
    count = count + redis.call('DEL', ARGV[1] .. string.sub(member, 1, 16))
    redis.call('ZREM', KEYS[1], member)
  end
end
return {text(now_us()), count, upto == '' and '' or '(' .. upto}
";

/// Reads a part of a subject's list with its records.
///
/// - `KEYS`: 1 the subject's list.
/// - `ARGV`: 1 what the keys of its records begin with; 2 the lowest end of life to look at, in ms; 3 how many members to
///   skip from there; 4 how many to look at.
/// - Answers whether more follow (0 or 1), then member, score and record (or nothing) of each.
const LIST: &str = r"
local now_ms = math.floor(now_us() / 1000)
local from, skip = ARGV[2], tonumber(ARGV[3])
if tonumber(from) <= now_ms then from, skip = '(' .. text(now_ms), 0 end
local limit = tonumber(ARGV[4])
local part = redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES', 'LIMIT', skip, limit + 1)
local more = 0
if #part > 2 * limit then more = 1 end
local answer = {more}
for i = 1, math.min(#part, 2 * limit), 2 do
  table.insert(answer, part[i])
  table.insert(answer, part[i + 1])
  table.insert(answer, redis.call('GET', ARGV[1] .. string.sub(part[i], 1, 16)) or '')
end
return answer
";

/// Stores a document. `change_document` is the same where a version is expected, so that nothing new is stored.
///
/// - `KEYS`: 1 the document, 2 the ids of its kind.
/// - `ARGV`: 1 `any`, `absent` or the version that is expected; 2 the body; 3 the id.
/// - Answers `{version, generation}`, or nothing on a conflict.
const PUT_DOCUMENT: &str = r"
local version = redis.call('HGET', KEYS[1], 'v')
if ARGV[1] == 'absent' then
  if version then return false end
elseif ARGV[1] ~= 'any' and ARGV[1] ~= version then
  return false
end
local now = now_us()
if version then now = math.max(now, tonumber(version) + 1) end
redis.call('HSET', KEYS[1], 'd', ARGV[2], 'v', text(now))
redis.call('HSETNX', KEYS[1], 'g', generation_now())
redis.call('PERSIST', KEYS[1])
redis.call('ZADD', KEYS[2], 0, ARGV[3])
return {text(now), redis.call('HGET', KEYS[1], 'g')}
";

/// Deletes a document and remembers its raised generation for a while.
///
/// - `KEYS`: 1 the document, 2 the ids of its kind.
/// - `ARGV`: 1 `any` or the version that is expected; 2 for how many ms the generation is remembered; 3 the id.
/// - Answers `deleted`, `absent` or `conflict`.
const DELETE_DOCUMENT: &str = r"
local version = redis.call('HGET', KEYS[1], 'v')
if not version then return 'absent' end
if ARGV[1] ~= 'any' and ARGV[1] ~= version then return 'conflict' end
redis.call('HDEL', KEYS[1], 'd', 'v')
raise(KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[3])
return 'deleted'
";

/// Raises the generation of a document.
///
/// - `KEYS`: 1 the document.
/// - Answers `{generation, revision}`, or nothing if there is no such document.
const RAISE_GENERATION: &str = r"
if redis.call('HEXISTS', KEYS[1], 'v') == 0 then return false end
return {raise(KEYS[1]), text(now_us())}
";

/// The scripts, hashed once.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) issue: Script,
    pub(super) revoke_token: Script,
    pub(super) revoke_subject: Script,
    pub(super) list: Script,
    pub(super) put_document: Script,
    pub(super) change_document: Script,
    pub(super) delete_document: Script,
    pub(super) raise_generation: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let script = |flags: &str, body: &str| Script::new(&format!("#!lua flags={flags}\n{HEADER}{body}"));
        Self {
            issue: script("", ISSUE),
            revoke_token: script("allow-oom", REVOKE_TOKEN),
            revoke_subject: script("allow-oom", REVOKE_SUBJECT),
            list: script("no-writes", LIST),
            put_document: script("", PUT_DOCUMENT),
            change_document: script("allow-oom", PUT_DOCUMENT),
            delete_document: script("allow-oom", DELETE_DOCUMENT),
            raise_generation: script("allow-oom", RAISE_GENERATION),
        }
    }

    pub(super) fn all(&self) -> [&Script; 8] {
        [
            &self.issue,
            &self.revoke_token,
            &self.revoke_subject,
            &self.list,
            &self.put_document,
            &self.change_document,
            &self.delete_document,
            &self.raise_generation,
        ]
    }
}
