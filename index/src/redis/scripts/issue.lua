-- Puts a record in its slot, or answers the one that stays.
--
-- KEYS: 1 the slot's record, 2 the subject's list.
-- ARGV: 1 the record without its revision; 2 its lifetime in ms; 3 its member of the list; 4 until when (us) somebody waits for
--   the answer, or empty. Then, as far as needed: 5 the least ms left of a live token that is kept, or empty to replace it;
--   6 the revision that is not kept, or the digest of the only token that is replaced, or empty; 7 the most bindings,
--   8 `reject` or `evict`.
-- Answers as `issue` does.
return issue(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
