-- Puts records in slots: for every script that issues. Few functions and without those of other files, because Redis makes each
-- function of a script anew at every call.

-- Adds a member to a subject's list, or moves it to its new end of life (ms).
--
-- The list is trimmed when it changes, so it never has more members that have ended than ever were live at once. It outlives its
-- members by a sixteenth of a lifetime, so that it need not be told at each write to live longer.
local function file(list, member, now_ms, ends)
  -- Also where nothing changes: a list that was evicted is made again.
  if redis.call('ZADD', list, 'CH', ends, member) == 0 then return end
  local left, needed = redis.call('PTTL', list), ends - now_ms
  if left < needed then
    -- By itself Lua would write a long number with an exponent, which Redis does not read here.
    redis.call('PEXPIRE', list, string.format('%.0f', needed + math.floor(needed / 16)))
  end
  if left >= 0 then redis.call('ZREMRANGEBYSCORE', list, '-inf', now_ms) end
end

-- Puts a record in its slot, or leaves the one that stays there.
--
-- - `key`, `list`: the slot's record and the subject's list. `key` ends with the slot.
-- - `record`: without its revision; `lifetime`: of the record, in ms, as text; `member`: of the list.
-- - `latest`: by when (us) it must be done. A Redis that was stopped goes on with what it was sent, when whoever sent it has
--   long been told that it failed.
-- - `least_left`: the least ms left of a live token that is kept; without it, whatever there is is replaced.
-- - `except`: with `least_left` the revision (8 bytes, little-endian) that is not kept, else the digest (32 bytes) of the only
--   token that is replaced.
-- - `most`: the most bindings; `over`: `evict` where the binding whose last token was issued longest ago makes room for one more
--   by losing its tokens and families.
--
-- The last five are texts as they came; each can be empty, and the last four be left out. A number is read where it is needed.
--
-- Answers `{'new', revision, superseded (0 or 1)}`, `{'kept', record, ms left}`, `{'limit'}`, `{'behind'}`, `{'gone'}` or
-- `{'late'}`. After all but the first, nothing was changed.
local function issue(key, list, record, lifetime, member, latest, least_left, except, most, over)
  local call, unpack = redis.call, struct.unpack
  local generation = unpack('<I4', record, 2)
  local old = call('GET', key)
  local superseded = 0
  if except and #except == 32
    and (not old or unpack('<I4', old, 11) ~= generation or string.sub(old, 17, 48) ~= except) then
    return {'gone'}
  end
  if old then
    local old_generation = unpack('<I4', old, 11)
    if old_generation > generation then return {'behind'} end
    if old_generation == generation then
      if least_left and least_left ~= '' and (except == '' or string.sub(old, 2, 9) ~= except) then
        local left = call('PTTL', key)
        if left >= tonumber(least_left) then return {'kept', old, left} end
      end
      superseded = 1
    end
  end
  local time = call('TIME')
  local now = time[1] * 1000000 + time[2]
  if latest ~= '' and now > tonumber(latest) then return {'late'} end

  if most and most ~= '' and string.sub(member, 22, 29) ~= '\0\0\0\0\0\0\0\0' then
    most = tonumber(most)
    -- Other bindings of the application count as long as one token or family of this generation lives under them. A family's
    -- position, which is the whole end of its key, begins with what a member has behind its slot.
    local records, application, binding = string.sub(key, 1, -17), string.sub(member, 17, 21), string.sub(member, 22, 29)
    local last_issued, members, count = {}, {}, 0
    for _, listed in ipairs(call('ZRANGE', list, 0, -1)) do
      local place, tags = string.sub(listed, 1, 16), 16
      if #listed == 15 then tags = 0 end
      local other = string.sub(listed, tags + 6, tags + 13)
      if string.sub(listed, tags + 1, tags + 5) == application and other ~= binding and other ~= '\0\0\0\0\0\0\0\0' then
        members[other] = members[other] or {}
        table.insert(members[other], listed)
        -- The header of a family has both numbers where that of a token has them.
        local start = call('GETRANGE', records .. place, 0, 13)
        if start ~= '' and unpack('<I4', start, 11) == generation then
          if not last_issued[other] then last_issued[other], count = 0, count + 1 end
          last_issued[other] = math.max(last_issued[other], unpack('<I8', start, 2))
          -- A refusal must not cost more the more slots the subject has.
          if count >= most and over ~= 'evict' then return {'limit'} end
        end
      end
    end
    while count >= most do
      local oldest
      for other, revision in pairs(last_issued) do
        if not oldest or revision < last_issued[oldest] then oldest = other end
      end
      for _, listed in ipairs(members[oldest]) do
        call('DEL', records .. string.sub(listed, 1, 16))
        call('ZREM', list, listed)
      end
      last_issued[oldest], count = nil, count - 1
    end
  end

  -- The tag of the field `revision`, and its bytes.
  call('SET', key, '\9' .. struct.pack('<I8', now) .. record, 'PX', lifetime)
  lifetime = tonumber(lifetime)
  file(list, member, math.floor(now / 1000), listed_end(member, now, lifetime))
  return {'new', now, superseded}
end
