-- Ends a family with its access tokens.
--
-- KEYS: 1 the family, 2 the subject's list.
-- ARGV: 1 the family's position; 2 its nonce; 3 what the keys of the subject's records begin with. To end it only if a refresh
--   token of it was used before, and not within the grace, also: 4 which; 5 the grace in ms, 6 and in uses.
-- Answers `{revision, how many died}`; nothing where it was not to be ended.
local family = decode_family(redis.call('GET', KEYS[1]), ARGV[2])
local presented, now = tonumber(ARGV[4]), now_us()
if presented then
  if not family or presented >= family.sequence then return false end
  if is_within_grace(family, presented, now, tonumber(ARGV[5]), tonumber(ARGV[6])) then return false end
end
if not family then return {now, 0} end
return {now, end_family(KEYS[1], KEYS[2], ARGV[1], ARGV[3], family)}
