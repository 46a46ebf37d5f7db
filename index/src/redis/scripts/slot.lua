-- Puts records in slots: for every script that issues.

-- Adds a member to a subject's list, or moves it to its new end of life (ms).
--
-- The list is trimmed when it grows, so it never has more members that have ended than ever were live at once. It outlives its
-- members by a sixteenth of a lifetime, so that it need not be told at each write to live longer.
local function file(list, member, now_ms, lifetime)
  local grew = redis.call('ZADD', list, now_ms + lifetime, member) == 1
  local left = redis.call('PTTL', list)
  if left < lifetime then redis.call('PEXPIRE', list, text(lifetime + math.floor(lifetime / 16))) end
  if grew and left >= 0 then redis.call('ZREMRANGEBYSCORE', list, '-inf', now_ms) end
end

-- Takes a slot off its subject's list. `ends` is the end of life (ms) that it stands under.
local function unfile(list, slot, ends)
  ends = text(ends)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', list, ends, ends)) do
    if slot_of(member) == slot then redis.call('ZREM', list, member) end
  end
end

-- Makes room for a further binding of the application, as `member` names both; false when there is none. Other bindings
-- count as long as one token or family of this generation lives under them. With `evict`, the binding whose last token was
-- issued longest ago loses its tokens and families.
local function make_room(record_prefix, list, member, generation, most, evict)
  local application, binding = application_of(member), binding_of(member)
  if binding == UNBOUND then return true end
  local last_issued, members, count = {}, {}, 0
  for _, other_member in ipairs(redis.call('ZRANGE', list, 0, -1)) do
    local key, other_application, other = entry(record_prefix, other_member)
    if other_application == application and other ~= binding and other ~= UNBOUND then
      members[other] = members[other] or {}
      table.insert(members[other], other_member)
      -- The header of a family has both numbers where that of a token has them.
      local record = redis.call('GETRANGE', key, 0, 13)
      if record ~= '' and generation_of(record) == generation then
        if not last_issued[other] then last_issued[other], count = 0, count + 1 end
        last_issued[other] = math.max(last_issued[other], struct.unpack('<I8', record, 2))
        -- A refusal must not cost more the more slots the subject has.
        if count >= most and not evict then return false end
      end
    end
  end
  while count >= most do
    local oldest
    for other, revision in pairs(last_issued) do
      if not oldest or revision < last_issued[oldest] then oldest = other end
    end
    for _, other_member in ipairs(members[oldest]) do
      local key = entry(record_prefix, other_member)
      redis.call('DEL', key)
      redis.call('ZREM', list, other_member)
    end
    last_issued[oldest], count = nil, count - 1
  end
  return true
end

-- Puts a record in its slot, or leaves the one that stays there.
--
-- - `key`, `list`: the slot's record and the subject's list. `key` ends with the slot.
-- - `record`: without its revision; `lifetime`: of the record, in ms; `member`: of the list.
-- - `latest`: by when (us) it must be done, or nil. A Redis that was stopped goes on with what it was sent, when whoever sent
--   it has long been told that it failed.
-- - `least_left`: the least ms left of a live token that is kept; nil to replace whatever there is.
-- - `except`: the revision (8 bytes, little-endian) that is not kept, or an empty text.
-- - `most`: the most bindings, or nil; `evict`: what happens to one more, see `make_room`.
--
-- Answers `{'new', revision, superseded (0 or 1)}`, `{'kept', record, ms left}`, `{'limit'}`, `{'behind'}` or `{'late'}`. After all
-- but the first, nothing was changed.
local function issue(key, list, record, lifetime, member, latest, least_left, except, most, evict)
  local generation = struct.unpack('<I4', record, 2)
  local old = redis.call('GET', key)
  local superseded = 0
  if old then
    local old_generation = generation_of(old)
    if old_generation > generation then return {'behind'} end
    if old_generation == generation then
      if least_left and revision_of(old) ~= except then
        local left = redis.call('PTTL', key)
        if left >= least_left then return {'kept', old, left} end
      end
      superseded = 1
    end
  end
  local now = now_us()
  if latest and now > latest then return {'late'} end
  if most and not make_room(string.sub(key, 1, -17), list, member, generation, most, evict) then return {'limit'} end
  redis.call('SET', key, REVISION_TAG .. struct.pack('<I8', now) .. record, 'PX', lifetime)
  file(list, member, math.floor(now / 1000), lifetime)
  return {'new', now, superseded}
end
