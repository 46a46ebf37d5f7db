-- Raises the generation of a document.
--
-- KEYS: 1 the document.
-- Answers `{generation, revision}`, or nothing if there is no such document.
if redis.call('HEXISTS', KEYS[1], 'v') == 0 then return false end
return {raise(KEYS[1]), text(now_us())}
