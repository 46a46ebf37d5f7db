-- Families of refresh tokens: for every script that begins, uses or ends one.
--
-- Offsets in an encoded RefreshFamilyRecord, each behind its tag: 2–9 `rotated_at`, 11–14 `generation`, 16–19 `sequence`,
-- 21–24 `grace_uses`, 26–33 `ends_at`, 36–51 `nonce`; then, as often as there are `tokens`, a tag and a length, a slot (16) and
-- a digest (32). The rest is not looked at.
local TOKEN_TAG = '\58\48'
local function generation_of(record) return struct.unpack('<I4', record, 11) end

-- Reads a family; nil where another one, or none, holds the place.
local function decode_family(record, nonce)
  if not record or string.sub(record, 36, 51) ~= nonce then return nil end
  local family = {
    rotated_at = struct.unpack('<I8', record, 2),
    generation = generation_of(record),
    sequence = struct.unpack('<I4', record, 16),
    grace_uses = struct.unpack('<I4', record, 21),
    ends_at = struct.unpack('<I8', record, 26),
    nonce = nonce,
    tokens = {},
  }
  local at = 52
  while string.sub(record, at, at + 1) == TOKEN_TAG do
    table.insert(family.tokens, string.sub(record, at + 2, at + 49))
    at = at + 50
  end
  family.body = string.sub(record, at)
  return family
end

local function encode_family(family)
  local header = struct.pack('<BI8BI4BI4BI4BI8BB', 9, family.rotated_at, 21, family.generation, 29, family.sequence,
    37, family.grace_uses, 41, family.ends_at, 50, 16)
  local parts = {header, family.nonce}
  for _, token in ipairs(family.tokens) do
    table.insert(parts, TOKEN_TAG)
    table.insert(parts, token)
  end
  table.insert(parts, family.body)
  return table.concat(parts)
end

-- Stores a family whose live refresh token was issued now; answers how many ms that one lives.
local function begin_turn(key, list, position, family, idle)
  local now_ms = math.floor(family.rotated_at / 1000)
  local remaining = math.min(idle, family.ends_at - now_ms)
  redis.call('SET', key, encode_family(family), 'PX', text(remaining))
  file(list, position, now_ms, now_ms + remaining)
  return remaining
end

-- Whether an access token of a family is still the one in its slot.
local function is_live(record_prefix, token)
  local header = redis.call('GETRANGE', record_prefix .. string.sub(token, 1, 16), 0, 47)
  return header ~= '' and digest_of(header) == string.sub(token, 17, 48)
end

-- Where a family notes the access token of a slot; nil when it has too many that live.
local function place_for(family, record_prefix, slot, most)
  for index, token in ipairs(family.tokens) do
    if string.sub(token, 1, 16) == slot then return index end
  end
  if #family.tokens >= most then
    local live = {}
    for _, token in ipairs(family.tokens) do
      if is_live(record_prefix, token) then table.insert(live, token) end
    end
    family.tokens = live
  end
  if #family.tokens < most then return #family.tokens + 1 end
end

-- What a family notes of the access token that `issue` answered, of the record that it was asked with; nil if it issued none.
local function noted(answer, key, record)
  local slot = string.sub(key, -16)
  if answer[1] == 'new' then return slot .. string.sub(record, 8, 39) end
  if answer[1] == 'kept' then return slot .. digest_of(answer[2]) end
end

-- Whether a refresh token that was used before may be answered once more.
local function is_within_grace(family, presented, now, grace_ms, grace_uses)
  return presented + 1 == family.sequence and family.grace_uses < grace_uses
    and now - family.rotated_at < grace_ms * 1000
end

-- Ends a family with its access tokens; answers how many of both died.
local function end_family(key, list, position, record_prefix, family)
  local count = 0
  for _, token in ipairs(family.tokens) do
    if is_live(record_prefix, token) then
      local slot = string.sub(token, 1, 16)
      count = count + redis.call('DEL', record_prefix .. slot)
      redis.call('ZREM', list, slot .. string.sub(position, 1, 13))
    end
  end
  redis.call('ZREM', list, position)
  return count + redis.call('DEL', key)
end
