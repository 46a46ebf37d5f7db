-- Issues an access token for a refresh token, which is followed by the next one.
--
-- KEYS: 1 the slot's record, 2 the subject's list, 3 the family.
-- ARGV: 1 to 8 as `issue.lua`, with empty texts for no limit; 9 the family's position; 10 its nonce; 11 which of its refresh
--   tokens was presented; 12 the most live access tokens of a family. To rotate also: 13 the family's record without what the
--   scripts write; 14 how long it lives without use, in ms; 15 the grace in ms, 16 and in uses.
-- Answers as `issue` does and, where that is a token, further: which refresh token is live, how many ms it lives, and
--   the family's record where the presented one was answered within its grace, else an empty text. Or `{'gone'}`,
--   `{'many'}`, after which nothing was changed, or `{'reused', revision, how many died}`.

-- Whoever was told that it failed may have come again since, with the same token.
if tonumber(ARGV[4]) and now_us() > tonumber(ARGV[4]) then return {'late'} end
local family = decode_family(redis.call('GET', KEYS[3]), ARGV[10])
local generation = struct.unpack('<I4', ARGV[1], 2)
if not family or family.generation < generation then return {'gone'} end
if family.generation > generation then return {'behind'} end
local presented, now, record_prefix = tonumber(ARGV[11]), now_us(), string.sub(KEYS[1], 1, -17)
local rotates, replays = ARGV[13] ~= nil, presented < family.sequence
-- A key can outlive its family by a moment, because the clock goes on within a script. After `issue` it would be too late.
if family.ends_at <= math.floor(now / 1000) then return {'gone'} end
if presented > family.sequence or (replays and not rotates) then return {'gone'} end
if replays and not is_within_grace(family, presented, now, tonumber(ARGV[15]), tonumber(ARGV[16])) then
  return {'reused', now, end_family(KEYS[3], KEYS[2], ARGV[9], record_prefix, family)}
end
local place = place_for(family, record_prefix, string.sub(KEYS[1], -16), tonumber(ARGV[12]))
if not place then return {'many'} end

local answer = issue(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
local token = noted(answer, KEYS[1], ARGV[1])
if not token then return answer end
family.tokens[place] = token
local remaining
if rotates and not replays then
  family.rotated_at, family.sequence, family.grace_uses, family.body = now, family.sequence + 1, 0, ARGV[13]
  remaining = begin_turn(KEYS[3], KEYS[2], ARGV[9], family, tonumber(ARGV[14]))
else
  if replays then family.grace_uses = family.grace_uses + 1 end
  remaining = redis.call('PTTL', KEYS[3])
  redis.call('SET', KEYS[3], encode_family(family), 'KEEPTTL')
end
table.insert(answer, family.sequence)
table.insert(answer, remaining)
table.insert(answer, replays and encode_family(family) or '')
return answer
